"""Locks between processes: the kernel's locks of files, which end with their process.

They hold between the processes of one machine. Between machines, they depend on the file system
and, on NFS, on how it is mounted.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import open_regular

try:
    import fcntl as fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
LOCK_TIMEOUT = 0.2  # seconds; `is_held` takes a lock for a shorter time
ON_WINDOWS = os.name == "nt"


class HeldError(Exception):
    """An error that says that another process holds the lock."""


@contextmanager
def sole_writer(lock: Path, waiting: Callable[[], object] | None = None) -> Iterator[None]:
    """Hold the lock file `lock` exclusively; the lock ends with the process.

    If another process holds the lock, call `waiting` and wait as long as necessary. Without
    `waiting`, raise HeldError. Raises OSError if the lock file cannot be created, or if the file
    system accepts locks without effect.
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
        if not is_held(lock):
            raise OSError(errno.ENOLCK, "locks of files have no effect there", str(lock))
        yield
    finally:
        try:
            # Before the release: a process that gets the lock of a removed file tries again.
            if not ON_WINDOWS:  # where a file that is open cannot be removed
                lock.unlink(missing_ok=True)
        finally:
            kernel_lock.release()


@contextmanager
def output_lock(output: Path) -> Iterator[None]:
    """Hold the lock of a file or folder of output, which lies beside it.

    Raises InputError if another process is writing the output, and OSError if the lock cannot be
    created.
    """
    # Names of files may be as long as the file system allows, so that nothing can be added.
    digest = hashlib.sha256(os.fsencode(output.name)).hexdigest()[:16]
    try:
        with sole_writer(output.absolute().with_name(f"{LOCK}-{digest}")):
            yield
    except HeldError as error:
        raise InputError(
            f"Another command is writing {output}: wait for its end, or name another output."
        ) from error


def is_held(lock: Path) -> bool:
    """Return whether a living process holds the lock."""
    if fcntl is None:
        return lock.exists() and not _can_be_acquired(lock)
    try:
        with open_regular(lock) as stream:  # read only: the file may belong to another user
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # the lock file is missing or unusable
    return False


def _can_be_acquired(lock: Path) -> bool:
    try:
        with FileLock(lock, fallback_to_soft=False).acquire(timeout=LOCK_TIMEOUT):
            return True
    except Timeout:
        return False
    except OSError:
        return True  # the lock file is unusable, so no process holds it
