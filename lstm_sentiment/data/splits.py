"""Which reviews train, validate and test: drawn from what they say, not from where they stand.

So a split is the same whatever the form and the order in which somebody has the reviews.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lstm_sentiment.data.corpus import TokenizedReviews

HELD_OUT_SEED = 0  # the same test part for every data.split_seed


@dataclass(frozen=True)
class Split:
    """Some reviews of a part, sorted by their texts' digests and their labels."""

    reviews: TokenizedReviews
    rows: np.ndarray  # (N,) where they stand in the part

    @classmethod
    def whole(cls, reviews: TokenizedReviews) -> "Split":
        first, second = reviews.digests.T
        return cls(reviews, np.lexsort((reviews.labels, second, first)))

    @cached_property
    def labels(self) -> np.ndarray:
        """(N,) int8"""
        return self.reviews.labels[self.rows]

    @cached_property
    def copies(self) -> np.ndarray:
        """(N,) int64: the first place in `rows` of a review with the same text."""
        digests = self.reviews.digests[self.rows]
        is_first = np.ones(len(digests), bool)
        is_first[1:] = (digests[1:] != digests[:-1]).any(1)  # copies are neighbours
        return np.maximum.accumulate(np.where(is_first, np.arange(len(digests)), 0))

    @cached_property
    def identity(self) -> str:
        """What these reviews are, in whatever file and order."""
        digest = hashlib.sha256(np.ascontiguousarray(self.reviews.digests[self.rows]).tobytes())
        digest.update(self.labels.tobytes())
        return f"sha256-{digest.hexdigest()}"

    def take(self, places: np.ndarray) -> "Split":
        return replace(self, rows=self.rows[places])

    def held_out(self, fraction: float) -> tuple["Split", "Split"]:
        """For training and for testing; copies of a text stay on one side."""
        random = np.random.default_rng(HELD_OUT_SEED)
        train, test = stratified_split(
            np.arange(len(self.rows)), self.labels, self.copies, fraction, random
        )
        return self.take(train), self.take(test)


def stratified_sample(
    labels: np.ndarray, limit: int | None, random: np.random.Generator
) -> np.ndarray:
    """Rows of at most `limit` reviews, sorted, with the labels in proportion."""
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    values, counts = np.unique(labels, return_counts=True)
    exact = counts * limit / len(labels)
    quotas = exact.astype(int)
    quotas[np.argsort(quotas - exact, kind="stable")[: limit - quotas.sum()]] += 1
    chosen = [
        random.permutation(np.flatnonzero(labels == value))[:quota]
        for value, quota in zip(values, quotas, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def stratified_split(
    rows: np.ndarray,
    labels: np.ndarray,
    copies: np.ndarray,
    fraction: float,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows for training and for validation; copies of a text stay on one side.

    `labels` and `copies` are of the whole split. Each label gives `fraction` of its reviews, up
    to the size of a group of copies; a text under both labels goes with its first one.
    """
    groups, members = np.unique(copies[rows], return_inverse=True)
    sizes, group_labels = np.bincount(members), labels[groups]
    in_val = np.zeros(len(groups), bool)
    for value in np.unique(group_labels):
        order = random.permutation(np.flatnonzero(group_labels == value))
        filled = np.cumsum(sizes[order])
        in_val[order[filled <= round(filled[-1] * fraction)]] = True
    return rows[~in_val[members]], rows[in_val[members]]
