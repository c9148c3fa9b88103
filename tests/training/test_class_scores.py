"""The scores of whole runs agree with scikit-learn's: more classes, ordered ones, uneven ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax

from lstm_sentiment import Config, run
from lstm_sentiment.data import sources
from lstm_sentiment.data.synthetic import generate
from lstm_sentiment.labels import Classes
from lstm_sentiment.model.metrics import StageScores, calibration_error
from lstm_sentiment.runs.predictions import read_predictions
from lstm_sentiment.runs.reader import read_run
from lstm_sentiment.runs.record import record_classes
from tests.support.project import folder_of, tiny_config
from tests.support.records import scores_of_probabilities
from tests.support.tables import write_columns

WITHIN = 1e-6
SIZES = {"train": 260, "test": 130}


def reference_scores(labels: np.ndarray, logits: np.ndarray, classes: Classes) -> dict[str, Any]:
    """Return scikit-learn's scores of predictions with logits (N,) or (N, K)."""
    probabilities = expit(logits) if logits.ndim == 1 else softmax(logits, axis=1)
    return scores_of_probabilities(labels, probabilities, classes)


def reference_calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the expected calibration error with 15 bins (Guo et al. 2017), bin by bin."""
    hits = labels == 1
    if probabilities.ndim > 1:
        hits, probabilities = probabilities.argmax(1) == labels, probabilities.max(1)
    bins = np.minimum((probabilities * 15).astype(int), 14)
    gaps = [abs(hits[bins == k].sum() - probabilities[bins == k].sum()) for k in range(15)]
    return float(np.sum(gaps) / len(labels))


def assert_agree(scores: dict[str, Any], expected: dict[str, Any]) -> None:
    matrix = "confusion_matrix"
    assert scores[matrix] == expected[matrix]
    numbers = {name: value for name, value in expected.items() if name != matrix}
    assert {name: scores[name] for name in numbers} == pytest.approx(numbers, abs=WITHIN)


def uneven_files(folder: Path) -> dict[str, Any]:
    """Write synthetic reviews, ten negative ones for each positive one; return their fields."""
    for seed, name in enumerate(("train", "test")):
        texts, labels = generate(600, seed)
        kept = np.sort(np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels)[:30]]))
        write_columns(folder / f"{name}.csv", [texts[row] for row in kept], labels[kept].tolist())
    paths = {"path": str(folder / "train.csv"), "test_path": str(folder / "test.csv")}
    return {"source": "reviews", **paths, "limit_train": None, "limit_test": None}


def configured(corpus: str, cache: str, folder: Path) -> Config:
    data: dict[str, Any] = uneven_files(folder) if corpus == "10:1" else {"classes": int(corpus)}
    data |= {"batch_size": 16, "val_fraction": 0.3}
    return tiny_config(
        cache,
        str(folder / "runs"),
        data={"limit_train": None, "limit_test": None, **data},
        head={"kind": "max"},
        optimizer={"lr": 0.02},
        trainer={"max_epochs": 3},
    )


@pytest.mark.parametrize("corpus", ["3", "5", "10:1"])
def test_scores_of_all_stages_agree_with_scikit_learn(
    corpus: str, cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split, size in SIZES.items():
        monkeypatch.setitem(sources.SYNTHETIC_SIZE, split, size)
    stages: list[tuple[dict[str, Any], dict[str, Any]]] = []
    original = StageScores.compute

    def compute(stage: StageScores) -> dict[str, Any]:
        scores = original(stage)
        predictions = {name: column.numpy() for name, column in stage.predictions().items()}
        stages.append((predictions, scores))
        return scores

    monkeypatch.setattr(StageScores, "compute", compute)
    config = configured(corpus, cache, tmp_path)
    record = run(config)
    classes = record_classes(record)
    assert len(classes) == (2 if corpus == "10:1" else int(corpus))

    for predictions, scores in stages:  # of training and validation, in every epoch, and the test
        logits = predictions["logit"].astype(np.float64)
        expected = reference_scores(predictions["label"].astype(int), logits, classes)
        assert_agree(scores, expected)
    of_training = [epoch["train"]["confusion_matrix"] for epoch in record["epochs"]]
    matrices = [scores["confusion_matrix"] for _, scores in stages]
    assert all(matrix in matrices for matrix in of_training)

    saved = read_run(folder_of(config))
    for stage in ("val", "test"):
        table = read_predictions(saved, stage)
        expected = reference_scores(table.label.astype(int), table.logit, classes)
        assert_agree(record[stage], expected)
        error = calibration_error(table.label, table.probability)
        by_bins = reference_calibration_error(table.label, table.probability)
        assert error == pytest.approx(by_bins, abs=WITHIN)
