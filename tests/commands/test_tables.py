"""Tables in terminals of 60 and more columns: no name and no number is cut."""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.text import Text

from lstm_sentiment.commands.data_overview import overview
from lstm_sentiment.commands.evaluate import scores_table
from lstm_sentiment.commands.explain import explanation_view
from lstm_sentiment.commands.status import status_table
from lstm_sentiment.commands.tables import FittedTable, SplitTable, folded
from lstm_sentiment.commands.terminal import ranking_table
from lstm_sentiment.runs.reader import RunSummary, State
from lstm_sentiment.serving.attribution import Attribution
from lstm_sentiment.serving.evaluation import scores
from lstm_sentiment.serving.predictor import Explanation
from tests.support.explanations import PREDICTION
from tests.support.project import MakeConfig, reviews_of
from tests.support.records import LABELS, answers, logits

WIDTHS = (60, 80, 120)
LONG = "deep_bilstm-max_attention-s0-30aab94c"
COLUMNS = ("seeds", "params", "val %", "test %", "F1 %", "AUROC %", "fit s")
NUMBERS = ("3", "1,412,225", "88.00 ± 2.00", "84.00 ± 1.00", "85.01", "91.12", "1,061.3")


def printed(view: RenderableType, width: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, soft_wrap=True, highlight=False).print(view)
    lines = stream.getvalue().splitlines()
    assert "…" not in stream.getvalue()
    return lines


def column(lines: Sequence[str], title: str, following: str) -> str:
    """Return the text of a column of names without its breaks."""
    [head] = [line for line in lines if title in line and following in line]
    start, end = head.index(title), head.index(following)
    return "".join(line[start:end].strip() for line in lines[lines.index(head) + 1 :])


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("lstm-max", 8, ["lstm-max"]),
        ("deep_bilstm-max_attention", 24, ["deep_bilstm-", "max_attention"]),
        ("gru-max optimizer.lr=0.1", 20, ["gru-max", "optimizer.lr=0.1"]),
        ("data.padding=trailing", 16, ["data.padding=", "trailing"]),
        ("max_attention", 6, ["max_", "attent", "ion"]),
        ("sweep/gru-max-s0", 10, ["sweep/gru-", "max-s0"]),
        ("電影電影", 5, ["電影", "電影"]),
        ("two\nlines", 20, ["two", "lines"]),
        ("", 5, [""]),
    ],
)
def test_a_text_is_folded_at_the_best_place(text: str, width: int, lines: list[str]) -> None:
    assert folded(text, width).split("\n") == lines


@pytest.mark.parametrize("width", WIDTHS)
def test_the_ranking_shows_whole_names_and_numbers(width: int) -> None:
    names = [f"{LONG[:25]} data.padding=trailing", "gru-last"]
    rows = [[name, *NUMBERS] for name in names]
    lines = printed(ranking_table([("a title", rows, "a note")], COLUMNS, []), width)
    assert max(map(cell_len, lines)) <= width
    text = "\n".join(lines)
    assert all(part in text for part in re.split(r"(?<=[- =])", names[0]))
    for title, number in zip(COLUMNS, NUMBERS, strict=True):
        assert (title in text) == (number in text)
    assert "88.00 ± 2.00 84.00 ± 1.00" in text


def test_the_least_important_columns_are_left_out_first() -> None:
    rows = [[LONG, *NUMBERS]]

    def shown(width: int) -> set[str]:
        text = "\n".join(printed(ranking_table([("", rows, "")], COLUMNS, []), width))
        return {title for title in COLUMNS if title in text}

    assert shown(120) == {*COLUMNS}
    assert shown(76) == {*COLUMNS} - {"AUROC %"}
    assert shown(60) == {"seeds", "val %", "test %", "fit s"}
    assert shown(30) == {"val %", "test %"}


@pytest.mark.parametrize("width", WIDTHS)
def test_status_shows_whole_names_and_reasons(tmp_path: Path, width: int) -> None:
    reason = "failed in epoch 3: the loss is not finite; give a lower optimizer.lr"
    run = RunSummary(tmp_path / "lstm_vs_gru" / LONG, State.failed, None, reason)
    lines = printed(status_table([run]), width)
    assert max(map(cell_len, lines)) <= width
    text = "".join(lines)
    for part in re.split(r"(?<=[-/])", LONG):
        assert part in text
    for word in reason.split()[1:]:
        assert word in text


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("count", [1, 2, 9])
def test_evaluate_shows_every_network(width: int, count: int) -> None:
    values = scores(labels=LABELS, logits=logits(answers(37)))
    networks: dict[str, Any] = {f"{LONG[:-1]}{number}": values for number in range(count)}
    networks |= {"ensemble": values} if count > 1 else {}
    lines = printed(scores_table(networks), width)
    assert max(map(cell_len, lines)) <= width
    rows = [line.split()[2:] for line in lines if line.startswith(" accuracy")]
    assert [cell for row in rows for cell in row] == ["81.50"] * len(networks)
    for name in networks:
        assert any(name in line for line in lines)
    assert any("predicted negative  predicted positive" in line for line in lines)


def test_data_shows_every_split(tiny: MakeConfig) -> None:
    data = reviews_of(tiny())
    for width in WIDTHS:
        tables = [line for line in printed(overview(data), width) if not line.startswith("Ex")]
        head, *_ = [line for line in tables if "split" in line]
        assert cell_len(head) <= width
        assert all(title in head for title in ("reviews", "positive", "truncated", "unknown"))
        assert ("95 %" in head) == (width > 60)


@pytest.mark.parametrize("width", WIDTHS)
def test_explain_shows_whole_tokens(width: int) -> None:
    token = "x" * 150
    attribution = Attribution(0.1, 0.1, (0.5,), (1.0,), 0.0)
    lines = printed(
        explanation_view(Explanation((token,), (True,), 0, attribution, PREDICTION)), width
    )
    [head] = [line for line in lines if "contribution" in line and "attention" in line]
    table = lines[lines.index(head) + 1 :]
    assert sum(line.count("x") for line in table[: table.index("")]) == 150


def test_numbers_are_right_aligned_and_names_left_aligned() -> None:
    rows = [["a", "1"], ["long name", "1,000"]]
    assert printed(FittedTable(["", "n"], rows), 40) == [
        "                n ",
        " a              1 ",
        " long name  1,000 ",
    ]


def test_a_style_remains_if_a_cell_is_folded() -> None:
    stream = io.StringIO()
    table = FittedTable([""], [[Text("red-" * 30, "red")]])
    Console(file=stream, width=40, force_terminal=True, color_system="standard").print(table)
    assert stream.getvalue().count("\x1b[31m") > 2


def test_a_table_in_a_very_narrow_terminal_is_wider_but_whole() -> None:
    lines = printed(FittedTable(["", "numbers"], [[LONG, "1,234,567,890"]]), 12)
    assert any("1,234,567,890" in line for line in lines)


def test_columns_that_do_not_fit_stand_below() -> None:
    rows = [["score", "1.00", "2.00", "3.00"]]
    assert [line.split() for line in printed(SplitTable(["", "a", "b", "c"], rows), 20)] == [
        ["a", "b"],
        ["score", "1.00", "2.00"],
        ["c"],
        ["score", "3.00"],
    ]
