"""Files that are whole or not there, and locks that other processes hold."""

import errno
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from threading import Timer

import pytest
from processes import bound_by_permissions, disk_full

from lstm_sentiment import files
from lstm_sentiment.files import (
    HeldError,
    is_held,
    remove_drafts,
    sole_writer,
    write_atomically,
    written_atomically,
)

spawn = multiprocessing.get_context("spawn")
PROCESSES, TIMES = 4, 50


def never() -> None:
    raise AssertionError("the lock was held")


def hold(lock: Path, test: Connection) -> None:
    with sole_writer(lock):
        test.send("held")
        test.poll(None)  # until the test sends something or closes its end


@contextmanager
def held_elsewhere(lock: Path) -> Iterator[tuple[SpawnProcess, Connection]]:
    """Another process holds the lock, until it is killed or something is sent to it."""
    here, there = spawn.Pipe()
    process = spawn.Process(target=hold, args=(lock, there))
    process.start()
    there.close()
    with here:
        assert here.recv() == "held"
        yield process, here
    process.join(60)


def inode(path: Path) -> int:
    return path.stat().st_ino


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    for content in (b"old", b"", bytes(range(256)) * 1000):
        write_atomically(path, content, durable)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("durable", [True, False])
def test_what_cannot_be_written_leaves_the_old_file_whole(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with disk_full(), pytest.raises(OSError, match="File too large"):
        write_atomically(path, bytes(10_000), durable)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_the_disk_does_not_take_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    path = tmp_path / "file"
    write_atomically(path, b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_durable_file_is_on_the_disk_before_its_name_and_then_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    synced: list[tuple[int, bytes]] = []
    monkeypatch.setattr(
        os, "fsync", lambda number: synced.append((os.fstat(number).st_ino, path.read_bytes()))
    )
    write_atomically(path, b"new")
    assert synced == [(inode(path), b"old"), (inode(tmp_path), b"new")]
    synced.clear()
    write_atomically(path, b"newer", durable=False)
    assert synced == []


def test_a_folder_is_replaced_when_all_of_it_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for names in (["a", "b"], ["b", "c"]):
        before = sorted(folder.iterdir()) if folder.exists() else None
        with written_atomically(folder) as draft:
            for name in names:
                (draft / name).write_text(name * 3)
            assert (sorted(folder.iterdir()) if folder.exists() else None) == before
        assert {file.name: file.read_text() for file in folder.iterdir()} == {
            name: name * 3 for name in names
        }
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_is_on_the_disk_before_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    synced: list[tuple[int, bool]] = []
    monkeypatch.setattr(
        os, "fsync", lambda number: synced.append((os.fstat(number).st_ino, folder.exists()))
    )
    with written_atomically(folder) as draft:
        (draft / "a").touch()
        (draft / "b").touch()
    assert set(synced[:2]) == {(inode(file), False) for file in folder.iterdir()}
    assert synced[2:] == [(inode(folder), False), (inode(tmp_path), True)]


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_cannot_be_written_stays_as_it_was(tmp_path: Path, there: bool) -> None:
    def begin() -> None:
        with written_atomically(folder) as draft:
            (draft / "new").touch()
            raise KeyboardInterrupt

    folder = tmp_path / "folder"
    if there:
        folder.mkdir()
        (folder / "old").touch()
    with pytest.raises(KeyboardInterrupt):
        begin()
    assert sorted(tmp_path.rglob("*")) == ([folder, folder / "old"] if there else [])


def test_the_draft_of_a_killed_process_does_not_disturb(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with written_atomically(folder) as draft:
        (draft / "old").touch()
    (draft / "deep").mkdir(parents=True)
    (draft / "deep" / "stale").touch()
    with written_atomically(folder) as draft:
        (draft / "new").touch()
    assert sorted(tmp_path.rglob("*")) == [folder, folder / "new"]


def test_drafts_are_removed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [tmp_path / "run.json", tmp_path / "draft-1", tmp_path / "a"]
    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", lambda *_: None)
        killed.setattr(Path, "unlink", lambda *_, **__: None)
        for path in whole:
            write_atomically(path, b"cut sho")
    for path in whole:
        path.touch()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".draft-of-another").touch()  # a folder below has a writer of its own
    assert len(list(tmp_path.glob("*"))) == 2 * len(whole) + 1
    remove_drafts(tmp_path)
    assert sorted(tmp_path.rglob("*")) == sorted(
        [*whole, tmp_path / "deep", tmp_path / "deep" / ".draft-of-another"]
    )


def test_a_lock_is_there_while_it_is_held(tmp_path: Path) -> None:
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


def test_what_another_process_holds_is_refused_or_waited_for(tmp_path: Path) -> None:
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


def test_a_lock_dies_with_its_owner(tmp_path: Path) -> None:
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


def test_one_who_waits_takes_over_from_one_who_is_killed(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with held_elsewhere(lock) as (process, _), sole_writer(lock, process.kill):
        assert is_held(lock)


def test_who_holds_it_for_an_instant_is_no_other_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PATIENCE", 60)
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


def test_a_lock_that_may_only_be_read_tells_whether_it_is_held(tmp_path: Path) -> None:
    def seen() -> bool:
        here, there = spawn.Pipe()
        process = spawn.Process(target=look, args=(lock, there))
        process.start()
        there.close()
        with here:
            return bool(here.recv())

    lock = tmp_path / ".lock"
    with held_elsewhere(lock):
        lock.chmod(0o444)
        assert seen()
    lock.touch(mode=0o444)
    assert not seen()


def count(counter: Path, test: Connection) -> None:
    # They ask so often that one of them comes at every moment of another's release.
    files.FileLock = partial(files.FileLock, poll_interval=1e-4)  # type: ignore[assignment,misc]
    files.PATIENCE = 60
    test.send("ready")
    test.recv()
    for _ in range(TIMES):
        with sole_writer(counter.with_name(".lock")):
            number = int(counter.read_text())
            time.sleep(1e-4)
            counter.write_text(str(number + 1))


def test_of_many_writers_none_disturbs_another(tmp_path: Path) -> None:
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
