"""confusion matrix -> the scores that follow from it; imports nothing, since `status` needs it."""

from collections.abc import Sequence

UNEVEN = 0.55  # share of the larger of two classes above which classes are uneven
ConfusionMatrix = Sequence[Sequence[float]]  # K x K, actual x predicted; counts, or their means


def are_uneven(majority_share: float, classes: int) -> bool:
    """Return whether the classes are uneven, so that tables show the scores of the majority class.

    The largest class is then more than 1.1 times as large as the mean of the classes: of two
    classes, it has more than 55 % of the reviews.
    """
    return majority_share > 2 * UNEVEN / classes


def rates(matrix: ConfusionMatrix, values: Sequence[float] | None = None) -> dict[str, float]:
    """Return the scores that follow from the confusion matrix of K classes, in float64.

    For two classes, precision, recall and F1 refer to the second one, positive. For more they are
    the means over the classes that occur or are predicted (macro averages). They are 0 if they are
    undefined. The balanced accuracy is the mean recall of the classes that occur. `majority_share`
    is the share of the largest class: the accuracy of a classifier that always predicts it.

    With `values`, the numbers that the K classes stand for, such as stars, there are also the mean
    absolute error in these numbers, and Cohen's kappa with quadratic weights of the positions of
    the classes (Cohen 1968), which is 0 if it is undefined.
    """
    classes = range(len(matrix))
    actual = [sum(row) for row in matrix]
    predicted = [sum(row[k] for row in matrix) for k in classes]
    correct, total = [matrix[k][k] for k in classes], sum(actual)
    recalls = [_ratio(correct[k], actual[k]) for k in classes if actual[k]]
    averaged = [k for k in classes if actual[k] or predicted[k]]
    if len(matrix) == 2:
        averaged = [1]
    scores = {
        "accuracy": _ratio(sum(correct), total),
        "balanced_accuracy": _mean(recalls),
        "precision": _mean([_ratio(correct[k], predicted[k]) for k in averaged]),
        "recall": _mean([_ratio(correct[k], actual[k]) for k in averaged]),
        "f1": _mean([_ratio(2 * correct[k], actual[k] + predicted[k]) for k in averaged]),
        "majority_share": _ratio(max(actual), total),
    }
    if values is not None:
        scores["mean_absolute_error"] = _absolute_error(matrix, values)
        scores["quadratic_kappa"] = _quadratic_kappa(matrix, actual, predicted)
    return scores


def _absolute_error(matrix: ConfusionMatrix, values: Sequence[float]) -> float:
    errors = sum(
        count * abs(value - values[k])
        for value, row in zip(values, matrix, strict=True)
        for k, count in enumerate(row)
    )
    return _ratio(errors, sum(map(sum, matrix)))


def _quadratic_kappa(
    matrix: ConfusionMatrix, actual: Sequence[float], predicted: Sequence[float]
) -> float:
    pairs = [(i, j, (i - j) ** 2) for i in range(len(matrix)) for j in range(len(matrix))]
    observed = sum(weight * matrix[i][j] for i, j, weight in pairs)
    expected = sum(weight * actual[i] * predicted[j] for i, j, weight in pairs)
    return 1 - observed * sum(actual) / expected if expected else 0.0


def _mean(numbers: Sequence[float]) -> float:
    return _ratio(sum(numbers), len(numbers))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
