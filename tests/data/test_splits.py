"""Splits: sorted by digest, stratified, with copies of a text on one side."""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_sentiment.data.batches import shuffled_batches
from lstm_sentiment.data.splits import Split, stratified_sample, stratified_split
from lstm_sentiment.data.tokenized import TokenizedReviews

CHECKED = settings(deadline=None, max_examples=100, derandomize=True)
LABELS = st.lists(st.integers(0, 1), min_size=1, max_size=60).map(np.array)
# Few texts, so that there are copies, also with both labels.
LABELLED = st.lists(
    st.tuples(st.integers(0, 15).map("film {}".format), st.integers(0, 1)), max_size=50
)
Labelled = Sequence[tuple[str, int]]


def tokenized(labelled: Labelled) -> TokenizedReviews:
    """Return reviews of one word, but with the digests of these texts."""
    digests = b"".join(blake2b(text.encode(), digest_size=16).digest() for text, _ in labelled)
    return TokenizedReviews(
        words=["film"],
        tokens=np.zeros(len(labelled), np.int32),
        offsets=np.arange(len(labelled) + 1),
        labels=np.array([label for _, label in labelled], np.int8),
        digests=np.frombuffer(bytearray(digests), "<u8").reshape(-1, 2),
    )


def split_of(labelled: Labelled) -> Split:
    return Split.whole(tokenized(labelled))


def rows_of(split: Split, labelled: Labelled) -> list[tuple[str, int]]:
    return [labelled[row] for row in split.rows]


@CHECKED
@given(LABELLED)
def test_a_split_is_sorted_by_digest_label_and_row(labelled: Labelled) -> None:
    def key(row: int) -> tuple[int, ...]:
        text, label = labelled[row]
        digest = blake2b(text.encode(), digest_size=16).digest()
        halves = (int.from_bytes(half, "little") for half in (digest[:8], digest[8:]))
        return (*halves, label, row)

    split = split_of(labelled)
    assert split.rows.tolist() == sorted(range(len(labelled)), key=key)
    assert split.labels.tolist() == [labelled[row][1] for row in split.rows]


@pytest.mark.parametrize("half", [0, 1])
def test_reviews_whose_digests_share_a_half_are_not_copies(half: int) -> None:
    reviews = tokenized([("a", 1), ("b", 0), ("c", 1), ("a", 0)])
    reviews.digests[:] = 7
    reviews.digests[:, half] = [3, 1, 2, 3]
    split = Split.whole(reviews)
    assert split.rows.tolist() == [1, 2, 3, 0]
    assert split.groups.tolist() == [0, 1, 2, 2]


@CHECKED
@given(LABELLED, st.data())
def test_groups_are_the_first_positions_of_the_same_texts(
    labelled: Labelled, data: st.DataObject
) -> None:
    split = split_of(labelled)
    texts = [text for text, _ in rows_of(split, labelled)]
    assert split.groups.tolist() == [texts.index(text) for text in texts]
    positions = data.draw(st.sets(st.sampled_from(range(len(labelled))))) if labelled else set()
    taken = split.take(np.array(sorted(positions), np.int64))
    texts = [texts[position] for position in sorted(positions)]
    assert [text for text, _ in rows_of(taken, labelled)] == texts
    assert taken.groups.tolist() == [texts.index(text) for text in texts]


@CHECKED
@given(LABELLED, st.data())
def test_a_split_is_the_same_in_any_order(labelled: Labelled, data: st.DataObject) -> None:
    other = data.draw(st.permutations(labelled))
    one, same = split_of(labelled), split_of(other)
    assert rows_of(one, labelled) == rows_of(same, other)
    assert one.groups.tolist() == same.groups.tolist()
    assert one.identity == same.identity


def test_different_reviews_have_different_identities() -> None:
    reviews = [("a", 0), ("b", 1), ("c", 0)]
    others = [
        reviews,
        reviews[:2],
        [*reviews, ("c", 0)],  # a copy
        [("a", 0), ("b", 1), ("d", 0)],
        [("a", 0), ("b", 1), ("c", 1)],
        [("a", 1), ("b", 0), ("c", 0)],  # two labels are exchanged
        [],
    ]
    assert len({split_of(labelled).identity for labelled in others}) == len(others)
    split = split_of(reviews)
    assert split.take(np.array([0, 1])).identity != split.take(np.array([0, 2])).identity


@CHECKED
@given(LABELLED, st.floats(0, 0.99), st.data())
def test_a_test_set_has_its_fraction_of_each_label_and_all_copies(
    labelled: Labelled, fraction: float, data: st.DataObject
) -> None:
    train, test = split_of(labelled).train_test_split(fraction)
    sides = [rows_of(side, labelled) for side in (train, test)]
    assert Counter(sides[0]) + Counter(sides[1]) == Counter(labelled)
    assert not {text for text, _ in sides[0]} & {text for text, _ in sides[1]}
    for side in (train, test):
        assert [row for row in split_of(labelled).rows if row in side.rows] == [*side.rows]
    counts = Counter(text for text, _ in labelled)
    for value in (0, 1):  # a text with both labels counts under the lower one
        mine = {text for text in counts if (text, value) in labelled}
        mine -= {text for text, label in labelled if label < value}
        taken = sum(counts[text] for text in mine & {text for text, _ in sides[1]})
        target = round(sum(counts[text] for text in mine) * fraction)
        assert taken == target or target - max(map(counts.get, mine)) < taken < target
    permuted = data.draw(st.permutations(labelled))
    assert [
        rows_of(side, permuted) for side in split_of(permuted).train_test_split(fraction)
    ] == sides


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.25, 0.5, 0.9])
def test_without_copies_fractions_are_exact(fraction: float) -> None:
    labelled = [(f"film {row}", int(row >= 60)) for row in range(100)]
    train, test = split_of(labelled).train_test_split(fraction)
    assert np.bincount(test.labels).tolist() == [round(60 * fraction), round(40 * fraction)]
    assert len(train.rows) + len(test.rows) == 100


def test_the_test_set_and_its_identity_are_pinned() -> None:
    """Other values would change every result on reviews without a test set."""
    labelled = [(f"film {row}", row % 2) for row in range(20)]
    train, test = split_of(labelled).train_test_split(0.3)
    assert sorted(test.rows.tolist()) == [3, 7, 9, 10, 14, 18]
    assert test.identity == (
        "sha256-fd1caa14c57948827bc89c0bd0ae9a7079c9311f81e4f595503596036665e8c5"
    )
    assert train.identity != test.identity


def test_the_larger_remainder_gets_the_additional_review() -> None:
    labels = np.array([0, 1, 1, 0, 1, 1, 1, 1, 1, 0])
    for seed in range(5):
        rows = stratified_sample(labels, 4, np.random.default_rng(seed))  # 1.2 and 2.8
        assert np.bincount(labels[rows]).tolist() == [1, 3]


@CHECKED
@given(LABELS, st.integers(1, 15), st.integers(0, 9))
def test_a_sample_is_exact_and_within_one_of_proportion(
    labels: np.ndarray, limit: int, seed: int
) -> None:
    rows = stratified_sample(labels, limit, np.random.default_rng(seed))
    size = min(limit, len(labels))
    assert len(rows) == size
    assert rows.tolist() == sorted(set(rows.tolist()))
    for value in (0, 1):
        share = (labels == value).sum() * size / len(labels)
        assert abs((labels[rows] == value).sum() - share) < 1


@CHECKED
@given(LABELS, st.floats(0, 0.99), st.integers(0, 9), st.data())
def test_a_split_has_its_fraction_of_each_label_up_to_a_group(
    labels: np.ndarray, fraction: float, seed: int, data: st.DataObject
) -> None:
    number = len(labels)
    texts = data.draw(st.lists(st.integers(0, 20), min_size=number, max_size=number))
    groups = np.array([texts.index(text) for text in texts])
    rows = np.array(sorted(data.draw(st.sets(st.sampled_from(range(number))))), int)
    train, val = stratified_split(rows, labels, groups, fraction, np.random.default_rng(seed))
    assert sorted([*train, *val]) == rows.tolist()
    assert not set(groups[train]) & set(groups[val])
    for value in (0, 1):
        mine = groups[rows][labels[groups[rows]] == value]
        taken = int((labels[groups[val]] == value).sum())
        target = round(len(mine) * fraction)
        largest = max(np.bincount(mine), default=0)
        assert taken == target or target - largest < taken < target


def test_limit_split_and_order_are_pinned() -> None:
    """Other draws would change every result: then raise RECIPE, and change these values."""
    labels, groups, random = np.arange(20) % 2, np.arange(20), np.random.default_rng(0)
    groups[6] = 2
    rows = stratified_sample(labels, 16, random)
    train, val = stratified_split(rows, labels, groups, 0.25, random)
    assert train.tolist() == [1, 4, 5, 6, 8, 9, 12, 14, 15, 17, 18, 19]
    assert val.tolist() == [0, 7, 10, 13]
    batches = shuffled_batches(np.array([5, 1, 4, 2, 9, 7]), 2, seed=3, epoch=1)
    assert [batch.tolist() for batch in batches] == [[4, 5], [0, 2], [3, 1]]
