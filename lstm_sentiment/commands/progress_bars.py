"""Progress bars with Rich, in a separate module, since importing `rich.progress` takes time."""

from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from lstm_sentiment.display import progress_text

# Older versions of Rich allow one live display for each console, so nested bars share it.
_open: WeakKeyDictionary[Console, Progress] = WeakKeyDictionary()


class ProgressText(ProgressColumn):
    """The number of steps done, their rate and the time left."""

    def render(self, task: Task) -> Text:
        """Render the text of one bar."""
        if task.total is None and not task.completed:
            return Text()
        total = None if task.total is None else int(task.total)
        return Text(progress_text(int(task.completed), total, task.speed or 0.0))


@contextmanager
def shared_bars(console: Console) -> Iterator[Progress]:
    """Open the live display of this console, or share the one that is open."""
    if (progress := _open.get(console)) is not None:
        yield progress
        return
    columns = TextColumn("{task.description}", markup=False), BarColumn(), ProgressText()
    with Progress(*columns, console=console, transient=True) as progress:
        _open[console] = progress
        try:
            yield progress
        finally:
            del _open[console]
