"""labelled texts -> scores, of one trained model or of several and their ensemble."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from lstm_sentiment.data.delimited import Dialect, Header
from lstm_sentiment.data.formats import count_rows, read_tables
from lstm_sentiment.display import SILENT, Display
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import POSITIVE
from lstm_sentiment.model.metrics import calibration_error, classification_scores, sigmoid
from lstm_sentiment.serving.file_prediction import in_chunks
from lstm_sentiment.serving.file_reading import FileReading
from lstm_sentiment.serving.predictor import Predictor

ENSEMBLE = "ensemble"


class Evaluation(NamedTuple):
    """The scores on a file, and how the file was read."""

    read: dict[str, str]  # see `FileReading.used`
    networks: dict[str, dict[str, Any]]  # scores by the names of the networks, and the ensemble


def evaluate(
    predictors: Mapping[str, Predictor], file: Path, reading: FileReading, display: Display = SILENT
) -> Evaluation:
    """Return the scores of each model by its name, and of the ensemble of several models.

    The probability of the ensemble is the mean of all probabilities. The file is read once, as a
    stream, and `display` shows how. Raises InputError if the file has no rows, or a row without a
    valid text or label.
    """
    read: dict[str, str] = {}

    def found(columns: Header, dialect: Dialect | None) -> None:
        read.update(reading.used(columns, is_text=dialect is not None))
        display.message(reading.sentence(file, read))

    labels: list[int] = []
    classes = next(iter(predictors.values())).classes
    chunks: dict[str, list[np.ndarray]] = {name: [] for name in predictors}
    rows = read_tables(
        [file],
        reading.columns,
        text_format=reading.text_format,
        note=display.message,
        found=found,
    )
    with display.progress("evaluating", count_rows([file])) as advance:
        for reviews in in_chunks(rows):
            labels += [classes.label(review.label or "") or 0 for review in reviews]
            for name, predictor in predictors.items():
                chunks[name].append(predictor.logits([review.text for review in reviews]))
            advance(len(labels))
    if not labels:
        raise InputError(f"{file} has no rows: there is nothing to evaluate.")
    if (positive := reading.columns.positive) is not None and POSITIVE not in labels:
        message = f"No row of {file.name} has the label {positive}, so all are read as negative."
        display.message(message, "warning")
    logits = {name: np.concatenate(arrays) for name, arrays in chunks.items()}
    if len(logits) > 1:
        logits[ENSEMBLE] = logit_of_mean([*logits.values()])
    named = {name: scores(labels=np.array(labels), logits=array) for name, array in logits.items()}
    return Evaluation(read, named)


def logit_of_mean(logits: Sequence[np.ndarray]) -> np.ndarray:
    """Return the logits of the mean probabilities of K models, (N,) each, in float64.

    Means of probabilities would be exactly 1 for very certain models; their logarithms are not.
    """
    each = np.asarray(logits, np.float64)
    positive = np.logaddexp.reduce(-np.logaddexp(0, -each))  # log of K times the mean probability
    negative = np.logaddexp.reduce(-np.logaddexp(0, each))
    return positive - negative


def scores(*, labels: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
    """Return the scores of N predictions: `labels` (N,) of 0 and 1, `logits` (N,).

    They are those of a run's record, with the number of reviews, the calibration error, and
    Wilson's 95 % interval of the accuracy.
    """
    result = classification_scores(labels, logits)
    correct = round(result["accuracy"] * len(labels))
    low, high = proportion_confint(correct, len(labels), method="wilson")
    return {
        "reviews": len(labels),
        **result,
        "interval": [float(low), float(high)],
        "calibration_error": calibration_error(labels, sigmoid(logits)),
    }


def network_names(folders: Sequence[Path]) -> list[str]:
    """Return the names of the folders, or their paths if two folders have the same name."""
    names = [Path(os.path.realpath(folder)).name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]
