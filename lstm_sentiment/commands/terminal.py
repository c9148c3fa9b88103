"""The terminal: messages, progress bars and tables, shown with Rich.

Everything that commands print passes through `TextConsole` or `print_text`, so that no text can
control the terminal.
"""

import multiprocessing
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

from lstm_sentiment.display import (
    SILENT,
    Advance,
    Display,
    printable,
    progress_text,
)

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, Group, RenderableType

# Whether this process belongs to a launcher; then other runs print lines on the same terminal.
IN_LAUNCHER = multiprocessing.parent_process() is not None
REFRESH = 0.1  # seconds between two updates of a bar
LINE_INTERVAL = 30.0  # seconds between two lines of progress if there are no bars
# Columns of the ranking that may be left out, the least important first.
OPTIONAL = ("AUROC %", "kappa", "F1 %", "params", "fit s", "seeds", "MAE")
STYLE_COLOURS = {"warning": "yellow", "failed": "red"}  # of the styles of a message


class TextConsole(Console):
    """A console that shows all text literally; only `Text` and tables have styles.

    Markup such as "[red]" and codes such as ":dog:" are not interpreted. Characters that would
    control the terminal, or that its encoding lacks, are shown as escapes.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, emoji=False, markup=False, **options)

    def render(
        self, renderable: "RenderableType", options: "ConsoleOptions | None" = None
    ) -> Iterable[Segment]:
        """Yield the segments of anything that is shown on this console."""
        for segment in super().render(renderable, options):
            if segment.control:  # of Rich itself, such as the movements of a progress bar
                yield segment
            else:
                yield segment._replace(text=shown_on(self.file, segment.text))


def shown_on(stream: Any, text: str) -> str:
    """Return the text with escapes for the characters that a stream cannot or must not show."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return printable(text).encode(encoding, "backslashreplace").decode(encoding)


def print_text(text: object, stream: TextIO | None = None, flush: bool = False) -> None:
    """Print text literally, without wrapping; `stream` is standard output if it is None."""
    stream = stream or sys.stdout
    print(shown_on(stream, str(text)), file=stream, flush=flush)


def print_error(text: object) -> None:
    """Print a message to standard error."""
    print_text(text, sys.stderr)


def print_labelled(label: str, text: object, style: str = "bold") -> None:
    """Print a line that begins with a label in this style."""
    console.print(Text.assemble((label, style), " ", printable(str(text))))


console = TextConsole(soft_wrap=True)
error_console = TextConsole(soft_wrap=True, stderr=True)


class Terminal:
    """A display on a Rich console; every line begins with `prefix`."""

    def __init__(self, console: Console = console, prefix: str = "") -> None:
        self.console, self.prefix = console, prefix

    def message(self, text: str, style: str = "") -> None:
        """Print a line; `style` is "", "warning" or "failed"."""
        label = (f"{style} ", STYLE_COLOURS[style]) if style else ""
        self.console.print(Text.assemble(self.prefix, label, printable(text)))

    def progress(self, title: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """Show a progress bar, or a line every `LINE_INTERVAL` if the output is not a terminal."""
        if IN_LAUNCHER or not self.console.is_terminal:
            return self._progress_lines(title, total)
        return self._progress_bar(title, total)

    @contextmanager
    def _progress_bar(self, title: str, total: int | None) -> Iterator[Advance]:
        from lstm_sentiment.commands.progress_bars import shared_bars

        with shared_bars(self.console) as bars:
            task = bars.add_task(self.prefix + title, total=total)
            try:
                yield _throttled(REFRESH, lambda done: bars.update(task, completed=done))
            finally:
                bars.remove_task(task)

    @contextmanager
    def _progress_lines(self, title: str, total: int | None) -> Iterator[Advance]:
        started = time.monotonic()

        def show(done: int) -> None:
            rate = done / max(time.monotonic() - started, 1e-9)
            self.message(f"{title}  {progress_text(done, total, rate)}")

        yield _throttled(LINE_INTERVAL, show, delay=LINE_INTERVAL)


class WarningsOnly(Terminal):
    """A terminal that shows warnings and failures only."""

    def message(self, text: str, style: str = "") -> None:
        """Print a line that has a style."""
        if style:
            super().message(text, style)

    def progress(self, title: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """Show nothing."""
        return SILENT.progress(title, total)


def _throttled(seconds: float, show: Callable[[int], object], delay: float = 0.0) -> Advance:
    """Call `show` at most once every `seconds`, for the first time after `delay` seconds."""
    due = time.monotonic() + delay

    def advance(done: int) -> None:
        nonlocal due
        if (now := time.monotonic()) >= due:
            show(done)
            due = now + seconds

    return advance


def display_of_run(name: str, shown: bool) -> Display:
    """Return the display of one run; it shows only warnings and failures unless `shown` is true.

    If other runs are trained at the same time, each line begins with the name of the run.
    """
    prefix = f"{name}  " if IN_LAUNCHER else "  "
    return Terminal(prefix=prefix) if shown else WarningsOnly(prefix=prefix)


def print_next(*commands: str) -> None:
    """Print the usual next commands."""
    for number, command in enumerate(commands):
        console.print(Text.assemble(("     " if number else "next ", "bold"), f" {command}"))


def typed_program(program: str) -> str:
    """Return the name of a program, or its path if this environment is not activated."""
    if shutil.which(program):
        return program
    path = Path(sys.executable).with_name(program)
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def typed_path(path: str | Path) -> str:
    """Return a path as it is typed in a shell, with quotes if necessary."""
    return shlex.quote(str(path))


def ranking_table(
    tables: Iterable[tuple[str, list[list[str]], str]],
    columns: Iterable[str],
    failures: Iterable[tuple[str, str]],
) -> "Group":
    """Render the ranking: a table for each data set, and a line for every run without a record.

    A table consists of a title, rows and a note; a failure consists of the run's name and the
    reason.
    """
    from rich.console import Group

    from lstm_sentiment.commands.tables import FittedTable

    columns = ["", *columns]
    optional = [column for column in OPTIONAL if column in columns]
    parts: list[RenderableType] = []
    for title, rows, note in tables:
        table = FittedTable(columns, rows, optional=optional, title=title, ruled=True)
        parts += [table, Text(note)]
    parts += [Text.assemble((name, "red"), f" {reason}") for name, reason in failures]
    return Group(*parts)


def write_text(path: Path, text: str, overwrite: bool) -> None:
    """Write a text file. Raises InputError as `file_output` does."""
    from lstm_sentiment.files.outputs import file_output

    with file_output(path, overwrite) as draft:
        draft.write_bytes(text.encode())
