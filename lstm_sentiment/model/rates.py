"""confusion matrix -> the scores that follow from it; imports nothing, since `status` needs it."""

from collections.abc import Sequence

UNEVEN = 0.55  # share of the larger class above which tables show it
ConfusionMatrix = Sequence[Sequence[float]]  # [[tn, fp], [fn, tp]]; counts, or means of counts


def rates(matrix: ConfusionMatrix) -> dict[str, float]:
    """Return the scores that follow from a confusion matrix, from 0 to 1, in float64.

    Precision, recall and F1 refer to the positive class, and are 0 if they are undefined. The
    balanced accuracy is the mean recall of the classes that occur. `majority_share` is the share of
    the larger class: the accuracy of a classifier that always predicts this class.
    """
    (true_negatives, false_positives), (false_negatives, true_positives) = matrix
    negatives, positives = true_negatives + false_positives, false_negatives + true_positives
    wrong, total = false_positives + false_negatives, negatives + positives
    recalls = [
        correct / size
        for correct, size in ((true_negatives, negatives), (true_positives, positives))
        if size
    ]
    return {
        "accuracy": _ratio(true_negatives + true_positives, total),
        "balanced_accuracy": _ratio(sum(recalls), len(recalls)),
        "precision": _ratio(true_positives, true_positives + false_positives),
        "recall": _ratio(true_positives, positives),
        "f1": _ratio(2 * true_positives, 2 * true_positives + wrong),
        "majority_share": _ratio(max(negatives, positives), total),
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
