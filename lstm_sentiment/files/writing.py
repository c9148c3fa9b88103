"""Atomic writes: a file or folder is either complete or absent, even after a power failure.

Content is written into a draft beside its place: a new file or folder with a random name, which no
other program can have prepared as a link. A living process holds a lock on its drafts, so that the
next command recognises and removes the drafts of processes that were killed. On file systems of the
network, where the kernel's locks may have no effect, the drafts that have not changed for a day are
removed, and those below a lock that this process holds.
"""

import json
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from lstm_sentiment.files.heartbeats import require_held
from lstm_sentiment.files.locks import ON_WINDOWS, Kind, fcntl, kind_of_locks

DRAFT = ".draft-"  # prefix of the name of a file or folder that is being written
# Drafts of this version, and of older ones: entries of the cache, and files of runs and reports,
# whose drafts ended in the number of the process.
DRAFT_NAME = re.compile(
    r"\.draft-((.+-)?[0-9a-f]{16}|.+\.(json|parquet|safetensors|ckpt|png|svg|html|md|csv)-\d+)"
)
DAY = 86_400  # seconds
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


def write_atomically(path: Path, content: bytes, durable: bool = True) -> None:
    """Replace a file in one step; a power failure may undo the change unless it is `durable`."""
    with file_draft(path, durable) as draft:
        draft.write_bytes(content)


@contextmanager
def file_draft(path: Path, durable: bool = True) -> Iterator[Path]:
    """Yield a draft of the file to write into, which replaces the file if the block succeeds."""
    remove_drafts(path.parent)
    with _locked_draft(path.parent, is_folder=False) as draft:
        yield draft
        if durable:
            _sync(draft)
        require_held(path)
        draft.replace(path)
    if durable:
        _sync(path.parent)


@contextmanager
def folder_draft(folder: Path) -> Iterator[Path]:
    """Yield a draft of the folder to write into, which replaces it if the block succeeds.

    The caller must hold a lock, so that no other process writes the folder, or reads several of
    its files, at the same time. All of an older folder is removed: the caller must have checked
    that it contains no files of others.
    """
    remove_drafts(folder.parent)
    with _locked_draft(folder.parent, is_folder=True) as draft:
        yield draft
        for file in draft.iterdir():
            _sync(file)
        _sync(draft)
        require_held(folder)
        replaced = _new_name(folder.parent)  # if this process is killed, it counts as a draft
        if folder.exists():
            folder.rename(replaced)
        try:
            draft.replace(folder)
        except BaseException:
            if replaced.exists() and not folder.exists():
                replaced.rename(folder)
            raise
        _sync(folder.parent)
        remove(replaced)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a new folder in the system's place for temporary files, and remove it at the end.

    The folder of a process that is killed is removed by the next one, like any draft.
    """
    place = Path(tempfile.gettempdir())
    remove_drafts(place)
    with _locked_draft(place, is_folder=True, mode=0o700) as draft:
        yield draft


def remove_drafts(folder: Path, is_locked: bool = False) -> None:
    """Remove the drafts in a folder that killed processes left.

    `is_locked` says that this process holds the lock without which nobody may write a draft there.
    Drafts stay on Windows, where nothing tells them from the drafts of living processes.
    """
    if fcntl is None:
        return
    try:
        names = [entry.name for entry in os.scandir(folder) if DRAFT_NAME.fullmatch(entry.name)]
    except OSError:
        return  # reported when the folder is written
    for draft in (folder / name for name in names):
        with suppress(OSError), _locked(draft, is_own=False):
            if is_locked or kind_of_locks(folder) is Kind.flock or _is_old(draft):
                remove(draft)


def _is_old(draft: Path) -> bool:
    """Return whether a draft, and all files of a folder, have not changed for a day."""
    is_folder = stat.S_ISDIR(draft.lstat().st_mode)
    paths = [draft, *draft.iterdir()] if is_folder else [draft]
    return time.time() - max(path.lstat().st_mtime for path in paths) > DAY


@contextmanager
def _locked_draft(folder: Path, is_folder: bool, mode: int = 0o777) -> Iterator[Path]:
    """Create a file or folder with a random name, hold its lock, and remove it at the end."""
    with ExitStack() as stack:
        is_locked = False
        while not is_locked:
            draft = _new_name(folder)
            stack.callback(remove, draft)  # first, since a signal may come at any moment
            draft.mkdir(mode) if is_folder else os.close(os.open(draft, _NEW, 0o666))
            # Before it was locked, another process may have taken the draft for a leftover.
            with suppress(BlockingIOError, FileNotFoundError):
                stack.enter_context(_locked(draft, is_own=True))
                is_locked = draft.exists()
        yield draft


def _new_name(folder: Path) -> Path:
    return folder / f"{DRAFT}{secrets.token_hex(8)}"


@contextmanager
def _locked(draft: Path, is_own: bool) -> Iterator[None]:
    """Hold the lock of a draft, exclusively if this process writes it.

    Raises BlockingIOError if another process holds it, or OSError.
    """
    if fcntl is None or draft.is_symlink() or kind_of_locks(draft.parent) is Kind.heartbeat:
        yield
        return
    # On NFS, only a file that is open for writing can be locked exclusively.
    access = os.O_RDWR if is_own and draft.is_file() else os.O_RDONLY
    descriptor = os.open(draft, access | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if is_own else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it exists; links are not followed."""
    with suppress(FileNotFoundError):
        is_folder = stat.S_ISDIR(path.lstat().st_mode)
        shutil.rmtree(path, ignore_errors=True) if is_folder else path.unlink()


def _sync(path: Path) -> None:
    """Flush a file's content, or the list of a folder's files, from memory to the disk."""
    if ON_WINDOWS and path.is_dir():
        return  # Windows cannot open folders
    descriptor = os.open(path, os.O_RDWR if ON_WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, content: Any, durable: bool = True) -> None:
    """Replace a JSON file in one step. Raises ValueError if a number is not finite."""
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_atomically(path, text.encode(), durable)
