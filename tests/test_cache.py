import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lstm_sentiment.data import cache as module
from lstm_sentiment.data.cache import (
    CHECKSUMS,
    begin_command,
    cache_key,
    cached,
    refused_once,
)
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import PATIENCE

CONTENT = {"words": b"good bad", "numbers": bytes(range(100))}


class Maker:
    """Writes `CONTENT`, and counts how often it was asked to."""

    def __init__(self, raising: BaseException | None = None) -> None:
        self.calls, self.raising = 0, raising

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        for name, content in CONTENT.items():
            (folder / name).write_bytes(content)
        if self.raising is not None:
            raise self.raising


def ask(cache: Path, make: Callable[[Path], None], key: str = "key") -> Path:
    return cached(cache, key, tuple(CONTENT), "films", make)


def assert_whole(folder: Path) -> None:
    assert sorted(file.name for file in folder.iterdir()) == sorted([*CONTENT, CHECKSUMS])
    for name, content in CONTENT.items():
        assert (folder / name).read_bytes() == content


@pytest.fixture
def sums(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders whose checksums are computed, one entry each time."""
    computed: list[Path] = []
    real = module._checksums

    def counted(folder: Path, files: tuple[str, ...]) -> dict[str, str]:
        computed.append(folder)
        return real(folder, files)

    monkeypatch.setattr(module, "_checksums", counted)
    return computed


def test_what_is_kept_is_made_once_and_stands_under_its_key(tmp_path: Path) -> None:
    make = Maker()
    folders = [ask(tmp_path / "not" / "there", make) for _ in range(3)]
    assert folders == [tmp_path / "not" / "there" / "key"] * 3
    assert make.calls == 1
    assert_whole(folders[0])
    assert list(folders[0].parent.iterdir()) == folders[:1]  # neither lock nor draft


def test_keys_do_not_share_a_folder(tmp_path: Path) -> None:
    make = Maker()
    one, other = ask(tmp_path, make, "one"), ask(tmp_path, make, "other")
    assert one != other
    assert make.calls == 2
    assert ask(tmp_path, make, "one") == one
    assert make.calls == 2


def test_a_key_depends_on_every_part_and_on_where_it_ends() -> None:
    keys = [cache_key(*parts) for parts in [("a", "b"), ("ab",), ("a", "b", ""), ("b", "a")]]
    assert len(set(keys)) == 4
    assert cache_key("a", "b") == keys[0]
    assert all(key.isalnum() and len(key) == 16 for key in keys)


@pytest.mark.parametrize("file", [*CONTENT, CHECKSUMS])
@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.unlink(),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
        lambda file: file.write_bytes(file.read_bytes() + b" more"),
        lambda file: file.write_bytes(bytes(file.stat().st_size)),
        lambda file: (file.unlink(), file.mkdir()),
    ],
    ids=["gone", "empty", "cut", "longer", "zeros", "folder"],
)
@pytest.mark.parametrize("verified", [False, True], ids=["fresh", "verified"])
def test_every_damage_is_noticed_and_said(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    file: str,
    damage: Callable[[Path], object],
    verified: bool,
) -> None:
    make = Maker()
    folder = ask(tmp_path, make)
    if verified:
        ask(tmp_path, make)
    damage(folder / file)
    if (folder / file).exists():
        os.utime(folder / file, (1, 1))  # another time, however coarse the clock of the files
    ask(tmp_path, make)
    assert make.calls == 2
    assert_whole(folder)
    assert "The cache of films is damaged and is made again." in capsys.readouterr().out
    ask(tmp_path, make)
    assert make.calls == 2
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_that_is_not_there_is_not_called_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(tmp_path, Maker())
    assert capsys.readouterr().out == ""


def test_checksums_are_read_once_as_long_as_sizes_and_times_stay(
    tmp_path: Path, sums: list[Path]
) -> None:
    make = Maker()
    folder = ask(tmp_path, make)
    del sums[:]
    for _ in range(3):
        ask(tmp_path, make)
    assert sums == [folder]


@pytest.mark.parametrize("file", list(CONTENT))
def test_another_time_of_a_file_makes_its_checksum_be_read_again(
    tmp_path: Path, sums: list[Path], file: str
) -> None:
    make = Maker()
    folder = ask(tmp_path, make)
    ask(tmp_path, make)
    del sums[:]
    os.utime(folder / file, (1, 1))
    ask(tmp_path, make)
    ask(tmp_path, make)
    assert sums == [folder]
    assert make.calls == 1  # its content is as it was


def test_another_size_is_noticed_even_with_the_time_of_before(tmp_path: Path) -> None:
    make = Maker()
    folder = ask(tmp_path, make)
    ask(tmp_path, make)
    then = (folder / "words").stat().st_mtime_ns
    (folder / "words").write_bytes(CONTENT["words"][:-1])
    os.utime(folder / "words", ns=(then, then))
    ask(tmp_path, make)
    assert make.calls == 2
    assert_whole(folder)


def test_a_bit_that_flips_is_noticed_by_the_next_process(tmp_path: Path) -> None:
    make = Maker()
    folder = ask(tmp_path, make)
    ask(tmp_path, make)
    file = folder / "numbers"
    then, content = file.stat().st_mtime_ns, file.read_bytes()
    file.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    os.utime(file, ns=(then, then))  # size and time are as before
    ask(tmp_path, make)
    assert make.calls == 1
    module._verified.cache_clear()  # as in another process
    ask(tmp_path, make)
    assert make.calls == 2
    assert_whole(folder)


REASONS: list[BaseException] = [
    InputError("films.csv: row 3: the text is missing."),
    OSError(errno.ENOSPC, "No space left on device"),
    KeyboardInterrupt(),
    AssertionError("a defect"),
]


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: type(reason).__name__)
def test_what_fails_leaves_nothing(tmp_path: Path, reason: BaseException) -> None:
    expected = InputError if isinstance(reason, OSError) else type(reason)
    with pytest.raises(expected):
        ask(tmp_path / "not" / "there", Maker(reason))
    assert list(tmp_path.iterdir()) == []
    folder = ask(tmp_path / "not" / "there", Maker(), "another")
    assert_whole(folder)


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: type(reason).__name__)
def test_what_fails_leaves_what_others_have_in_the_cache(
    tmp_path: Path, reason: BaseException
) -> None:
    ask(tmp_path, Maker(), "mine")
    before = {path: path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))}

    def make(folder: Path) -> None:
        (folder / "words").write_bytes(b"some")
        raise reason

    with pytest.raises((InputError, type(reason))):
        ask(tmp_path, make)
    assert {path: path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))} == before


def test_what_another_process_put_into_the_new_folder_stays(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        ask(folder.parent, Maker(), "others")  # meanwhile
        raise InputError("it cannot be read.")

    with pytest.raises(InputError, match="it cannot be read"):
        ask(tmp_path / "a" / "b", make)
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["others"]
    assert_whole(tmp_path / "a" / "b" / "others")


def test_what_failed_with_the_input_is_raised_again_at_once(tmp_path: Path) -> None:
    make = Maker(InputError("films.csv: row 3: the text is missing."))
    for _ in range(3):
        with pytest.raises(InputError, match="row 3: the text is missing"):
            ask(tmp_path / "cache", make)
    assert make.calls == 1
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError):
        ask(tmp_path / "cache", make, "another")
    assert make.calls == 2
    begin_command()
    with pytest.raises(InputError):
        ask(tmp_path / "cache", make)
    assert make.calls == 3


def test_only_what_was_refused_is_refused_again() -> None:
    def refuse() -> int:
        raise InputError("no such data set.")

    def interrupt() -> int:
        raise KeyboardInterrupt

    with pytest.raises(InputError, match="no such data set"):
        refused_once(("books", None), refuse)
    with pytest.raises(InputError, match="no such data set"):
        refused_once(("books", None), lambda: 1)
    assert refused_once(("books", "large"), lambda: 2) == 2
    with pytest.raises(KeyboardInterrupt):
        refused_once("films", interrupt)
    assert refused_once("films", lambda: 3) == 3
    assert refused_once("films", lambda: 4) == 4  # what was made is not kept
    begin_command()
    assert refused_once(("books", None), lambda: 5) == 5


def test_what_failed_for_lack_of_space_is_tried_again_by_the_next_command(tmp_path: Path) -> None:
    make = Maker(OSError(errno.ENOSPC, "No space left on device"))
    sentence = r"^data\.cache=.*cache cannot be written \(No space left on device\): give a folder"
    with pytest.raises(InputError, match=sentence):
        ask(tmp_path / "cache", make)
    make.raising = None
    begin_command()
    assert_whole(ask(tmp_path / "cache", make))


def test_what_another_process_made_after_all_is_taken(tmp_path: Path) -> None:
    make = Maker(InputError("it cannot be read."))
    with pytest.raises(InputError):
        ask(tmp_path / "one", make)
    ask(tmp_path / "two", Maker()).parent.rename(tmp_path / "one")
    assert_whole(ask(tmp_path / "one", make))
    assert make.calls == 1


def test_who_waits_for_another_takes_what_that_one_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun, make = threading.Event(), Maker()

    def slowly(folder: Path) -> None:
        begun.set()
        time.sleep(2 * PATIENCE)
        Maker()(folder)

    # Locks are by open file, so that a thread stands for a process.
    other = threading.Thread(target=ask, args=(tmp_path, slowly))
    other.start()
    begun.wait()
    assert_whole(ask(tmp_path, make))
    other.join()
    assert make.calls == 0
    out = capsys.readouterr().out
    assert out == "Another process makes the cache of films: waiting for it.\n"


def test_damaged_files_that_cannot_be_made_again_stay(tmp_path: Path) -> None:
    folder = ask(tmp_path, Maker())
    (folder / "words").write_bytes(b"half")
    with pytest.raises(InputError):
        ask(tmp_path, Maker(InputError("it cannot be read.")))
    assert list(tmp_path.iterdir()) == [folder]
    assert (folder / "words").read_bytes() == b"half"


def test_a_draft_of_a_process_that_was_killed_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".draft-key").mkdir()
    (tmp_path / ".draft-key" / "old").touch()
    folder = ask(tmp_path, Maker())
    assert_whole(folder)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ask(Path("~/cache"), Maker()) == tmp_path / "cache" / "key"


def test_a_cache_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache, make = tmp_path / "file" / "cache", Maker()
    with pytest.raises(InputError, match=r"cannot be written \(Not a directory\): give a") as error:
        ask(cache, make)
    assert f"data.cache={cache} " in str(error.value)
    assert make.calls == 0


def test_where_nothing_comes_of_a_command_its_cache_goes_too(tmp_path: Path) -> None:
    cache = tmp_path / "not" / "yet"
    module.begin_command()
    cached(cache, "first", ["file"], "first", lambda folder: write_file(folder))
    module.leave_nothing()
    assert list(tmp_path.iterdir()) == []
    cached(cache, "kept", ["file"], "kept", lambda folder: write_file(folder))
    module.begin_command()
    cached(cache, "new", ["file"], "new", lambda folder: write_file(folder))
    module.leave_nothing()
    assert [folder.name for folder in cache.iterdir()] == ["kept"]


def write_file(folder: Path) -> None:
    (folder / "file").write_text("content")
