"""The cache when something fails: what is left behind, and what is tried again."""

import errno
import threading
import time
from pathlib import Path

import pytest

from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.errors import InputError, RunError
from lstm_sentiment.files.locks import LOCK_TIMEOUT
from lstm_sentiment.files.writing import folder_draft
from tests.support.caches import Maker, assert_intact, entry
from tests.support.displays import RecordingDisplay


@pytest.fixture
def cache() -> DataCache:
    return DataCache()


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


# Failures


ERRORS: list[BaseException] = [
    InputError("films.csv: row 3: the text is missing."),
    OSError(errno.ENOSPC, "No space left on device"),
    KeyboardInterrupt(),
    AssertionError("a defect"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_failed_entry_leaves_nothing(
    cache: DataCache, tmp_path: Path, error: BaseException
) -> None:
    expected = InputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        entry(cache, tmp_path / "not" / "there", Maker(error))
    assert list(tmp_path.iterdir()) == []
    folder = entry(cache, tmp_path / "not" / "there", Maker(), "another")
    assert_intact(folder)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_failed_entry_leaves_other_entries_unchanged(
    cache: DataCache, tmp_path: Path, error: BaseException
) -> None:
    entry(cache, tmp_path, Maker(), "mine")
    before = times(tmp_path)

    def make(folder: Path) -> None:
        (folder / "words").write_bytes(b"some")
        raise error

    with pytest.raises((InputError, type(error))):
        entry(cache, tmp_path, make)
    assert times(tmp_path) == before


def test_an_entry_of_another_process_in_a_new_folder_stays(
    cache: DataCache, tmp_path: Path
) -> None:
    def make(folder: Path) -> None:
        entry(DataCache(), folder.parent, Maker(), "others")  # in the meantime
        raise InputError("films.csv: cannot be read.")

    with pytest.raises(InputError, match="cannot be read"):
        entry(cache, tmp_path / "a" / "b", make)
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["others"]
    assert_intact(tmp_path / "a" / "b" / "others")


def test_a_cache_that_cannot_be_written_is_refused(cache: DataCache, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    root, make = tmp_path / "file" / "cache", Maker()
    with pytest.raises(InputError) as raised:
        entry(cache, root, make)
    assert str(raised.value) == (
        f"data.cache={root} cannot be written (Not a directory): give a writable folder."
    )
    assert make.calls == 0


# Refusals


def test_a_refused_input_is_refused_at_once_within_a_command(tmp_path: Path) -> None:
    make, cache = Maker(InputError("films.csv: row 3: the text is missing.")), DataCache()
    for _ in range(3):
        with pytest.raises(InputError, match="row 3: the text is missing"):
            entry(cache, tmp_path / "cache", make)
    assert make.calls == 1
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError):
        entry(cache, tmp_path / "cache", make, "another")
    assert make.calls == 2
    with pytest.raises(InputError):
        entry(DataCache(), tmp_path / "cache", make)  # the next command
    assert make.calls == 3


def test_refusals_are_remembered_by_key_and_results_are_not() -> None:
    def refuse() -> int:
        raise InputError("no such data set.")

    def interrupt() -> int:
        raise KeyboardInterrupt

    cache = DataCache()
    with pytest.raises(InputError, match="no such data set"):
        cache.unless_refused(("books", None), refuse)
    with pytest.raises(InputError, match="no such data set"):
        cache.unless_refused(("books", None), lambda: 1)
    assert cache.unless_refused(("books", "large"), lambda: 2) == 2
    with pytest.raises(KeyboardInterrupt):
        cache.unless_refused("films", interrupt)
    assert cache.unless_refused("films", lambda: 3) == 3
    assert cache.unless_refused("films", lambda: 4) == 4
    assert DataCache().unless_refused(("books", None), lambda: 5) == 5


def test_after_a_full_disk_the_next_command_tries_again(tmp_path: Path) -> None:
    make = Maker(OSError(errno.ENOSPC, "No space left on device"))
    sentence = r"^data\.cache=.*cache cannot be written \(No space left on device\): "
    with pytest.raises(InputError, match=sentence):
        entry(DataCache(), tmp_path / "cache", make)
    make.error = None
    assert_intact(entry(DataCache(), tmp_path / "cache", make))


def test_a_refused_entry_is_used_once_another_process_has_made_it(
    cache: DataCache, tmp_path: Path
) -> None:
    make = Maker(InputError("films.csv: cannot be read."))
    with pytest.raises(InputError):
        entry(cache, tmp_path / "one", make)
    entry(DataCache(), tmp_path / "two", Maker()).parent.rename(tmp_path / "one")
    assert_intact(entry(cache, tmp_path / "one", make))
    assert make.calls == 1


# Other processes


def test_a_waiting_process_uses_the_entry_of_the_other(tmp_path: Path) -> None:
    begun, make, display = threading.Event(), Maker(), RecordingDisplay()

    def make_slowly(folder: Path) -> None:
        begun.set()
        time.sleep(2 * LOCK_TIMEOUT)
        Maker()(folder)

    # Locks belong to open files, so that a thread can stand for a process.
    other = threading.Thread(target=entry, args=(DataCache(), tmp_path, make_slowly))
    other.start()
    begun.wait()
    assert_intact(entry(DataCache(display), tmp_path, make))
    other.join()
    assert make.calls == 0
    assert display.messages == ["Another process is preparing films: waiting for it."]


def test_drafts_of_killed_processes_are_removed_and_others_stay(
    cache: DataCache, tmp_path: Path
) -> None:
    for name in ("0123456789abcdef", "vectors-0123456789abcdef"):  # the second of an old version
        (tmp_path / f".draft-{name}").mkdir()
        (tmp_path / f".draft-{name}" / "words").touch()
    with folder_draft(tmp_path / "alive") as draft:
        folder = entry(cache, tmp_path, Maker())
        assert_intact(folder)
        assert set(tmp_path.iterdir()) == {folder, draft}


@pytest.mark.parametrize("kind", ["file of another", "link", "file"])
def test_what_is_not_an_entry_is_not_replaced(cache: DataCache, tmp_path: Path, kind: str) -> None:
    place, elsewhere = tmp_path / "cache" / "key", tmp_path / "elsewhere"
    if kind == "link":
        entry(cache, tmp_path, Maker(), "elsewhere")
        place.parent.mkdir()
        place.symlink_to(elsewhere)
    elif kind == "file":
        place.parent.mkdir()
        place.write_text("mine")
    else:
        entry(cache, place.parent, Maker())
        (place / "thesis.txt").write_text("mine")
        (place / "checksums.json").write_text("{}")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="is not an entry of the cache"):
        entry(DataCache(), place.parent, Maker())
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


# The end of a command


def command(error: BaseException, root: Path, *keys: str) -> None:
    """Use these entries in a command, then fail."""
    with DataCache() as cache:
        for key in keys:
            entry(cache, root, Maker(), key)
        raise error


@pytest.mark.parametrize("error", [InputError("no such device."), OSError("the disk is full")])
def test_a_failed_command_deletes_the_entries_that_it_created(
    tmp_path: Path, error: Exception
) -> None:
    with pytest.raises(type(error)):
        command(error, tmp_path / "not" / "yet", "first", "second")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_command_keeps_the_entries_of_others(tmp_path: Path) -> None:
    entry(DataCache(), tmp_path / "new", Maker(), "earlier")
    with pytest.raises(InputError):
        command(InputError("no such device."), tmp_path / "new", "new", "earlier")
    assert [folder.name for folder in (tmp_path / "new").iterdir()] == ["earlier"]


def test_a_failed_command_keeps_a_new_folder_that_another_process_uses(tmp_path: Path) -> None:
    cache, root = DataCache(), tmp_path / "not" / "yet"
    entry(cache, root, Maker(), "mine")
    entry(DataCache(), root, Maker(), "others")
    cache.discard_new_entries()
    assert [folder.name for folder in root.iterdir()] == ["others"]


@pytest.mark.parametrize("error", [RunError("out of memory"), KeyboardInterrupt()], ids=repr)
def test_a_failed_or_interrupted_run_keeps_its_entries(
    tmp_path: Path, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        command(error, tmp_path, "key")
    assert_intact(tmp_path / "key")


def test_entries_can_be_discarded_before_the_end(cache: DataCache, tmp_path: Path) -> None:
    root = tmp_path / "not" / "yet"
    entry(cache, root, Maker(), "first")
    cache.discard_new_entries()
    assert list(tmp_path.iterdir()) == []
    entry(cache, root, Maker(), "second")
    with DataCache() as next_command:
        entry(next_command, root, Maker(), "third")
        next_command.discard_new_entries()
    assert [folder.name for folder in root.iterdir()] == ["second"]
