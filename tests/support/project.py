"""The checkout, the real reviews, tiny configurations, and the results of commands and runs."""

import json
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

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
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.synthetic import generate
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.runs.predictions import read_table
from lstm_sentiment.training.plan import Plan

if TYPE_CHECKING:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = Path(__file__).parents[2]
IMDB = Path(os.environ.get("IMDB_PATH", ROOT.parent / "shared" / "imdb"))
RESULT_FILES = ("model/model.safetensors", "model/vocab.json", "predictions.parquet")


class CommandResult(NamedTuple):
    """The exit code of a command and its output."""

    code: int
    text: str  # of standard output and standard error


MakeConfig = Callable[..., Config]  # the fixture `tiny`
RunCommand = Callable[..., CommandResult]  # takes the arguments of a command


class Killed(BaseException):
    """An exception that nothing handles, in place of a kill of the process."""


class StepCalls:
    """Counts the calls of a step of `SentimentModule`; the call `last` raises Killed instead."""

    def __init__(self, patch: pytest.MonkeyPatch, step: str, last: int | None = None) -> None:
        self.count = 0
        original = getattr(SentimentModule, step)

        @wraps(original)  # Lightning inspects the parameters
        def counted(module: SentimentModule, batch: Any) -> Any:
            self.count += 1
            if self.count == last:
                raise Killed
            return original(module, batch)

        patch.setattr(SentimentModule, step, counted)


def tiny_config(cache: str, root: str, **fields: Any) -> Config:
    """Return a small network on few synthetic reviews.

    `data`, `encoder` and so on are fields of that group; all others are fields of `Config`.
    """
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


def learning_config(cache: str, root: str, **trainer: Any) -> Config:
    """Return a run of four epochs with 20 batches each, whose training loss decreases clearly."""
    return tiny_config(
        cache,
        root,
        head={"kind": "max"},
        data={"limit_train": 400, "limit_test": 100, "batch_size": 16},
        encoder={"dropout": 0.0},
        embedding={"dropout": 0.0},
        optimizer={"lr": 0.03},
        trainer={"max_epochs": 4, **trainer},
        seed=3,
    )


def synthetic_imdb(folder: Path) -> None:
    """Write synthetic reviews in the form of IMDB's Parquet files."""
    folder.mkdir()
    for seed, split in enumerate(("train", "test")):
        texts, labels = generate(60, seed)
        pq.write_table(pa.table({"text": texts, "label": labels}), folder / f"{split}.parquet")


def reviews_of(config: Config) -> ReviewDataModule:
    """Return the reviews on which a network with this configuration is trained and tested."""
    data = ReviewDataModule(config.data, config.seed, config.test)
    data.setup()
    return data


def folder_of(config: Config) -> Path:
    """Return the folder of the run with this configuration."""
    return Plan.of(config).folder


def folder_of_record(config: Config, record: dict[str, Any]) -> Path:
    """Return the folder of the run or baseline that has this record."""
    return Path(config.root) / record["sweep"] / record["name"]


def prediction_table(folder: Path, split: str | None = None) -> Any:
    """Return the predictions of a run, or of one of its splits, as a pandas DataFrame."""
    table = read_table(folder / "predictions.parquet").to_pandas()
    return table if split is None else table[table["split"] == split]


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a record without costs and environment, which differ between machines."""
    record = json.loads(json.dumps(record))
    del record["cost"], record["environment"]
    record.pop("attempts", None)  # baselines have none
    for epoch in record["epochs"]:
        del epoch["seconds"]
    return record


def results(folder: Path) -> dict[str, Any]:
    """Return what a run computed: its record without times, and the content of its files."""
    record = without_times(json.loads((folder / "run.json").read_text()))
    return record | {name: (folder / name).read_bytes() for name in RESULT_FILES}


def read_events(folder: Path) -> "EventAccumulator":
    """Return all events that a run has written for TensorBoard."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    unlimited = {"scalars": 0, "tensors": 0, "images": 0}
    events = EventAccumulator(str(folder), size_guidance=unlimited)
    events.Reload()
    return events


def scalars(events: "EventAccumulator", tag: str) -> dict[int, float]:
    """Return the values of a curve by step; each step must occur once, and in order."""
    points = [(event.step, event.value) for event in events.Scalars(tag)]
    assert points == sorted(dict(points).items())
    return dict(points)
