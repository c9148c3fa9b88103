"""Services that the tests of this folder share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lstm_sentiment.labels import Classes
from lstm_sentiment.serving.http import server
from tests.support.networks import saved
from tests.support.project import tiny_config
from tests.support.service import RunningService, serving

STARS = Classes(("1", "2", "3"))


@pytest.fixture(autouse=True, scope="session")
def _fast_shutdown() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "LAST_CALL", 0)
        yield


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory, cache: str) -> list[Path]:
    """Return the folders of two networks, `binary` and `stars`, which has three classes."""
    root = tmp_path_factory.mktemp("models")
    config = tiny_config(cache, str(root))
    return [saved(root / "binary", config), saved(root / "stars", config, STARS)]


@pytest.fixture(scope="module")
def service(folders: list[Path]) -> Iterator[RunningService]:
    """Return a service of both networks with the usual settings."""
    with serving(*folders) as running:
        yield running
