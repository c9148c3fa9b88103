"""Files that are either complete or absent, and locks that other processes hold."""

import errno
import os
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Timer

import pytest

from lstm_sentiment import files
from lstm_sentiment.files import (
    HeldError,
    folder_draft,
    is_held,
    remove_drafts,
    sole_writer,
    write_atomically,
)
from tests.support.processes import bound_by_permissions, disk_full, held_elsewhere, spawn

PROCESSES, TIMES = 4, 50


def never() -> None:
    raise AssertionError("the lock was held")


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
def test_a_full_disk_leaves_the_old_file_unchanged(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with disk_full(), pytest.raises(OSError, match="File too large"):
        write_atomically(path, bytes(10_000), durable)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failing_disk_leaves_the_old_file_unchanged(
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


def test_a_durable_file_is_written_to_the_disk_before_its_name(
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


def test_a_folder_is_replaced_once_all_of_it_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for names in (["a", "b"], ["b", "c"]):
        before = sorted(folder.iterdir()) if folder.exists() else None
        with folder_draft(folder) as draft:
            for name in names:
                (draft / name).write_text(name * 3)
            assert (sorted(folder.iterdir()) if folder.exists() else None) == before
        assert {file.name: file.read_text() for file in folder.iterdir()} == {
            name: name * 3 for name in names
        }
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_is_written_to_the_disk_before_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    synced: list[tuple[int, bool]] = []
    monkeypatch.setattr(
        os, "fsync", lambda number: synced.append((os.fstat(number).st_ino, folder.exists()))
    )
    with folder_draft(folder) as draft:
        (draft / "a").touch()
        (draft / "b").touch()
    assert set(synced[:2]) == {(inode(file), False) for file in folder.iterdir()}
    assert synced[2:] == [(inode(folder), False), (inode(tmp_path), True)]


@pytest.mark.parametrize("exists", [True, False])
def test_an_interrupted_write_leaves_the_folder_unchanged(tmp_path: Path, exists: bool) -> None:
    def begin() -> None:
        with folder_draft(folder) as draft:
            (draft / "new").touch()
            raise KeyboardInterrupt

    folder = tmp_path / "folder"
    if exists:
        folder.mkdir()
        (folder / "old").touch()
    with pytest.raises(KeyboardInterrupt):
        begin()
    assert sorted(tmp_path.rglob("*")) == ([folder, folder / "old"] if exists else [])


def test_the_draft_of_a_killed_process_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with folder_draft(folder) as draft:
        (draft / "old").touch()
    (draft / "deep").mkdir(parents=True)
    (draft / "deep" / "stale").touch()
    with folder_draft(folder) as draft:
        (draft / "new").touch()
    assert sorted(tmp_path.rglob("*")) == [folder, folder / "new"]


def test_only_drafts_of_files_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complete = [tmp_path / "run.json", tmp_path / "draft-1", tmp_path / "a"]
    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", lambda *_: None)
        killed.setattr(Path, "unlink", lambda *_, **__: None)
        for path in complete:
            write_atomically(path, b"cut sho")
    for path in complete:
        path.touch()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".draft-of-another").touch()  # that folder has its own writer
    assert len(list(tmp_path.glob("*"))) == 2 * len(complete) + 1
    remove_drafts(tmp_path)
    assert sorted(tmp_path.rglob("*")) == sorted(
        [*complete, tmp_path / "deep", tmp_path / "deep" / ".draft-of-another"]
    )


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
    monkeypatch.setattr(files, "LOCK_TIMEOUT", 60)
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
    files.FileLock = partial(files.FileLock, poll_interval=1e-4)  # type: ignore[assignment,misc]
    files.LOCK_TIMEOUT = 60
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
