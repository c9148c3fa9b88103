"""Classes: which labels are the same, their order, and the predicted class."""

import numpy as np
import pytest

from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import BINARY, USUAL_LABELS, Classes, label_text


def found(*labels: str) -> list[str]:
    return [*Classes.found(labels).names]


@pytest.mark.parametrize("label", [*USUAL_LABELS, "POS", "True"])
def test_usual_labels_are_negative_and_positive(label: str) -> None:
    assert Classes.found([label, "0"]) == BINARY
    assert BINARY.label(label) == USUAL_LABELS[label.casefold()]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["spam", "ham"], ["ham", "spam"]),
        (["Spam", "ham", "SPAM"], ["ham", "SPAM"]),  # case decides neither class nor order
        (["pos", "neg", "neutral"], ["neg", "neutral", "pos"]),
        (["0", "1", "so-so"], ["0", "1", "so-so"]),
        (["好", "坏", "中"], ["中", "坏", "好"]),
    ],
)
def test_other_labels_are_sorted_by_spelling(labels: list[str], names: list[str]) -> None:
    assert found(*labels) == names
    assert Classes.found(labels).values is None


@pytest.mark.parametrize(
    ("labels", "values"),
    [
        (["10", "9", "2"], (2, 9, 10)),
        (["1", "-1", "0"], (-1, 0, 1)),
        (["4.5", "5", "1e1", "4"], (4, 4.5, 5, 10)),
        (["٢", "١", "٣"], (1, 2, 3)),  # Arabic digits
        (["5", "1"], (1, 5)),
    ],
)
def test_numbers_keep_their_order(labels: list[str], values: tuple[float, ...]) -> None:
    assert Classes.found(labels).values == values


@pytest.mark.parametrize("other", ["nan", "inf", "1_000", "3 stars", "0x10", "½", "1e300"])
def test_other_words_are_not_numbers(other: str) -> None:
    assert Classes.found(["10", "9", other]).values is None
    assert found("10", "9", other) == sorted(["10", "9", other])


def test_large_identifiers_are_not_numbers() -> None:
    identifiers = ["9007199254740992", "9007199254740993"]  # equal in float64
    assert found(*identifiers) == identifiers
    assert Classes.found(identifiers).values is None


def test_one_number_in_two_spellings_is_refused() -> None:
    with pytest.raises(InputError, match=r"^the labels 4\.5 and 4\.50 are the same number: "):
        found("4.5", "3", "4.50")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(1, "1"), (1.0, "1"), ("4.0", "4"), (4.5, "4.5"), (-1.0, "-1"), ("1.0.0", "1.0.0")],
        *[(True, "True"), (" 5 ", "5"), (b"x", "x"), (None, ""), (float("nan"), ""), ("", "")],
    ],
)
def test_the_text_of_a_label(value: object, text: str) -> None:
    assert label_text(value) == text


def test_labels_of_classes_have_no_case() -> None:
    classes = Classes(("Bad", "so-so", "GOOD"))
    assert [classes.label(name) for name in ("bad", "So-So", "good")] == [0, 1, 2]
    assert classes.label("1") is classes.label("") is None
    assert len(classes) == classes.outputs == 3
    assert Classes(("ham", "spam")).outputs == 1


def test_the_predicted_class() -> None:
    probabilities = np.array([0.2, 0.5, 0.500001])
    assert BINARY.predicted(probabilities).tolist() == [0, 0, 1]
    assert BINARY.with_threshold(0.1).predicted(probabilities).tolist() == [1, 1, 1]
    several = np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]])
    assert Classes(("a", "b", "c")).predicted(several).tolist() == [1, 0]  # the first of equals
