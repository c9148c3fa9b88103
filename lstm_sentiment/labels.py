"""The classes of a review: their names, their order and the decision rule."""

from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import numpy as np

NEGATIVE, POSITIVE = 0, 1
UNLABELLED = -1
CLASSES = ("negative", "positive")  # by label
THRESHOLD = 0.5


@overload
def is_positive(probability: float) -> bool: ...


@overload
def is_positive(probability: "np.ndarray") -> "np.ndarray": ...


def is_positive(probability: Any) -> Any:
    """Return whether the predicted class is positive, given the probability of positive.

    A probability of exactly `THRESHOLD` is classified as negative, as in torchmetrics. An array
    gives an array of bool of the same shape.
    """
    return probability > THRESHOLD


def class_name(probability: float) -> str:
    """Return the name of the predicted class, given the probability of positive."""
    return CLASSES[int(is_positive(probability))]
