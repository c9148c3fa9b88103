"""Batches: layout, order and augmentation, compared with batches made by hand."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_sentiment.config import AugmentConfig, Padding, Side
from lstm_sentiment.data.augmentation import augment
from lstm_sentiment.data.batches import (
    POOL,
    AugmentedReviews,
    Batch,
    EncodedReviews,
    ResidentReviews,
    TrainingOrder,
    shuffled_batches,
    sorted_batches,
)
from lstm_sentiment.data.tokenized import TokenizedReviews
from tests.support.datamodules import values_of

CHECKED = settings(deadline=None, max_examples=60, derandomize=True)
WORDS = 7
IDS = [3, 1, 6, 2, 1, 9, 4]  # by word number: two words are unknown
REVIEW = st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=12)
COUNTS = st.lists(st.integers(1, 30), min_size=1, max_size=400).map(np.array)


def split_of(texts: list[list[int]], words: list[str] | None = None) -> TokenizedReviews:
    return TokenizedReviews(
        words=words or [f"word{number}" for number in range(WORDS)],
        tokens=np.array([number for text in texts for number in text], np.int32),
        offsets=np.cumsum([0, *(len(text) for text in texts)]),
        labels=np.array([row % 3 == 1 for row in range(len(texts))], np.int8),
        digests=np.arange(2 * len(texts), dtype=np.uint64).reshape(-1, 2),
        copies=np.arange(2 * len(texts), dtype=np.uint64).reshape(-1, 2),
        groups=np.zeros((len(texts), 2), np.uint64),
        preparation=2,
    )


def encoded(
    texts: list[list[int]], rows: list[int], max_length: int, *options: Any
) -> EncodedReviews:
    word_ids = np.array(IDS, np.int32)
    return EncodedReviews(split_of(texts), np.array(rows), word_ids, max_length, *options)


def padded_by_hand(
    texts: list[list[int]], max_length: int, padding: Padding, side: Side
) -> list[list[int]]:
    cut = [
        [IDS[number] for number in (text[:max_length] if side == "right" else text[-max_length:])]
        for text in texts
    ]
    width = max(len(ids) for ids in cut) if padding == "exact" else max_length
    zeros = [[0] * (width - len(ids)) for ids in cut]
    if padding == "keras":
        return [left + ids for left, ids in zip(zeros, cut, strict=True)]
    return [ids + right for ids, right in zip(cut, zeros, strict=True)]


@pytest.mark.parametrize(
    ("padding", "side", "ids", "lengths"),
    [
        ("exact", "right", [[9, 9, 0], [3, 1, 6], [4, 0, 0]], [2, 3, 1]),
        ("exact", "left", [[9, 9, 0], [1, 6, 2], [4, 0, 0]], [2, 3, 1]),
        ("trailing", "right", [[9, 9, 0], [3, 1, 6], [4, 0, 0]], [3, 3, 3]),
        ("keras", "right", [[0, 9, 9], [3, 1, 6], [0, 0, 4]], [3, 3, 3]),
        ("keras", "left", [[0, 9, 9], [1, 6, 2], [0, 0, 4]], [3, 3, 3]),
    ],
)
def test_a_worked_example(
    padding: str, side: str, ids: list[list[int]], lengths: list[int]
) -> None:
    texts = [[0, 1, 2, 3], [5, 5], [0], [6]]
    reviews = encoded(texts, [3, 1, 0], 3, Padding(padding), Side(side))
    batch = reviews[np.array([1, 2, 0])]
    assert batch.ids.tolist() == ids
    assert batch.lengths.tolist() == lengths
    assert batch.labels.tolist() == [1.0, 0.0, 0.0]
    assert batch.rows.tolist() == [1, 0, 3]
    types = [part.dtype for part in batch if isinstance(part, torch.Tensor)]
    assert types == [torch.int64, torch.int64, torch.float32, torch.int64]
    assert batch.ngrams is None
    assert batch.is_labelled is None


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("padding", list(Padding))
@CHECKED
@given(st.lists(REVIEW, min_size=1, max_size=9), st.integers(1, 13), st.data())
def test_batches_equal_those_made_by_hand(
    padding: Padding, side: Side, texts: list[list[int]], max_length: int, data: st.DataObject
) -> None:
    every = list(range(len(texts)))
    rows = data.draw(st.lists(st.sampled_from(every), min_size=1, unique=True))
    chosen = data.draw(st.lists(st.sampled_from(range(len(rows))), min_size=1, unique=True))
    reviews = encoded(texts, rows, max_length, padding, side)
    batch = reviews[np.array(chosen)]
    used = [rows[position] for position in chosen]
    ids = padded_by_hand([texts[row] for row in used], max_length, padding, side)
    assert batch.ids.tolist() == ids
    assert batch.rows.tolist() == used
    assert batch.labels.tolist() == [float(row % 3 == 1) for row in used]
    assert batch.lengths.tolist() == [
        min(len(texts[row]), max_length) if padding == "exact" else max_length for row in used
    ]
    assert batch.lengths.tolist() == reviews.lengths[chosen].tolist()


@pytest.mark.parametrize("padding", Padding)
@pytest.mark.parametrize("side", Side)
@given(st.lists(REVIEW, min_size=1, max_size=8), st.integers(1, 14), st.data())
@CHECKED
def test_batches_gathered_on_a_device_are_equal(
    padding: Padding, side: Side, texts: list[list[int]], max_length: int, data: st.DataObject
) -> None:
    """The device is the CPU, so that the test runs everywhere."""
    rows = data.draw(st.permutations(range(len(texts))))
    reviews = encoded(texts, rows, max_length, padding, side)
    resident = ResidentReviews(reviews, torch.device("cpu"))
    chosen = np.array(data.draw(st.permutations(range(len(texts)))))[: 1 + len(texts) // 2]
    assert len(resident) == len(reviews)
    for ours, reference in zip(resident[chosen][:4], reviews[chosen][:4], strict=True):
        assert ours.dtype == reference.dtype
        assert torch.equal(ours, reference)


def test_an_exact_batch_is_no_wider_than_its_longest_review() -> None:
    reviews = encoded([[0] * 3, [1] * 40, [2] * 5], [0, 1, 2], 30)
    assert reviews[np.array([0, 2])].ids.shape == (2, 5)
    assert reviews[np.array([0, 1])].ids.shape == (2, 30)


@pytest.mark.parametrize(
    ("padding", "lengths"), [("exact", [4, 2, 4]), ("keras", [4] * 3), ("trailing", [4] * 3)]
)
def test_lengths_count_positions_and_token_counts_count_tokens(
    padding: str, lengths: list[int]
) -> None:
    reviews = encoded([[0] * 9, [0] * 7, [0] * 2, [0] * 5], [3, 2, 0], 4, Padding(padding))
    assert reviews.lengths.tolist() == lengths
    assert reviews.token_counts.tolist() == [5, 2, 9]
    assert len(reviews) == 3


@CHECKED
@given(COUNTS, st.integers(1, 4), st.integers(0, 99), st.integers(0, 99))
def test_each_review_is_in_one_batch_and_batches_are_full(
    lengths: np.ndarray, size: int, seed: int, epoch: int
) -> None:
    batches = shuffled_batches(lengths, size, seed, epoch)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    sizes = sorted(len(batch) for batch in batches)
    assert sizes[1:] == [size] * (len(sizes) - 1)
    assert 1 <= sizes[0] <= size


@CHECKED
@given(COUNTS, st.integers(1, 4))
def test_batches_within_a_pool_do_not_overlap_in_length(lengths: np.ndarray, size: int) -> None:
    batches = shuffled_batches(lengths[: POOL * size], size, 0, 0)
    spans = sorted((lengths[batch].min(), lengths[batch].max()) for batch in batches)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))


def test_an_epoch_is_a_pure_function_of_seed_and_epoch() -> None:
    lengths = np.random.default_rng(0).integers(1, 50, 900)
    before = lengths.copy()

    def drawn(seed: int, epoch: int) -> list[list[int]]:
        return [batch.tolist() for batch in shuffled_batches(lengths, 8, seed, epoch)]

    pairs = [(seed, epoch) for seed in range(4) for epoch in range(4)]
    first = [drawn(*pair) for pair in pairs]
    np.random.seed(1)  # noqa: NPY002, must have no effect
    torch.manual_seed(1)
    assert [drawn(*pair) for pair in pairs] == first
    assert len({str(epoch) for epoch in first}) == len(pairs)
    np.testing.assert_array_equal(lengths, before)


def test_batches_have_a_tenth_of_the_padding_of_unsorted_ones() -> None:
    random = np.random.default_rng(0)
    lengths = np.minimum(random.lognormal(5.2, 0.6, 4_000).astype(int) + 1, 500)

    def padding(batches: list[np.ndarray]) -> float:
        return sum((lengths[batch].max() - lengths[batch]).sum() for batch in batches)

    unsorted = np.split(random.permutation(4_000), range(16, 4_000, 16))
    assert padding(shuffled_batches(lengths, 16, 0, 0)) < padding(unsorted) / 10


def test_reviews_are_batched_with_others_in_each_epoch() -> None:
    lengths = np.full(4 * POOL * 2, 7)
    partners = set()
    for epoch in range(20):
        batches = shuffled_batches(lengths, 2, 0, epoch)
        (mine,) = [batch for batch in batches if 0 in batch]
        partners |= set(mine) - {0}
    assert len(partners) > 15
    assert max(partners) > 2 * POOL


def test_the_longest_batch_may_be_anywhere_in_an_epoch() -> None:
    lengths = np.arange(1, 2 * POOL + 1)
    batches = [shuffled_batches(lengths, 2, 0, epoch) for epoch in range(20)]
    longest = [int(np.argmax([lengths[batch].max() for batch in epoch])) for epoch in batches]
    assert len(set(longest)) > 10


def test_sorted_batches_are_longest_first_and_stable() -> None:
    lengths = np.array([3, 9, 1, 9, 4])
    assert [batch.tolist() for batch in sorted_batches(lengths, 2)] == [[1, 3], [4, 0], [2]]
    positions = np.array([50, 10, 40, 20, 30])
    named = sorted_batches(lengths, 3, positions)
    assert [batch.tolist() for batch in named] == [[10, 20, 30], [50, 40]]
    assert sorted_batches(np.array([], int), 2) == []


@CHECKED
@given(COUNTS, st.integers(1, 9))
def test_sorted_batches_cover_everything_by_length(lengths: np.ndarray, size: int) -> None:
    batches = sorted_batches(lengths, size)
    order = np.concatenate(batches)
    assert sorted(order) == list(range(len(lengths)))
    assert all(one >= other for one, other in pairwise(lengths[order]))
    assert all(len(batch) == size for batch in batches[:-1])


def test_the_length_of_an_epoch_is_the_number_of_its_batches() -> None:
    size = 3
    for number in range(2 * POOL * size + 2 * size):
        order = TrainingOrder(np.ones(number, int), size, 0)
        assert len(order) == len(list(order)), number


def test_an_epoch_set_after_iter_is_used() -> None:
    lengths = np.random.default_rng(0).integers(1, 50, 300)
    order = TrainingOrder(lengths, 8, seed=5)

    def expected(epoch: int) -> list[list[int]]:
        return [batch.tolist() for batch in shuffled_batches(lengths, 8, 5, epoch)]

    def drawn(batches: Iterator[np.ndarray]) -> list[list[int]]:
        return [batch.tolist() for batch in batches]

    assert drawn(iter(order)) == expected(0)
    begun = iter(order)
    order.set_epoch(3)
    assert drawn(begun) == expected(3)
    assert drawn(iter(order)) == expected(3)


SENTENCE_WORDS = ["!", ".", "<unk>", "a", "b", "c", "d"]  # their ids are IDS
EVERYTHING = AugmentConfig(shuffle_sentences=True, crop=0.5, drop=0.2, replace=0.2)


def sentences(*options: Any, number: int = 40, max_length: int = 9) -> EncodedReviews:
    """Return reviews of 1 to 15 words; every second review is in the split."""
    random = np.random.default_rng(0)
    texts = [random.integers(0, WORDS, 1 + row * 7 % 15).tolist() for row in range(2 * number)]
    rows = np.arange(number) * 2
    return EncodedReviews(
        split_of(texts, SENTENCE_WORDS), rows, np.array(IDS, np.int32), max_length, *options
    )


def epoch_of(
    reviews: EncodedReviews, config: AugmentConfig, seed: int = 0, epoch: int = 0
) -> list[Batch]:
    order = TrainingOrder(reviews.lengths, 4, seed)
    order.set_epoch(epoch)
    changed = AugmentedReviews(reviews, config, order)
    assert len(changed) == len(reviews)
    return [changed[chosen] for chosen in order]


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("padding", list(Padding))
def test_augmentation_without_changes_returns_the_reviews(padding: Padding, side: Side) -> None:
    reviews = sentences(padding, side)
    plain = [reviews[chosen] for chosen in TrainingOrder(reviews.lengths, 4, 0)]
    for one, other in zip(epoch_of(reviews, AugmentConfig()), plain, strict=True):
        for mine, theirs in zip(one[:4], other[:4], strict=True):
            assert mine.dtype == theirs.dtype
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("padding", list(Padding))
def test_augmented_batches_equal_those_made_by_hand(padding: Padding, side: Side) -> None:
    reviews = sentences(padding, side)
    for seed, epoch in [(0, 0), (3, 5)]:
        order = shuffled_batches(reviews.lengths, 4, seed, epoch)
        for chosen, batch in zip(order, epoch_of(reviews, EVERYTHING, seed, epoch), strict=True):
            random = np.random.default_rng([seed, epoch, 1, chosen[0]])
            ends = np.array([0, 1])  # "!" and "."
            changed = [
                augment(reviews.tokenized.tokens_of(row), EVERYTHING, ends, -1, random).tolist()
                for row in reviews.rows[chosen]
            ]
            cut = [tokens[:9] if side == "right" else tokens[-9:] for tokens in changed]
            width = max(map(len, cut)) if padding == "exact" else 9
            for tokens, ids, length in zip(cut, batch.ids, batch.lengths, strict=True):
                known = [1 if token == -1 else IDS[token] for token in tokens]
                zeros = [0] * (width - len(tokens))
                assert ids.tolist() == (zeros + known if padding == "keras" else known + zeros)
                assert length == (len(tokens) if padding == "exact" else 9)
            assert batch.rows.tolist() == reviews.rows[chosen].tolist()
            assert batch.labels.tolist() == reviews.tokenized.labels[batch.rows].tolist()


def test_augmentation_is_a_pure_function_of_seed_and_epoch() -> None:
    reviews = sentences()
    pairs = [(seed, epoch) for seed in range(3) for epoch in range(3)]
    first = [values_of(epoch_of(reviews, EVERYTHING, *pair)) for pair in pairs]
    torch.manual_seed(1)
    assert [values_of(epoch_of(reviews, EVERYTHING, *pair)) for pair in pairs] == first
    assert len({str(epoch) for epoch in first}) == len(pairs)


def test_a_batch_does_not_depend_on_earlier_ones() -> None:
    reviews, order = sentences(), TrainingOrder(sentences().lengths, 4, 0)
    changed = AugmentedReviews(reviews, EVERYTHING, order)
    batches = list(order)
    forth = {str(chosen): changed[chosen] for chosen in batches}
    back = {str(chosen): changed[chosen] for chosen in batches[::-1]}
    for chosen, batch in forth.items():
        assert values_of([batch]) == values_of([back[chosen]])


def test_the_epoch_is_that_of_the_order() -> None:
    reviews = sentences()
    order = TrainingOrder(reviews.lengths, 4, 0)
    changed, chosen = AugmentedReviews(reviews, EVERYTHING, order), np.arange(4)
    first = values_of([changed[chosen]])
    order.set_epoch(1)
    assert values_of([changed[chosen]]) != first
    order.set_epoch(0)
    assert values_of([changed[chosen]]) == first


def test_each_review_of_a_batch_is_changed_differently() -> None:
    texts = [[3, 4, 5, 6] * 10] * 8
    order = TrainingOrder(np.full(8, 40), 8, 0)
    changed = AugmentedReviews(encoded(texts, list(range(8)), 50), AugmentConfig(drop=0.5), order)
    assert len({str(ids) for ids in changed[np.arange(8)].ids.tolist()}) == 8


@pytest.mark.parametrize("padding", list(Padding))
def test_a_replaced_word_is_unknown_even_if_no_review_contains_unk(padding: Padding) -> None:
    word_ids, texts = np.array([7, 8, 9], np.int32), [[0, 1, 2] * 200, [2, 1, 0] * 200]
    reviews = EncodedReviews(split_of(texts, ["a", "b", "c"]), np.arange(2), word_ids, 600, padding)
    order = TrainingOrder(reviews.lengths, 2, 0)
    ids = AugmentedReviews(reviews, AugmentConfig(replace=0.3), order)[np.array([0, 1])].ids
    plain = reviews[np.array([0, 1])].ids
    replaced = ids != plain
    assert (ids[replaced] == 1).all()
    assert replaced.float().mean() == pytest.approx(0.3, abs=0.06)
    assert reviews.word_ids.tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    ("side", "expected"), [("right", {(9, 1, 2), (2, 1, 9)}), ("left", {(1, 9, 3), (1, 2, 1)})]
)
def test_a_review_is_changed_before_truncation(side: str, expected: set[tuple[int, ...]]) -> None:
    source = split_of([[5, 4, 3, 1, 3, 4, 5, 0]], SENTENCE_WORDS)  # c b a . a b c !
    word_ids = np.array(IDS, np.int32)  # ids: 9 1 2 1 2 1 9 3
    reviews = EncodedReviews(source, np.array([0]), word_ids, 3, Padding.keras, Side(side))
    config = AugmentConfig(shuffle_sentences=True)
    drawn = [epoch_of(reviews, config, epoch=epoch)[0].ids[0].tolist() for epoch in range(20)]
    assert set(map(tuple, drawn)) == expected
