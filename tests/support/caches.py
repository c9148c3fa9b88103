"""A cache entry with a fixed content, and a function that counts how often it makes it."""

from collections.abc import Callable
from pathlib import Path

from lstm_sentiment.data.cache import CHECKSUMS, DataCache

CONTENT = {"words": b"good bad", "numbers": bytes(range(100))}


class Maker:
    """Writes `CONTENT`, counts its calls, and then raises an exception if it has one."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.calls, self.error = 0, error

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        for name, content in CONTENT.items():
            (folder / name).write_bytes(content)
        if self.error is not None:
            raise self.error


def entry(cache: DataCache, root: Path, make: Callable[[Path], None], key: str = "key") -> Path:
    return cache.entry(root, key, tuple(CONTENT), "films", make)


def assert_intact(folder: Path) -> None:
    assert sorted(file.name for file in folder.iterdir()) == sorted([*CONTENT, CHECKSUMS])
    for name, content in CONTENT.items():
        assert (folder / name).read_bytes() == content
