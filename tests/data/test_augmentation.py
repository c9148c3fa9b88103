"""Augmentation: each change by itself, their order and their configuration."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_sentiment.config import AugmentConfig, DataConfig
from lstm_sentiment.data.augmentation import (
    SENTENCE_ENDS,
    augment,
    crop,
    drop_tokens,
    shuffle_sentences,
)
from lstm_sentiment.errors import InputError

CHECKED = settings(deadline=None, max_examples=100, derandomize=True)
REVIEW = st.lists(st.integers(0, 6), min_size=1, max_size=30).map(lambda ids: np.array(ids, "i4"))
ENDS = np.array([0, 1], np.int32)
UNKNOWN = 99
CONFIG = st.builds(
    AugmentConfig,
    shuffle_sentences=st.booleans(),
    crop=st.floats(0.01, 1),
    drop=st.floats(0, 0.99),
    replace=st.floats(0, 0.99),
)


class Fixed:
    """Stands for a generator; each of its methods returns a fixed value."""

    def __init__(self, **draws: Any) -> None:
        self.draws = draws

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *_: self.draws[name]


def backwards(words: str) -> str:
    tokens = np.array(words.split())
    order = range(len(tokens))[::-1]

    class Reversed:
        def permutation(self, number: int) -> np.ndarray:
            return np.array(order[-number:])

    shuffled = shuffle_sentences(tokens, np.isin(tokens, [*SENTENCE_ENDS]), Reversed())  # type: ignore[arg-type]
    return " ".join(shuffled)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("one . two three ! four ?", "four ? two three ! one ."),
        ("why ? ! because . . . so", "so because . . . why ? !"),
        ("no end at all", "no end at all"),
        ("no end . at all", "at all no end ."),
        (". first comes an end .", "first comes an end . ."),
        ("? ! . then", "then ? ! ."),
        ("a , b ; c", "a , b ; c"),
        (". ! ?", ". ! ?"),
        ("a", "a"),
        (".", "."),
    ],
)
def test_sentences_are_moved_as_a_whole(before: str, after: str) -> None:
    assert backwards(before) == after


def sentences(tokens: np.ndarray) -> list[list[int]]:
    """Split a review by hand: a sentence ends before a token that follows an end and is not one."""
    result: list[list[int]] = [[]]
    for token in tokens.tolist():
        if result[-1] and result[-1][-1] in ENDS and token not in ENDS:
            result.append([])
        result[-1].append(token)
    return result


@CHECKED
@given(REVIEW, st.integers(0, 99))
def test_shuffled_sentences_are_the_same_in_another_order(tokens: np.ndarray, seed: int) -> None:
    is_end = np.isin(tokens, ENDS)
    shuffled = shuffle_sentences(tokens, is_end, np.random.default_rng(seed))
    order = np.random.default_rng(seed).permutation(len(sentences(tokens)))
    expected = [token for place in order for token in sentences(tokens)[place]]
    assert shuffled.tolist() == expected
    assert sorted(shuffled) == sorted(tokens)
    assert shuffled.dtype == tokens.dtype


def test_every_order_of_sentences_is_about_as_frequent() -> None:
    tokens = np.array([2, 0, 3, 0, 4, 0], np.int32)
    random, is_end = np.random.default_rng(0), np.isin(tokens, ENDS)
    drawn = [tuple(shuffle_sentences(tokens, is_end, random)[::2]) for _ in range(6_000)]
    counts = [drawn.count(order) for order in set(drawn)]
    assert len(counts) == 6
    assert max(abs(count - 1_000) for count in counts) < 130  # 4.5 standard deviations


@pytest.mark.parametrize(
    ("length", "start", "expected"),
    [(4, 0, [5, 6, 7, 8]), (2, 0, [5, 6]), (2, 2, [7, 8]), (3, 1, [6, 7, 8]), (1, 3, [8])],
)
def test_a_crop_is_a_span(length: int, start: int, expected: list[int]) -> None:
    drawn = iter([length, start])

    class Drawn:
        def integers(self, *_: int) -> int:
            return next(drawn)

    random: Any = Drawn()
    assert crop(np.arange(5, 9), 0.01, random).tolist() == expected


@CHECKED
@given(st.integers(1, 400), st.floats(0.01, 0.99), st.integers(0, 9))
def test_a_crop_is_contiguous_and_as_long_as_its_share(
    number: int, share: float, seed: int
) -> None:
    tokens = np.arange(100, 100 + number)
    span = crop(tokens, share, np.random.default_rng(seed))
    assert span.tolist() == list(range(span[0], span[0] + len(span)))
    assert span[0] >= 100
    assert span[-1] < 100 + number
    assert number * share <= len(span) <= number


def test_a_crop_keeps_at_least_its_share() -> None:
    random = np.random.default_rng(0)
    for number in range(1, 12):
        for share in (0.1, 0.3, 0.4, 0.5, 0.7, 0.9):
            kept = min(len(crop(np.arange(number), share, random)) for _ in range(50))
            assert kept >= number * share, (number, share)


def test_crops_are_spread_evenly_over_lengths_and_places() -> None:
    random = np.random.default_rng(0)
    spans = [crop(np.arange(100), 0.6, random) for _ in range(4_000)]
    lengths = np.array([len(span) for span in spans])
    assert (lengths.min(), lengths.max()) == (60, 100)
    assert lengths.mean() == pytest.approx(80, abs=0.9)  # 0.2 is one standard deviation
    assert np.quantile(lengths, [0.25, 0.75]) == pytest.approx([70, 90], abs=2)
    rest = 100 - lengths
    share = [span[0] / left for span, left in zip(spans, rest, strict=True) if left > 9]
    assert np.mean(share) == pytest.approx(0.5, abs=0.03)
    assert min(share) == 0
    assert max(share) == 1


def test_a_token_is_dropped_if_its_draw_is_below_the_share() -> None:
    random: Any = Fixed(random=np.array([0.0, 0.29, 0.3, 0.9]))
    assert drop_tokens(np.arange(5, 9), 0.3, random).tolist() == [7, 8]


def test_at_least_one_token_is_kept() -> None:
    random: Any = Fixed(random=np.zeros(4), integers=2)
    assert drop_tokens(np.arange(5, 9), 0.3, random).tolist() == [7]
    seeded = np.random.default_rng(0)
    kept = [drop_tokens(np.arange(3), 0.999, seeded).tolist() for _ in range(300)]
    assert {len(tokens) for tokens in kept} == {1}
    assert {token for (token,) in kept} == {0, 1, 2}


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_shares_are_those_of_the_configuration(share: float) -> None:
    number = 100_000
    tokens, random = np.arange(number, dtype=np.int32), np.random.default_rng(0)
    bound = 5 * np.sqrt(share * (1 - share) / number)
    kept = drop_tokens(tokens, share, random)
    assert 1 - len(kept) / number == pytest.approx(share, abs=bound)
    assert (np.diff(kept) > 0).all()  # in order
    replaced = augment(tokens, AugmentConfig(replace=share), ENDS, -1, random)
    changed = replaced == -1
    assert changed.mean() == pytest.approx(share, abs=bound)
    np.testing.assert_array_equal(replaced[~changed], tokens[~changed])
    # Neighbours are replaced independently.
    both = (changed[1:] & changed[:-1]).mean()
    assert both == pytest.approx(share**2, abs=8 * bound)


def test_the_share_of_replaced_tokens_applies_after_dropping_and_cropping() -> None:
    tokens = np.arange(100_000, dtype=np.int32)
    config = AugmentConfig(crop=0.5, drop=0.5, replace=0.5)
    changed = augment(tokens, config, ENDS, -1, np.random.default_rng(1))
    assert 25_000 * 0.97 < len(changed) < 50_000 * 1.03
    assert (changed == -1).mean() == pytest.approx(0.5, abs=0.015)
    span = changed[changed >= 0]
    assert len(changed) / (span[-1] - span[0] + 1) == pytest.approx(0.5, abs=0.015)


@CHECKED
@given(REVIEW, CONFIG, st.integers(0, 99))
def test_changes_are_applied_one_after_the_other(
    tokens: np.ndarray, config: AugmentConfig, seed: int
) -> None:
    changed = augment(tokens, config, ENDS, UNKNOWN, np.random.default_rng(seed))
    random, expected = np.random.default_rng(seed), tokens
    if config.shuffle_sentences:
        expected = shuffle_sentences(expected, np.isin(expected, ENDS), random)
    if config.crop < 1:
        expected = crop(expected, config.crop, random)
    if config.drop:
        expected = drop_tokens(expected, config.drop, random)
    if config.replace:
        chosen = random.random(len(expected)) < config.replace
        expected = np.array([UNKNOWN if c else t for c, t in zip(chosen, expected, strict=True)])
    assert changed.tolist() == expected.tolist()
    assert changed.dtype == np.int32
    assert len(changed) > 0


@CHECKED
@given(REVIEW, CONFIG, st.integers(0, 99))
def test_the_review_itself_is_not_changed(
    tokens: np.ndarray, config: AugmentConfig, seed: int
) -> None:
    before = tokens.copy()
    tokens.flags.writeable = False  # as arrays that are mapped from the cache
    augment(tokens, config, ENDS, UNKNOWN, np.random.default_rng(seed))
    np.testing.assert_array_equal(tokens, before)


def test_by_default_nothing_is_changed_or_drawn() -> None:
    random = np.random.default_rng(0)
    tokens = np.arange(50, dtype=np.int32)
    assert augment(tokens, AugmentConfig(), ENDS, UNKNOWN, random) is tokens
    assert random.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        *[
            ("crop", value, "a number above 0 and at most 1")
            for value in (0, -0.5, 1.01, float("nan"))
        ],
        *[
            ("drop", value, "a number of at least 0 and below 1")
            for value in (-0.1, 1, 2, float("inf"))
        ],
        *[
            ("replace", value, "a number of at least 0 and below 1")
            for value in (-0.1, 1, "0.1", True)
        ],
        *[("crop", value, "a number above 0 and at most 1") for value in ("half", None, True)],
        *[("shuffle_sentences", value, "true or false") for value in (1, "yes", None, 0.5)],
    ],
)
def test_values_out_of_bounds_are_refused_with_the_field(
    field: str, value: Any, allowed: str
) -> None:
    sentence = rf"^data\.augment\.{field} must be {allowed} \(got {value!r}\)\.$"
    with pytest.raises(InputError, match=sentence):
        AugmentConfig(**{field: value})


@pytest.mark.parametrize(
    "fields", [{"crop": 1}, {"crop": 1e-9}, {"drop": 0}, {"drop": 0.999}, {"replace": 0.5}]
)
def test_values_at_the_bounds_are_allowed(fields: dict[str, float]) -> None:
    ((name, value),) = fields.items()
    config = AugmentConfig(**fields)  # type: ignore[arg-type]
    assert getattr(config, name) == value
    assert type(getattr(config, name)) is float
    assert replace(config) == config


@pytest.mark.parametrize("value", [None, {"crop": 0.5}, 0.5])
def test_a_value_that_is_not_a_group_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"^data\.augment must be of type AugmentConfig"):
        DataConfig(augment=value)
