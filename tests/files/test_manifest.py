"""The manifest of a folder: only files that the program wrote are replaced or removed."""

import json
from pathlib import Path

import pytest

from lstm_sentiment.errors import InputError
from lstm_sentiment.files import manifest as module
from lstm_sentiment.files.manifest import MANIFEST, Manifest


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


def test_own_files_are_replaced_and_removed(tmp_path: Path) -> None:
    first = {"report.html": b"1", "figures/a.svg": b"2", "figures/b.svg": b"3"}
    second = {"report.html": b"4", "figures/b.svg": b"3", "runs.csv": b"5"}
    (tmp_path / "notes.txt").write_bytes(b"mine")
    for files in (first, second):
        Manifest(tmp_path).replace_all(files)
        assert content(tmp_path) == {"notes.txt": b"mine", **files}


@pytest.mark.parametrize("with_manifest", [True, False])
def test_a_foreign_file_is_neither_replaced_nor_removed(
    tmp_path: Path, with_manifest: bool
) -> None:
    if with_manifest:
        Manifest(tmp_path).replace_all({"a": b"ours", "b": b"ours"})
    (tmp_path / "a").write_bytes(b"mine")
    (tmp_path / "b").write_bytes(b"ours")
    before = content(tmp_path)
    with pytest.raises(InputError, match="/a was not written by lstm-sentiment, or was changed"):
        Manifest(tmp_path).replace_all({"c": b"new", "a": b"new"})
    assert content(tmp_path) == before
    Manifest(tmp_path).replace_all({"c": b"new"})
    assert content(tmp_path) == {"a": b"mine", "c": b"new"} | (
        {} if with_manifest else {"b": b"ours"}
    )


def test_a_link_is_not_an_own_file(tmp_path: Path) -> None:
    Manifest(tmp_path).replace_all({"a": b"ours"})
    (tmp_path / "elsewhere").write_bytes(b"ours")
    for target in ("elsewhere", "nowhere"):
        (tmp_path / "a").unlink()
        (tmp_path / "a").symlink_to(target)
        with pytest.raises(InputError, match="/a was not written"):
            Manifest(tmp_path).replace_all({"a": b"new"})
    assert (tmp_path / "elsewhere").read_bytes() == b"ours"


def test_a_killed_command_leaves_files_that_the_next_one_owns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    names = [f"file{number}" for number in range(4)]
    original = module.write_atomically
    for survivors in range(len(names)):
        left = survivors

        def write(*arguments: object, **options: object) -> None:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            original(*arguments, **options)  # type: ignore[arg-type]

        files = {name: f"{name} {survivors}".encode() for name in names}
        with monkeypatch.context() as patch:
            patch.setattr(module, "write_atomically", write)
            with pytest.raises(Killed):
                Manifest(tmp_path).replace_all(files)
    Manifest(tmp_path).replace_all({"file0": b"new"})
    assert content(tmp_path) == {"file0": b"new"}


@pytest.mark.parametrize(
    "name", ["../victim", "/{victim}", "", ".", "a/../../victim", "a\0b", "\ud800", "n" * 300]
)
def test_a_manifest_cannot_name_files_elsewhere(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"ours")
    folder = tmp_path / "folder"
    folder.mkdir()
    Manifest(tmp_path).replace_all({"other": b"ours"})
    digests = json.loads((tmp_path / MANIFEST).read_bytes())["files"]["other"]
    name = str(victim) if name == "/{victim}" else name
    (folder / MANIFEST).write_text(json.dumps({"files": {name: digests}}))
    Manifest(folder).replace_all({"a": b"new"})
    assert victim.read_bytes() == b"ours"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": []}', '{"files": {"a": 3}}', "{"])
def test_a_damaged_manifest_owns_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(InputError, match="/a was not written"):
        Manifest(tmp_path).replace_all({"a": b"new"})


def test_files_of_an_older_version_are_adopted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"ours")
    manifest = Manifest(tmp_path)
    manifest.adopt(["a", "missing"])
    manifest.replace_all({"a": b"new"})
    assert content(tmp_path) == {"a": b"new"}
