"""labelled texts -> scores, of one trained network or of several as an ensemble."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from sklearn.metrics import (
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)
from statsmodels.stats.proportion import proportion_confint

from lstm_sentiment.data.formats import Columns, Review, read_tables
from lstm_sentiment.errors import InputError
from lstm_sentiment.report.configurations import Answers
from lstm_sentiment.report.report import calibration_error
from lstm_sentiment.serving.predictor import LABELS, Predictor
from lstm_sentiment.serving.rows import ROWS

ENSEMBLE = "ensemble"
NOTHING = "–"
SCORES = {
    "reviews": "reviews",
    "accuracy": "accuracy %",
    "interval": "95 % interval",
    "precision": "precision of positive %",
    "recall": "recall of positive %",
    "f1": "F1 of positive %",
    "auroc": "AUROC %",
    "loss": "loss",
    "calibration_error": "calibration error",
}
PLAIN = {"reviews": ",", "loss": ".4f", "calibration_error": ".4f"}  # no shares


def evaluate(
    predictors: Mapping[str, Predictor],
    file: Path,
    columns: Columns,
    seen: Callable[[int], object] | None = None,
) -> dict[str, dict[str, Any]]:
    """The scores of each network by its name; of several also those of their mean probability.

    The file is read once, as a stream. Raises InputError where a row has no text or label that can
    be used.
    """
    labels: list[int] = []
    given: dict[str, list[np.ndarray]] = {name: [] for name in predictors}
    for part in _parts(read_tables([file], columns)):
        labels += [review.label for review in part]
        for name, predictor in predictors.items():
            given[name].append(predictor.probabilities([review.text for review in part]))
        if seen is not None:
            seen(len(labels))
    if not labels:
        raise InputError(f"{file} has no rows: there is nothing to evaluate on.")
    probabilities = {name: np.concatenate(parts) for name, parts in given.items()}
    if len(probabilities) > 1:
        probabilities[ENSEMBLE] = np.mean([*probabilities.values()], 0)
    return {name: scores(np.array(labels), said) for name, said in probabilities.items()}


def _parts(reviews: Iterator[Review]) -> Iterator[list[Review]]:
    while part := list(islice(reviews, ROWS)):
        yield part


def scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """(N,) of 0 and 1, (N,) of being positive

    Precision, recall and F1 are of the positive class; the interval of the accuracy is Wilson's, at
    95 %; the confusion matrix is [[tn, fp], [fn, tp]]. Without both labels there is no AUROC.
    """
    said = probabilities > 0.5
    right = int((said == labels).sum())
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, said, average="binary", zero_division=0
    )
    low, high = proportion_confint(right, len(labels), method="wilson")
    both = len(np.unique(labels)) > 1
    answers = Answers(np.arange(len(labels)), labels == 1, probabilities.astype(np.float32), None)
    return {
        "reviews": len(labels),
        "accuracy": right / len(labels),
        "interval": [float(low), float(high)],
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "auroc": float(roc_auc_score(labels, probabilities)) if both else None,
        "loss": float(log_loss(labels, probabilities, labels=[0, 1])),
        "calibration_error": calibration_error(answers),
        "confusion_matrix": confusion_matrix(labels, said, labels=[0, 1]).tolist(),
    }


def table(found: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    """A column for each network, and the confusion matrix of the last: of the ensemble, if any.

    Of several the columns have numbers, since runs have longer names than scores have digits.
    """
    *members, last = found
    grid = Table("", box=None, header_style="bold")
    for title in (*map(str, range(1, len(found))), last):
        grid.add_column(title, justify="right")
    for score, title in SCORES.items():
        grid.add_row(title, *(_cell(score, values[score]) for values in found.values()))
    matrix = Table(f"{last}: it is", box=None, header_style="bold")
    for label in LABELS:
        matrix.add_column(f"said {label}", justify="right")
    for label, row in zip(LABELS, found[last]["confusion_matrix"], strict=True):
        matrix.add_row(label, *(f"{count:,}" for count in row))
    legend = [Text(f" {number}: {name}") for number, name in enumerate(members, 1)]
    return Group(*legend, grid, Text(), matrix)


def _cell(score: str, value: Any) -> str:
    if value is None:
        return NOTHING
    if score in PLAIN:
        return f"{value:{PLAIN[score]}}"
    if score == "interval":
        return "\n".join(f"{100 * bound:.2f}" for bound in value)
    return f"{100 * value:.2f}"


def names(folders: Sequence[Path]) -> list[str]:
    """What to call the networks of these folders: their last part, or all where that is not one's
    own.
    """
    short = [folder.resolve().name for folder in folders]
    return short if len(set(short)) == len(short) else [str(folder) for folder in folders]
