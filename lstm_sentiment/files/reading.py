"""Untrusted files: regular files only, within stated limits, and every error is one sentence."""

import errno
import hashlib
import io
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any

from lstm_sentiment.display import printable, shortened
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import ELEMENTS, JSON_BYTES, NESTING, Limit

# Flags that Windows does not have are 0. Without O_NONBLOCK, opening a FIFO waits for a writer.
_REGULAR = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
LARGEST_INTEGER = 2**63 - 1
LONGEST_REASON = 800  # characters of a message


def open_regular(path: Path, follow_links: bool = False) -> io.BufferedReader:
    """Open a regular file for reading.

    A link is followed only with `follow_links`, which is for files that the user has named. Raises
    OSError, also if the path is a folder, a device, a FIFO or a socket.
    """
    try:
        descriptor = os.open(path, _REGULAR | (0 if follow_links else _NO_LINK))
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink() and not follow_links:
            raise OSError(errno.ELOOP, "a link, which is not followed", str(path)) from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: Path, limit: Limit, follow_links: bool = False) -> bytes:
    """Return the content of a regular file. Raises InputError beyond the limit, and OSError."""
    with open_regular(path, follow_links) as stream:
        limit.check(os.fstat(stream.fileno()).st_size)
        content = stream.read(limit.value + 1)  # the file may grow meanwhile
    limit.check(len(content))
    return content


@contextmanager
def errors_named(source: Path | str, advice: str = "") -> Iterator[None]:
    """Turn every error of reading a source into InputError that begins with its name.

    `advice` follows the reasons of errors that are not InputError.

    This is the boundary around the readers of untrusted files: their libraries raise errors of many
    kinds for content that they do not expect.
    """
    try:
        yield
    except InputError as error:
        # The message may repeat a value of the file, of any length.
        raise InputError(f"{source}: {shortened(error, LONGEST_REASON)}") from error
    except Exception as error:
        ending = f": {advice}." if advice else "."
        raise InputError(f"{source}: cannot be read ({reason_of(error)}){ending}") from error


def reason_of(error: Exception) -> str:
    """Return the reason of an error on one line, without a full stop."""
    if isinstance(error, MemoryError):
        return "the memory does not suffice"
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return printable(reason.strip().partition("\n")[0].rstrip(". \r"))


def require_json(path: Path, limit: Limit = JSON_BYTES) -> Any:
    """Return the content of a JSON file, whose numbers are finite and fit into 64 bits.

    Raises InputError with the file if it is missing, damaged, not a regular file or too large.
    """
    with errors_named(path):
        return parse_json(read_bytes(path, limit))


def read_json(path: Path, limit: Limit = JSON_BYTES) -> Any | None:
    """Return the content of a JSON file like `require_json`, or None if that raises InputError."""
    try:
        return require_json(path, limit)
    except InputError:
        return None


def parse_json(content: bytes) -> Any:
    """Return the value that JSON describes, within the limits on elements and nesting.

    Raises InputError if it is not JSON or beyond a limit.
    """
    # Every value but the first of a list or an object follows a comma.
    ELEMENTS.check(sum(content.count(character) for character in b",[{"))
    try:
        value = json.loads(
            content, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_number
        )
    except RecursionError:
        NESTING.refuse()
    except ValueError as error:
        reason = getattr(error, "msg", None) or str(error)
        raise InputError(f"it is damaged or not JSON ({reason}).") from error
    _check_nesting(value)
    return value


def _check_nesting(value: Any) -> None:
    level, depth = _items([value]), 0
    while level:
        depth += 1
        NESTING.check(depth)
        level = [item for container in level for item in _items(container)]


def _items(value: Any) -> list[Any]:
    """Return the lists and objects inside a list or an object."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [item for item in inner if isinstance(item, dict | list)]


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


def _integer(digits: str) -> int:
    if len(digits) > 20 or abs(value := int(digits)) > LARGEST_INTEGER:
        raise ValueError(f"the number {digits[:20]}... does not fit into 64 bits")
    return value


def _number(text: str) -> float:
    if not isfinite(value := float(text)):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def content_digest(*files: Path) -> str:
    """Return the SHA-256 of the files' content, computed once for all runs of a sweep.

    Raises OSError if one of them is not a regular file or cannot be read.
    """
    states = [file.stat() for file in files]
    return _digest(files, tuple((state.st_size, state.st_mtime_ns) for state in states))


@lru_cache(maxsize=32)
def _digest(files: tuple[Path, ...], _: tuple[tuple[int, int], ...]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with open_regular(file, follow_links=True) as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
