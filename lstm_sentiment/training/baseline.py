"""config -> the runs without recurrence that its networks have to beat, as records like theirs."""

import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from torch import Tensor
from torch.nn import functional as F

from lstm_sentiment.config import Config
from lstm_sentiment.data.batches import Batch, EncodedReviews
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import LOCK, remove_drafts, sole_writer
from lstm_sentiment.model import ngrams
from lstm_sentiment.model.module import StageScores
from lstm_sentiment.training import runtime
from lstm_sentiment.training.artifacts import save_predictions
from lstm_sentiment.training.record import (
    BASELINE,
    CONFIG,
    PREDICTIONS,
    RECORD,
    SCHEMA,
    digest,
    read_record,
    refuse_newer_record,
    sweep_folder,
    write_json,
)

RECIPE = 1  # raised when the computation changes, as that of networks
# What decides which reviews are learned from and asked, and what is a network's affair.
DATA = ("source", "val_fraction", "split_seed", "limit_train", "limit_test")
OF_NETWORKS = ("max_vocab", "max_length", "truncation_side", "padding", "batch_size", "augment")


def baseline(kind: ngrams.Classifier, config: Config) -> dict[str, Any]:
    """Trains a bag of n-grams on the reviews of `config`, as many as its networks get.

    The record, as in `run.json`; one that is there is not made again, unless `config.rerun` asks
    for it. Raises InputError where the reviews cannot be used, OSError where nothing can be kept.
    """
    chosen = replace(config.data, batch_size=1)  # a bag has none: there may be fewer reviews
    data = ReviewDataModule(chosen, config.seed, config.test, config.trainer.enable_progress_bar)
    folder = baseline_folder(kind, config, data.identity)
    if (record := _finished(folder, config)) is not None:
        return record
    data.setup()
    runtime.reset_peak_memory("cpu")
    folder.mkdir(parents=True, exist_ok=True)
    asked = {"choices": {"encoder": BASELINE, "head": str(kind)}}
    asked |= {"config": recorded(kind, config)}
    with sole_writer(folder / LOCK, lambda: None):
        if (record := _finished(folder, config)) is not None:  # another process had the lock
            return record
        remove_drafts(folder)
        (folder / RECORD).unlink(missing_ok=True)
        write_json(folder / CONFIG, {"schema": SCHEMA, **asked})
        try:
            trained = _trained(kind, data, folder)
        except InputError:
            shutil.rmtree(folder)
            raise
        record = {
            "schema": SCHEMA,
            "name": folder.name,
            "sweep": folder.parent.name,
            **asked,
            **trained,
            "data": data.summary(),
            "vectors": None,
            "environment": runtime.environment("cpu"),
        }
        write_json(folder / RECORD, record)
    return record


def _finished(folder: Path, config: Config) -> dict[str, Any] | None:
    if config.rerun:
        return None
    refuse_newer_record(folder)
    return read_record(folder)


def distinct(configs: Iterable[Config]) -> list[Config]:
    """One of those that ask for the same reviews and the same place: a baseline has no network."""
    found: dict[str, Config] = {}
    for config in configs:
        data = asdict(config.data) | dict.fromkeys(OF_NETWORKS)
        found.setdefault(repr((data, config.test, config.root, config.sweep)), config)
    return [*found.values()]


def recorded(kind: ngrams.Classifier, config: Config) -> dict[str, Any]:
    """All that the run depends on beside its reviews. It draws nothing, so its seed is 0."""
    chosen = {name: value for name, value in asdict(config.data).items() if name in DATA}
    ours = {"kind": str(kind), "longest": ngrams.LONGEST, "least": ngrams.LEAST}
    return {"seed": 0, "test": config.test, BASELINE: {**ours, "c": ngrams.C[kind]}, "data": chosen}


def baseline_folder(kind: ngrams.Classifier, config: Config, identity: str) -> Path:
    """Named as a network's run: ngrams-<kind>-s0-<fingerprint>"""
    chosen = recorded(kind, config)
    del chosen["data"]["source"]  # the data count by what they are
    return sweep_folder(config) / f"{BASELINE}-{kind}-s0-{digest(RECIPE, identity, chosen)}"


def _trained(kind: ngrams.Classifier, data: ReviewDataModule, folder: Path) -> dict[str, Any]:
    """Its scores and costs; leaves the predictions of val and test."""
    model = ngrams.bag_of_ngrams(kind)
    started = time.perf_counter()
    try:
        model.fit(_tokens(data.train), _labels(data.train))
    except ValueError as error:  # scikit-learn's, of an empty bag
        raise InputError(
            f"{data.corpus.name}: no word is in two of the {len(data.train)} reviews to train on, "
            "so there is nothing to count: keep more of them."
        ) from error
    seconds = time.perf_counter() - started
    parts = {"train": data.train, "val": data.val if len(data.val) else None, "test": data.test}
    scores: dict[str, dict[str, Any] | None] = dict.fromkeys(parts)
    predictions, pace = {}, None
    for stage, reviews in parts.items():
        if reviews is not None:
            started = time.perf_counter()
            seen = _scored(model, reviews)
            pace = len(reviews) / (time.perf_counter() - started)
            scores[stage] = seen.compute()
            columns = seen.predictions()
            predictions[stage] = columns | {"tokens": data.token_counts(stage, columns["index"])}
    del predictions["train"]
    save_predictions(folder / PREDICTIONS, predictions)
    return {
        "epochs": [
            {"epoch": 1, "seconds": seconds, "train": scores["train"], "val": scores["val"]}
        ],
        "best_epoch": 1,
        "val": scores["val"],
        "test": scores["test"],
        "cost": {
            "parameters": model[-1].coef_.size + 1,
            "fit_seconds": seconds,
            "seconds_per_epoch": seconds,
            "tokens_per_second": int(data.train.token_counts.sum()) / seconds,
            "peak_memory_mib": runtime.peak_memory_mib("cpu"),
            "test_reviews_per_second": pace if scores["test"] else None,
        },
    }


def _tokens(reviews: EncodedReviews) -> list[list[str]]:
    return [reviews.reviews.spelled(row) for row in reviews.rows]


def _labels(reviews: EncodedReviews) -> np.ndarray:
    return reviews.reviews.labels[reviews.rows]


def _scored(model: Pipeline, reviews: EncodedReviews) -> StageScores:
    """By the same code as a network's answers."""
    logits = torch.from_numpy(model.decision_function(_tokens(reviews)))
    labels = torch.from_numpy(_labels(reviews).astype(np.float32))
    losses = F.binary_cross_entropy_with_logits(logits, labels.double(), reduction="none")
    nothing = Tensor()
    seen = StageScores()
    seen.update(logits, losses, Batch(nothing, nothing, labels, torch.from_numpy(reviews.rows)))
    return seen
