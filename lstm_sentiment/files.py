"""Atomic writes of files and folders, locks and digests.

A file that is written atomically is either complete or absent, even after a power failure.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

DRAFT = ".draft-"  # prefix of the name of a file or folder that is being written
LOCK = ".lock"
LOCK_TIMEOUT = 0.2  # seconds; `is_held` takes a lock for a shorter time
ON_WINDOWS = os.name == "nt"


class HeldError(Exception):
    """An error that says that another process holds the lock."""


def write_atomically(path: Path, content: bytes, durable: bool = True) -> None:
    """Replace a file in one step; a power failure may undo the change unless it is `durable`."""
    with file_draft(path, durable) as draft:
        draft.write_bytes(content)


@contextmanager
def file_draft(path: Path, durable: bool = True) -> Iterator[Path]:
    """Yield a draft of the file to write into, which replaces the file if the block succeeds."""
    draft = path.with_name(f"{DRAFT}{path.name}-{os.getpid()}")
    try:
        yield draft
        if durable:
            _sync(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    if durable:
        _sync(path.parent)


@contextmanager
def folder_draft(folder: Path) -> Iterator[Path]:
    """Yield a draft of the folder to write into, which replaces it if the block succeeds.

    The caller must hold a lock, so that no other process writes the folder, or reads several of
    its files, at the same time.
    """
    draft = folder.with_name(DRAFT + folder.name)
    shutil.rmtree(draft, ignore_errors=True)  # left by a process that was killed
    draft.mkdir()
    try:
        yield draft
        for file in draft.iterdir():
            _sync(file)
        _sync(draft)
        if folder.exists():
            shutil.rmtree(folder)
        draft.replace(folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def remove_drafts(folder: Path) -> None:
    """Remove drafts of files that killed processes left; the caller must be the only writer."""
    for draft in folder.glob(f"{DRAFT}*"):
        draft.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Flush a file's content, or the list of a folder's files, from memory to the disk."""
    if ON_WINDOWS and path.is_dir():
        return  # Windows cannot open folders
    descriptor = os.open(path, os.O_RDWR if ON_WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def sole_writer(lock: Path, waiting: Callable[[], object] | None = None) -> Iterator[None]:
    """Hold the lock file `lock` exclusively; the lock ends with the process.

    If another process holds the lock, call `waiting` and wait as long as necessary. Without
    `waiting`, raise HeldError. Raises OSError if the lock file cannot be created.
    """
    kernel_lock = FileLock(lock, fallback_to_soft=False)  # requires a file system with locks
    try:
        kernel_lock.acquire(timeout=LOCK_TIMEOUT)
    except Timeout as held:
        if waiting is None:
            raise HeldError(lock) from held
        waiting()
        kernel_lock.acquire(poll_interval=0.2)
    try:
        yield
    finally:
        try:
            # Before the release: a process that gets the lock of a removed file tries again.
            if not ON_WINDOWS:  # where a file that is open cannot be removed
                lock.unlink(missing_ok=True)
        finally:
            kernel_lock.release()


def is_held(lock: Path) -> bool:
    """Return whether a living process holds the lock."""
    try:
        import fcntl
    except ImportError:  # Windows
        return lock.exists() and not _can_be_acquired(lock)
    try:
        with lock.open("rb") as stream:  # read only: the file may belong to another user
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # the lock file is missing or unusable
    return False


def _can_be_acquired(lock: Path) -> bool:
    try:
        with sole_writer(lock):
            return True
    except HeldError:
        return False
    except OSError:
        return True  # the lock file is unusable, so no process holds it


def content_digest(*files: Path) -> str:
    """Return the SHA-256 of the files' content, computed once for all runs of a sweep."""
    states = [file.stat() for file in files]
    return _digest(files, tuple((state.st_size, state.st_mtime_ns) for state in states))


@lru_cache(maxsize=32)
def _digest(files: tuple[Path, ...], _: tuple[tuple[int, int], ...]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def read_json(path: Path) -> Any | None:
    """Return the content of a JSON file, or None if it is missing, unreadable or damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def write_json(path: Path, content: Any, durable: bool = True) -> None:
    """Replace a JSON file in one step. Raises ValueError if a number is not finite."""
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_atomically(path, text.encode(), durable)
