"""headings, paragraphs, tables and plots -> Markdown, or an HTML page without other files."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from markupsafe import Markup
from matplotlib.figure import Figure

from lstm_sentiment.display import SILENT, Display, markdown_text, track
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import JSON_BYTES
from lstm_sentiment.files.locks import output_lock
from lstm_sentiment.files.manifest import MANIFEST, Manifest
from lstm_sentiment.files.reading import read_bytes
from lstm_sentiment.report.markup import as_html, as_markdown
from lstm_sentiment.runs.run_plots import png, svg
from lstm_sentiment.templates import render

FIGURES, REPORT, PAGE = "figures", "report.md", "report.html"
COMPARISON, RUNS = "comparison.csv", "runs.csv"
FILES = (REPORT, PAGE, COMPARISON, RUNS)  # of every report, beside its figures
MARK = "<!-- made by lstm-sentiment report -->"  # at the end of every report.md


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


@contextmanager
def report_folder(folder: Path) -> Iterator[Manifest]:
    """Create a folder, hold its lock, and yield the manifest with which a report replaces another.

    Raises InputError if another command is writing a report there, or if a file there has the name
    of a file of a report, but is of somebody else. Raises OSError if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # The lock is inside: the folder above, such as that of all users, may be closed for writing.
    with output_lock(folder / PAGE):
        manifest = Manifest(folder)
        if not (folder / MANIFEST).exists():
            manifest.adopt(_files_of_older_report(folder))
        manifest.require_own(FILES)
        (folder / FIGURES).mkdir(exist_ok=True)
        yield manifest


def _files_of_older_report(folder: Path) -> list[str]:
    """Return the names of the files of a report from a version that wrote no manifest."""
    try:
        text = read_bytes(folder / REPORT, JSON_BYTES).decode(errors="replace")
    except (OSError, InputError):
        return []
    if not text.endswith(f"{MARK}\n"):
        return []
    figures = re.findall(rf"\]\({FIGURES}/(\w+)\.svg\)", text)
    return [*FILES, *(file for name in figures for file in _plot_files(name))]


def _plot_files(name: str) -> tuple[str, str]:
    """Return the paths of a plot's two files, relative to the folder of the report."""
    return f"{FIGURES}/{name}.svg", f"{FIGURES}/{name}.png"


def files(title: str, blocks: Sequence[Block], display: Display = SILENT) -> dict[str, bytes]:
    """Return report.md, report.html, and every plot as SVG and PNG, by their paths."""
    contents: dict[str, bytes] = {}
    all_plots = plots(blocks)
    for plot in track(all_plots, "drawing plots", display, len(all_plots)):
        svg, image = _plot_files(plot.name)
        contents |= {svg: on_white(plot.svg).encode(), image: png(plot.figure)}
    texts = {REPORT: f"{markdown(blocks)}\n{MARK}\n", PAGE: page(title, blocks)}
    return contents | {name: text.encode() for name, text in texts.items()}
