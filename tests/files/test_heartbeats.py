"""Locks with beats: holders that live, were killed or were paused, also on another machine."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from lstm_sentiment.errors import InputError
from lstm_sentiment.files import heartbeats, locks
from lstm_sentiment.files.heartbeats import LostError, require_held
from lstm_sentiment.files.locks import HeldError, is_held, kind_of_locks, sole_writer
from lstm_sentiment.files.writing import folder_draft, remove_drafts, write_json
from tests.support.processes import held_elsewhere, spawn

BEAT = 0.05
PATIENCE = heartbeats.MISSED * BEAT
PROCESSES, TIMES = 4, 10


@pytest.fixture(autouse=True)
def _beats(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use locks with fast beats, which may not call `flock`."""
    monkeypatch.setenv("LSTM_SENTIMENT_LOCKS", "heartbeat")
    monkeypatch.setenv("LSTM_SENTIMENT_HEARTBEAT", str(BEAT))
    yield
    assert not heartbeats._held


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


def leave(path: Path, token: str, process: str = "another/7:1", age: float = 0) -> None:
    """Write the file of a lock whose holder, a process of another machine, does not beat."""
    content = {"token": token, "process": process, "interval": BEAT, "beat": "000000000001"}
    path.write_text(json.dumps(content))
    then = time.time() - age
    os.utime(path, (then, then))


def never() -> None:
    raise AssertionError("the lock was held")


def pause(of: Path) -> heartbeats.HeartbeatLock:
    """Stop the beats of the lock that this process holds, as if the process was paused."""
    [paused] = [each for each in heartbeats._held if each.path == of]
    paused._end.set()
    paused._thread.join()
    return paused


@pytest.mark.parametrize("years", [10, -10])
def test_a_holder_that_beats_keeps_its_lock_whatever_the_clocks_say(
    years: int, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = time.time
    with held_elsewhere(lock):
        monkeypatch.setattr(time, "time", lambda: clock() + years * 3e7)
        began = time.monotonic()
        while time.monotonic() - began < 1.2 * PATIENCE:
            with pytest.raises(HeldError), sole_writer(lock):
                never()
        assert is_held(lock)
    assert not lock.exists()


def test_the_lock_of_another_machine_is_taken_over_after_its_patience(lock: Path) -> None:
    leave(lock, "a" * 16)
    assert is_held(lock)
    calls: list[str] = []
    began = time.monotonic()
    with sole_writer(lock, lambda: calls.append("waiting")):
        # `is_held` was the first to see the file.
        assert PATIENCE * 0.9 < time.monotonic() - began < PATIENCE + 2
        assert is_held(lock)
        assert [*lock.parent.iterdir()] == [lock]
    assert not [*lock.parent.iterdir()]


def test_a_lock_that_seems_dead_is_waited_for_although_others_are_refused(lock: Path) -> None:
    leave(lock, "a" * 16, age=60)
    assert not is_held(lock)
    with sole_writer(lock):
        assert is_held(lock)
    leave(lock, "b" * 16)
    with pytest.raises(HeldError), sole_writer(lock):
        never()


def test_the_lock_of_a_dead_process_of_this_machine_is_taken_over_at_once(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_SENTIMENT_HEARTBEAT", "600")
    with held_elsewhere(lock) as (process, _):
        with pytest.raises(HeldError), sole_writer(lock):
            never()
        process.kill()
        process.join(60)
        assert not is_held(lock)
        with sole_writer(lock):
            assert is_held(lock)


def test_a_killed_successor_is_succeeded_and_its_claim_removed(lock: Path) -> None:
    leave(lock, "a" * 16)
    leave(heartbeats.successor(lock, "a" * 16), "b" * 16)  # killed before it renamed the file
    other = lock.with_name(".lock-" + "c" * 16)  # of an output in the same folder
    leave(other, "d" * 16)
    holder = heartbeats.holder_of(lock)
    assert holder is not None
    assert holder.token == "b" * 16
    with sole_writer(lock, lambda: None):
        assert sorted(lock.parent.iterdir()) == [lock, other]


def test_an_outdated_claim_succeeds_nobody(lock: Path) -> None:
    """A process decides to take over, and is paused until the lock has another holder."""
    leave(lock, "a" * 16)
    late = heartbeats.HeartbeatLock(lock)
    stale = heartbeats.holder_of(lock)
    assert stale is not None
    with sole_writer(lock, lambda: None):
        assert not late._succeed(stale)
        require_held(lock)
        assert [*lock.parent.iterdir()] == [lock]


def test_a_holder_is_succeeded_once(lock: Path) -> None:
    """Two processes decide to take over at the same moment."""
    leave(lock, "a" * 16)
    stale = heartbeats.holder_of(lock)
    assert stale is not None
    claim = heartbeats.successor(lock, "a" * 16)
    leave(claim, "b" * 16)
    content = claim.read_bytes()
    assert not heartbeats.HeartbeatLock(lock)._succeed(stale)
    assert claim.read_bytes() == content
    assert heartbeats.HeartbeatLock(lock).acquire() is False


def count(counter: Path, test: Connection) -> None:
    test.send("ready")
    test.recv()
    for _ in range(TIMES):
        with sole_writer(counter.with_name(".lock"), lambda: None):
            number = int(counter.read_text())
            time.sleep(1e-3)
            require_held(counter)
            counter.write_text(str(number + 1))


def test_many_processes_take_over_from_a_dead_one_and_take_turns(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_SENTIMENT_HEARTBEAT", "0.2")  # the machine may be busy
    leave(lock, "a" * 16)
    leave(heartbeats.successor(lock, "a" * 16), "b" * 16)
    counter = lock.with_name("counter")
    counter.write_text("0")
    with ExitStack() as ends:
        here: list[Connection] = []
        processes = []
        for _ in range(PROCESSES):
            end, there = spawn.Pipe()
            here.append(ends.enter_context(end))
            processes.append(spawn.Process(target=count, args=(counter, there)))
            processes[-1].start()
            there.close()
        assert [end.recv() for end in here] == ["ready"] * PROCESSES
        for end in here:
            end.send("go")
        for process in processes:
            process.join(60)
            assert process.exitcode == 0
    assert counter.read_text() == str(PROCESSES * TIMES)
    assert [*lock.parent.iterdir()] == [counter]


def test_a_paused_holder_writes_nothing_after_another_has_taken_over(lock: Path) -> None:
    file = lock.with_name("run.json")
    with sole_writer(lock):
        write_json(file, "of the first")
        pause(lock)
        write_json(file, "not taken over yet")
        heartbeats._watches.clear()
        second = heartbeats.HeartbeatLock(lock)
        while not second.acquire():
            time.sleep(BEAT)
        for write in (lambda: write_json(file, "late"), lambda: make_folder(lock.parent)):
            with pytest.raises(
                LostError, match="lost its lock, since it did not respond for 1 s or"
            ):
                write()
        write_json(lock.parents[1] / "elsewhere.json", "another folder")
        assert json.loads(file.read_text()) == "not taken over yet"
    assert is_held(lock)  # it was not removed by the first
    assert second._is_own()
    assert sorted(path.name for path in lock.parent.iterdir()) == [".lock", "run.json"]


def make_folder(folder: Path) -> None:
    with folder_draft(folder / "model"):
        pass


def test_a_holder_whose_lock_was_removed_writes_nothing(lock: Path) -> None:
    with sole_writer(lock):
        lock.unlink()
        with pytest.raises(LostError, match="file of the lock was removed"):
            write_json(lock.with_name("run.json"), "late")
    assert not [*lock.parent.iterdir()]


def test_a_beat_never_changes_the_file_of_another_holder(lock: Path) -> None:
    with sole_writer(lock):
        paused = pause(lock)
        leave(lock, "b" * 16)
        content = lock.read_bytes()
        paused._change()
        assert lock.read_bytes() == content


def test_a_lock_keeps_its_kind(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two shells may have different values of the variable."""
    with held_elsewhere(lock):
        monkeypatch.setenv("LSTM_SENTIMENT_LOCKS", "flock")
        time.sleep(PATIENCE)
        with pytest.raises(HeldError), sole_writer(lock):
            never()
    with held_elsewhere(lock):
        monkeypatch.setenv("LSTM_SENTIMENT_LOCKS", "heartbeat")
        monkeypatch.setattr(heartbeats, "INTERVAL", BEAT)
        assert is_held(lock)
        time.sleep(PATIENCE)
        with pytest.raises(HeldError), sole_writer(lock):
            never()


def test_an_empty_file_of_a_killed_holder_is_taken_over(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeats, "INTERVAL", BEAT)
    for content in (b"", b"\xff{", b"[]", b'{"token": "../a", "process": "", "interval": 1}'):
        lock.write_bytes(content)
        with sole_writer(lock, lambda: None):
            pass
        assert not [*lock.parent.iterdir()]


def test_locks_without_beats_are_used_on_local_disks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LSTM_SENTIMENT_LOCKS")
    for shared, kind in ((True, "heartbeat"), (False, "flock")):
        monkeypatch.setattr(locks, "is_on_network", lambda _, shared=shared: shared)
        assert kind_of_locks(tmp_path) == kind


@pytest.mark.parametrize(
    ("name", "value"),
    [("LOCKS", "nfs"), ("HEARTBEAT", "0"), ("HEARTBEAT", "fast"), ("HEARTBEAT", "1e9")],
)
def test_invalid_variables_are_refused(
    name: str, value: str, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"LSTM_SENTIMENT_{name}", value)
    with (
        pytest.raises(InputError, match=f"LSTM_SENTIMENT_{name} must be .*got {value}"),
        sole_writer(lock),
    ):
        never()
    assert not [*lock.parent.iterdir()]


def test_drafts_of_others_are_removed_after_a_day_and_below_an_own_lock_at_once(
    tmp_path: Path,
) -> None:
    names = [f".draft-{digit * 16}" for digit in "0123"]
    paths: list[Any] = [tmp_path / name for name in names]
    for folder in (paths[2], paths[3]):
        folder.mkdir()
        (folder / "file").touch()
    paths[0].touch()
    paths[1].touch()
    old = (time.time() - 100_000,) * 2
    os.utime(paths[1], old)
    for part in (paths[3], paths[3] / "file", paths[2]):  # a file in paths[2] was just written
        os.utime(part, old)
    write_json(tmp_path / "file", 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [names[0], names[2], "file"]
    remove_drafts(tmp_path, is_locked=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
