"""Splits: sorted by digest, stratified, with copies of a text on one side."""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from itertools import product

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


def tokenized(labelled: Labelled, preparation: int) -> TokenizedReviews:
    """Return reviews of one word, but with the digests of these texts."""
    content = b"".join(blake2b(text.encode(), digest_size=16).digest() for text, _ in labelled)
    digests = np.frombuffer(bytearray(content), "<u8").reshape(-1, 2)
    return TokenizedReviews(
        words=["film"],
        tokens=np.zeros(len(labelled), np.int32),
        offsets=np.arange(len(labelled) + 1),
        labels=np.array([label for _, label in labelled], np.int8),
        digests=digests,
        copies=digests,
        groups=np.zeros_like(digests),
        preparation=preparation,
    )


def split_of(labelled: Labelled, preparation: int = 2) -> Split:
    return Split.whole(tokenized(labelled, preparation))


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
    reviews = tokenized([("a", 1), ("b", 0), ("c", 1), ("a", 0)], preparation=2)
    reviews.digests[:] = 7
    reviews.digests[:, half] = [3, 1, 2, 3]
    split = Split.whole(reviews)
    assert split.rows.tolist() == [1, 2, 3, 0]
    assert split.components.tolist() == [0, 1, 2, 2]


@CHECKED
@given(LABELLED, st.data())
def test_groups_are_the_first_positions_of_the_same_texts(
    labelled: Labelled, data: st.DataObject
) -> None:
    split = split_of(labelled)
    texts = [text for text, _ in rows_of(split, labelled)]
    assert split.components.tolist() == [texts.index(text) for text in texts]
    positions = data.draw(st.sets(st.sampled_from(range(len(labelled))))) if labelled else set()
    taken = split.take(np.array(sorted(positions), np.int64))
    texts = [texts[position] for position in sorted(positions)]
    assert [text for text, _ in rows_of(taken, labelled)] == texts
    assert taken.components.tolist() == [texts.index(text) for text in texts]


@CHECKED
@given(LABELLED, st.data())
def test_a_split_is_the_same_in_any_order(labelled: Labelled, data: st.DataObject) -> None:
    other = data.draw(st.permutations(labelled))
    one, same = split_of(labelled), split_of(other)
    assert rows_of(one, labelled) == rows_of(same, other)
    assert one.components.tolist() == same.components.tolist()
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
@given(LABELLED, st.floats(0, 0.99), st.sampled_from([1, 2]), st.data())
def test_a_test_set_has_all_copies_and_is_the_same_in_any_order(
    labelled: Labelled, fraction: float, preparation: int, data: st.DataObject
) -> None:
    train, test = split_of(labelled, preparation).train_test_split(fraction)
    sides = [rows_of(side, labelled) for side in (train, test)]
    assert Counter(sides[0]) + Counter(sides[1]) == Counter(labelled)
    assert not {text for text, _ in sides[0]} & {text for text, _ in sides[1]}
    for side in (train, test):
        assert [row for row in split_of(labelled).rows if row in side.rows] == [*side.rows]
    permuted = data.draw(st.permutations(labelled))
    again = split_of(permuted, preparation).train_test_split(fraction)
    assert [rows_of(side, permuted) for side in again] == sides


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.25, 0.5, 0.9])
def test_without_copies_fractions_are_exact(fraction: float) -> None:
    labelled = [(f"film {row}", int(row >= 60)) for row in range(100)]
    train, test = split_of(labelled).train_test_split(fraction)
    assert np.bincount(test.labels).tolist() == [round(60 * fraction), round(40 * fraction)]
    assert len(train.rows) + len(test.rows) == 100


@pytest.mark.parametrize("preparation", [1, 2])
def test_the_test_set_and_its_identity_are_pinned(preparation: int) -> None:
    """Other values would change every result on reviews without a test set."""
    labelled = [(f"film {row}", row % 2) for row in range(20)]
    train, test = split_of(labelled, preparation).train_test_split(0.3)
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
def test_the_former_split_has_its_fraction_of_each_label_up_to_a_group(
    labels: np.ndarray, fraction: float, seed: int, data: st.DataObject
) -> None:
    number = len(labels)
    texts = data.draw(st.lists(st.integers(0, 20), min_size=number, max_size=number))
    groups = np.array([texts.index(text) for text in texts])
    rows = np.array(sorted(data.draw(st.sets(st.sampled_from(range(number))))), int)
    train, val = stratified_split(rows, labels, groups, fraction, np.random.default_rng(seed), 1)
    assert sorted([*train, *val]) == rows.tolist()
    assert not set(groups[train]) & set(groups[val])
    for value in (0, 1):
        mine = groups[rows][labels[groups[rows]] == value]
        taken = int((labels[groups[val]] == value).sum())
        target = round(len(mine) * fraction)
        largest = max(np.bincount(mine), default=0)
        assert taken == target or target - largest < taken < target


def random_groups(data: st.DataObject) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and groups of texts with random numbers of copies, some with both labels."""
    sizes = data.draw(st.lists(st.integers(1, 30), min_size=1, max_size=40))
    kinds = data.draw(st.lists(st.integers(0, 2), min_size=len(sizes), max_size=len(sizes)))
    labels = [
        kind if kind < 2 else copy % 2
        for size, kind in zip(sizes, kinds, strict=True)
        for copy in range(size)
    ]
    return np.array(labels), np.repeat(np.cumsum([0, *sizes[:-1]]), sizes)


@CHECKED
@given(st.data(), st.floats(0, 0.6), st.integers(0, 9))
def test_no_group_could_bring_the_labels_nearer_to_their_fraction(
    data: st.DataObject, fraction: float, seed: int
) -> None:
    labels, groups = random_groups(data)
    rows = np.arange(len(labels))
    train, val = stratified_split(rows, labels, groups, fraction, np.random.default_rng(seed), 2)
    _, again = stratified_split(rows, labels, groups, fraction, np.random.default_rng(seed), 2)
    assert again.tolist() == val.tolist()
    assert sorted([*train, *val]) == rows.tolist()
    assert not set(groups[train]) & set(groups[val])
    targets = [round((labels == value).sum() * fraction) for value in (0, 1)]
    missing = targets - np.bincount(labels[val], minlength=2)
    kept = np.bincount(labels[train], minlength=2)
    for group in np.unique(groups[train]):
        members = np.bincount(labels[groups == group], minlength=2)
        empties = ((members > 0) & (members == kept)).any()
        assert empties or abs(missing - members).sum() >= abs(missing).sum()
    is_single = np.bincount(groups, minlength=len(labels))[groups] == 1
    if (np.bincount(labels[is_single], minlength=2) >= targets).all():
        assert missing.tolist() == [0, 0]


def test_many_copies_of_a_text_leave_the_proportions_as_they_are() -> None:
    """A text with many copies is passed over; the draw used to end there."""
    labels = np.repeat([1, 1, 0], [300, 200, 500])
    groups = np.concatenate([np.zeros(300, int), np.arange(300, 1000)])
    rows = np.arange(1000)
    shares: dict[int, list[float]] = {1: [], 2: []}
    for seed, preparation in product(range(20), shares):
        random = np.random.default_rng(seed)
        _, val = stratified_split(rows, labels, groups, 0.2, random, preparation)
        shares[preparation].append(float(labels[val].mean()))
    assert min(shares[1]) < 0.1
    assert set(shares[2]) == {0.5}


def test_a_text_with_both_labels_counts_under_both() -> None:
    labels = np.array([0, 1] * 10 + [0] * 40 + [1] * 40)
    groups = np.concatenate([np.zeros(20, int), np.arange(20, 100)])
    for seed in range(10):
        random = np.random.default_rng(seed)
        _, val = stratified_split(np.arange(100), labels, groups, 0.3, random, 2)
        assert np.bincount(labels[val]).tolist() == [15, 15]


def test_a_group_that_is_larger_than_the_rest_is_taken_if_it_brings_the_set_nearer() -> None:
    labels = np.repeat([0, 1], [30, 30])
    groups = np.concatenate([np.arange(30), np.repeat([30, 37, 44, 51, 58], [7, 7, 7, 7, 2])])
    for seed in range(10):
        random = np.random.default_rng(seed)
        _, val = stratified_split(np.arange(60), labels, groups, 1 / 3, random, 2)
        assert np.bincount(labels[val])[0] == 10
        assert np.bincount(labels[val])[1] in (9, 10)


def test_limit_split_and_order_are_pinned() -> None:
    """Other draws would change every result: then raise RECIPE, and change these values."""
    labels, groups, random = np.arange(20) % 2, np.arange(20), np.random.default_rng(0)
    groups[6] = 2
    rows = stratified_sample(labels, 16, random)
    train, val = stratified_split(rows, labels, groups, 0.25, random, 1)
    assert train.tolist() == [1, 4, 5, 6, 8, 9, 12, 14, 15, 17, 18, 19]
    assert val.tolist() == [0, 7, 10, 13]
    batches = shuffled_batches(np.array([5, 1, 4, 2, 9, 7]), 2, seed=3, epoch=1)
    assert [batch.tolist() for batch in batches] == [[4, 5], [0, 2], [3, 1]]
