"""logits -> scores: the loss and the classification scores of every set of predictions.

Training, the n-gram baselines, `evaluate` and the report all use this module, so that a score does
not depend on the place where it is computed. Scores are computed in float64: in float32,
torchmetrics may give an AUROC of 1.0000001, and a sigmoid is 1 from a logit of 17 on.
"""

from math import nan
from typing import Any

import numpy as np
import torch
from scipy.special import expit
from scipy.stats import rankdata
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_calibration_error,
    binary_confusion_matrix,
)

from lstm_sentiment.data.batches import Batch
from lstm_sentiment.labels import is_positive
from lstm_sentiment.model.rates import rates

CALIBRATION_BINS = 15


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of logits, in float64; both have any shape."""
    return expit(np.asarray(logits, np.float64))


def classification_scores(labels: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
    """Return the scores of N predictions, in float64.

    `labels` is (N,), 0 or 1 (or bool); `logits` is (N,) and finite. The loss is the mean binary
    cross-entropy. AUROC is None if only one class occurs. The confusion matrix is
    [[tn, fp], [fn, tp]]; `rates` describes the scores that follow from it.
    """
    positive, logits = np.asarray(labels) == 1, np.asarray(logits, np.float64)
    predicted = is_positive(sigmoid(logits))
    matrix = binary_confusion_matrix(
        torch.from_numpy(predicted).int(), torch.from_numpy(positive).int()
    ).tolist()
    return {
        "loss": float(np.logaddexp(0, np.where(positive, -logits, logits)).mean()),
        "auroc": auroc(positive, logits),
        "confusion_matrix": matrix,
        **rates(matrix),
    }


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


def most_confident_mistakes(labels: np.ndarray, logits: np.ndarray, count: int) -> np.ndarray:
    """Return the positions of the misclassified reviews with the largest absolute logits.

    `labels` is (N,), 0 or 1 (or bool); `logits` is (N,). The result holds at most `count`
    positions, the most confident mistake first. Equally confident mistakes keep their order.
    """
    wrong = np.flatnonzero(is_positive(sigmoid(logits)) != labels)
    return wrong[np.argsort(-np.abs(logits[wrong]), kind="stable")][:count]


def calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the expected calibration error (Naeini et al. 2015) of N predictions.

    It is the distance between the mean predicted probability of positive and the share of
    positives, averaged over bins of the probability. `labels` is (N,), 0 or 1 (or bool);
    `probabilities` is (N,).
    """
    # torchmetrics would give a probability of exactly 1 a bin of its own.
    below_one = np.asarray(probabilities, np.float64).clip(max=np.nextafter(1, 0))
    error = binary_calibration_error(
        torch.from_numpy(below_one), torch.from_numpy(np.asarray(labels)).int(), CALIBRATION_BINS
    )
    return error.item()


class StageScores:
    """The predictions of a stage, collected batch by batch, and their scores.

    Scores are computed once, at the end, and on the CPU.
    """

    def __init__(self) -> None:
        self.batches: list[tuple[Tensor, ...]] = []  # row, label and logit, (B,) each

    def reset(self) -> None:
        """Remove all batches."""
        self.batches = []

    def update(self, logits: Tensor, batch: Batch) -> None:
        """Add a batch with its logits, (B,)."""
        self.batches.append((batch.rows, batch.labels, logits.detach().float()))

    def compute(self) -> dict[str, Any]:
        """Return the scores; if a logit is not finite, a loss of NaN and no other score."""
        _, labels, logits = (column.numpy() for column in self._columns())
        if not np.isfinite(logits).all():
            return {"loss": nan}
        return classification_scores(labels, logits)

    def predictions(self) -> dict[str, Tensor]:
        """Return index, label and logit of every review, sorted by index; (N,) each."""
        index, label, logit = self._columns()
        order = index.argsort()
        return {"index": index[order], "label": label[order], "logit": logit[order]}

    def _columns(self) -> tuple[Tensor, ...]:
        return tuple(torch.cat(column).cpu() for column in zip(*self.batches, strict=True))
