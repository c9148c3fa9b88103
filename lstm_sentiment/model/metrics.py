"""logits -> scores: loss and classification scores of a training, validation or test pass."""

from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_accuracy,
    binary_auroc,
    binary_calibration_error,
    binary_confusion_matrix,
    binary_f1_score,
    binary_precision,
    binary_recall,
)

from lstm_sentiment.data.batches import Batch
from lstm_sentiment.labels import THRESHOLD, is_positive


def classification_scores(labels: Tensor, probabilities: Tensor) -> dict[str, Any]:
    """Return the scores of N predictions, by torchmetrics.

    `labels` is (N,) of int, 0 or 1; `probabilities` is (N,), each the probability of positive.
    Precision, recall and F1 refer to the positive class, and are 0 if they are undefined.
    AUROC is None if only one class occurs. The confusion matrix is
    [[tn, fp], [fn, tp]], all other scores are floats from 0 to 1.
    """
    both_occur = 0 < int(labels.sum()) < len(labels)
    return {  # in the order of a run's record
        "accuracy": binary_accuracy(probabilities, labels, THRESHOLD).item(),
        "auroc": binary_auroc(probabilities, labels).item() if both_occur else None,
        "confusion_matrix": binary_confusion_matrix(probabilities, labels, THRESHOLD).tolist(),
        "f1": binary_f1_score(probabilities, labels, THRESHOLD).item(),
        "precision": binary_precision(probabilities, labels, THRESHOLD).item(),
        "recall": binary_recall(probabilities, labels, THRESHOLD).item(),
    }


def most_confident_mistakes(
    labels: np.ndarray, probabilities: np.ndarray, count: int
) -> np.ndarray:
    """Return the positions of the misclassified reviews with the largest errors of probability.

    `labels` is (N,), 0 or 1 (or bool); `probabilities` is (N,), each the probability of positive.
    The result holds at most `count` positions, the most confident mistake first. Equally confident
    mistakes keep their order.
    """
    wrong = np.flatnonzero(is_positive(probabilities) != labels)
    errors = np.abs(probabilities[wrong] - labels[wrong])
    return wrong[np.argsort(-errors, kind="stable")][:count]


class StageScores:
    """The loss and the classification scores of a stage, collected batch by batch.

    Scores are computed from probabilities, since torchmetrics takes logits for probabilities if all
    of them are within [0, 1]. They are computed once, at the end, and on the CPU: on CUDA, a
    deterministic AUROC needs memory for all pairs of reviews.
    """

    def __init__(self) -> None:
        self.batches: list[tuple[Tensor, ...]] = []  # row, label, probability and loss, (B,) each

    def reset(self) -> None:
        """Remove all batches."""
        self.batches = []

    def update(self, logits: Tensor, losses: Tensor, batch: Batch) -> None:
        """Add a batch with its logits, (B,), and the loss of each of its reviews, (B,)."""
        probabilities = logits.detach().float().sigmoid()
        self.batches.append((batch.rows, batch.labels, probabilities, losses.detach()))

    def compute(self) -> dict[str, Any]:
        """Return the mean loss and the classification scores.

        If the loss is not finite, no other score is returned, since probabilities may be NaN.
        """
        _, labels, probabilities, losses = self._columns()
        loss = losses.double().mean().item()
        if not isfinite(loss):
            return {"loss": loss}
        scores = classification_scores(labels.int(), probabilities)
        if scores["auroc"] is None:
            scores["auroc"] = 0.0  # a record holds a number for every score
        return {"loss": loss, **scores}

    def predictions(self) -> dict[str, Tensor]:
        """Return index, label and probability of every review, sorted by index; (N,) each."""
        index, label, probability, _ = self._columns()
        order = index.argsort()
        return {"index": index[order], "label": label[order], "probability": probability[order]}

    def _columns(self) -> tuple[Tensor, ...]:
        return tuple(torch.cat(column).cpu() for column in zip(*self.batches, strict=True))


CALIBRATION_BINS = 15


def calibration_error(labels: Tensor | np.ndarray, probabilities: Tensor | np.ndarray) -> float:
    """Return the expected calibration error (Naeini et al. 2015) of N predictions.

    It is the distance between the mean predicted probability of positive and the share of
    positives, averaged over bins of the probability. `labels` is (N,), 0 or 1 (or bool);
    `probabilities` is (N,).
    """
    error = binary_calibration_error(
        torch.as_tensor(probabilities), torch.as_tensor(labels).int(), n_bins=CALIBRATION_BINS
    )
    return error.item()
