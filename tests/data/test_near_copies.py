"""Near copies: texts of known Jaccard similarity."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.columns import Review
from lstm_sentiment.data.near_copies import CHECKED, NearCopies, Shingles, jaccard
from lstm_sentiment.data.sources import Part
from lstm_sentiment.data.splits import Split
from lstm_sentiment.data.tokenized import TokenizedReviews, tokenized_reviews

ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def tokenized(folder: Path, *texts: str) -> TokenizedReviews:
    """Tokenize texts as a part of their own, with numbers of words of their own."""
    rows = [Review(text, row % 2) for row, text in enumerate([*texts, "x1 y1 z1", "x2 y2 z2"])]
    part = Part(folder.name, lambda: "/".join(texts), lambda: iter(rows))
    return tokenized_reviews(part, folder, DataCache(), preparation=2)


def split_of(reviews: TokenizedReviews) -> Split:
    return Split(reviews, np.arange(len(reviews.labels) - 2))


def near_copies(folder: Path, train: Sequence[str], test: Sequence[str]) -> int:
    index = NearCopies(split_of(tokenized(folder / "train", *train)))
    return index.count(split_of(tokenized(folder / "test", *test)))


@pytest.mark.parametrize(
    ("text", "other", "similarity"),
    [
        ("a b c d e", "a b c d e", 1),
        ("a b c d e", "a b c d f", 2 / 4),  # abc bcd cde | abc bcd cdf
        ("a b c d e", "b c d e", 2 / 3),
        ("a b c a b c", "b c a", 1 / 3),  # abc bca cab, of which abc occurs twice
        ("a b c", "c b a", 0),  # the order of words counts
        ("a b", "a b", 1),  # shorter than a shingle
        ("a b", "a b c", 0),
        ("a a", "b b", 0),
        ("A  b,c", "a b , c", 1),
    ],
)
def test_similarities_worked_out_by_hand(
    tmp_path: Path, text: str, other: str, similarity: float
) -> None:
    one, two = tokenized(tmp_path / "one", text), tokenized(tmp_path / "two", other, "0 1 2 3")
    assert jaccard(Shingles(one).of(0), Shingles(two).of(0)) == pytest.approx(similarity)


def words(number: int, start: int = 0) -> list[str]:
    return [f"word{start + position}" for position in range(number)]


def test_texts_from_the_threshold_on_are_near_copies(tmp_path: Path) -> None:
    """A common beginning of c words and an own end of e words: (c - 2) / (c - 2 + 2 e)."""
    train = " ".join([*words(22), *words(10, 100)])
    at_threshold = " ".join([*words(22), *words(10, 200)])  # 20 / 40
    below = " ".join([*words(21), *words(10, 300)])  # 19 / 40: one of the two has 11 own words
    assert near_copies(tmp_path, [train], [at_threshold]) == 1
    assert near_copies(tmp_path, [train], [below]) == 0


def test_copies_are_not_near_copies(tmp_path: Path) -> None:
    text = " ".join(words(40))
    test = [text, text.upper(), f"{text} indeed", " ".join(words(40, 1_000))]
    assert near_copies(tmp_path, [text, "another text"], test) == 1


def test_one_near_copy_among_many_similar_reviews_is_found(tmp_path: Path) -> None:
    """Reviews with a common signature below the threshold do not hide the near copy."""
    common = words(30)
    similar = [" ".join([*common, *words(40, 100 * n)]) for n in range(1, 5 * CHECKED)]
    near = " ".join([*common, *words(40, 100)[:36], *ALPHABET])
    assert near_copies(tmp_path, [*similar, near], [near.replace(" z", " zz")]) == 1


def test_changed_words_are_found_at_the_expected_rate(tmp_path: Path) -> None:
    """Of copies with one changed word in twenty (a similarity of about 0.75), all are found."""
    random = np.random.default_rng(0)
    texts = [random.integers(0, 5_000, 100).tolist() for _ in range(40)]
    changed = [
        [token + 10_000 if place % 20 == 7 else token for place, token in enumerate(text)]
        for text in texts
    ]
    train, test = ([" ".join(map(str, text)) for text in rows] for rows in (texts, changed))
    unrelated = [" ".join(map(str, random.integers(0, 5_000, 100))) for _ in range(20)]
    assert near_copies(tmp_path, train, [*test, *unrelated]) == 40
