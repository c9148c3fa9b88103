"""The tables of docs/configuration.md list every field of the configuration."""

import re

import pytest

from lstm_sentiment.config import CompareConfig, Config, Reference
from lstm_sentiment.config_fields import Field, fields_of
from lstm_sentiment.config_pretraining import LanguageModelConfig
from scripts.publish.configuration_table import COLUMNS, markdown
from tests.support.project import ROOT

KINDS = (Config, Reference, CompareConfig, LanguageModelConfig)
FIELDS = {field.name: field for kind in KINDS for field in fields_of(kind)}


def rows() -> dict[str, list[str]]:
    """Return the cells of every row by the field's name; each field has one row."""
    lines = [line.strip("| ").split(" | ") for line in markdown().splitlines() if "| `" in line]
    cells = {line[0].strip("`"): line for line in lines}
    assert len(cells) == len(lines)
    return cells


def test_the_tables_list_every_field_and_no_other() -> None:
    assert rows().keys() == FIELDS.keys()


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_a_row_says_what_is_known_of_the_field(field: Field) -> None:
    row = dict(zip(COLUMNS, rows()[field.name], strict=True))
    assert row["allowed"] == field.allowed
    assert row["in fingerprint"] == ("yes" if field.fingerprinted else "no")
    assert row["meaning"].replace("&lt;", "<") == field.help


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("encoder.cell", "lstm"),
        ("encoder.bidirectional", "false"),
        ("optimizer.lr", "0.002"),
        ("data.path", "null"),
        ("reference", "[]"),
    ],
)
def test_defaults_are_written_as_on_the_command_line(name: str, default: str) -> None:
    assert rows()[name][1] == f"`{default}`"


def test_every_group_has_a_heading_and_a_description() -> None:
    sections = markdown().split("### ")[1:]
    assert [section.partition("\n")[0].strip("`") for section in sections] == [
        "Run", "encoder", "head", "embedding", "data", "data.augment", "optimizer",
        "objective", "early_stopping", "decision", "trainer", "reference", "compare",
        "language_model",
    ]  # fmt: skip
    assert all(re.match(r".*\n\n[A-Z].*\.\n\n\| field \|", section) for section in sections)


def test_the_page_has_these_tables() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert f"<!-- table of fields -->\n{markdown()}\n<!-- end -->" in page, "run make results"
