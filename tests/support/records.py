"""Runs without training: records and predictions with the mistakes that a test chooses."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from scipy.special import logit
from sklearn import metrics

from lstm_sentiment.config import Config, EncoderConfig, HeadConfig
from lstm_sentiment.labels import BINARY, Classes
from lstm_sentiment.model.ngram_classifier import NgramModel
from lstm_sentiment.runs.identity import run_name
from lstm_sentiment.runs.predictions import read_table, save_predictions
from lstm_sentiment.runs.record import SCHEMA, recorded
from lstm_sentiment.training.baseline import recorded_baseline

LABELS = np.arange(200) % 2  # of the reviews of a split, by default
DATA = {"source": "imdb", "fingerprint": "1", "train": 900, "val": 200, "test": 200}
COST = {
    "parameters": 1_412_225,
    "fit_seconds": 61.26,
    "seconds_per_epoch": 20.0,
    "tokens_per_second": 150_000.0,
    "peak_memory_mib": 900.0,
    "test_reviews_per_second": 4_000.0,
}


def network(cell: str = "lstm", head: str = "last", **fields: Any) -> Config:
    """Return a configuration; `num_layers` and `bidirectional` are fields of its encoder."""
    encoder = {name: fields.pop(name) for name in ("num_layers", "bidirectional") if name in fields}
    return Config(EncoderConfig(cell, **encoder), HeadConfig(head), **fields)  # type: ignore[arg-type]


def answers(wrong: int, labels: np.ndarray = LABELS, confidence: float = 0.9) -> np.ndarray:
    """Return probabilities of positive, (N,), of which the first `wrong` are mistakes.

    The probability of the predicted class is always `confidence`.
    """
    probabilities = np.where(labels == 1, confidence, 1 - confidence)
    probabilities[:wrong] = 1 - probabilities[:wrong]
    return probabilities


def logits(probabilities: np.ndarray) -> np.ndarray:
    """Return the logits of probabilities, (N,) or (N, K); those of 0 and 1 are at most 100."""
    with np.errstate(divide="ignore"):
        scores = logit(probabilities) if probabilities.ndim == 1 else np.log(probabilities)
    return scores.clip(-100, 100)


def scores_of_probabilities(
    labels: np.ndarray, probabilities: np.ndarray, classes: Classes = BINARY
) -> dict[str, Any]:
    """Return the scores of a record, by scikit-learn; `probabilities` is (N,) or (N, K)."""
    if probabilities.ndim > 1:
        return _scores_of_several(labels, probabilities, classes)
    positive = probabilities > classes.threshold
    return {
        "loss": float(metrics.log_loss(labels, probabilities, labels=[0, 1])),
        "accuracy": float(metrics.accuracy_score(labels, positive)),
        "precision": float(metrics.precision_score(labels, positive, zero_division=0)),
        "recall": float(metrics.recall_score(labels, positive, zero_division=0)),
        "f1": float(metrics.f1_score(labels, positive, zero_division=0)),
        "auroc": float(metrics.roc_auc_score(labels, probabilities)),
        "balanced_accuracy": float(
            metrics.recall_score(labels, positive, average="macro", labels=np.unique(labels))
        ),
        "majority_share": float(max(labels.mean(), 1 - labels.mean())),
        "confusion_matrix": metrics.confusion_matrix(labels, positive, labels=[0, 1]).tolist(),
    }


def _scores_of_several(
    labels: np.ndarray, probabilities: np.ndarray, classes: Classes
) -> dict[str, Any]:
    """Return the scores of more than two classes, of which each occurs."""
    all_labels, predicted = range(len(classes)), probabilities.argmax(1)
    macro: dict[str, Any] = {"average": "macro", "labels": all_labels, "zero_division": 0}
    scores = {
        "loss": metrics.log_loss(labels, probabilities, labels=all_labels),
        "accuracy": metrics.accuracy_score(labels, predicted),
        "precision": metrics.precision_score(labels, predicted, **macro),
        "recall": metrics.recall_score(labels, predicted, **macro),
        "f1": metrics.f1_score(labels, predicted, **macro),
        "auroc": metrics.roc_auc_score(labels, probabilities, multi_class="ovr"),
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
        "majority_share": np.bincount(labels).max() / len(labels),
    }
    if classes.values is not None:
        values = np.array(classes.values)
        scores["mean_absolute_error"] = metrics.mean_absolute_error(
            values[labels], values[predicted]
        )
        scores["quadratic_kappa"] = metrics.cohen_kappa_score(
            labels, predicted, weights="quadratic", labels=all_labels
        )
    matrix = metrics.confusion_matrix(labels, predicted, labels=all_labels).tolist()
    return {name: float(score) for name, score in scores.items()} | {"confusion_matrix": matrix}


def record(
    config: Config,
    test: np.ndarray | None,
    val: np.ndarray | None,
    labels: np.ndarray = LABELS,
    classes: Classes = BINARY,
    **changes: Any,
) -> dict[str, Any]:
    """Return the record of a run with these probabilities; `changes` replace fields."""
    final = {
        split: None if given is None else scores_of_probabilities(labels, given, classes)
        for split, given in (("val", val), ("test", test))
    }
    several = next((known for known in (val, test) if known is not None and known.ndim > 1), None)
    trained = answers(20, labels) if several is None else several
    sizes = {split: len(labels) if final[split] else None for split in ("val", "test")}
    return {
        "schema": SCHEMA,
        "name": run_name(config, "reviews"),
        "sweep": config.sweep,
        "choices": {
            "encoder": config.encoder.network,
            "head": str(config.head.kind),
            "embedding": str(config.embedding.kind),
            "data": str(config.data.source),
        },
        "config": recorded(config),
        "epochs": [
            {
                "epoch": 1,
                "seconds": 20.0,
                "train": scores_of_probabilities(labels, trained, classes),
                "val": final["val"],
            }
        ],
        "best_epoch": 1,
        **final,
        "cost": COST,
        "data": {"classes": [*classes.names], **changes.pop("data", DATA | sizes)},
        "decision": {"threshold": classes.threshold},
        "vectors": None,
        "environment": {"device": "cpu", "threads": 2},
        **changes,
    }


def put_run(
    sweep: Path,
    config: Config,
    test: np.ndarray | None = None,
    val: np.ndarray | None = None,
    labels: np.ndarray = LABELS,
    rows: np.ndarray | None = None,
    tokens: np.ndarray | None = None,
    column: str = "logit",
    classes: Classes = BINARY,
    group: np.ndarray | None = None,
    construct: np.ndarray | None = None,
    **changes: Any,
) -> Path:
    """Write a finished run into a folder below `sweep`, and return that folder.

    Its predictions are the logits of the probabilities `test` and `val`, or the probabilities
    themselves if `column` is "probability", as in older versions.
    """
    content = record(config, test, val, labels, classes, **changes)
    folder = sweep / content["name"]
    columns = {
        split: {
            "index": torch.from_numpy(np.arange(len(labels)) if rows is None else rows),
            "label": torch.from_numpy(labels),
            column: torch.from_numpy(
                logits(probabilities) if column == "logit" else probabilities
            ).float(),
        }
        for split, probabilities in (("val", val), ("test", test))
        if probabilities is not None
    }
    put(
        folder,
        config={name: content[name] for name in ("schema", "choices", "config")},
        run=content,
    )
    described = {"tokens": np.arange(len(labels)) + 1 if tokens is None else tokens}
    described |= {
        name: values
        for name, values in (("group", group), ("construct", construct))
        if values is not None
    }
    save_predictions(folder / "predictions.parquet", columns, lambda *_: described)
    return folder


def put(folder: Path, **files: Mapping[str, Any] | list[Any] | str) -> Path:
    """Write JSON files, given by their stems as content or as text, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{stem}.json").write_text(text)
    return folder


def put_complete_run(sweep: Path, *arguments: Any, **fields: Any) -> Path:
    """A finished run as older versions left it, with all columns in `predictions.parquet`."""
    before = {*sweep.glob("reviews-*")}
    folder = put_run(sweep, *arguments, column="probability", **fields)
    pq.write_table(read_table(folder / "predictions.parquet"), folder / "predictions.parquet")
    for file in {*sweep.glob("reviews-*")} - before:
        file.unlink()
    return folder


def put_baseline(
    sweep: Path,
    test: np.ndarray | None,
    val: np.ndarray | None,
    kind: str = "logistic",
    **changes: Any,
) -> Path:
    """Write a finished run of an n-gram baseline below `sweep`, and return its folder."""
    name, choices = f"ngrams-{kind}-s0-0", {"encoder": "ngrams", "head": kind}
    folder = put_run(sweep, Config(), test, val, name=name, choices=choices, **changes)
    config = recorded_baseline(NgramModel(kind), Config())
    penalty = {"c": 1.0, "chosen_on": "validation set", "tried": []}
    amend(folder, lambda record: record.update(config=config, penalty=penalty))
    return folder


def amend(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the record of a run in place."""
    content = json.loads((folder / "run.json").read_text())
    change(content)
    (folder / "run.json").write_text(json.dumps(content))
