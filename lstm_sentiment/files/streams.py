"""Streams of untrusted files: regular files, expanded and split into lines within stated limits."""

import gzip
import io
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from lstm_sentiment.files.limits import EXPANSION, Limit
from lstm_sentiment.files.reading import open_regular

FREE_BYTES = 2**24  # expanded bytes that are allowed whatever their compressed size
BUFFER_SIZE = 2**17


def open_plain(file: Path) -> io.BufferedReader:
    """Open a file that a user named, which may be a link. Raises OSError unless it is regular."""
    return open_regular(file, follow_links=True)


def open_gzip(file: Path) -> io.BufferedReader:
    """Open a file compressed by gzip; reading raises InputError beyond EXPANSION.

    A file that announces too many bytes is refused at once, before its first row is read.
    """
    if _announces_too_much(file):
        with suppress(EOFError, OSError, zlib.error), _gzip(file) as stream:
            while stream.read(BUFFER_SIZE):
                pass
    return _gzip(file)


def _gzip(file: Path) -> io.BufferedReader:
    raw = open_plain(file)
    return _buffered(raw, gzip.GzipFile(fileobj=raw))


def _announces_too_much(file: Path) -> bool:
    """Look at the last 4 bytes, the expanded size modulo 2**32, which may be wrong."""
    with open_plain(file) as raw:
        size = raw.seek(0, os.SEEK_END)
        raw.seek(max(0, size - 4))
        return int.from_bytes(raw.read(4), "little") > FREE_BYTES + EXPANSION.value * size


def open_member(file: Path, member: str) -> io.BufferedReader:
    """Open a member of a ZIP archive; reading raises InputError beyond EXPANSION.

    Raises KeyError if there is no such member, and zipfile.BadZipFile.
    """
    raw = open_plain(file)
    try:
        with zipfile.ZipFile(raw) as archive:  # the member keeps the file open
            return _buffered(raw, archive.open(member))
    except BaseException:
        raw.close()
        raise


def _buffered(raw: IO[bytes], expanded: Any) -> io.BufferedReader:
    return io.BufferedReader(_Expanded(raw, expanded), BUFFER_SIZE)


class _Expanded(io.RawIOBase):
    """The expanded content of a compressed file, bounded by the part of it that was read."""

    def __init__(self, raw: IO[bytes], expanded: Any) -> None:
        self._raw, self._expanded = raw, expanded
        self._size, self._ratio = 0, EXPANSION.value

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self._expanded.readinto(buffer)
        self._size += count
        if self._size > FREE_BYTES + self._ratio * self._raw.tell():
            EXPANSION.refuse()
        return count

    def close(self) -> None:
        self._expanded.close()
        self._raw.close()
        super().close()


def lines_of(stream: IO[bytes], limit: Limit) -> Iterator[bytes]:
    """Yield the lines of a stream. Raises InputError before a longer line is in memory."""
    longest = limit.value
    while line := stream.readline(longest + 1):
        if len(line) > longest:
            limit.refuse()
        yield line
