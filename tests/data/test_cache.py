"""The entries of the cache: made once, and rebuilt if they are damaged."""

import os
from pathlib import Path

import pytest

from lstm_sentiment.data import cache as module
from lstm_sentiment.data.cache import CHECKSUMS, DataCache, cache_key
from lstm_sentiment.errors import InputError
from tests.support.caches import CONTENT, Maker, assert_intact, entry
from tests.support.damage import damage
from tests.support.displays import RecordingDisplay


@pytest.fixture
def cache() -> DataCache:
    return DataCache()


# Entries


def test_an_entry_is_made_once_below_its_key(cache: DataCache, tmp_path: Path) -> None:
    make = Maker()
    folders = [entry(cache, tmp_path / "not" / "there", make) for _ in range(3)]
    assert folders == [tmp_path / "not" / "there" / "key"] * 3
    assert make.calls == 1
    assert_intact(folders[0])
    assert list(folders[0].parent.iterdir()) == folders[:1]  # neither lock nor draft


def test_a_new_command_uses_the_entries_of_earlier_ones(tmp_path: Path) -> None:
    make = Maker()
    for _ in range(2):
        with DataCache() as cache:
            assert_intact(entry(cache, tmp_path, make))
    assert make.calls == 1


def test_keys_do_not_share_a_folder(cache: DataCache, tmp_path: Path) -> None:
    make = Maker()
    one, other = entry(cache, tmp_path, make, "one"), entry(cache, tmp_path, make, "other")
    assert one != other
    assert make.calls == 2
    assert entry(cache, tmp_path, make, "one") == one
    assert make.calls == 2


def test_a_key_depends_on_every_part_and_its_boundaries() -> None:
    keys = [cache_key(*parts) for parts in [("a", "b"), ("ab",), ("a", "b", ""), ("b", "a")]]
    assert len(set(keys)) == 4
    assert cache_key("a", "b") == keys[0]
    assert all(key.isalnum() and len(key) == 16 for key in keys)


def test_keys_are_pinned() -> None:
    """Another function of the parts would make every existing cache useless."""
    assert cache_key("basic_english-1", "2", "films") == "c4bb00729c37e3b4"


def test_a_tilde_is_the_home_folder(
    cache: DataCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert entry(cache, Path("~/cache"), Maker()) == tmp_path / "cache" / "key"


# Damage


@pytest.mark.parametrize("file", [*CONTENT, CHECKSUMS])
@pytest.mark.parametrize("kind", ["absent", "empty", "cut", "longer", "zeros", "folder"])
@pytest.mark.parametrize("verified", [False, True], ids=["fresh", "verified"])
def test_every_damage_is_noticed_and_reported(
    tmp_path: Path, file: str, kind: str, verified: bool
) -> None:
    make, display = Maker(), RecordingDisplay()
    cache = DataCache(display)
    folder = entry(cache, tmp_path, make)
    if verified:
        entry(cache, tmp_path, make)
    damage(folder / file, kind)
    entry(cache, tmp_path, make)
    assert make.calls == 2
    assert_intact(folder)
    assert display.messages == ["The cache of films is damaged and will be rebuilt."]
    entry(cache, tmp_path, make)
    assert make.calls == 2
    assert list(tmp_path.iterdir()) == [folder]


def test_an_absent_entry_is_not_called_damaged(tmp_path: Path) -> None:
    display = RecordingDisplay()
    entry(DataCache(display), tmp_path, Maker())
    assert display.messages == []


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders whose checksums are computed, one entry for each time."""
    folders: list[Path] = []
    checksums = module._checksums

    def counted(folder: Path, files: tuple[str, ...]) -> dict[str, str]:
        folders.append(folder)
        return checksums(folder, files)

    monkeypatch.setattr(module, "_checksums", counted)
    return folders


def test_checksums_are_computed_once_while_sizes_and_times_stay(
    cache: DataCache, tmp_path: Path, computed: list[Path]
) -> None:
    make = Maker()
    folder = entry(cache, tmp_path, make)
    computed.clear()
    for _ in range(3):
        entry(cache, tmp_path, make)
    assert computed == [folder]


@pytest.mark.parametrize("file", list(CONTENT))
def test_checksums_are_computed_again_if_the_time_of_a_file_changes(
    cache: DataCache, tmp_path: Path, computed: list[Path], file: str
) -> None:
    make = Maker()
    folder = entry(cache, tmp_path, make)
    entry(cache, tmp_path, make)
    computed.clear()
    os.utime(folder / file, (1, 1))
    entry(cache, tmp_path, make)
    entry(cache, tmp_path, make)
    assert computed == [folder]
    assert make.calls == 1  # the content has not changed


def test_another_size_is_noticed_even_if_the_time_stays(cache: DataCache, tmp_path: Path) -> None:
    make = Maker()
    folder = entry(cache, tmp_path, make)
    entry(cache, tmp_path, make)
    before = (folder / "words").stat().st_mtime_ns
    (folder / "words").write_bytes(CONTENT["words"][:-1])
    os.utime(folder / "words", ns=(before, before))
    entry(cache, tmp_path, make)
    assert make.calls == 2
    assert_intact(folder)


def test_a_flipped_bit_is_noticed_by_the_next_process(cache: DataCache, tmp_path: Path) -> None:
    make = Maker()
    folder = entry(cache, tmp_path, make)
    entry(cache, tmp_path, make)
    file = folder / "numbers"
    before, content = file.stat().st_mtime_ns, file.read_bytes()
    file.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    os.utime(file, ns=(before, before))  # neither size nor time changes
    entry(cache, tmp_path, make)
    assert make.calls == 1
    module._verified.cache_clear()  # as in another process
    entry(cache, tmp_path, make)
    assert make.calls == 2
    assert_intact(folder)


def test_a_damaged_entry_stays_if_it_cannot_be_rebuilt(cache: DataCache, tmp_path: Path) -> None:
    folder = entry(cache, tmp_path, Maker())
    (folder / "words").write_bytes(b"half")
    with pytest.raises(InputError):
        entry(cache, tmp_path, Maker(InputError("films.csv: cannot be read.")))
    assert list(tmp_path.iterdir()) == [folder]
    assert (folder / "words").read_bytes() == b"half"
