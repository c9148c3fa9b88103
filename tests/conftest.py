"""What several test files need: a shared cache, tiny configurations, the real reviews."""

import gc
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"  # before datasets is imported: no test may wait for a hub
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # before torch is, as the package does

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

from lstm_sentiment.config import (
    Config,
    DataConfig,
    EarlyStoppingConfig,
    EmbeddingConfig,
    EncoderConfig,
    HeadConfig,
    OptimizerConfig,
    TrainerConfig,
)
from lstm_sentiment.data.synthetic import generate

ROOT = Path(__file__).parent.parent
IMDB = Path(os.environ.get("IMDB_PATH", ROOT.parent / "shared" / "imdb"))


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "how often tests/test_reliability.py kills a sweep (default: 20)"
    parser.addoption("--kills", type=int, default=20, help=text)


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--kills"))


def pytest_configure() -> None:
    # One thread: tiny nets gain nothing from more, and the sums are the same on every machine.
    torch.set_num_threads(1)


def pytest_collection_finish() -> None:
    # What is imported by now stays: statsmodels collects garbage at every correction of a p, and
    # would look through all of PyTorch each time.
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not (IMDB / "train.parquet").exists():
        absent = pytest.mark.skip(reason=f"no IMDB at {IMDB}: set IMDB_PATH to its Parquet files")
        for item in items:
            if item.get_closest_marker("imdb"):
                item.add_marker(absent)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """What a test draws is the same each time; a failure by bad luck would tell nothing."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One cache of tokenized reviews for the whole session: the synthetic corpus is read once."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def tiny(cache: str, tmp_path: Path) -> Callable[..., Config]:
    """Makes the configuration of a run that takes a second; arguments as in `tiny_config`."""

    def make(**fields: Any) -> Config:
        return tiny_config(cache, str(tmp_path / "runs"), **fields)

    return make


def tiny_config(cache: str, root: str, **fields: Any) -> Config:
    """A small network on few synthetic reviews; `data`, `encoder`, ... add to a group's fields."""
    data = {"source": "synthetic", "max_length": 60, "limit_train": 120, "limit_test": 40}
    trainer = {"accelerator": "cpu", "max_epochs": 2, "enable_progress_bar": False, "threads": 1}
    return Config(
        encoder=EncoderConfig(**{"hidden_size": 6, **fields.pop("encoder", {})}),
        head=HeadConfig(**fields.pop("head", {})),
        embedding=EmbeddingConfig(**{"dim": 5, **fields.pop("embedding", {})}),
        data=DataConfig(**{**data, "cache": cache, **fields.pop("data", {})}),
        trainer=TrainerConfig(**{**trainer, **fields.pop("trainer", {})}),
        optimizer=OptimizerConfig(**fields.pop("optimizer", {})),
        early_stopping=EarlyStoppingConfig(**fields.pop("early_stopping", {})),
        root=root,
        **fields,
    )


def synthetic_imdb(folder: Path) -> None:
    """Synthetic reviews in the form of IMDB's Parquet files."""
    folder.mkdir()
    for seed, split in enumerate(("train", "test")):
        texts, labels = generate(60, seed)
        pq.write_table(pa.table({"text": texts, "label": labels}), folder / f"{split}.parquet")


class Answer(NamedTuple):
    code: int
    text: str  # of standard output and standard error


@pytest.fixture
def train(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Answer]:
    """Runs `python train.py ...` in this process, in an empty folder, as a user would."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        GlobalHydra.instance().clear()
        code: Any = 0
        try:
            runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
        captured = capsys.readouterr()
        return Answer(code, captured.out + captured.err)

    return command
