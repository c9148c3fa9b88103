"""Names of files and folders."""

import hashlib
import re
from typing import Any

from lstm_sentiment.display import on_one_line, printable

LONGEST = 200  # bytes, of a name that is made here
MAX_NAME = 255  # bytes; the limit of most file systems
SEPARATORS = re.compile(r'[/\\:<>"|?*]|^[-.]+|[. ]+$')  # also those that Windows does not allow


def file_name(text: str) -> str:
    """Return a valid name of a file that resembles the text, of at most 200 bytes.

    A long text is cut and ends in a digest, so that different texts get different names.
    """
    name = SEPARATORS.sub("_", on_one_line(text)) or "_"
    if len(name.encode()) <= LONGEST:
        return name
    digest = hashlib.sha256(printable(text).encode()).hexdigest()[:8]
    begin = name.encode()[: LONGEST - len(digest) - 1].decode(errors="ignore")
    return f"{begin}-{digest}"


def is_plain_name(name: Any) -> bool:
    """Return whether a value is a name that leads, on any system, to something in a folder."""
    if not isinstance(name, str) or name in ("", ".", "..") or {*name} & {"/", "\\", ":", "\0"}:
        return False
    try:
        return len(name.encode()) <= MAX_NAME
    except UnicodeEncodeError:  # half a surrogate pair
        return False
