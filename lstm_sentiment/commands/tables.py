"""Tables that fit the terminal: names are folded, and the least important columns left out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from lstm_sentiment.commands.terminal import shown_on

NAME_WIDTH = 16  # columns are left out until names have this width, or theirs if it is less
SHORTEST = 8  # the least width of names; a table of longer ones is wider than a narrow terminal
# Where a text may be folded, the best places first.
FOLDS = (r"(?<=\s)", r"(?<=[-/])", r"(?<=[=_.])")


@dataclass(frozen=True)
class FittedTable:
    """A table of names and numbers that is never wider than the terminal, nor cut.

    Columns of names are left-aligned and folded; all others are right-aligned, and never broken.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str | Text]]
    names: Sequence[int] = (0,)  # the positions of the columns of names
    optional: Sequence[str] = ()  # columns that may be left out, the least important first
    title: str = ""
    caption: str = ""
    ruled: bool = False  # whether a rule separates the titles from the rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the table for the width of the console."""
        # The cells as they are shown, since escapes are wider than the characters.
        columns, *rows = (
            [_as_shown(c, console) for c in row] for row in (self.columns, *self.rows)
        )
        natural = [_width(column) for column in zip(columns, *rows, strict=True)]
        shown = self._shown(natural, options.max_width)
        room = self._room(natural, shown, options.max_width)
        flexible = [column for column in shown if column in self.names]
        shares = zip(flexible, _shares([natural[c] for c in flexible], room), strict=True)
        widths = dict(enumerate(natural)) | dict(shares)
        table = Table(
            title=Text(self.title, "table.title") if self.title else None,
            title_justify="left",
            caption=Text(self.caption, "table.caption") if self.caption else None,
            caption_justify="left",
            box=box.SIMPLE_HEAD if self.ruled else None,
            padding=(0, 0 if self.ruled else 1),
            show_header=any(self.columns),
            header_style="bold",
        )
        for column in shown:
            table.add_column(
                _folded_cell(columns[column], widths[column]),
                justify="left" if column in self.names else "right",
                no_wrap=True,
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(_folded_cell(row[c], widths[c]) for c in shown))
        # Columns of numbers may not fit even then; Rich would cut them.
        needed = self._between(shown) + sum(widths[column] for column in shown)
        yield from console.render(table, options.update_width(max(needed, options.max_width)))

    def _shown(self, natural: Sequence[int], width: int) -> list[int]:
        """Return the positions of the columns that are shown in a terminal of this width."""
        shown = [*range(len(self.columns))]
        needed = sum(min(natural[column], NAME_WIDTH) for column in self.names)
        for title in self.optional:
            if self._room(natural, shown, width) >= needed:
                break
            shown.remove(self.columns.index(title))
        return shown

    def _room(self, natural: Sequence[int], shown: Sequence[int], width: int) -> int:
        """Return the width that is left for names, of all columns together."""
        numbers = sum(natural[column] for column in shown if column not in self.names)
        return width - self._between(shown) - numbers

    def _between(self, shown: Sequence[int]) -> int:
        """Return the width of the blanks between and beside the columns."""
        return len(shown) + 1 if self.ruled else 2 * len(shown)


@dataclass(frozen=True)
class SplitTable:
    """A table of which no column may be left out: columns that do not fit stand in a table below.

    The first column, of names, begins each of the tables.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        """Yield as many tables as the width of the console requires."""
        first, *widths = (_width(column) for column in zip(self.columns, *self.rows, strict=True))
        part: list[int] = []
        for column, width in enumerate(widths, 1):
            wider = sum(widths[each - 1] + 2 for each in part) + width + 2
            if part and first + 2 + wider > options.max_width:
                yield self._part(part)
                part = []
            part.append(column)
        yield self._part(part)

    def _part(self, part: Sequence[int]) -> FittedTable:
        columns, *rows = ([row[0], *(row[c] for c in part)] for row in (self.columns, *self.rows))
        return FittedTable(columns, rows)


def folded(text: str, width: int) -> str:
    """Return the text in lines of at most `width` cells, broken at blanks or hyphens if possible.

    >>> folded("deep_bilstm-max_attention data.padding=keras", 20).splitlines()
    ['deep_bilstm-', 'max_attention', 'data.padding=keras']
    """
    lines = [""]
    for number, line in enumerate(text.split("\n")):
        lines += [""] * (number > 0)
        for part in _parts(line, width, FOLDS):
            if cell_len((lines[-1] + part).rstrip()) > width and lines[-1]:
                lines.append("")
            lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def _parts(text: str, width: int, folds: Sequence[str]) -> list[str]:
    """Return parts of at most `width` cells, split at the best folds that make this possible."""
    if cell_len(text.rstrip()) <= width:
        return [text]
    if not folds:
        return chop_cells(text, width)
    return [each for part in re.split(folds[0], text) for each in _parts(part, width, folds[1:])]


def _as_shown(cell: str | Text, console: Console) -> str | Text:
    text = shown_on(console.file, str(cell))
    return Text(text, cell.style) if isinstance(cell, Text) else text


def _folded_cell(cell: str | Text, width: int) -> Text:
    return Text(folded(str(cell), width), cell.style if isinstance(cell, Text) else "")


def _width(cells: Sequence[str | Text]) -> int:
    return max(cell_len(line) for cell in cells for line in str(cell).split("\n"))


def _shares(natural: Sequence[int], room: int) -> list[int]:
    """Divide a width among columns: none gets more than it needs, nor less than `SHORTEST`."""
    shares: dict[int, int] = {}
    for left, column in enumerate(sorted(range(len(natural)), key=natural.__getitem__)):
        equal = (room - sum(shares.values())) // (len(natural) - left)
        shares[column] = min(natural[column], max(SHORTEST, equal))
    return [shares[column] for column in range(len(natural))]
