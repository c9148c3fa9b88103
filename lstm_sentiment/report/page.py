"""headings, paragraphs, tables and plots -> Markdown, or an HTML page without other files."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from markupsafe import Markup
from matplotlib.figure import Figure

from lstm_sentiment.display import SILENT, Display, markdown_text, track
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.writing import write_atomically
from lstm_sentiment.report.markup import as_html, as_markdown
from lstm_sentiment.runs.run_plots import png, svg
from lstm_sentiment.templates import render

FIGURES, REPORT, PAGE = "figures", "report.md", "report.html"
MARK = "<!-- made by lstm-sentiment report -->"  # a report.md with this mark may be overwritten


@dataclass(frozen=True)
class Heading:
    """A heading; the level is from 1 to 6."""

    kind: ClassVar[str] = "heading"
    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; its text may contain the markup of `lstm_sentiment.report.markup`."""

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True)
class Listing:
    """A list; its items may contain the markup of `lstm_sentiment.report.markup`."""

    kind: ClassVar[str] = "listing"
    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table whose titles and cells may contain the markup of `lstm_sentiment.report.markup`.

    The first column is left-aligned, all others are right-aligned.
    """

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Plot:
    """A plot: the stem of its files, a title that describes it, and Matplotlib's figure."""

    kind: ClassVar[str] = "plot"
    name: str
    title: str
    figure: Figure

    @cached_property
    def svg(self) -> str:
        """The plot as an SVG file without a background, with text that can be searched."""
        return svg(self.figure)


@dataclass(frozen=True)
class Details:
    """Blocks under a title, folded on an HTML page."""

    kind: ClassVar[str] = "details"
    title: str
    blocks: Sequence["Block"]


Block = Heading | Paragraph | Listing | Table | Plot | Details


def plots(blocks: Iterable[Block]) -> list[Plot]:
    """Return all plots among the blocks, including the plots inside details, in their order."""
    result = []
    for block in blocks:
        if isinstance(block, Plot):
            result.append(block)
        elif isinstance(block, Details):
            result += plots(block.blocks)
    return result


def markdown(blocks: Iterable[Block]) -> str:
    """Return the blocks as Markdown, in which plots are links to their files."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_literal(text)}"
        case Paragraph(text):
            return _line(text)
        case Listing(items):
            return "\n".join(f"- {_line(item)}" for item in items)
        case Table(columns, rows):
            rule = ["---"] + ["--:"] * (len(columns) - 1)
            cells = [[_line(cell).replace("|", "\\|") for cell in row] for row in (columns, *rows)]
            return "\n".join(f"| {' | '.join(row)} |" for row in (cells[0], rule, *cells[1:]))
        case Plot(name, title, _):
            return f"![{_literal(title)}]({FIGURES}/{name}.svg)"
        case Details(title, blocks):
            return f"#### {_literal(title)}\n\n" + markdown(blocks).rstrip()


def _line(text: str) -> str:
    """Return a text with markup as one line of Markdown."""
    return as_markdown(" ".join(text.split()))


def _literal(text: str) -> str:
    """Return a text without markup as one line of Markdown."""
    return markdown_text(" ".join(text.split()))


def page(title: str, blocks: Iterable[Block]) -> str:
    """Return the blocks as an HTML page, with plots as SVG in the colour of the page's text."""
    return render("report.html", title=title, blocks=[*blocks], svg=_inline_svg, inline=as_html)


def _inline_svg(plot: Plot) -> Markup:
    """Return the plot's SVG as a part of a page.

    Black becomes the colour of the page's text. Identifiers begin with the plot's name, so that
    they are unique on a page.
    """
    elements = plot.svg[plot.svg.index("<svg") :]
    return Markup(re.sub("<[^>]+>", lambda tag: _inline_tag(tag[0], plot.name), elements))


def _inline_tag(tag: str, name: str) -> str:
    tag = tag.replace("#000000", "currentColor")
    tag = re.sub(r' id="(?!\w*[0-9a-f]{10})[^"]*"', "", tag)  # of groups without references
    return re.sub(r'(id="|href="#|url\(#)(\w)', rf"\g<1>{name}-\2", tag)


def on_white(svg: str) -> str:
    """Return the SVG with a white background, since viewers may have a dark one."""
    opening = re.search(r"<svg[^>]*>", svg)
    assert opening
    background = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return svg[: opening.end()] + background + svg[opening.end() :]


def earlier_report(folder: Path) -> str:
    """Return the report.md in the folder, or "" if there is none.

    Raises InputError if the folder contains a report.md that was not written by `write`.
    """
    file = folder / REPORT
    if not file.exists():
        return ""
    text = file.read_bytes().decode(errors="replace")
    if MARK not in text:
        raise InputError(f"{file} is not a report of lstm-sentiment: name another folder with -o.")
    return text


def write(title: str, blocks: Sequence[Block], folder: Path, display: Display = SILENT) -> None:
    """Write report.md, report.html, and every plot as SVG and PNG in figures/.

    Plots of an earlier report in the folder are removed if this report does not have them. Raises
    OSError if a file cannot be written or removed, and InputError if the folder contains a
    report.md that was not written by `write`.
    """
    figures = folder / FIGURES
    earlier = earlier_report(folder)
    figures.mkdir(parents=True, exist_ok=True)
    all_plots = plots(blocks)
    for plot in track(all_plots, "writing plots", display, len(all_plots)):
        white = on_white(plot.svg).encode()
        for ending, content in (("svg", white), ("png", png(plot.figure))):
            write_atomically(figures / f"{plot.name}.{ending}", content, durable=False)
    outdated = set(re.findall(rf"\]\({FIGURES}/(\w+)\.svg\)", earlier))
    for name in outdated - {plot.name for plot in all_plots}:
        for ending in ("svg", "png"):
            (figures / f"{name}.{ending}").unlink(missing_ok=True)
    texts = {REPORT: f"{markdown(blocks)}\n{MARK}\n", PAGE: page(title, blocks)}
    for name, text in texts.items():
        write_atomically(folder / name, text.encode(), durable=False)
