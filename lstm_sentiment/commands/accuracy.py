"""scores of a record -> the accuracy in words, for `status`, `baseline` and `ensemble`."""

from collections.abc import Mapping
from typing import Any

from lstm_sentiment.model.rates import are_uneven, rates


def accuracies(record: Mapping[str, Any]) -> list[str]:
    """Return the accuracies of a record on the validation and the test set, if it has them."""
    return [accuracy_text(stage, record[stage]) for stage in ("val", "test") if record[stage]]


def accuracy_text(stage: str, scores: Mapping[str, Any]) -> str:
    """Return the accuracy in a stage; if the classes are uneven, with what it is compared with.

    This is the balanced accuracy, and the accuracy of always predicting the majority class.
    """
    matrix = scores["confusion_matrix"]
    computed = rates(matrix)  # records of older versions have fewer scores
    text = f"{stage} {scores['accuracy']:.2%}"
    if not are_uneven(computed["majority_share"], len(matrix)):
        return text
    return (
        f"{text} (balanced {computed['balanced_accuracy']:.2%}, "
        f"majority class {computed['majority_share']:.2%})"
    )
