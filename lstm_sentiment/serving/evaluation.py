"""labelled texts -> scores, of one trained model or of several and their ensemble."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from lstm_sentiment.data.columns import Review, join_names
from lstm_sentiment.data.delimited import Dialect, Header
from lstm_sentiment.data.formats import count_rows, read_tables
from lstm_sentiment.display import SILENT, Display
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import BINARY, NEGATIVE, POSITIVE, THRESHOLD, Classes
from lstm_sentiment.model.metrics import calibration_error, classification_scores
from lstm_sentiment.model.probabilities import logit_of_mean, probabilities
from lstm_sentiment.runs.identity import ENSEMBLE
from lstm_sentiment.serving.file_prediction import in_chunks
from lstm_sentiment.serving.file_reading import FileReading
from lstm_sentiment.serving.predictor import Predictor


class Evaluation(NamedTuple):
    """The scores on a file, and how the file was read."""

    read: dict[str, str]  # see `FileReading.used`
    classes: tuple[str, ...]  # the names of the classes, in the order of the confusion matrix
    networks: dict[str, dict[str, Any]]  # scores by the names of the networks, and the ensemble


def evaluate(
    predictors: Mapping[str, Predictor], file: Path, reading: FileReading, display: Display = SILENT
) -> Evaluation:
    """Return the scores of each model by its name, and of the ensemble of several models.

    The probabilities of the ensemble are the means of those of all models, and its threshold is the
    mean of theirs. The labels of the file are those of the models' classes. The file is read once,
    as a stream, and `display` shows how. Raises InputError if the models have different classes, or
    if the file has no rows, or a row without a valid text or label.
    """
    rules = {name: predictor.classes for name, predictor in predictors.items()}
    classes = rules_of_ensemble(rules)
    # With a positive label, the file has the labels negative and positive.
    known = classes if reading.columns.positive is None else BINARY
    read: dict[str, str] = {}

    def found(columns: Header, dialect: Dialect | None) -> None:
        read.update(reading.used(columns, is_text=dialect is not None))
        display.message(reading.sentence(file, read))

    labels: list[int] = []
    chunks: dict[str, list[np.ndarray]] = {name: [] for name in predictors}
    rows = read_tables(
        [file],
        reading.labelled(classes),
        text_format=reading.text_format,
        note=display.message,
        found=found,
    )
    with display.progress("evaluating", count_rows([file])) as advance:
        for reviews in in_chunks(rows):
            labels += [_label(review, known) for review in reviews]
            for name, predictor in predictors.items():
                chunks[name].append(predictor.logits([review.text for review in reviews]))
            advance(len(labels))
    if not labels:
        raise InputError(f"{file} has no rows: there is nothing to evaluate.")
    if (positive := reading.columns.positive) is not None and POSITIVE not in labels:
        first = classes.names[NEGATIVE]
        message = f"No row of {file.name} has the label {positive}, so all are read as {first}."
        display.message(message, "warning")
    logits = {name: np.concatenate(arrays) for name, arrays in chunks.items()}
    if len(logits) > 1:
        logits[ENSEMBLE] = logit_of_mean([*logits.values()])
        rules[ENSEMBLE] = classes
    named = {
        name: scores(labels=np.array(labels), logits=array, classes=rules[name])
        for name, array in logits.items()
    }
    return Evaluation(read, classes.names, named)


def _label(review: Review, classes: Classes) -> int:
    label = None if review.label is None else classes.label(review.label)
    assert label is not None, "the reader refuses labels that are not those of the classes"
    return label


def rules_of_ensemble(rules: Mapping[str, Classes]) -> Classes:
    """Return the classes of all models, by their names, with the mean of their thresholds.

    Raises InputError if two models have different classes, or another order of them.
    """
    first, *others = rules
    for other in others:
        names = [[*map(str.casefold, rules[name].names)] for name in (first, other)]
        if names[0] != names[1]:
            raise InputError(
                f"The runs have different classes: {join_names(rules[first].names)} ({first}), "
                f"{join_names(rules[other].names)} ({other}). Evaluate them one by one."
            )
    thresholds = [classes.threshold for classes in rules.values()]
    return rules[first].with_threshold(float(np.mean(thresholds)))


def scores(*, labels: np.ndarray, logits: np.ndarray, classes: Classes = BINARY) -> dict[str, Any]:
    """Return the scores of N predictions: `labels` (N,) of 0 to K - 1, `logits` (N,) or (N, K).

    They are those of a run's record, with the number of reviews, the calibration error, Wilson's
    95 % interval of the accuracy, and the threshold if it is not 0.5.
    """
    result = classification_scores(labels, logits, classes)
    correct = round(result["accuracy"] * len(labels))
    low, high = proportion_confint(correct, len(labels), method="wilson")
    return {
        "reviews": len(labels),
        **result,
        "interval": [float(low), float(high)],
        "calibration_error": calibration_error(labels, probabilities(logits)),
        **({} if classes.threshold == THRESHOLD else {"threshold": classes.threshold}),
    }


def network_names(folders: Sequence[Path]) -> list[str]:
    """Return the names of the folders, or their paths if two folders have the same name."""
    names = [Path(os.path.realpath(folder)).name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]
