"""Locks for storage that several machines share: files that their holder keeps changing.

A lock is a file that only one process can create (O_EXCL). Every few seconds, its holder writes a
new number into it, a beat. A process that wants the lock reads it again and again, and takes it
over if it has not changed for `MISSED` beats by its own monotonic clock, so that the clocks of two
machines are never compared. The file names its holder, by a random token, and the interval of the
beats.

To succeed a holder, a process creates `<lock>.<token of the holder>`, which is also possible only
once, and renames this file to `<lock>`. Until then, the file is the end of a chain that begins with
`<lock>`, and the process at the end of the chain holds the lock.

A process that was paused for too long may have lost a lock. `require_held` tells before it writes.
"""

import errno
import json
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lstm_sentiment.errors import InputError, RunError
from lstm_sentiment.files.reading import open_regular

VARIABLE = "LSTM_SENTIMENT_HEARTBEAT"  # the environment variable with the interval of beats
INTERVAL = 5.0  # seconds between two beats
MISSED = 12  # beats after which a lock is taken over
LONGEST_INTERVAL = 600.0
MAX_BYTES = 4096  # of the file of a lock
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
_CHANGE = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
DEAD = {"Z", "X"}  # states of processes that have ended, see proc_pid_stat(5)


class LostError(RunError):
    """An error that says that another process has taken over a lock of this one."""


def interval() -> float:
    """Return the seconds between two beats. Raises InputError if the variable is not valid."""
    text = os.environ.get(VARIABLE)
    if text is None:
        return INTERVAL
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.01 <= value <= LONGEST_INTERVAL:
        raise InputError(
            f"{VARIABLE} must be a number of seconds from 0.01 to {LONGEST_INTERVAL:.0f} "
            f"(got {text})."
        )
    return value


@dataclass(frozen=True)
class Holder:
    """What the file of a lock says, and the file's last change."""

    content: bytes
    token: str
    process: str  # see `_process`; "" if it is unknown
    interval: float
    modified: float  # by the clock of the file system

    @property
    def patience(self) -> float:
        """The seconds without a change after which the lock is taken over."""
        return MISSED * self.interval

    @property
    def is_dead(self) -> bool:
        """Whether the holder was a process of this machine that has ended."""
        machine, _, process = self.process.rpartition("/")
        if not machine or machine != _machine():
            return False
        number, _, started = process.partition(":")
        return number.isdecimal() and _start_of(int(number)) != started

    @property
    def seems_alive(self) -> bool:
        """Whether the last beat is recent, if the clocks of both machines agree."""
        return time.time() - self.modified < self.patience


@dataclass
class _Watch:
    """How long this process has seen one content of a lock's file."""

    content: bytes
    since: float  # on the monotonic clock
    has_changed: bool = False  # whether the lock of this holder was seen to change


_watches: dict[Path, _Watch] = {}
_held: list["HeartbeatLock"] = []


def holder_of(lock: Path) -> Holder | None:
    """Return the holder of a lock, or None if it is free. Raises OSError."""
    holder, following = None, _read(lock)
    while following is not None:
        holder, following = following, _read(successor(lock, following.token))
    return holder


def successor(lock: Path, token: str) -> Path:
    """Return the file that the process creates which succeeds the holder with this token."""
    return lock.with_name(f"{lock.name}.{token}")


def is_stale(lock: Path, holder: Holder) -> bool:
    """Return whether the holder has ended, or has not changed the lock for too long.

    The time counts from the first call for this lock, or from the latest change that a call saw.
    """
    watch = _watch(lock, holder)
    return holder.is_dead or time.monotonic() - watch.since >= holder.patience


def is_held(lock: Path) -> bool:
    """Return whether a process holds the lock, without waiting for its next beat.

    At the first call for a lock, the clocks of the machines decide, later what was seen since.
    """
    try:
        holder = holder_of(lock)
    except OSError:
        return False
    if holder is None or is_stale(lock, holder):
        return False
    return _watch(lock, holder).has_changed or holder.seems_alive


def _watch(lock: Path, holder: Holder) -> _Watch:
    watch = _watches.get(lock)
    if watch is None or watch.content != holder.content:
        known = watch is not None and holder.token == _parse(watch.content, 0).get("token")
        watch = _watches[lock] = _Watch(holder.content, time.monotonic(), known)
    return watch


def require_held(path: Path) -> None:
    """Raise LostError if this process has lost a lock that lies beside a path or above it.

    It is called immediately before any file gets its name. Raises OSError if the storage cannot be
    read.
    """
    place = Path(os.path.abspath(path))  # noqa: PTH100 - links stay as they are
    for lock in _held:
        if lock.path.parent in place.parents:
            lock.require()


class HeartbeatLock:
    """A lock that this process wants or holds."""

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - links stay as they are
        self.token = secrets.token_hex(8)
        self.interval = interval()
        self._beats = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def acquire(self) -> bool:
        """Try to get the lock; return whether this process holds it. Raises OSError."""
        if _create(self.path, self._content()):
            return self._is_own()
        holder = holder_of(self.path)
        if holder is None or not is_stale(self.path, holder):
            return False
        return self._succeed(holder)

    def may_be_stale(self) -> bool:
        """Return whether waiting for the patience of the holder may give this process the lock."""
        try:
            return not is_held(self.path)
        except OSError:
            return False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the lock, which was acquired, during the block; then release it."""
        _held.append(self)
        self._thread.start()
        try:
            yield
        finally:
            self._end.set()
            self._thread.join()
            _held.remove(self)
            self._release()

    def require(self) -> None:
        """Raise LostError if another process holds the lock, or OSError."""
        if not self._is_own():
            raise LostError(
                "this process has lost its lock, since it did not respond for "
                f"{MISSED * self.interval:.0f} s or the file of the lock was removed: all files "
                "are left to the process that has taken over"
            )

    def _is_own(self) -> bool:
        holder = holder_of(self.path)
        return holder is not None and holder.token == self.token

    def _succeed(self, holder: Holder) -> bool:
        """Take over the lock of a stale holder, unless another process is faster."""
        claim = successor(self.path, holder.token)
        if not _create(claim, self._content()):
            return False
        if not self._is_own():  # the lock was released or succeeded before the claim was created
            claim.unlink(missing_ok=True)
            return False
        claim.replace(self.path)
        self._remove_older_claims()
        return self._is_own()

    def _remove_older_claims(self) -> None:
        """Remove the claims of processes that were killed before they renamed them."""
        for claim in self.path.parent.glob(f"{self.path.name}.{'[0-9a-f]' * 16}"):
            if claim != successor(self.path, self.token):
                with suppress(OSError):
                    claim.unlink()

    def _beat(self) -> None:
        while not self._end.wait(self.interval):
            with suppress(OSError):  # of storage that does not respond now
                self._change()

    def _change(self) -> None:
        """Write the next beat into the file, if it is still that of this process."""
        # Opened anew each time: NFS then asks the server for the file that has the name now.
        descriptor = os.open(self.path, _CHANGE)
        try:
            if _parse(os.pread(descriptor, MAX_BYTES, 0), 0).get("token") == self.token:
                self._beats += 1
                os.pwrite(descriptor, self._content(), 0)
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _content(self) -> bytes:
        content = {
            "token": self.token,
            "process": _process(),
            "interval": self.interval,
            "beat": f"{self._beats:012d}",  # of constant length, so that a beat replaces another
        }
        return json.dumps(content).encode() + b"\n"

    def _release(self) -> None:
        """Remove the file, unless another process has taken over."""
        with suppress(OSError):
            began = time.monotonic()
            # If this process was paused in between, the answer may be outdated.
            if self._is_own() and time.monotonic() - began < self.interval:
                self.path.unlink(missing_ok=True)


def _create(path: Path, content: bytes) -> bool:
    """Create a file with this content, and return whether it did not exist. Raises OSError."""
    try:
        descriptor = os.open(path, _NEW, 0o666)
    except FileExistsError:
        return False
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(descriptor)
    return True


def _read(path: Path) -> Holder | None:
    """Return what the file of a lock says, or None if there is none. Raises OSError."""
    try:
        with open_regular(path) as stream:  # opened anew each time, see `_change`
            content, state = stream.read(MAX_BYTES), os.fstat(stream.fileno())
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ESTALE:  # removed on the server of NFS meanwhile
            return None
        raise
    said = _parse(content, state.st_ino)
    return Holder(content, said["token"], said["process"], said["interval"], state.st_mtime)


def _parse(content: bytes, inode: int) -> dict[str, Any]:
    """Return the token, the process and the interval in a lock's file.

    A file that says none, such as one that is being created, is told from others by its inode.
    """
    try:
        said = json.loads(content)
        token, process, seconds = said["token"], said["process"], float(said["interval"])
        is_valid = token.isalnum() and len(token) == 16 and 0 < seconds <= LONGEST_INTERVAL
    except (ValueError, TypeError, KeyError, AttributeError):
        is_valid = False
    if not is_valid:
        return {"token": f"{inode:016x}", "process": "", "interval": INTERVAL}
    return {"token": token, "process": str(process), "interval": seconds}


def _process() -> str:
    """Return a text that identifies this process: MACHINE/NUMBER:START, or "" without /proc."""
    number = os.getpid()
    with suppress(OSError):
        # A container may have the /proc of another one, in which processes have other numbers.
        if os.readlink("/proc/self") == str(number) and (machine := _machine()):  # noqa: PTH115
            return f"{machine}/{number}:{_start_of(number)}"
    return ""


@cache
def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _machine() -> str:
    """Return a text that identifies the processes whose numbers this process knows, or ""."""
    with suppress(OSError):
        # A container may share the name and the boot with others, but not the numbers of processes.
        namespace = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116
        return f"{socket.gethostname()}/{_boot()}/{namespace}" if _boot() else ""
    return ""


def _start_of(number: int) -> str:
    """Return the start of a living process of this machine, in ticks since the boot, or ""."""
    try:
        state, *values = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state in DEAD else values[18]
