"""A display that records what it is asked to show."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lstm_sentiment.display import Advance


@dataclass
class Progress:
    """A progress bar: its title, its length, and the steps that were reported."""

    title: str
    total: int | None
    steps: list[int] = field(default_factory=list)


@dataclass
class RecordingDisplay:
    """Stands for a terminal."""

    messages: list[str] = field(default_factory=list)
    bars: list[Progress] = field(default_factory=list)

    def message(self, text: str, style: str = "") -> None:
        self.messages.append(text)

    @contextmanager
    def progress(self, title: str, total: int | None = None) -> Iterator[Advance]:
        bar = Progress(title, total)
        self.bars.append(bar)
        yield bar.steps.append
