"""labelled texts -> scores, of one trained network or of several and their ensemble."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import (
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)
from statsmodels.stats.proportion import proportion_confint

from lstm_sentiment.data.columns import Review
from lstm_sentiment.data.formats import count_rows, read_tables
from lstm_sentiment.display import SILENT, Display
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import NEGATIVE, POSITIVE, is_positive
from lstm_sentiment.model.metrics import calibration_error
from lstm_sentiment.serving.file_prediction import ROWS
from lstm_sentiment.serving.file_reading import FileReading
from lstm_sentiment.serving.predictor import Predictor

ENSEMBLE = "ensemble"


def evaluate(
    predictors: Mapping[str, Predictor], file: Path, reading: FileReading, display: Display = SILENT
) -> dict[str, dict[str, Any]]:
    """Return the scores of each network by its name, and of the ensemble of several networks.

    The probability of the ensemble is the mean of all probabilities. The file is read once, as a
    stream. Raises InputError if it has no rows, or a row without a valid text or label.
    """
    labels: list[int] = []
    chunks: dict[str, list[np.ndarray]] = {name: [] for name in predictors}
    rows = read_tables(
        [file], reading.columns, text_format=reading.text_format, note=display.message
    )
    with display.progress("evaluating", count_rows([file])) as advance:
        for reviews in _in_chunks(rows):
            labels += [review.label for review in reviews]
            for name, predictor in predictors.items():
                chunks[name].append(predictor.probabilities([review.text for review in reviews]))
            advance(len(labels))
    if not labels:
        raise InputError(f"{file} has no rows: there is nothing to evaluate.")
    if (positive := reading.columns.positive) is not None and POSITIVE not in labels:
        message = f"No row of {file.name} has the label {positive}, so all are read as negative."
        display.message(message, "warning")
    probabilities = {name: np.concatenate(arrays) for name, arrays in chunks.items()}
    if len(probabilities) > 1:
        probabilities[ENSEMBLE] = np.mean([*probabilities.values()], 0)
    return {name: scores(np.array(labels), array) for name, array in probabilities.items()}


def _in_chunks(reviews: Iterator[Review]) -> Iterator[list[Review]]:
    while chunk := list(islice(reviews, ROWS)):
        yield chunk


def scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return the scores of N predictions: `labels` (N,) of 0 and 1, `probabilities` (N,).

    Precision, recall and F1 refer to the positive class. The interval of the accuracy is Wilson's,
    at 95 %. The confusion matrix is [[tn, fp], [fn, tp]]. AUROC is None if only one class occurs.
    The scores are defined as in a run's record, but computed in float64 instead of float32, so that
    the JSON shows no rounding errors.
    """
    predicted = is_positive(probabilities)
    correct = int((predicted == labels).sum())
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, predicted, average="binary", zero_division=0
    )
    low, high = proportion_confint(correct, len(labels), method="wilson")
    both_occur = len(np.unique(labels)) > 1
    classes = [NEGATIVE, POSITIVE]
    return {
        "reviews": len(labels),
        "accuracy": correct / len(labels),
        "interval": [float(low), float(high)],
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "auroc": float(roc_auc_score(labels, probabilities)) if both_occur else None,
        "loss": float(log_loss(labels, probabilities, labels=classes)),
        # In float32, as in a report.
        "calibration_error": calibration_error(labels, probabilities.astype(np.float32)),
        "confusion_matrix": confusion_matrix(labels, predicted, labels=classes).tolist(),
    }


def network_names(folders: Sequence[Path]) -> list[str]:
    """Return the names of the folders, or their paths if two folders have the same name."""
    names = [folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]
