"""Options and fixtures of all tests: a shared cache, tiny configurations, `train.py`."""

import gc
import os
import runpy
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NEEDED = ("hypothesis", "lightning", "torch")
if missing := [name for name in NEEDED if find_spec(name) is None]:
    sys.exit(f"The tests need {', '.join(missing)}: make test installs what they need, into .venv.")

os.environ["HF_HUB_OFFLINE"] = "1"  # before datasets is imported: no test may wait for a hub
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # before torch is, as the package does

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

from lstm_sentiment.config import Config
from lstm_sentiment.model.subnormals import are_subnormals_flushed
from tests.support import drawing
from tests.support.model_hub import ModelHub
from tests.support.model_hub import model_hub as stand_in_for_the_hub
from tests.support.project import (
    IMDB,
    ROOT,
    CommandResult,
    MakeConfig,
    RunCommand,
    tiny_config,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "how often tests/training/test_reliability.py kills a sweep (default: 20)"
    parser.addoption("--kills", type=int, default=20, help=text)


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--kills"))


def pytest_configure() -> None:
    # With one thread, sums are the same on every machine; tiny networks gain nothing from more.
    torch.set_num_threads(1)
    # Waiting for the disk takes half of a small run, and matters only if the machine crashes.
    os.fsync = lambda _: None


def pytest_collection_finish() -> None:
    # A collection of garbage would traverse all objects of PyTorch, which takes longer than most
    # tests. Modules imported so far are excluded from Python's own collections; others are not
    # made: statsmodels asks for one at every correction of a p-value, and every run for one.
    gc.freeze()
    gc.collect = lambda *_, **__: 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not (IMDB / "train.parquet").exists():
        absent = pytest.mark.skip(reason=f"no IMDB at {IMDB}: set IMDB_PATH to its Parquet files")
        for item in items:
            if item.get_closest_marker("imdb"):
                item.add_marker(absent)


@pytest.fixture(scope="session", autouse=True)
def _empty_plots() -> None:
    """Let runs save empty plots; `drawn_plots` is for tests that look at them."""
    drawing.leave_plots_empty()


@pytest.fixture(scope="module")
def drawn_plots() -> Iterator[None]:
    """Let the runs of a module draw their plots, from the first test that asks for it."""
    drawing.enabled = True
    yield
    drawing.enabled = False


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Let each test draw the same random numbers in every session."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _exact() -> Iterator[None]:
    """Find the test, or the code, that leaves this process without subnormal numbers."""
    yield
    assert not are_subnormals_flushed()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of tokenized reviews that all tests share."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def model_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModelHub]:
    """Return a stand-in for the Hugging Face hub, whose cache is in the test's folder."""
    with stand_in_for_the_hub(monkeypatch, tmp_path) as hub:
        yield hub


@pytest.fixture
def tiny(cache: str, tmp_path: Path) -> MakeConfig:
    """Return a function that makes the configuration of a run of a second; see `tiny_config`."""

    def make(**fields: Any) -> Config:
        return tiny_config(cache, str(tmp_path / "runs"), **fields)

    return make


@pytest.fixture
def train(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> RunCommand:
    """Return a function that runs `python train.py ...` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: str) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        GlobalHydra.instance().clear()
        code: Any = 0
        try:
            runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return CommandResult(code, captured.out + captured.err)

    return command
