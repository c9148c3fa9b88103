"""Outputs of commands: only files of this program are replaced, by one command at a time."""

import os
import threading
import time
from pathlib import Path

import pytest

from lstm_sentiment.errors import InputError
from lstm_sentiment.files import locks
from lstm_sentiment.files.locks import output_lock
from lstm_sentiment.files.manifest import MANIFEST
from lstm_sentiment.files.outputs import file_output, folder_output
from lstm_sentiment.runs.model_folder import model_draft

NAMES = frozenset({"model", "config"})


def is_older(folder: Path) -> bool:
    """Return whether a version without manifests wrote the folder."""
    path = folder / "config"
    return path.exists() and path.read_text().startswith("ours")


def put(folder: Path, text: str) -> None:
    """Write a folder of two files."""
    with folder_output(folder, NAMES, is_older) as draft:
        (draft / "config").write_text(f"ours {text}")
        (draft / "model").write_text(text)


def content(folder: Path) -> dict[str, str]:
    """Return the content of all files but manifests, and the targets of links."""
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else path.read_text()
        for path in folder.rglob("*")
        if path.name != MANIFEST and (path.is_symlink() or path.is_file())
    }


def test_a_folder_replaces_an_empty_one_an_own_one_and_an_older_one(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for text in ("1", "2", "3"):
        put(tmp_path / "out", text)
        assert content(tmp_path) == {"out/config": f"ours {text}", "out/model": text}
        if text == "2":
            (tmp_path / "out" / MANIFEST).unlink()  # as an older version wrote it
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


@pytest.mark.parametrize(
    ("name", "with_manifest"),
    # Without digests, a changed model cannot be told from one of an older version.
    [("model", True), *((n, w) for n in ("notes", "config", "deep/a") for w in (True, False))],
)
def test_a_folder_with_anything_else_is_refused(
    tmp_path: Path, name: str, with_manifest: bool
) -> None:
    put(tmp_path / "out", "1")
    file = tmp_path / "out" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    if not with_manifest:
        (tmp_path / "out" / MANIFEST).unlink()
    before = content(tmp_path)
    with pytest.raises(InputError, match=r"out contains \w+, which was not written .* folder\.$"):
        put(tmp_path / "out", "2")
    assert content(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


@pytest.mark.parametrize("name", ["loop", "loop/x", "n" * 300, "n" * 300 + "/x"])
def test_a_folder_that_cannot_exist_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="is a link|cannot be written"):
        put(tmp_path / name, "1")
    with (
        pytest.raises(InputError, match="is a link|cannot be written"),
        model_draft(tmp_path / name),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["loop"]


@pytest.mark.parametrize("is_link", [True, False])
def test_an_older_folder_owns_regular_files_only(tmp_path: Path, is_link: bool) -> None:
    put(tmp_path / "out", "1")
    (tmp_path / "out" / MANIFEST).unlink()
    (tmp_path / "mine").mkdir()
    (tmp_path / "out" / "model").unlink()
    if is_link:
        (tmp_path / "out" / "model").symlink_to(tmp_path / "mine")
    else:
        (tmp_path / "mine").rename(tmp_path / "out" / "model")
    with pytest.raises(InputError, match="out contains model, which was not written"):
        put(tmp_path / "out", "2")
    assert (tmp_path / "out" / "model").is_dir()


def test_a_file_that_appears_while_a_folder_is_written_is_kept(tmp_path: Path) -> None:
    put(tmp_path / "out", "1")
    output = folder_output(tmp_path / "out", NAMES, is_older)
    (output.__enter__() / "config").write_text("ours 2")
    (tmp_path / "out" / "notes").write_text("mine")
    with pytest.raises(InputError, match="out contains notes"):
        output.__exit__(None, None, None)
    assert content(tmp_path)["out/notes"] == "mine"
    assert content(tmp_path)["out/model"] == "1"


def test_links_are_not_followed(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "1")
    (tmp_path / "file.csv").write_text("mine")
    for name, target in (("out", "elsewhere"), ("out.csv", "file.csv"), ("none.csv", "nowhere")):
        (tmp_path / name).symlink_to(target)
    before = content(tmp_path)
    with pytest.raises(InputError, match="out is a link, which is not followed: .* -o"):
        put(tmp_path / "out", "2")
    for name in ("out.csv", "none.csv"):
        for overwrite in (False, True):
            with (
                pytest.raises(InputError, match=f"{name} is a link, which is not followed"),
                file_output(tmp_path / name, overwrite),
            ):
                pytest.fail("the link was accepted")
    assert content(tmp_path) == before


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_only_a_regular_file_is_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out.csv"
    if kind == "device":
        path = Path("/dev/null")
    else:
        os.mkfifo(path) if kind == "fifo" else path.mkdir()
    with (
        pytest.raises(InputError, match=f"{path} is not a regular file: name another one with -o"),
        file_output(path, overwrite=True),
    ):
        pytest.fail("it was accepted")


def test_a_file_is_replaced_only_with_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    for overwrite in (False, True):
        with file_output(path, overwrite) as draft:
            draft.write_text("ours")
    path.write_text("mine")
    sentence = r"out\.csv exists: name another file with -o, or replace it with --overwrite\.$"
    with pytest.raises(InputError, match=sentence), file_output(path):
        pytest.fail("the file was accepted")
    path.unlink()
    output = file_output(path)
    output.__enter__().write_text("ours")
    path.write_text("mine")  # by another program, meanwhile
    with pytest.raises(InputError, match=sentence):
        output.__exit__(None, None, None)
    assert content(tmp_path) == {"out.csv": "mine"}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse an output that is being written after a hundredth of a second."""
    monkeypatch.setattr(locks, "LOCK_TIMEOUT", 0.01)


@pytest.mark.usefixtures("impatient")
def test_an_output_that_is_being_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    for path in (tmp_path / "out", tmp_path / "here" / ".." / "out"):
        with output_lock(tmp_path / "out"):
            for output in (file_output(path), folder_output(path, NAMES, is_older)):
                with pytest.raises(InputError, match="Another command is writing .*out: wait"):
                    output.__enter__()
    assert [item.name for item in tmp_path.iterdir()] == ["here"]


@pytest.mark.usefixtures("impatient")
def test_of_writers_at_once_only_one_writes(tmp_path: Path) -> None:
    """So that none reports success over the content of another one."""
    folder, writing = tmp_path / "out", threading.Lock()
    refusals: list[str] = []

    def write(text: str, barrier: threading.Barrier, succeeded: list[str]) -> None:
        barrier.wait()
        try:
            with folder_output(folder, NAMES, is_older) as draft:
                assert writing.acquire(blocking=False)
                (draft / "config").write_text(f"ours {text}")
                time.sleep(0.001)
                (draft / "model").write_text(text)
                writing.release()
            succeeded.append(text)
        except InputError as error:
            refusals.append(str(error))

    for number in range(15):
        barrier, succeeded = threading.Barrier(2), list[str]()
        names = (f"{number} {writer}" for writer in range(2))
        pair = [threading.Thread(target=write, args=(n, barrier, succeeded)) for n in names]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()
        text = (folder / "model").read_text()
        assert text in succeeded
        assert content(tmp_path) == {"out/config": f"ours {text}", "out/model": text}
    assert all("Another command is writing" in refusal for refusal in refusals)
