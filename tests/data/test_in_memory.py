"""Reviews in memory: the corpus made of them, and the texts and labels that are refused."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lstm_sentiment.data.in_memory import checked_reviews, checked_texts, corpus_in_memory
from lstm_sentiment.data.sources import Corpus
from tests.support.corpora import LABELS, TEXTS, read, refusal_of, reviews, version

Table = pa.table({"text": TEXTS}).to_pandas


def corpus(*arguments: Any, **options: Any) -> Corpus:
    return corpus_in_memory(checked_reviews(*arguments, **options))


@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        [bool(label) for label in LABELS],
        ["pos" if label else "neg" for label in LABELS],
        ["Positive" if label else "negative" for label in LABELS],
        np.array(LABELS, float),
        tuple(map(str, LABELS)),
    ],
)
def test_labels_are_read_as_those_of_a_file(labels: Any) -> None:
    assert read(corpus(TEXTS, labels)) == reviews()


def test_the_positive_one_of_two_other_labels_may_be_named() -> None:
    labels = ["happy" if label else "cross" for label in LABELS]
    assert read(corpus(TEXTS, labels, positive_label="happy")) == reviews()
    assert read(corpus(TEXTS, labels)) == reviews()  # sorted by spelling
    swapped = reviews(labels=[1 - label for label in LABELS])
    assert read(corpus(TEXTS, labels, positive_label="cross")) == swapped
    assert "leave out positive_label for more than two classes" in refusal_of(
        lambda: checked_reviews(TEXTS, [*labels[:3], "calm"], positive_label="happy")
    )


def test_named_classes_allow_no_other_label() -> None:
    names = ["1", "2", "5"]
    labels = [review.label for review in checked_reviews(TEXTS, [1, 2.0, "5", " 1"], classes=names)]
    assert labels == ["1", "2", "5", "1"]
    assert refusal_of(lambda: checked_reviews(TEXTS, [1, 2, 5, 4], classes=names)).startswith(
        "labels[3]: label '4' is not one of classes (1, 2, 5)"
    )


@pytest.mark.parametrize("texts", [tuple(TEXTS), np.array(TEXTS, object), Table()["text"]])
def test_any_sequence_of_strings_is_read(texts: Any) -> None:
    assert checked_texts(texts) == TEXTS


def test_the_version_depends_on_texts_and_labels() -> None:
    versions = {
        version(corpus(texts, labels))
        for texts in (TEXTS, TEXTS[::-1])
        for labels in (LABELS, LABELS[::-1])
    }
    assert len(versions) == 4
    assert version(corpus(np.array(TEXTS, object), np.array(LABELS))) in versions


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (TEXTS[:3], LABELS, r"same length \(got 3 texts and 4 labels\)"),
        ([], LABELS, r"same length \(got 0 texts and 4 labels\)"),
        ("A gem.", LABELS, r"^texts must be a list .* \(got str\)"),
        (3, LABELS, r"^texts must be a list .* \(got int\)"),
        (dict.fromkeys(TEXTS, 1), LABELS, r"^texts must be a list .* \(got dict\)"),
        (set(TEXTS), LABELS, r"^texts must be a list .* \(got set\)"),
        (Table(), LABELS, r"^texts must be .* \(got DataFrame with 2 dimensions\)"),
        (np.zeros((4, 1)), LABELS, r"^texts must be .* \(got ndarray with 2 dimensions\)"),
        ([*TEXTS[:3], None], LABELS, r"^texts\[3\]: the text is missing"),
        ([*TEXTS[:3], float("nan")], LABELS, r"^texts\[3\]: the text is missing"),
        ([*TEXTS[:3], 7], LABELS, r"^texts\[3\]: the text must be a string \(got 7\)"),
        (TEXTS, [1, 0, None, 0], r"^labels\[2\]: the label is missing"),
        (TEXTS, [1, 0, float("nan"), 0], r"^labels\[2\]: the label is missing"),
        (TEXTS, [1, 0, pa.array([None]).to_pandas()[0], 0], r"^labels\[2\]: the label is missing"),
        (TEXTS, [1, 0, "", 0], r"^labels\[2\]: the label is missing"),
        (TEXTS, "1010", r"^labels must be a list .* \(got str\)"),
    ],
)
def test_texts_and_labels_that_cannot_be_used_are_refused(
    texts: Any, labels: Any, message: str
) -> None:
    assert re.search(message, refusal_of(lambda: checked_reviews(texts, labels)))


def test_missing_values_of_pandas_are_missing() -> None:
    column = Table()["text"].astype("string").where(lambda texts: texts != TEXTS[1])
    assert refusal_of(lambda: checked_reviews(column, LABELS)).startswith("texts[1]: the text is")
