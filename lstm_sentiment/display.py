"""The interface through which modules show messages and progress: `Display`.

`lstm_sentiment.commands` implements `Display` for terminals. All other modules get a `Display` from
their caller and do not depend on a console.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeVar

# Control characters, separators of lines, directions of text, and surrogates.
NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

# Characters of Markdown: of code, emphasis, links, HTML, formulas, and addresses that become links.
MARKDOWN = re.compile(
    r"[\\`*\[\]{}$<>&]|(?<![^\W_])_|_(?![^\W_])|~(?=~)|(?<=~)~|:(?=//)|(?<=www)\."
    r"|(?<=[\w.+-])@(?=[\w.-])"
    # The beginning of a heading, a fence, a list or a rule.
    r"|^[#~]|^[-+=](?=[\s=-]|$)|^\d(?=\d{0,8}[.)](?:\s|$))"
)
REFERENCES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "<!-- -->@"}

Item = TypeVar("Item")
Advance = Callable[[int], None]  # takes the number of steps done; must be fast
BARE = re.compile(r"[\w./+-]+")  # a text that Hydra reads without quotes


class Display(Protocol):
    """A receiver of messages and of the progress of long work."""

    def message(self, text: str, style: str = "") -> None:
        """Show a line of text; `style` is "", "warning" or "failed"."""

    def progress(self, title: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """Show progress while the context is open; `total` is the number of steps, if known."""
        ...


class Silent:
    """A display that shows nothing."""

    def message(self, text: str, style: str = "") -> None:
        """Ignore the message."""

    @contextmanager
    def progress(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Provide a function that ignores the progress."""
        yield lambda _: None


class Printed(Silent):
    """A display that prints messages and shows no progress."""

    def message(self, text: str, style: str = "") -> None:
        """Print a line that begins with the style, if any."""
        print(printable(f"{style} {text}".lstrip()))


SILENT = Silent()


def track(
    items: Iterable[Item], title: str, display: Display, total: int | None = None
) -> Iterator[Item]:
    """Yield the items and show the number of consumed items on `display`."""
    with display.progress(title, total) as advance:
        for done, item in enumerate(items, 1):
            yield item
            advance(done)


def progress_text(done: int, total: int | None, rate: float) -> str:
    """Return a text such as "1,200 of 5,000, 40/s, 2 min left".

    `rate` is in steps per second. An unknown `total` is None and an unknown `rate` is 0.
    """
    parts = [f"{done:,}" if total is None else f"{done:,} of {total:,}"]
    if rate > 0:
        parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s")
        if total is not None:
            parts.append(f"{duration(max(0, total - done) / rate)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return a duration in hours, minutes or seconds, such as "12 min"."""
    minutes = seconds / 60
    if minutes >= 90:
        return f"{minutes / 60:.1f} h"
    return f"{minutes:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def counted(count: int, noun: str, singular: str = "", plural: str = "") -> str:
    """Return a number, its noun and, if its two forms are given, a verb: "1,200 rows have"."""
    ending, verb = ("", singular) if count == 1 else ("s", plural)
    return f"{count:,} {noun}{ending} {verb}".rstrip()


def printable(text: str) -> str:
    """Return the text with escapes, such as "\\x1b", for characters that are no text.

    These are control characters other than line breaks and tabs, which terminals would obey,
    characters that change the direction of the text after them, and halves of surrogate pairs,
    which cannot be encoded. All text from files passes through this function before it is shown.
    """
    return NO_TEXT.sub(lambda match: ascii(match[0])[1:-1], text)


def on_one_line(value: Any) -> str:
    """Return the value as printable text on one line."""
    return " ".join(printable(str(value)).split())


def shortened(value: Any, length: int = 40) -> str:
    """Return the value as printable text on one line, of at most `length` characters and " …"."""
    text = on_one_line(value)
    return text if len(text) <= length else f"{text[:length]} …"


def typed_value(value: Any, quoted: bool = False) -> str:
    """Return a value as it is typed on the command line, or `quoted` where Hydra needs it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{','.join(typed_value(item, quoted) for item in value)}]"
    text = str(value)
    if not quoted or BARE.fullmatch(text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def json_text(value: Any) -> str:
    """Return the value as JSON on one line, with its own escapes for characters that are no text.

    Programs that read the JSON get the value unchanged.
    """
    text = json.dumps(value, ensure_ascii=False)
    return NO_TEXT.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def markdown_text(text: str) -> str:
    """Return Markdown that shows the text literally, on one line.

    The text can form no link, image, HTML, formula, code, heading or list. Characters that could
    are replaced by character references, which also stand for themselves where a program would turn
    an address into a link. Vertical bars are left to the writer of a table.
    """
    line = re.sub(r"\s+", " ", printable(text))
    return MARKDOWN.sub(lambda match: REFERENCES.get(match[0]) or f"&#{ord(match[0])};", line)
