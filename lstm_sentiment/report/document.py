"""headings, paragraphs, tables and pictures -> Markdown, or a page that needs nothing else."""

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from rich.progress import track

from lstm_sentiment.errors import InputError
from lstm_sentiment.files import write_atomically

FIGURES, REPORT = "figures", "report.md"
MARK = "<!-- made by lstm-sentiment report -->"  # who has it may be written over


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Listing:
    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """The first column is left-aligned, and the others right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    name: str  # of its file, without an ending
    title: str  # what it shows, in a sentence
    figure: Figure

    @cached_property
    def svg(self) -> str:
        """On no ground, with text as text: half as large, and to be searched."""
        buffer = io.StringIO()
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lstm_sentiment"}):
            self.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        return buffer.getvalue()


@dataclass(frozen=True)
class Details:
    """What is looked up rather than read: folded on a page."""

    title: str
    blocks: Sequence["Block"]


Block = Heading | Paragraph | Listing | Table | Picture | Details


def pictures(blocks: Iterable[Block]) -> list[Picture]:
    found = []
    for block in blocks:
        if isinstance(block, Picture):
            found.append(block)
        elif isinstance(block, Details):
            found += pictures(block.blocks)
    return found


def markdown(blocks: Iterable[Block]) -> str:
    """With pictures as links to their files."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_line(text)}"
        case Paragraph(text):
            return _line(text)
        case Listing(items):
            return "\n".join(f"- {_line(item)}" for item in items)
        case Table(columns, rows):
            rule = ["---"] + ["--:"] * (len(columns) - 1)
            cells = [[_line(cell).replace("|", "\\|") for cell in row] for row in (columns, *rows)]
            return "\n".join(f"| {' | '.join(row)} |" for row in (cells[0], rule, *cells[1:]))
        case Picture(name, title, _):
            return f"![{_line(title)}]({FIGURES}/{name}.svg)"
        case Details(title, blocks):
            return f"#### {_line(title)}\n\n" + markdown(blocks).rstrip()


def _line(text: str) -> str:
    """What comes from outside makes neither elements nor lines."""
    return escape(" ".join(text.split()), quote=False)


STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .82rem; }
.wide { overflow-x: auto; }
td { white-space: nowrap; }
th, td { padding: .22rem .45rem; text-align: right; vertical-align: bottom; }
th, td { border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
tbody tr:hover { background: var(--soft); }
figure { margin: 1.5rem 0; } figure svg { max-width: 100%; height: auto; }
figure svg text { fill: currentColor; }
figcaption { font-size: .9rem; opacity: .8; }
details { margin: .5rem 0; } summary { cursor: pointer; font-weight: 600; }
@media print {
  :root { color-scheme: light; }
  body { max-width: none; font-size: 10pt; }
  .wide { overflow: visible; } table { font-size: .65rem; } td, th { padding: .1rem .25rem; }
  figure, tr { break-inside: avoid; }
}
"""

# What is folded would not be printed.
SCRIPT = """
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
"""


def page(title: str, blocks: Iterable[Block]) -> str:
    """Pictures stand in it as SVG, in the colour of the page's text."""
    body = "\n".join(_html(block) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body>\n{body}\n<script>{SCRIPT}</script></body></html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{_inline(text)}</p>"
        case Listing(items):
            return "<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in items) + "</ul>"
        case Table(columns, rows):
            head = "".join(f"<th>{escape(cell)}</th>" for cell in columns)
            lines = [
                "<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>"
                for row in rows
            ]
            body = "\n".join(lines)
            return (
                f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n'
                f"<tbody>{body}</tbody></table></div>"
            )
        case Picture(_, title, _):
            caption = f"<figcaption>{escape(title)}</figcaption>"
            drawing = f'<div role="img" aria-label="{escape(title)}">{_inline_svg(block)}</div>'
            return f"<figure>{drawing}{caption}</figure>"
        case Details(title, blocks):
            inside = "\n".join(_html(part) for part in blocks)
            return f"<details><summary>{escape(title)}</summary>\n{inside}\n</details>"


def _inline(text: str) -> str:
    """`code` and **strong**"""
    text = re.sub(r"`([^`*]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"\*\*([^`*]+)\*\*", r"<strong>\1</strong>", text)


def _inline_svg(picture: Picture) -> str:
    """As a part of a page: black is the page's own colour of text, and names are the picture's."""
    text = picture.svg
    return re.sub(
        "<[^>]+>", lambda tag: _inline_tag(tag[0], picture.name), text[text.index("<svg") :]
    )


def _inline_tag(tag: str, name: str) -> str:
    tag = tag.replace("#000000", "currentColor")
    tag = re.sub(r' id="(?!\w*[0-9a-f]{10})[^"]*"', "", tag)  # of groups that nothing refers to
    return re.sub(r'(id="|href="#|url\(#)(\w)', rf"\g<1>{name}-\2", tag)


def on_white(text: str) -> str:
    """The picture by itself: a viewer's ground may be dark."""
    opening = re.search(r"<svg[^>]*>", text)
    assert opening
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return text[: opening.end()] + ground + text[opening.end() :]


def png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def earlier_report(folder: Path) -> str:
    """The report.md that is there, if any. Raises InputError where it is another's."""
    file = folder / REPORT
    if not file.exists():
        return ""
    text = file.read_bytes().decode(errors="replace")
    if MARK not in text:
        raise InputError(f"{file} is no report of lstm-sentiment: name another folder with -o.")
    return text


def write(title: str, blocks: Sequence[Block], folder: Path, progress: bool = False) -> None:
    """report.md, report.html, and each picture as SVG and PNG in figures/.

    Pictures that only an earlier report shows are removed. Raises OSError where they cannot be,
    and InputError where a report.md is there that is another's.
    """
    figures = folder / FIGURES
    before = earlier_report(folder)
    figures.mkdir(parents=True, exist_ok=True)
    for picture in track(pictures(blocks), "drawing", transient=True, disable=not progress):
        drawing = on_white(picture.svg).encode()
        for ending, content in (("svg", drawing), ("png", png(picture.figure))):
            write_atomically(figures / f"{picture.name}.{ending}", content, durable=False)
    shown = set(re.findall(rf"\]\({FIGURES}/(\w+)\.svg\)", before))
    for name in shown - {picture.name for picture in pictures(blocks)}:
        for ending in ("svg", "png"):
            (figures / f"{name}.{ending}").unlink(missing_ok=True)
    for name, text in (
        (REPORT, f"{markdown(blocks)}\n{MARK}\n"),
        ("report.html", page(title, blocks)),
    ):
        write_atomically(folder / name, text.encode(), durable=False)
