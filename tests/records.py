"""Runs without training: records with predictions that fit them, of answers that a test chooses."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn import metrics

from lstm_sentiment.config import Config
from lstm_sentiment.training.artifacts import save_predictions
from lstm_sentiment.training.record import SCHEMA, recorded, run_name

LABELS = np.arange(200) % 2  # of the reviews that a split has, where a test does not say otherwise
COST = {
    "parameters": 1_412_225,
    "fit_seconds": 61.26,
    "seconds_per_epoch": 20.0,
    "tokens_per_second": 150_000.0,
    "peak_memory_mib": 900.0,
    "test_reviews_per_second": 4_000.0,
}


def answers(wrong: int, labels: np.ndarray = LABELS, sure: float = 0.9) -> np.ndarray:
    """(N,) probabilities of positive: `sure` of the label, of the other for the first `wrong`."""
    right = np.where(labels == 1, sure, 1 - sure)
    right[:wrong] = 1 - right[:wrong]
    return right


def scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    positive = probabilities > 0.5
    return {
        "loss": float(metrics.log_loss(labels, probabilities, labels=[0, 1])),
        "accuracy": float(metrics.accuracy_score(labels, positive)),
        "precision": float(metrics.precision_score(labels, positive, zero_division=0)),
        "recall": float(metrics.recall_score(labels, positive, zero_division=0)),
        "f1": float(metrics.f1_score(labels, positive, zero_division=0)),
        "auroc": float(metrics.roc_auc_score(labels, probabilities)),
        "confusion_matrix": metrics.confusion_matrix(labels, positive, labels=[0, 1]).tolist(),
    }


def record(
    config: Config,
    test: np.ndarray | None,
    val: np.ndarray | None,
    labels: np.ndarray = LABELS,
    **changes: Any,
) -> dict[str, Any]:
    """As a run of `config` leaves it that said these probabilities; `changes` replace fields."""
    final = {
        split: None if given is None else scores(labels, given)
        for split, given in (("val", val), ("test", test))
    }
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
                "train": scores(labels, answers(20, labels)),
                "val": final["val"],
            }
        ],
        "best_epoch": 1,
        **final,
        "cost": COST,
        "data": {"source": "imdb", "fingerprint": "1", "train": 900, **sizes},
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
    **changes: Any,
) -> Path:
    """A finished run below `sweep`; its folder."""
    content = record(config, test, val, labels, **changes)
    folder = sweep / content["name"]
    columns = {
        split: {
            "index": torch.from_numpy(np.arange(len(labels)) if rows is None else rows),
            "label": torch.from_numpy(labels),
            "probability": torch.from_numpy(given).float(),
            "tokens": torch.from_numpy(np.arange(len(labels)) + 1 if tokens is None else tokens),
        }
        for split, given in (("val", val), ("test", test))
        if given is not None
    }
    put(
        folder,
        config={name: content[name] for name in ("schema", "choices", "config")},
        run=content,
    )
    save_predictions(folder / "predictions.parquet", columns)
    return folder


def put(folder: Path, **files: Mapping[str, Any] | list[Any] | str) -> Path:
    """JSON files by their stems, as they are where they are text; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{stem}.json").write_text(text)
    return folder
