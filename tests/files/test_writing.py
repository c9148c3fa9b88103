"""Files and folders that are either complete or absent, and drafts of killed processes."""

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from lstm_sentiment.files.writing import (
    file_draft,
    folder_draft,
    remove_drafts,
    write_atomically,
)
from tests.support.processes import disk_full


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


def leave_draft(folder: Path, name: str = ".draft-0123456789abcdef") -> Path:
    """Make what a killed process leaves: a draft that no process holds."""
    (folder / name).write_bytes(b"cut sho")
    return folder / name


def test_the_drafts_of_killed_processes_are_removed_by_the_next_write(tmp_path: Path) -> None:
    leave_draft(tmp_path)
    leave_draft(tmp_path, ".draft-run.json-4711")  # of an older version
    (tmp_path / ".draft-fedcba9876543210").mkdir()
    leave_draft(tmp_path / ".draft-fedcba9876543210", "deep")
    mine = [leave_draft(tmp_path, name) for name in (".draft-chapter-2", ".draft-of-my-letter")]
    write_atomically(tmp_path / "file", b"new")
    assert sorted(tmp_path.iterdir()) == [*mine, tmp_path / "file"]


def test_the_draft_of_a_living_process_is_kept(tmp_path: Path) -> None:
    for context in (file_draft, folder_draft):
        with context(tmp_path / "a") as draft:
            write_atomically(tmp_path / "b", b"another")
            remove_drafts(tmp_path)
            assert draft.exists()
            if draft.is_dir():
                (draft / "content").touch()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
        if (tmp_path / "a").is_file():
            (tmp_path / "a").unlink()


def test_drafts_can_be_locked_on_nfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS locks a file exclusively only if it is open for writing (flock(2))."""
    flock = fcntl.flock

    def flock_of_nfs(descriptor: int, kind: int) -> None:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        access = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
        if is_file and kind & fcntl.LOCK_EX and access == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", flock_of_nfs)
    leave_draft(tmp_path).chmod(0o444)
    with file_draft(tmp_path / "a") as draft:
        draft.write_bytes(b"new")
        write_atomically(tmp_path / "b", b"another")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_without_locks_no_draft_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where the draft may be of a living process."""
    monkeypatch.setattr("lstm_sentiment.files.writing.fcntl", None)
    with folder_draft(tmp_path / "a") as draft:
        (draft / "content").touch()
        write_atomically(tmp_path / "b", b"another")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "content"]


def test_a_link_with_the_name_of_a_draft_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    names = iter(["0" * 16, "1" * 16])
    monkeypatch.setattr("secrets.token_hex", lambda _: next(names))
    (tmp_path / f".draft-{'0' * 16}").symlink_to("victim")
    monkeypatch.setattr("lstm_sentiment.files.writing.remove_drafts", lambda _: None)
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "file", b"new")
    write_atomically(tmp_path / "file", b"new")
    assert victim.read_bytes() == b"mine"


def test_a_draft_that_is_removed_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, drafts = os.close, list[Path]()

    def close(descriptor: int) -> None:
        original(descriptor)
        if not drafts:  # the first draft has just been created
            drafts.extend(tmp_path.glob(".draft-*"))
            remove_drafts(tmp_path)

    monkeypatch.setattr(os, "close", close)
    with file_draft(tmp_path / "file") as draft:
        draft.write_bytes(b"new")
    assert len(drafts) == 1
    assert draft not in drafts
    assert (tmp_path / "file").read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_atomically(tmp_path / "file", b"")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").touch()
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="Input/output error"), folder_draft(folder) as draft:
        (draft / "new").touch()
    assert sorted(tmp_path.rglob("*")) == [folder, folder / "old"]
