"""What is on disk is whole or not there, also after a loss of power, and has one writer."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from filelock import FileLock, Timeout

DRAFT = ".draft-"  # begins the name of what is being written
LOCK = ".lock"
# Somebody who only asks whether a lock is held holds it for an instant.
PATIENCE = 0.2  # seconds


class HeldError(Exception):
    """Another process holds the lock."""


def write_atomically(path: Path, content: bytes, durable: bool = True) -> None:
    """Replaces the file in one step. What is not `durable` may be lost with the power."""
    with draft_of(path, durable) as draft:
        draft.write_bytes(content)


@contextmanager
def draft_of(path: Path, durable: bool = True) -> Iterator[Path]:
    """A draft of the file to write into, which takes its place at the end, if that is reached."""
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
def written_atomically(folder: Path) -> Iterator[Path]:
    """A draft of the folder to write into, which takes its place at the end.

    The caller holds a lock: nobody else writes this folder or reads it by more than one name.
    """
    draft = folder.with_name(DRAFT + folder.name)
    shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
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
    """Removes what processes that were killed had begun to write; the caller is the sole writer."""
    for draft in folder.glob(f"{DRAFT}*"):
        draft.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Until it returns, a file's content or a folder's names may exist in memory only."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def sole_writer(lock: Path, waiting: Callable[[], object] | None = None) -> Iterator[None]:
    """Holds `lock`, a file of its own, as no other process does; it dies with its owner.

    Where it is held, calls `waiting` and waits as long as that takes; without `waiting`, raises
    HeldError. Raises OSError where the file cannot be made.
    """
    kernel = FileLock(lock, fallback_to_soft=False)  # a file system without locks is refused
    try:
        kernel.acquire(timeout=PATIENCE)
    except Timeout as held:
        if waiting is None:
            raise HeldError(lock) from held
        waiting()
        kernel.acquire(poll_interval=0.2)
    try:
        yield
    finally:
        try:
            # While it is held: who waits for a file that has lost its name asks for the lock anew.
            lock.unlink(missing_ok=True)
        finally:
            kernel.release()


def is_held(lock: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        with lock.open("rb") as stream:  # to be read only: others' runs may be looked at, too
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # there is none, or none that could be waited for
    return False


def content_digest(*files: Path) -> str:
    """SHA-256 of what files hold, read once for a sweep and not for each of its runs."""
    states = [file.stat() for file in files]
    return _digest(files, tuple((state.st_size, state.st_mtime_ns) for state in states))


@lru_cache(maxsize=32)
def _digest(files: tuple[Path, ...], _: tuple[tuple[int, int], ...]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
