"""What is computed once from reviews is kept on disk, with checksums, written by one process."""

import hashlib
import json
import shutil
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.markup import escape

from lstm_sentiment.errors import InputError
from lstm_sentiment.files import DRAFT, LOCK, is_held, sole_writer, written_atomically

CHECKSUMS = "checksums.json"

# Of the command at hand:
_refused: dict[Hashable, str] = {}  # by what was asked for; no errors, which hold on to files
_new: list[Path] = []  # what it has put into the cache
_made: list[Path] = []  # folders that it has made for that

Made = TypeVar("Made")


def refused_once(key: Hashable, make: Callable[[], Made]) -> Made:
    """What `make` returns. Where it raised InputError before in this command, that at once.

    It may have taken minutes to find out, and each run of a sweep asks again.
    """
    if key in _refused:
        raise InputError(_refused[key])
    try:
        return make()
    except InputError as error:
        _refused[key] = str(error)
        raise


def begin_command() -> None:
    """A new command may find what the last one did not: a network, a file."""
    for remembered in (_refused, _new, _made):
        remembered.clear()


def leave_nothing() -> None:
    """Where nothing comes of a command, what it has put into the cache goes again."""
    for folder in _new:
        shutil.rmtree(folder, ignore_errors=True)
    for place in _made:  # the innermost first
        with suppress(OSError):  # another process has put something there
            place.rmdir()
    begin_command()


def cache_key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:16]


def cached(
    cache: str | Path, key: str, files: Sequence[str], title: str, make: Callable[[Path], None]
) -> Path:
    """The folder `key` of the cache with these files, which `make` writes where they are not whole.

    Raises InputError where the cache cannot be written, and what `make` raises; then the cache is
    as it was before.
    """
    folder = Path(cache).expanduser() / key
    if not _is_whole(folder, files):
        refused_once((folder, title), lambda: _fill(folder, files, title, make))
    return folder


def _fill(folder: Path, files: Sequence[str], title: str, make: Callable[[Path], None]) -> None:
    lock = folder.with_name(folder.name + LOCK)
    try:
        with _existing(folder.parent), sole_writer(lock, lambda: _say_that_it_waits(title)):
            if _is_whole(folder, files):
                return  # another process was first
            if folder.exists():
                Console().print(f"The cache of {escape(title)} is damaged and is made again.")
            _remove_drafts_of_the_killed(folder.parent)
            with written_atomically(folder) as draft:
                make(draft)
                (draft / CHECKSUMS).write_text(json.dumps(_checksums(draft, files)))
        _new.append(folder)
    except OSError as error:
        raise InputError(
            f"data.cache={folder.parent} cannot be written ({error.strerror or error}): "
            "give a folder that can."
        ) from error


def _say_that_it_waits(title: str) -> None:
    Console().print(f"Another process makes the cache of {escape(title)}: waiting for it.")


def _remove_drafts_of_the_killed(cache: Path) -> None:
    for draft in cache.glob(f"{DRAFT}*"):
        lock = cache / (draft.name.removeprefix(DRAFT) + LOCK)
        if not is_held(lock):
            shutil.rmtree(draft, ignore_errors=True)
            lock.unlink(missing_ok=True)


@contextmanager
def _existing(folder: Path) -> Iterator[None]:
    """The folder exists; if nothing comes of it, those made for it are removed again."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
        _made.extend(missing)
    except BaseException:
        for place in missing:
            with suppress(OSError):  # it was not made, or another process has put something there
                place.rmdir()
        raise


def _is_whole(folder: Path, files: Sequence[str]) -> bool:
    try:
        states = [(folder / file).stat() for file in (CHECKSUMS, *files)]
        return _verified(folder, tuple(files), tuple((s.st_size, s.st_mtime_ns) for s in states))
    except OSError:
        return False


@lru_cache(maxsize=64)
def _verified(folder: Path, files: tuple[str, ...], _: tuple[tuple[int, int], ...]) -> bool:
    """Whether the files are as they were written; read once as long as sizes and times stay."""
    try:
        return bool(json.loads((folder / CHECKSUMS).read_bytes()) == _checksums(folder, files))
    except (OSError, ValueError):
        return False


def _checksums(folder: Path, files: Sequence[str]) -> dict[str, str]:
    sums = {}
    for file in files:
        with (folder / file).open("rb") as stream:
            sums[file] = hashlib.file_digest(stream, "sha256").hexdigest()
    return sums
