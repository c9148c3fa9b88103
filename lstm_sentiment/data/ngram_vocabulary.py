"""tokenized reviews -> the n-grams that are frequent in them, and those that each review has.

The n-grams are those of the n-gram baselines (`model.ngrams`): tokens that follow each other in the
whole review, before truncation and augmentation. They consist of words, also if the network reads
subwords.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lstm_sentiment.data.tokenized import TOKENS_AT_ONCE, TokenizedReviews

MIN_REVIEWS = 2  # of the training set in which an n-gram must occur
UNKNOWN = -1  # in place of the number of a token or an n-gram


class NgramBatch(NamedTuple):
    """The distinct n-grams of the reviews of a batch, G in all."""

    ids: Tensor  # (G,) int64
    rows: Tensor  # (G,) int64, the review of each n-gram: its position in the batch, 0 to B - 1


@dataclass(frozen=True)
class ReviewNgrams:
    """The distinct n-grams of N reviews."""

    ids: np.ndarray  # (all n-grams,) int32, ascending within a review
    offsets: np.ndarray  # (N + 1,) int64: those of review i are ids[offsets[i]:offsets[i + 1]]

    def batch(self, chosen: np.ndarray) -> NgramBatch:
        """Return the n-grams of the reviews at the positions `chosen`, (B,)."""
        starts, ends = self.offsets[chosen].tolist(), self.offsets[chosen + 1].tolist()
        spans = [self.ids[start:end] for start, end in zip(starts, ends, strict=True)]
        rows = np.repeat(np.arange(len(chosen)), [*map(len, spans)])
        return NgramBatch(
            torch.from_numpy(np.concatenate(spans).astype(np.int64)), torch.from_numpy(rows)
        )


class NgramVocabulary:
    """The n-grams that a network knows: W words, then bigrams, then trigrams, by their ids.

    An n-gram is frequent only if all its parts are. `keys` therefore has an array for each length
    from 2 on, which describes an n-gram by the number of its first tokens among the shorter
    n-grams, times W, plus the number of its last word. The keys are ascending; their positions are
    the numbers of the n-grams of this length.
    """

    def __init__(self, words: Sequence[str], keys: Sequence[np.ndarray] = ()) -> None:
        self.words, self.keys = [*words], [*keys]
        self._numbers = {word: number for number, word in enumerate(words)}

    @classmethod
    def frequent(
        cls, reviews: TokenizedReviews, rows: np.ndarray, longest: int
    ) -> "NgramVocabulary":
        """Return the n-grams of up to `longest` tokens that occur in `MIN_REVIEWS` reviews.

        `rows`, (N,), are the reviews of the training set.
        """
        tokens, owners = _tokens(reviews, rows)
        frequent = _frequent(tokens, owners)
        numbers = np.full(len(reviews.words), UNKNOWN, np.int64)
        numbers[frequent] = np.arange(len(frequent))
        vocabulary = cls([reviews.words[word] for word in frequent.tolist()])
        tokens = numbers[tokens]
        prefixes = tokens
        for length in range(2, longest + 1):
            keys = vocabulary._keys_at(prefixes, tokens, owners)
            found = keys != UNKNOWN
            vocabulary.keys.append(_frequent(keys[found], owners[: len(keys)][found]))
            if length < longest:
                prefixes = _positions(vocabulary.keys[-1], keys)
        return vocabulary

    @property
    def longest(self) -> int:
        """The tokens of the longest n-grams."""
        return 1 + len(self.keys)

    def __len__(self) -> int:
        return len(self.words) + sum(map(len, self.keys))

    @property
    def ngrams(self) -> list[str]:
        """The n-grams by their ids, each as its tokens joined by a space."""
        levels = [self.words]
        for keys in self.keys:
            firsts, lasts = (part.tolist() for part in np.divmod(keys, len(self.words)))
            shorter = levels[-1]
            levels.append(
                [
                    f"{shorter[first]} {self.words[last]}"
                    for first, last in zip(firsts, lasts, strict=True)
                ]
            )
        return [ngram for level in levels for ngram in level]

    def find(self, reviews: TokenizedReviews, rows: np.ndarray) -> ReviewNgrams:
        """Return the distinct n-grams of the reviews in `rows`, (N,)."""
        numbers = np.fromiter(
            (self._numbers.get(word, UNKNOWN) for word in reviews.words), np.int64
        )
        ids, counts = [np.empty(0, np.int32)], np.zeros(len(rows) + 1, np.int64)
        for start, block in _blocks(reviews, rows):
            tokens, owners = _tokens(reviews, block)
            found = np.sort(np.concatenate([*self._occurrences(numbers[tokens], owners)]))
            in_block, ids_of_block = np.divmod(found[_is_new(found)], len(self))
            ids.append(ids_of_block.astype(np.int32))
            counts[start + 1 : start + 1 + len(block)] = np.bincount(in_block, minlength=len(block))
        return ReviewNgrams(np.concatenate(ids), np.cumsum(counts))

    def _occurrences(self, tokens: np.ndarray, owners: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the occurrences of n-grams of each length, each as owner x number of ids + id."""
        at, first = tokens, 0
        for level in [None, *self.keys]:
            if level is not None:
                at = _positions(level, self._keys_at(at, tokens, owners))
            found = at != UNKNOWN
            yield owners[: len(at)][found] * len(self) + first + at[found]
            first += len(self.words) if level is None else len(level)

    def _keys_at(self, prefixes: np.ndarray, tokens: np.ndarray, owners: np.ndarray) -> np.ndarray:
        """Return the key of the n-gram at each position that `prefixes` lengthen by one token.

        `prefixes`, (T - n + 2,), are the numbers of the n-grams of n - 1 tokens at each position of
        the T `tokens`; `owners`, (T,), are their reviews. The result is (T - n + 1,). It is
        `UNKNOWN` where a part is, and where the review ends.
        """
        count = max(0, len(prefixes) - 1)
        shift = len(tokens) - count
        firsts, lasts = prefixes[:count], tokens[shift:]
        real = (firsts != UNKNOWN) & (lasts != UNKNOWN) & (owners[:count] == owners[shift:])
        return np.where(real, firsts * len(self.words) + lasts, UNKNOWN)


def _tokens(reviews: TokenizedReviews, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens of the reviews in `rows`, and the position among `rows` of each, (T,)."""
    tokens, lengths = reviews.gathered(rows)
    return tokens, np.repeat(np.arange(len(rows)), lengths)


def _blocks(reviews: TokenizedReviews, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield parts of `rows` with the positions of their first, to bound the memory."""
    ends = np.cumsum(reviews.offsets[rows + 1] - reviews.offsets[rows])
    start = 0
    while start < len(rows):
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + TOKENS_AT_ONCE, "right")))
        yield start, rows[start:end]
        start = end


def _frequent(keys: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Return the keys that at least `MIN_REVIEWS` owners have, ascending; both are (T,)."""
    order = np.argsort(keys, kind="stable")  # owners are ascending, and so are those of each key
    keys, owners = keys[order], owners[order]
    keys = keys[_is_new(keys) | _is_new(owners)]  # each key once for each owner
    starts = np.flatnonzero(_is_new(keys))
    reviews = np.diff(starts, append=len(keys))
    return keys[starts[reviews >= MIN_REVIEWS]]


def _is_new(values: np.ndarray) -> np.ndarray:
    """Return whether each value differs from the one before it; not `np.unique`, which is slow."""
    return np.diff(values, prepend=values[:1] - 1) != 0


def _positions(level: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return the position of each key in the ascending `level`; `UNKNOWN` if it has none."""
    if not len(level):
        return np.full(len(keys), UNKNOWN, np.int64)
    positions = np.minimum(np.searchsorted(level, keys), len(level) - 1)
    return np.where(level[positions] == keys, positions, UNKNOWN)
