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
    augmented,
    cropped,
    with_sentences_shuffled,
    with_words_dropped,
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
    """Stands for a generator; gives what it is told to."""

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

    shuffled = with_sentences_shuffled(tokens, np.isin(tokens, SENTENCE_ENDS), Reversed())  # type: ignore[arg-type]
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
def test_sentences_change_places_as_a_whole(before: str, after: str) -> None:
    assert backwards(before) == after


def sentences(tokens: np.ndarray) -> list[list[int]]:
    """By hand: a sentence is over where something follows an end and is none itself."""
    found: list[list[int]] = [[]]
    for token in tokens.tolist():
        if found[-1] and found[-1][-1] in ENDS and token not in ENDS:
            found.append([])
        found[-1].append(token)
    return found


@CHECKED
@given(REVIEW, st.integers(0, 99))
def test_shuffled_sentences_are_the_same_in_another_order(tokens: np.ndarray, seed: int) -> None:
    is_end = np.isin(tokens, ENDS)
    shuffled = with_sentences_shuffled(tokens, is_end, np.random.default_rng(seed))
    order = np.random.default_rng(seed).permutation(len(sentences(tokens)))
    expected = [token for place in order for token in sentences(tokens)[place]]
    assert shuffled.tolist() == expected
    assert sorted(shuffled) == sorted(tokens)
    assert shuffled.dtype == tokens.dtype


def test_every_order_of_sentences_is_about_as_frequent() -> None:
    tokens = np.array([2, 0, 3, 0, 4, 0], np.int32)
    random, is_end = np.random.default_rng(0), np.isin(tokens, ENDS)
    drawn = [tuple(with_sentences_shuffled(tokens, is_end, random)[::2]) for _ in range(6_000)]
    counts = [drawn.count(order) for order in set(drawn)]
    assert len(counts) == 6
    assert max(abs(count - 1_000) for count in counts) < 130  # 4.5 standard deviations


@pytest.mark.parametrize(
    ("length", "start", "kept"),
    [(4, 0, [5, 6, 7, 8]), (2, 0, [5, 6]), (2, 2, [7, 8]), (3, 1, [6, 7, 8]), (1, 3, [8])],
)
def test_a_crop_is_a_span(length: int, start: int, kept: list[int]) -> None:
    drawn = iter([length, start])

    class Drawn:
        def integers(self, *_: int) -> int:
            return next(drawn)

    random: Any = Drawn()
    assert cropped(np.arange(5, 9), 0.01, random).tolist() == kept


@CHECKED
@given(st.integers(1, 400), st.floats(0.01, 0.99), st.integers(0, 9))
def test_a_crop_is_contiguous_and_as_long_as_its_share(
    number: int, share: float, seed: int
) -> None:
    tokens = np.arange(100, 100 + number)
    span = cropped(tokens, share, np.random.default_rng(seed))
    assert span.tolist() == list(range(span[0], span[0] + len(span)))
    assert span[0] >= 100
    assert span[-1] < 100 + number
    assert number * share <= len(span) <= number


def test_a_crop_keeps_at_least_its_share() -> None:
    random = np.random.default_rng(0)
    for number in range(1, 12):
        for share in (0.1, 0.3, 0.4, 0.5, 0.7, 0.9):
            kept = min(len(cropped(np.arange(number), share, random)) for _ in range(50))
            assert kept >= number * share, (number, share)


def test_crops_are_spread_evenly_over_lengths_and_places() -> None:
    random = np.random.default_rng(0)
    spans = [cropped(np.arange(100), 0.6, random) for _ in range(4_000)]
    lengths = np.array([len(span) for span in spans])
    assert (lengths.min(), lengths.max()) == (60, 100)
    assert lengths.mean() == pytest.approx(80, abs=0.9)  # 0.2 is one standard deviation
    assert np.quantile(lengths, [0.25, 0.75]) == pytest.approx([70, 90], abs=2)
    rest = 100 - lengths
    share = [span[0] / left for span, left in zip(spans, rest, strict=True) if left > 9]
    assert np.mean(share) == pytest.approx(0.5, abs=0.03)
    assert min(share) == 0
    assert max(share) == 1


def test_a_word_is_dropped_where_the_draw_is_below_the_share() -> None:
    random: Any = Fixed(random=np.array([0.0, 0.29, 0.3, 0.9]))
    assert with_words_dropped(np.arange(5, 9), 0.3, random).tolist() == [7, 8]


def test_where_all_would_be_dropped_one_stays() -> None:
    random: Any = Fixed(random=np.zeros(4), integers=2)
    assert with_words_dropped(np.arange(5, 9), 0.3, random).tolist() == [7]
    seeded = np.random.default_rng(0)
    kept = [with_words_dropped(np.arange(3), 0.999, seeded).tolist() for _ in range(300)]
    assert {len(tokens) for tokens in kept} == {1}
    assert {token for (token,) in kept} == {0, 1, 2}


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_shares_are_those_asked_for(share: float) -> None:
    number = 100_000
    tokens, random = np.arange(number, dtype=np.int32), np.random.default_rng(0)
    bound = 5 * np.sqrt(share * (1 - share) / number)
    kept = with_words_dropped(tokens, share, random)
    assert 1 - len(kept) / number == pytest.approx(share, abs=bound)
    assert (np.diff(kept) > 0).all()  # in order
    replaced = augmented(tokens, AugmentConfig(replace=share), ENDS, -1, random)
    changed = replaced == -1
    assert changed.mean() == pytest.approx(share, abs=bound)
    np.testing.assert_array_equal(replaced[~changed], tokens[~changed])
    # Neighbours are drawn apart.
    both = (changed[1:] & changed[:-1]).mean()
    assert both == pytest.approx(share**2, abs=8 * bound)


def test_replacing_is_a_share_of_what_dropping_and_cropping_leave() -> None:
    tokens = np.arange(100_000, dtype=np.int32)
    config = AugmentConfig(crop=0.5, drop=0.5, replace=0.5)
    changed = augmented(tokens, config, ENDS, -1, np.random.default_rng(1))
    assert 25_000 * 0.97 < len(changed) < 50_000 * 1.03
    assert (changed == -1).mean() == pytest.approx(0.5, abs=0.015)
    span = changed[changed >= 0]
    assert len(changed) / (span[-1] - span[0] + 1) == pytest.approx(0.5, abs=0.015)


@CHECKED
@given(REVIEW, CONFIG, st.integers(0, 99))
def test_steps_come_one_after_the_other(
    tokens: np.ndarray, config: AugmentConfig, seed: int
) -> None:
    changed = augmented(tokens, config, ENDS, UNKNOWN, np.random.default_rng(seed))
    random, expected = np.random.default_rng(seed), tokens
    if config.shuffle_sentences:
        expected = with_sentences_shuffled(expected, np.isin(expected, ENDS), random)
    if config.crop < 1:
        expected = cropped(expected, config.crop, random)
    if config.drop:
        expected = with_words_dropped(expected, config.drop, random)
    if config.replace:
        chosen = random.random(len(expected)) < config.replace
        expected = np.array([UNKNOWN if c else t for c, t in zip(chosen, expected, strict=True)])
    assert changed.tolist() == expected.tolist()
    assert changed.dtype == np.int32
    assert len(changed) > 0


@CHECKED
@given(REVIEW, CONFIG, st.integers(0, 99))
def test_a_review_itself_stays_as_it_is(
    tokens: np.ndarray, config: AugmentConfig, seed: int
) -> None:
    before = tokens.copy()
    tokens.flags.writeable = False  # as what is mapped from the cache
    augmented(tokens, config, ENDS, UNKNOWN, np.random.default_rng(seed))
    np.testing.assert_array_equal(tokens, before)


def test_by_default_nothing_is_changed_or_even_drawn() -> None:
    random = np.random.default_rng(0)
    tokens = np.arange(50, dtype=np.int32)
    assert augmented(tokens, AugmentConfig(), ENDS, UNKNOWN, random) is tokens
    assert random.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        *[("crop", value, "a number above 0 up to 1") for value in (0, -0.5, 1.01, float("nan"))],
        *[("drop", value, "a number from 0 to below 1") for value in (-0.1, 1, 2, float("inf"))],
        *[("replace", value, "a number from 0 to below 1") for value in (-0.1, 1, "0.1", True)],
        *[("crop", value, "a number above 0 up to 1") for value in ("half", None, True)],
        *[("shuffle_sentences", value, "true or false") for value in (1, "yes", None, 0.5)],
    ],
)
def test_values_out_of_bounds_are_refused_by_name(field: str, value: Any, allowed: str) -> None:
    sentence = rf"^data\.augment\.{field}={value} is not allowed: give {allowed}\.$"
    with pytest.raises(InputError, match=sentence):
        AugmentConfig(**{field: value})


@pytest.mark.parametrize(
    "fields", [{"crop": 1}, {"crop": 1e-9}, {"drop": 0}, {"drop": 0.999}, {"replace": 0.5}]
)
def test_values_at_the_bounds_are_taken_as_numbers(fields: dict[str, float]) -> None:
    ((name, value),) = fields.items()
    config = AugmentConfig(**fields)  # type: ignore[arg-type]
    assert getattr(config, name) == value
    assert type(getattr(config, name)) is float
    assert replace(config) == config


@pytest.mark.parametrize("value", [None, {"crop": 0.5}, 0.5])
def test_what_is_no_group_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"^data\.augment=.* is not allowed: give AugmentConf"):
        DataConfig(augment=value)
