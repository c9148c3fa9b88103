"""Hostile names and reviews reach no terminal, page, plot or table as anything but text."""

import csv
import json
import os
import unicodedata
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from lstm_sentiment.commands.main import main
from lstm_sentiment.config import Config
from lstm_sentiment.report import page
from tests.support.networks import saved
from tests.support.records import amend, answers, network, put, put_run
from tests.support.tables import write_rows

# Escapes of terminals (OSC 52 writes the clipboard), C1 controls, directions and separators.
CONTROLS = "\x1b]52;c;aGk=\x07\x9b31m\x00\r\x7f\u202e\u2066\u2028"
MARKUP = (
    "[red] $\\frac{ [x](javascript:alert(1)) ![y](http://a.example/y.png) "
    '<script>alert(2)</script> <img src=x onerror=alert(3)> `a` **b** | c || "d" ${ '
    "<http://b.example> 😀 映画 _^~~e~~ https://c.example www.d.example "
    "me@e.example {: onclick=alert(4)} &lt; [r] \\[z](http://f.example)"
)
HOSTILE = f"{CONTROLS}{MARKUP}"
CHOICE = "head.kind=\x1b[31m<script>alert(2)</script>|[red]`$\\frac{`"  # without blanks
# A lone surrogate, which stands for a byte that is not UTF-8; records with one count as damaged.
UNENCODABLE = f"{HOSTILE}\udcff"
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}

Make = Callable[..., Config]
Capture = pytest.CaptureFixture[str]


def controls(text: str) -> set[str]:
    """Return the characters that a terminal would obey or that cannot be encoded."""
    return {
        character
        for character in text
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in DIRECTIONS
    } - {"\n", "\t"}


class Page(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))


def live_parts(text: str) -> list[str]:
    """Return the active parts of an HTML page, other than its own script."""
    elements = Page(text).elements
    assert [tag for tag, _ in elements].count("script") <= 1
    return [
        f"{tag} {name}={value}"
        for tag, attributes in elements
        for name, value in attributes.items()
        if tag in ("a", "img", "iframe", "form", "object", "base")
        or name.startswith("on")
        or "javascript:" in (value or "").split("alert")[0][:20]
    ]


def links(markdown: str) -> list[str]:
    """Return the targets of links and images, and HTML other than comments, in Markdown."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    inner = [token for outer in tokens for token in [outer, *(outer.children or [])]]
    targets = [str(token.attrs.get("href") or token.attrs.get("src")) for token in inner]
    html = [t.content for t in inner if t.type.startswith("html") and t.content[:4] != "<!--"]
    return [target for target in targets if target != "None"] + html


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> tuple[Path, str]:
    """The folder of a report on hostile runs, and the output of the commands on it."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(page, "png", lambda _: b"")  # drawn like the SVG files, and slow
    sweep = tmp_path / os.fsdecode(b"\x1b[31m [red] $x$ {y} <b> \xff \xe2\x80\xae")
    for cell, wrong in (("lstm", 20), ("gru", 40)):
        run = put_run(sweep, network(cell), answers(wrong), answers(wrong))
        reference = {"run": f"encoder={cell}", "source": HOSTILE, "accuracy": 0.9}

        def change(record: dict[str, Any], cell: str = cell, reference: Any = reference) -> None:
            record["config"]["data"] |= {f"={CONTROLS}": cell, "note": f"={cell} {HOSTILE}"}
            record["config"]["reference"] = [reference]
            record["config"]["compare"] = [
                {"question": f"{HOSTILE}?", "run": "encoder=gru", "other": "encoder=lstm"},
                {"question": HOSTILE, "run": CHOICE, "other": "encoder=lstm"},
            ]
            record["data"]["source"] = record["environment"]["device"] = HOSTILE
            record["environment"]["device"] += cell

        amend(run, change)
    put(
        sweep / "failed",
        config={"schema": 1, "choices": {}, "config": {}},
        failed={"reason": UNENCODABLE},
    )
    assert [main([command, str(sweep)]) for command in ("status", "report")] == [0, 0]
    output = capsys.readouterr()
    return sweep, output.out + output.err


def test_a_report_shows_hostile_names_as_text(report: tuple[Path, str]) -> None:
    sweep, output = report
    files = [sweep / name for name in ("report.md", "report.html", "comparison.csv", "runs.csv")]
    files += (sweep / "figures").glob("*.svg")
    assert len(files) > 10
    for name, text in {"output": output, **{file.name: file.read_text() for file in files}}.items():
        assert not controls(text), name
    assert "\\x1b]52" in output
    assert "[red]" in output
    markdown, html = files[0].read_text(), files[1].read_text()
    assert all(target.startswith("figures/") for target in links(markdown))
    assert not [word for word in ("://", "www.d", "**b**", "`a`", "me@e") if word in markdown]
    assert live_parts(html) == []
    assert "[x](javascript:alert(1))" in html  # literally
    for file in files[4:]:
        assert ElementTree.fromstring(file.read_text()) is not None
    assert any(
        "$\\frac{" in "".join(ElementTree.parse(file).getroot().itertext()) for file in files[4:]
    )
    for file in files[2:4]:
        with file.open(newline="") as stream:
            cells = [cell for row in csv.reader(stream) for cell in row]
        assert any("\\x1b]52" in cell for cell in cells)
        assert not [cell for cell in cells if cell[:1] in ("=", "@")]


def test_reviews_and_columns_are_shown_as_text(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    run = str(saved(tmp_path / "\x1b[31mrun", tiny()))
    rows = [(f"{HOSTILE} good {number}", number % 2) for number in range(8)]
    named = str(write_rows(tmp_path / "\x1b]0;[red]name.csv", rows))
    wrong = str(write_rows(tmp_path / "wrong.csv", rows, names="\x1b[31m\x9b\u202e label"))
    commands = [
        ["explain", run, UNENCODABLE, "-o", "why.html"],
        ["predict", run, UNENCODABLE],
        ["predict", run, "--json", "--weights", UNENCODABLE],
        ["predict", run, "--file", named],
        ["evaluate", run, "--file", named],
        ["data", named, "data.val_fraction=0.25", "test=false"],
    ]
    for command in commands:
        assert main(command) == 0, command
    assert main(["evaluate", run, "--file", wrong]) == 1
    assert main(["status", UNENCODABLE]) == 1
    with pytest.raises(SystemExit):
        main(["status", "--none", UNENCODABLE])
    output = capsys.readouterr()
    assert not controls(output.out + output.err)
    [objects] = [json.loads(line) for line in output.out.splitlines() if line[:1] == "{"]
    assert objects["text"] == UNENCODABLE
    html = (tmp_path / "why.html").read_text()
    assert not controls(html)
    assert live_parts(html) == []
