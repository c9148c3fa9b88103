"""Locks between processes.

On a file system of one machine, they are the kernel's locks of files, which end with their process.
Between machines, these depend on the file system and, on NFS, on how it is mounted. On file systems
of the network, locks are therefore files whose holder keeps changing them (see `heartbeats`).
"""

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum, auto
from pathlib import Path

from filelock import FileLock, Timeout

from lstm_sentiment.errors import InputError
from lstm_sentiment.files import heartbeats
from lstm_sentiment.files.heartbeats import HeartbeatLock
from lstm_sentiment.files.mounts import is_on_network
from lstm_sentiment.files.reading import open_regular

try:
    import fcntl as fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
LOCK_TIMEOUT = 0.2  # seconds; `is_held` takes a lock for a shorter time
POLL = 0.2  # seconds between two attempts to get a lock
ON_WINDOWS = os.name == "nt"
VARIABLE = "LSTM_SENTIMENT_LOCKS"  # the environment variable that names the kind of all locks


class Kind(StrEnum):
    """The kinds of locks."""

    flock = auto()  # of the kernel
    heartbeat = auto()


class HeldError(Exception):
    """An error that says that another process holds the lock."""


def kind_of_locks(folder: Path) -> Kind:
    """Return the kind of the locks in a folder: by its file system, or as the variable says.

    Raises InputError if the variable is not valid.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen is None:
        return Kind.heartbeat if is_on_network(folder) else Kind.flock
    if chosen not in [*Kind]:
        raise InputError(f"{VARIABLE} must be {' or '.join(Kind)} (got {chosen}).")
    return Kind(chosen)


@contextmanager
def sole_writer(lock: Path, waiting: Callable[[], object] | None = None) -> Iterator[None]:
    """Hold the lock file `lock` exclusively; the lock ends with the process.

    If another process holds the lock, call `waiting` and wait as long as necessary. Without
    `waiting`, raise HeldError. Raises OSError if the lock file cannot be created, or if the file
    system accepts locks without effect.
    """
    hold = _heartbeat_lock if _kind(lock) is Kind.heartbeat else _kernel_lock
    with hold(lock, waiting):
        yield


@contextmanager
def _kernel_lock(lock: Path, waiting: Callable[[], object] | None) -> Iterator[None]:
    kernel_lock = FileLock(lock, fallback_to_soft=False)  # requires a file system with locks
    try:
        kernel_lock.acquire(timeout=LOCK_TIMEOUT)
    except Timeout as held:
        if waiting is None:
            raise HeldError(lock) from held
        waiting()
        kernel_lock.acquire(poll_interval=POLL)
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
def _heartbeat_lock(lock: Path, waiting: Callable[[], object] | None) -> Iterator[None]:
    """Hold a lock with beats; wait for one whose holder may have ended, even without `waiting`."""
    wanted = HeartbeatLock(lock)
    lock.parent.mkdir(parents=True, exist_ok=True)  # as the other kind does
    patience = time.monotonic() + LOCK_TIMEOUT
    is_announced = False
    while _kernel_holds(lock) or not wanted.acquire():
        is_alive = _kernel_holds(lock) or not wanted.may_be_stale()
        if is_alive and not is_announced and time.monotonic() > patience:
            if waiting is None:
                raise HeldError(lock)
            waiting()
            is_announced = True
        time.sleep(min(POLL, wanted.interval / 4))
    with wanted.held():
        yield


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
    """Return whether a living process holds the lock.

    Whether a process of another machine lives is known only after a while. Until then, the times
    of both machines' clocks decide.
    """
    if _kind(lock) is Kind.heartbeat:
        return _kernel_holds(lock) or heartbeats.is_held(lock)
    if fcntl is None:
        return lock.exists() and not _can_be_acquired(lock)
    return _kernel_holds(lock)


def _kernel_holds(lock: Path) -> bool:
    """Return whether a process holds the kernel's lock of a file, which is empty then."""
    if fcntl is None:
        return False
    try:
        with open_regular(lock) as stream:  # read only: the file may belong to another user
            if not os.fstat(stream.fileno()).st_size:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # the lock file is missing or unusable
    return False


def _kind(lock: Path) -> Kind:
    """Return the kind of a lock; a lock with beats, whose file is not empty, stays one."""
    with suppress(OSError):
        if lock.lstat().st_size:
            return Kind.heartbeat
    return kind_of_locks(lock.parent)


def _can_be_acquired(lock: Path) -> bool:
    try:
        with FileLock(lock, fallback_to_soft=False).acquire(timeout=LOCK_TIMEOUT):
            return True
    except Timeout:
        return False
    except OSError:
        return True  # the lock file is unusable, so no process holds it
