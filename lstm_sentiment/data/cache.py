"""A cache on disk for results computed from reviews: folders with checksums.

Each entry is written by one process, under a lock, and appears complete or not at all.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from lstm_sentiment.display import SILENT, Display, printable
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.locks import LOCK, sole_writer
from lstm_sentiment.files.names import is_plain_name
from lstm_sentiment.files.reading import open_regular, read_json
from lstm_sentiment.files.writing import folder_draft

CHECKSUMS = "checksums.json"

Result = TypeVar("Result")


class DataCache:
    """The cache of one command; all commands share the entries, which are folders.

    As a context manager, the cache deletes the entries that were created in a block that ends with
    InputError or OSError. It remembers refused inputs. Each command needs a new object, since a
    network or a file may have become available in the meantime. `setting` names, in messages, the
    setting that gives the place of the cache.
    """

    def __init__(self, display: Display = SILENT, setting: str = "data.cache") -> None:
        self.display, self.setting = display, setting
        self._refused: dict[Hashable, str] = {}  # messages, since errors keep files open
        self._notes: set[str] = set()  # that have been shown
        self._new_entries: list[Path] = []
        self._new_folders: list[Path] = []  # created for these entries, innermost first

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, InputError | OSError):
            self.discard_new_entries()

    def discard_new_entries(self) -> None:
        """Delete the entries that this command created."""
        for folder in self._new_entries:
            shutil.rmtree(folder, ignore_errors=True)
        _remove_empty(self._new_folders)
        self._new_entries, self._new_folders = [], []

    def note(self, text: str) -> None:
        """Show a warning about the reviews, once in a command."""
        if text not in self._notes:
            self._notes.add(text)
            self.display.message(text, "warning")

    def unless_refused(self, key: Hashable, make: Callable[[], Result]) -> Result:
        """Return `make()`; if a call with this key was refused before, raise the same error again.

        A failed call, such as a download, may take minutes, and all runs of a sweep would repeat
        it. Results are not stored.
        """
        if key in self._refused:
            raise InputError(self._refused[key])
        try:
            return make()
        except InputError as error:
            self._refused[key] = str(error)
            raise

    def entry(
        self,
        root: str | Path,
        key: str,
        files: Sequence[str],
        title: str,
        make: Callable[[Path], None],
    ) -> Path:
        """Return the folder `root/key`, whose `files` match their checksums.

        If they do not match, `make` writes them into a draft folder, which then replaces the entry.
        `title` names the entry in messages. Raises InputError if the cache cannot be written, and
        raises the exceptions of `make`; the cache is unchanged in both cases.
        """
        folder = Path(root).expanduser() / key
        if not _is_intact(folder, files):
            self.unless_refused((folder, title), lambda: self._write(folder, files, title, make))
        return folder

    def _write(
        self, folder: Path, files: Sequence[str], title: str, make: Callable[[Path], None]
    ) -> None:
        lock = folder.with_name(folder.name + LOCK)
        waiting = f"Another process is preparing {title}: waiting for it."
        try:
            with (
                self._parents_of(folder),
                sole_writer(lock, lambda: self.display.message(waiting)),
            ):
                if _is_intact(folder, files):
                    return  # another process was first
                if folder.exists() or folder.is_symlink():
                    _require_own(folder, files, self.setting)
                    self.display.message(f"The cache of {title} is damaged and will be rebuilt.")
                with folder_draft(folder) as draft:
                    make(draft)
                    (draft / CHECKSUMS).write_text(json.dumps(_checksums(draft, files)))
            self._new_entries.append(folder)
        except OSError as error:
            raise InputError(
                f"{self.setting}={folder.parent} cannot be written ({error.strerror or error}): "
                "give a writable folder."
            ) from error

    @contextmanager
    def _parents_of(self, entry: Path) -> Iterator[None]:
        """Create the folders above the entry; remove them again if the block fails."""
        missing = [folder for folder in entry.parents if not folder.exists()]
        try:
            entry.parent.mkdir(parents=True, exist_ok=True)
            yield
            self._new_folders.extend(missing)
        except BaseException:
            _remove_empty(missing)
            raise


def cache_key(*parts: str) -> str:
    """Return 16 hexadecimal digits that identify these parts."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:16]


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # not created yet, or another process has written into it
            folder.rmdir()


def _require_own(folder: Path, files: Sequence[str], setting: str) -> None:
    """Raise InputError if what has the place of an entry is not one: a link or files of others."""
    if folder.is_symlink() or not folder.is_dir():
        foreign = "not a folder"
    else:
        names = sorted({entry.name for entry in folder.iterdir()} - {CHECKSUMS, *files})
        foreign = f"{printable(names[0])[:40]} in it is of another program" if names else ""
    if foreign:
        raise InputError(
            f"{folder} is not an entry of the cache ({foreign}): remove it, or give another "
            f"{setting}."
        )


def is_intact_entry(folder: Path) -> bool:
    """Return whether a folder is an entry of a cache whose files match their checksums."""
    sums = read_json(folder / CHECKSUMS)
    if not isinstance(sums, dict) or not all(map(is_plain_name, sums)):
        return False
    return _is_intact(folder, [*sums])


def _is_intact(folder: Path, files: Sequence[str]) -> bool:
    try:
        states = [(folder / file).lstat() for file in (CHECKSUMS, *files)]
        key = tuple((state.st_size, state.st_mtime_ns) for state in states)
        return not folder.is_symlink() and _verified(folder, tuple(files), key)
    except OSError:
        return False


@lru_cache(maxsize=64)
def _verified(folder: Path, files: tuple[str, ...], _: tuple[tuple[int, int], ...]) -> bool:
    """Return whether the files match their checksums.

    The third argument, the sizes and times of the files, is part of the key of `lru_cache`.
    """
    try:
        return bool(read_json(folder / CHECKSUMS) == _checksums(folder, files))
    except OSError:
        return False


def _checksums(folder: Path, files: Sequence[str]) -> dict[str, str]:
    sums = {}
    for file in files:
        with open_regular(folder / file) as stream:
            sums[file] = hashlib.file_digest(stream, "sha256").hexdigest()
    return sums
