"""predictions for the validation set -> the temperature and the threshold of a model."""

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq

from lstm_sentiment.config import Calibration, DecisionConfig
from lstm_sentiment.data.ranks import Ranks
from lstm_sentiment.display import Display
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import POSITIVE, THRESHOLD, Classes
from lstm_sentiment.model.metrics import calibration_error
from lstm_sentiment.model.probabilities import probabilities

# Without mistakes, the loss falls until all probabilities are 0 or 1; if the logits say nothing, it
# falls until all of them are equal. The bounds keep the temperature of such reviews finite.
LOWEST, HIGHEST = 0.05, 20.0


class Decision(NamedTuple):
    """The decision of a model for a class, given the logits of its training."""

    classes: Classes  # with the threshold
    temperature: float = 1.0  # by which the logits are divided
    calibration_errors: tuple[float, float] | None = None  # before and after, if it was chosen

    @property
    def recorded(self) -> dict[str, Any]:
        """The entry `decision` of a record."""
        record: dict[str, Any] = {"threshold": self.classes.threshold}
        if self.calibration_errors is not None:
            before, after = self.calibration_errors
            errors = {"before": before, "after": after}
            record["calibration"] = {"temperature": self.temperature, **errors}
        return record

    def agreed(self, ranks: Ranks) -> "Decision":
        """Return the decision of the leader, which differs from others by rounding at most."""
        threshold, temperature = ranks.of_leader([self.classes.threshold, self.temperature])
        classes = self.classes.with_threshold(threshold)
        return self._replace(classes=classes, temperature=temperature)

    def show(self, display: Display) -> None:
        """Show what was chosen, and warn of a temperature that the reviews do not determine."""
        if self.calibration_errors is not None:
            before, after = self.calibration_errors
            display.message(
                f"temperature {self.temperature:.3f}: the calibration error on the validation set "
                f"is {after:.4f}, and was {before:.4f}"
            )
        if self.classes.threshold != THRESHOLD:
            display.message(f"threshold {self.classes.threshold:.4f}")
        if self.temperature in (LOWEST, HIGHEST):
            bound = "least" if self.temperature == LOWEST else "largest"
            display.message(
                f"the temperature {self.temperature:g} is the {bound} that is allowed: the "
                "validation set has too few reviews, or too few mistakes, to choose one",
                "warning",
            )


def require_possible(config: DecisionConfig, classes: Classes) -> None:
    """Raise InputError if a threshold is to be chosen for more than two classes."""
    if len(classes) > 2 and config.threshold != str(THRESHOLD):
        raise InputError(
            f"decision.threshold={config.threshold} is allowed only with two classes: the reviews "
            f"have {len(classes)}, of which the most probable one is predicted."
        )


def decide(
    config: DecisionConfig, classes: Classes, labels: np.ndarray, logits: np.ndarray
) -> Decision:
    """Choose the decision from the labels of the validation set, (N,), and its logits.

    The logits are (N,) for two classes and (N, K) for more. The calibration comes first, since the
    threshold refers to calibrated probabilities.
    """
    labels, logits = np.asarray(labels).astype(np.int64), np.asarray(logits, np.float64)
    temperature, errors = 1.0, None
    if config.calibration is Calibration.temperature:
        temperature = fitted_temperature(labels, logits)
        before, after = (
            calibration_error(labels, probabilities(each))
            for each in (logits, logits / temperature)
        )
        errors = before, after
    if config.threshold != str(THRESHOLD):
        calibrated = probabilities(logits / temperature)
        classes = classes.with_threshold(best_threshold(labels, calibrated, config.threshold))
    return Decision(classes, temperature, errors)


def fitted_temperature(labels: np.ndarray, logits: np.ndarray) -> float:
    """Return the number that the logits are divided by for the least mean loss (Guo et al. 2017).

    `labels` is (N,); `logits` is (N,) or (N, K), float64. The loss is convex in the inverse of the
    temperature, so the root of its derivative is the minimum. The result is at least `LOWEST` and
    at most `HIGHEST`.
    """
    if logits.ndim == 1:
        of_labels = np.where(labels == POSITIVE, logits, 0)
    else:
        of_labels = logits[np.arange(len(labels)), labels]

    def derivative(inverse: float) -> float:
        expected = probabilities(logits * inverse) * logits
        return float(np.mean(expected.reshape(len(labels), -1).sum(1) - of_labels))

    low, high = 1 / HIGHEST, 1 / LOWEST
    if derivative(low) >= 0:
        return HIGHEST
    if derivative(high) <= 0:
        return LOWEST
    return 1 / float(brentq(derivative, low, high, xtol=1e-12))


def best_threshold(labels: np.ndarray, probability: np.ndarray, objective: str) -> float:
    """Return the threshold with the largest F1 ("f1") or balanced accuracy ("balanced").

    `labels` is (N,), 0 or 1, with both classes; `probability` is that of the second class, (N,),
    and F1 is its score. A threshold is halfway between neighbouring probabilities, so that rounding
    does not change a prediction; 0 and 1 are neighbours of the outermost ones. Of equally good
    thresholds, the nearest to 0.5 is returned.
    """
    values, positions = np.unique(probability, return_inverse=True)
    positives, negatives = (
        np.bincount(positions[labels == label], minlength=len(values)) for label in (1, 0)
    )
    # Of candidate i, between values i - 1 and i: the reviews up to value i - 1 are negative.
    false_negatives, true_negatives = (
        np.concatenate([[0], counts.cumsum()]) for counts in (positives, negatives)
    )
    true_positives = positives.sum() - false_negatives
    if objective == "f1":
        predicted = len(labels) - false_negatives - true_negatives
        scores = 2 * true_positives / (positives.sum() + predicted)
    else:  # in integers, so that equal scores are equal
        scores = true_positives * negatives.sum() + true_negatives * positives.sum()
    lower, upper = np.concatenate([[0], values]), np.concatenate([values, [1]])
    middle = lower + (upper - lower) / 2
    middle = np.where(middle < upper, middle, lower)  # neighbours in float64 have no middle
    # A review with a probability of exactly 0 is never positive.
    scores = np.where(lower < upper, scores, -1)
    best = middle[scores == scores.max()]
    return float(best[np.abs(best - THRESHOLD).argmin()])
