"""logits -> scores: the loss and the classification scores of every set of predictions.

Training, the n-gram baselines, `evaluate` and the report all use this module, so that a score does
not depend on the place where it is computed. Scores are computed in float64: in float32,
torchmetrics may give an AUROC of 1.0000001, and a sigmoid is 1 from a logit of 17 on.
"""

from math import nan
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_confusion_matrix,
)

from lstm_sentiment.data.batches import Batch
from lstm_sentiment.data.ranks import ALONE, Ranks
from lstm_sentiment.labels import BINARY, POSITIVE, Classes
from lstm_sentiment.model.probabilities import log_softmax, probabilities
from lstm_sentiment.model.rates import rates

CALIBRATION_BINS = 15


def classification_scores(
    labels: np.ndarray,
    logits: np.ndarray,
    classes: Classes = BINARY,
    predicted: np.ndarray | None = None,
) -> dict[str, Any]:
    """Return the scores of N predictions, in float64.

    `labels` is (N,) of whole numbers; `logits` is finite, (N,) for two classes, (N, K) for more.
    The loss is the mean cross-entropy. AUROC is the mean of those of each class against the rest,
    and None if a class does not occur. The confusion matrix is actual x predicted: [[tn, fp],
    [fn, tp]] for two classes. `rates` describes the scores that follow from it.
    """
    labels, logits = np.asarray(labels).astype(np.int64), np.asarray(logits, np.float64)
    if predicted is None:
        predicted = classes.predicted(probabilities(logits))
    matrix = multiclass_confusion_matrix(
        torch.from_numpy(predicted), torch.from_numpy(labels), len(classes)
    ).tolist()
    return {
        "loss": float(losses(labels, logits).mean()),
        "auroc": mean_auroc(labels, logits),
        "confusion_matrix": matrix,
        **rates(matrix, classes.values),
    }


def losses(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Return the cross-entropy of each review, (N,); the arguments are those of the scores."""
    if logits.ndim == 1:
        return np.logaddexp(0, np.where(labels == POSITIVE, -logits, logits))
    return -log_softmax(logits)[np.arange(len(labels)), labels]


def mean_auroc(labels: np.ndarray, logits: np.ndarray) -> float | None:
    """Return the mean of `aurocs`; None if a class does not occur."""
    areas = aurocs(labels, logits)
    return None if None in areas else float(np.mean(areas))  # type: ignore[arg-type]


def aurocs(labels: np.ndarray, logits: np.ndarray) -> list[float | None]:
    """Return the area under the ROC curve of each class against the rest.

    For two classes there is one area, that of the second class. `logits` is (N,) or (N, K).
    """
    if logits.ndim == 1:
        return [auroc(labels, logits)]
    return [auroc(labels == k, margin) for k, margin in enumerate(margins(logits).T)]


def margins(logits: np.ndarray) -> np.ndarray:
    """Return the logit of each class against the rest, (N, K); `logits` is (N, K).

    They distinguish reviews also where probabilities round to 1.
    """
    classes = range(logits.shape[1])
    rest = [np.logaddexp.reduce(np.delete(logits, k, axis=1), axis=1) for k in classes]
    return logits - np.stack(rest, axis=1)


def auroc(labels: np.ndarray, logits: np.ndarray) -> float | None:
    """Return the area under the ROC curve; None if only one class occurs.

    It is the share of the pairs of a positive and a negative review in which the positive review
    has the larger logit (Hanley and McNeil 1982). Equal logits count one half. `labels` is (N,), 0
    or 1 (or bool); `logits` is (N,), or any other score with the same order.
    """
    positive = np.asarray(labels) == 1
    positives = int(positive.sum())
    pairs = positives * (len(positive) - positives)
    if not pairs:
        return None
    # Ranks are multiples of 1/2, so the sum is exact and the area is never above 1.
    rank_sum = rankdata(logits)[positive].sum()
    return float((rank_sum - positives * (positives + 1) / 2) / pairs)


def most_confident_mistakes(
    labels: np.ndarray, logits: np.ndarray, predicted: np.ndarray, count: int
) -> np.ndarray:
    """Return the positions of the misclassified reviews with the most probable predictions.

    `labels` and `predicted` are (N,), whole numbers or bool; `logits` is (N,) or (N, K). The result
    holds at most `count` positions, the most confident mistake first. Equally confident mistakes
    keep their order.
    """
    wrong = np.flatnonzero(predicted != labels)
    chosen = np.asarray(logits, np.float64)[wrong]
    if chosen.ndim == 1:  # the predicted class may be the less probable one of two
        confidence = np.where(predicted[wrong] == POSITIVE, chosen, -chosen)
    else:
        confidence = log_softmax(chosen).max(1)
    return wrong[np.argsort(-confidence, kind="stable")][:count]


def calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the expected calibration error (Naeini et al. 2015) of N predictions.

    For two classes, with `probabilities` (N,), it is the distance between the mean predicted
    probability of positive and the share of positives, averaged over bins of the probability. For
    more, with (N, K), probability and share are those of the predicted class (Guo et al. 2017).
    `labels` is (N,).
    """
    correct = np.asarray(labels)
    if probabilities.ndim > 1:
        correct = (probabilities.argmax(1) == labels).astype(int)
        probabilities = probabilities.max(1)
    # torchmetrics would give a probability of exactly 1 a bin of its own.
    below_one = np.asarray(probabilities, np.float64).clip(max=np.nextafter(1, 0))
    error = binary_calibration_error(
        torch.from_numpy(below_one), torch.from_numpy(correct), CALIBRATION_BINS
    )
    return error.item()


class StageScores:
    """The predictions of a stage, collected batch by batch, and their scores.

    Scores are computed once, at the end, and on the CPU, from the predictions of all `ranks`.
    """

    def __init__(self, classes: Classes = BINARY, ranks: Ranks = ALONE) -> None:
        self.classes, self.ranks = classes, ranks
        self.batches: list[tuple[Tensor, ...]] = []  # row, label, (B,), and logits of each review

    def reset(self) -> None:
        """Remove all batches."""
        self.batches = []

    def update(self, logits: Tensor, batch: Batch) -> None:
        """Add the labelled reviews of a batch with the logits, (B,) or (B, K), of all of them."""
        columns = tuple(map(batch.own, (batch.rows, batch.labels, logits.detach().float())))
        if batch.is_labelled is not None:
            is_labelled = batch.own(batch.is_labelled)
            rows, labels, logits = (column[is_labelled] for column in columns)
            # Of labelled reviews, the probabilities are 0 and 1.
            columns = rows, labels if labels.ndim == 1 else labels.argmax(1).float(), logits
        self.batches.append(columns)

    def compute(self) -> dict[str, Any]:
        """Return the scores; if a logit is not finite, a loss of NaN and no other score."""
        _, labels, logits = (column.numpy() for column in self._columns())
        if not np.isfinite(logits).all():
            return {"loss": nan}
        return classification_scores(labels, logits, self.classes)

    def predictions(self) -> dict[str, Tensor]:
        """Return index, label and logit of every review, sorted by index.

        They are (N,); the logits of more than two classes are (N, K).
        """
        index, label, logit = self._columns()
        order = index.argsort()
        return {"index": index[order], "label": label[order], "logit": logit[order]}

    def _columns(self) -> tuple[Tensor, ...]:
        columns = (torch.cat(column).cpu() for column in zip(*self.batches, strict=True))
        return tuple(map(self.ranks.joined, columns))
