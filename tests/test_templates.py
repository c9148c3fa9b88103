"""The templates: values are escaped, none may be missing, and the wheel contains them."""

import tomllib
from pathlib import Path

import jinja2
import pytest

from lstm_sentiment import templates
from lstm_sentiment.templates import render
from tests.support.project import ROOT

FOLDER = Path(templates.__file__).parent


def test_values_are_escaped() -> None:
    text = render("report.html", title="<b>&\"'", blocks=[], svg=None)
    assert "<title>&lt;b&gt;&amp;&#34;&#39;</title>" in text
    assert "<b>" not in text


@pytest.mark.parametrize("name", ["report.html", "explanation.html"])
def test_a_missing_value_is_an_error(name: str) -> None:
    with pytest.raises(jinja2.UndefinedError):
        render(name)


def test_values_are_printable() -> None:
    text = render("report.html", title="a\x1b\u202e\udcff", blocks=[], svg=None)
    assert "<title>a\\x1b\\u202e\\udcff</title>" in text


def test_every_template_is_in_the_wheel() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["lstm_sentiment.templates"]
    files = {path for pattern in patterns for path in FOLDER.glob(pattern)}
    others = {FOLDER / "__init__.py", FOLDER / "__pycache__"}
    assert files == {*FOLDER.iterdir()} - others
    assert {path.name for path in files} == {"report.html", "explanation.html"}
