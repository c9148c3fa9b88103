"""Splits: the division of reviews into training, validation and test set.

Reviews are drawn by the digests of their texts and not by their rows. A split therefore does not
depend on the format and the order of the files. Reviews with the same text always belong to the
same set.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lstm_sentiment.data.tokenized import TokenizedReviews

TEST_SEED = 0  # the test set does not depend on data.split_seed


@dataclass(frozen=True)
class Split:
    """Some reviews of a part, sorted by the digests of their texts, then by their labels."""

    tokenized: TokenizedReviews  # all reviews of the part
    rows: np.ndarray  # (N,) rows of the part that belong to this split

    @classmethod
    def whole(cls, reviews: TokenizedReviews) -> "Split":
        """Return the split with all reviews of a part."""
        first, second = reviews.digests.T
        return cls(reviews, np.lexsort((reviews.labels, second, first)))

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels, (N,) int8."""
        return self.tokenized.labels[self.rows]

    @cached_property
    def groups(self) -> np.ndarray:
        """The position of the first review with the same text, (N,) int64."""
        digests = self.tokenized.digests[self.rows]
        is_first = np.ones(len(digests), bool)
        is_first[1:] = (digests[1:] != digests[:-1]).any(1)  # sorted: equal texts are neighbours
        return np.maximum.accumulate(np.where(is_first, np.arange(len(digests)), 0))

    @cached_property
    def identity(self) -> str:
        """A hash of texts and labels that does not depend on the files and their order."""
        digest = hashlib.sha256(np.ascontiguousarray(self.tokenized.digests[self.rows]).tobytes())
        digest.update(self.labels.tobytes())
        return f"sha256-{digest.hexdigest()}"

    def take(self, positions: np.ndarray) -> "Split":
        """Return the split of the reviews at these positions among `rows`, (M,)."""
        return replace(self, rows=self.rows[positions])

    def train_test_split(self, test_fraction: float) -> tuple["Split", "Split"]:
        """Return a training and a test set; reviews with the same text belong to the same set."""
        random = np.random.default_rng(TEST_SEED)
        train, test = stratified_split(
            np.arange(len(self.rows)), self.labels, self.groups, test_fraction, random
        )
        return self.take(train), self.take(test)


def stratified_sample(
    labels: np.ndarray, limit: int | None, random: np.random.Generator
) -> np.ndarray:
    """Return the sorted positions of at most `limit` reviews, with labels in proportion.

    `labels` is (N,). If `limit` is None, all positions are returned.
    """
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
    positions: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    fraction: float,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Split positions into a training set and a held-out set; return both.

    `labels` and `groups`, (N,), belong to the whole split. All reviews of a group belong to the
    same set. The held-out set has `fraction` of the reviews of each label, or less by at most one
    group. A group with both labels counts under the label of its first review.
    """
    unique_groups, members = np.unique(groups[positions], return_inverse=True)
    sizes, group_labels = np.bincount(members), labels[unique_groups]
    is_held_out = np.zeros(len(unique_groups), bool)
    for value in np.unique(group_labels):
        order = random.permutation(np.flatnonzero(group_labels == value))
        filled = np.cumsum(sizes[order])
        is_held_out[order[filled <= round(filled[-1] * fraction)]] = True
    return positions[~is_held_out[members]], positions[is_held_out[members]]
