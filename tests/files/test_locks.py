"""Locks that other processes hold."""

import os
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Timer

import pytest

from lstm_sentiment.errors import InputError
from lstm_sentiment.files import locks
from lstm_sentiment.files.locks import HeldError, is_held, output_lock, sole_writer
from tests.support.processes import bound_by_permissions, held_elsewhere, spawn

PROCESSES, TIMES = 4, 50


def never() -> None:
    raise AssertionError("the lock was held")


def test_the_file_of_a_lock_exists_while_it_is_held(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    for _ in range(2):
        assert not is_held(lock)
        assert not lock.exists()
        with sole_writer(lock, never):
            assert is_held(lock)
            with pytest.raises(HeldError), sole_writer(lock):
                never()
            assert is_held(lock)
    with pytest.raises(ZeroDivisionError), sole_writer(lock, never):
        raise ZeroDivisionError
    assert not is_held(lock)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), sole_writer(tmp_path / "file" / ".lock"):
        never()


def test_a_lock_of_another_process_is_refused_or_waited_for(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    calls: list[str] = []
    with held_elsewhere(lock) as (process, connection):
        assert is_held(lock)
        with pytest.raises(HeldError), sole_writer(lock):
            never()

        def waiting() -> None:
            calls.append("waiting")
            connection.send("end")

        with sole_writer(lock, waiting):
            process.join(60)
            assert process.exitcode == 0
            assert is_held(lock)
    assert calls == ["waiting"]
    assert list(tmp_path.iterdir()) == []


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with held_elsewhere(lock) as (process, _):
        process.kill()
        process.join(60)
    assert process.exitcode == -9
    assert lock.exists()
    assert not is_held(lock)
    assert lock.exists()
    with sole_writer(lock):
        assert is_held(lock)
    assert not lock.exists()


def test_a_waiting_process_takes_over_from_a_killed_one(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with held_elsewhere(lock) as (process, _), sole_writer(lock, process.kill):
        assert is_held(lock)


def test_a_process_that_holds_a_lock_briefly_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LOCK_TIMEOUT", 60)
    lock = tmp_path / ".lock"
    with held_elsewhere(lock) as (_, connection):
        soon = Timer(0.1, connection.send, ["end"])
        soon.start()
        with sole_writer(lock, never):
            assert is_held(lock)
        soon.join()


def look(lock: Path, test: Connection) -> None:
    bound_by_permissions()
    test.send(is_held(lock))


def test_a_read_only_lock_shows_whether_it_is_held(tmp_path: Path) -> None:
    def is_held_elsewhere() -> bool:
        here, there = spawn.Pipe()
        process = spawn.Process(target=look, args=(lock, there))
        process.start()
        there.close()
        with here:
            return bool(here.recv())

    lock = tmp_path / ".lock"
    with held_elsewhere(lock):
        lock.chmod(0o444)
        assert is_held_elsewhere()
    lock.touch(mode=0o444)
    assert not is_held_elsewhere()


def count(counter: Path, test: Connection) -> None:
    # Frequent polling, so that some attempt falls into every moment of a release.
    locks.FileLock = partial(locks.FileLock, poll_interval=1e-4)  # type: ignore[assignment,misc]
    locks.LOCK_TIMEOUT = 60
    test.send("ready")
    test.recv()
    for _ in range(TIMES):
        with sole_writer(counter.with_name(".lock")):
            number = int(counter.read_text())
            time.sleep(1e-4)
            counter.write_text(str(number + 1))


def test_many_processes_take_turns(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    pipes = [spawn.Pipe() for _ in range(PROCESSES)]
    processes = [spawn.Process(target=count, args=(counter, there)) for _, there in pipes]
    for process in processes:
        process.start()
    for here, there in pipes:
        there.close()
        assert here.recv() == "ready"
    for here, _ in pipes:
        here.send("go")
        here.close()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert counter.read_text() == str(PROCESSES * TIMES)
    assert list(tmp_path.iterdir()) == [counter]


def test_locks_without_effect_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on file systems that accept every lock and grant it to all."""
    monkeypatch.setattr("fcntl.flock", lambda *_: None)
    with pytest.raises(OSError, match="locks of files have no effect"), sole_writer(tmp_path / "l"):
        never()


def test_a_fifo_is_no_lock(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".lock")
    assert not is_held(tmp_path / ".lock")


def test_the_lock_of_an_output_lies_beside_it(tmp_path: Path) -> None:
    for name in ("out.csv", "x" * 255, "é" * 127):
        output = tmp_path / name
        with output_lock(output):
            [lock] = tmp_path.iterdir()
            with (
                pytest.raises(InputError, match=f"Another command is writing {output}"),
                output_lock(output),
            ):
                never()
            with output_lock(tmp_path / "another"):
                pass
            assert is_held(lock)
        assert list(tmp_path.iterdir()) == []
