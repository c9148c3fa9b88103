"""logits -> probabilities, of one model or of an ensemble.

Probabilities are computed in float64: in float32, a sigmoid is 1 from a logit of 17 on.
"""

from collections.abc import Sequence

import numpy as np


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of logits, in float64; both have any shape."""
    logits = np.asarray(logits, np.float64)
    odds = np.exp(-abs(logits))  # of the less probable class; never too large
    return np.where(logits < 0, odds, 1) / (1 + odds)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the logarithms of the probabilities of classes, in float64; both are (..., K)."""
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of the classes, in float64.

    For two classes, `logits` and the result are (N,) and belong to the second class. For more, both
    are (N, K).
    """
    logits = np.asarray(logits, np.float64)
    if logits.ndim == 1:
        return sigmoid(logits)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def logit_of_mean(
    logits: Sequence[np.ndarray], weights: Sequence[float] | None = None
) -> np.ndarray:
    """Return the logits of the mean probabilities of models, (N,) or (N, K) each, in float64.

    `weights` are those of the models, positive with the sum 1; by default they are equal. Means of
    probabilities would be exactly 1 for very certain models; their logarithms are not.
    """
    each = np.asarray(logits, np.float64)
    shares = np.full(len(each), 1 / len(each)) if weights is None else np.asarray(weights)
    log_shares = np.log(shares).reshape(-1, *[1] * (each.ndim - 1))
    if each.ndim > 2:  # the logarithms of the mean probabilities
        return np.logaddexp.reduce(log_shares + log_softmax(each))
    positive = np.logaddexp.reduce(log_shares - np.logaddexp(0, -each))
    negative = np.logaddexp.reduce(log_shares - np.logaddexp(0, each))
    return positive - negative
