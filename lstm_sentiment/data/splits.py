"""Splits: the division of reviews into training, validation and test set, or into folds.

Reviews are drawn by the digests of their texts and not by their rows. A split therefore does not
depend on the format and the order of the files. Copies of a review always belong to the same set:
reviews with the same tokens or, in version 1 of `data.preparation`, with the same text. So do the
reviews of a group, if the reviews have groups. What stays together is a component: reviews that are
connected by copies and groups.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from lstm_sentiment.data.columns import join_names
from lstm_sentiment.data.tokenized import TokenizedReviews
from lstm_sentiment.display import counted
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import Classes

# The share of copies, or of shared groups, and the difference between shares of a class, from which
# on a note mentions them.
NOTED_COPIES, NOTED_DIFFERENCE = 0.01, 0.05
TEST_SEED = 0  # the test set does not depend on data.split_seed


@dataclass(frozen=True)
class Split:
    """Some reviews of a part, sorted by the digests of their texts, by their labels and groups."""

    tokenized: TokenizedReviews  # all reviews of the part
    rows: np.ndarray  # (N,) rows of the part that belong to this split

    @classmethod
    def whole(cls, reviews: TokenizedReviews) -> "Split":
        """Return the split with all reviews of a part."""
        first, second = reviews.digests.T
        return cls(reviews, np.lexsort((*reviews.groups.T, reviews.labels, second, first)))

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels, (N,) int8."""
        return self.tokenized.labels[self.rows]

    @cached_property
    def components(self) -> np.ndarray:
        """The position of the first review of each review's component, (N,) int64."""
        _, copies = np.unique(self.tokenized.copies_of(self.rows), return_inverse=True)
        if self.tokenized.has_groups:
            copies = self._connected(copies)
        _, first, members = np.unique(copies, return_index=True, return_inverse=True)
        return first[members]

    def _connected(self, copies: np.ndarray) -> np.ndarray:
        """Return the number of each review's component, (N,), from that of its text, (N,)."""
        grouped = np.flatnonzero(self.tokenized.groups[self.rows].any(1))
        named = self.tokenized.groups_of(self.rows)
        _, groups = np.unique(named, return_inverse=True)
        # A graph of texts and groups, with an edge from each text to the group of its review.
        size = len(copies) + len(grouped)
        edges = np.ones(len(grouped)), (copies[grouped], len(copies) + groups)
        _, components = connected_components(csr_array(edges, shape=(size, size)), directed=False)
        return components[copies]

    @cached_property
    def identity(self) -> str:
        """A hash of texts, labels and groups that does not depend on the files and their order."""
        digest = hashlib.sha256(np.ascontiguousarray(self.tokenized.digests[self.rows]).tobytes())
        digest.update(self.labels.tobytes())
        if self.tokenized.has_groups:
            digest.update(np.ascontiguousarray(self.tokenized.groups[self.rows]).tobytes())
        return f"sha256-{digest.hexdigest()}"

    def take(self, positions: np.ndarray) -> "Split":
        """Return the split of the reviews at these positions among `rows`, (M,)."""
        return replace(self, rows=self.rows[positions])

    def train_test_split(self, test_fraction: float) -> tuple["Split", "Split"]:
        """Return a training and a test set; no component belongs to both."""
        everything, random = np.arange(len(self.rows)), np.random.default_rng(TEST_SEED)
        return self.split_off(everything, test_fraction, random)

    def split_off(
        self, positions: np.ndarray, fraction: float, random: np.random.Generator
    ) -> tuple["Split", "Split"]:
        """Split the reviews at these positions into a training set and a held-out set."""
        train, held_out = stratified_split(
            positions, self.labels, self.components, fraction, random, self.tokenized.preparation
        )
        return self.take(train), self.take(held_out)

    def fold(self, folds: int, fold: int) -> tuple["Split", "Split"]:
        """Return the training set of a fold of a cross-validation, and the fold.

        Raises InputError if a class has fewer reviews, or the reviews fewer components, than folds.
        """
        self._require_folds(folds)
        is_held_out = stratified_folds(self.labels, self.components, folds) == fold
        return self.take(np.flatnonzero(~is_held_out)), self.take(np.flatnonzero(is_held_out))

    def _require_folds(self, folds: int) -> None:
        for label, count in zip(*np.unique(self.labels, return_counts=True), strict=True):
            if count < folds:
                raise InputError(
                    f"data.folds={folds} is more than the {counted(int(count), 'review')} of class "
                    f"{join_names([self.tokenized.label_names[label]])}: {_at_most(count)}."
                )
        if (count := self.number_of_components) < folds:
            raise InputError(
                f"data.folds={folds} is more than the {counted(count, self.kind_of_components)}: "
                f"{_at_most(count)}."
            )

    @property
    def number_of_components(self) -> int:
        """The number of sets of reviews that cannot be divided."""
        return len(np.unique(self.components))

    @property
    def kind_of_components(self) -> str:
        """The noun for a component in messages."""
        return "group" if self.tokenized.has_groups else "different review"


def _at_most(folds: int) -> str:
    return f"give at most {folds}" if folds > 1 else "leave out data.folds, or add reviews"


def count_shared_groups(reviews: Split, *others: Split) -> int:
    """Return the number of groups of the reviews that also have reviews in other splits."""
    groups = np.unique(reviews.tokenized.groups_of(reviews.rows))
    elsewhere = np.concatenate([other.tokenized.groups_of(other.rows) for other in others])
    return int(np.isin(groups, elsewhere).sum())


def are_copies(reviews: Split, *others: Split) -> np.ndarray:
    """Return which reviews, (N,) bool, are copies of reviews in other splits."""
    copies = np.concatenate([other.tokenized.copies_of(other.rows) for other in others])
    return np.isin(reviews.tokenized.copies_of(reviews.rows), copies)


def count_copies(reviews: Split, *others: Split) -> int:
    """Return the number of reviews that are copies of reviews in other splits."""
    return int(are_copies(reviews, *others).sum())


def copies_note(
    copies: int | None, size: int | None, name: str = "test", others: str = "training or validation"
) -> str | None:
    """Return a warning if copies of `others` are among the `size` reviews of the set `name`.

    None if they are less than a hundredth of them, as in IMDB, or if their number is not known.
    """
    if not copies or not size or copies < NOTED_COPIES * size:
        return None
    return (
        f"{copies:,} of the {size:,} {name} reviews are copies of {others} reviews: "
        f"the {name} scores are not those on new reviews."
    )


def groups_note(name: str, reviews: Split, *others: Split) -> str | None:
    """Return a warning if groups of the set `name` also have reviews in other sets.

    This can be only if a file is given for the set. None if they are less than a hundredth of its
    groups, as in IMDB.
    """
    count = len(np.unique(reviews.tokenized.groups_of(reviews.rows)))
    shared = count_shared_groups(reviews, *others)
    if not shared or shared < NOTED_COPIES * count:
        return None
    return (
        f"{shared:,} of the {counted(count, 'group')} of the {name} set also have reviews in other "
        f"sets: the {name} scores are not those on new groups."
    )


def proportions_note(
    name: str, labels: np.ndarray, whole: np.ndarray, classes: Classes
) -> str | None:
    """Return a warning if the labels of a set, (N,), are not in the proportion of all labels.

    It names the class whose share differs most, the last of them if several do.
    """
    if not len(labels):
        return None
    shares, usual = (
        np.bincount(part, minlength=len(classes)) / len(part) for part in (labels, whole)
    )
    differences = np.abs(shares - usual)
    label = len(classes) - 1 - int(differences[::-1].argmax())
    if differences[label] * len(labels) <= max(1, NOTED_DIFFERENCE * len(labels)):
        return None
    return (
        f"{shares[label]:.0%} of the {name} reviews are {classes.names[label]}, but "
        f"{usual[label]:.0%} of all reviews: the copies of a review, and the reviews of a group, "
        "stay in one set."
    )


def absent_note(name: str, labels: np.ndarray, classes: Classes) -> str | None:
    """Return a warning if a set, given by its labels (N,), has no review of a class."""
    absent = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 0)
    if not len(labels) or not len(absent):
        return None
    names = join_names([classes.names[label] for label in absent])
    return (
        f"The {name} set has no review of {names}: its AUROC is undefined, and its balanced "
        "accuracy does not include every class."
    )


def stratified_folds(labels: np.ndarray, components: np.ndarray, folds: int) -> np.ndarray:
    """Return the fold of each review, (N,), from its label and its component, (N,) each.

    All reviews of a component belong to the same fold. Components are assigned one after another,
    the largest first, to the fold that keeps the numbers of each label in the folds as equal as
    possible (least sum of squares), as `StratifiedGroupKFold` of scikit-learn does. Without large
    components, the numbers of a label differ by at most 1.
    """
    _, members = np.unique(components, return_inverse=True)
    values, columns = np.unique(labels, return_inverse=True)
    counts = np.zeros((members.max() + 1, len(values)), int)
    np.add.at(counts, (members, columns), 1)
    # The sum of squares of the shares grows by 2 * filled @ weights, and by a constant.
    weights = counts / counts.sum(0) ** 2
    filled, sizes = np.zeros((folds, len(values)), int), np.zeros(folds, int)
    fold_of = np.zeros(len(counts), int)
    for component in np.argsort(-counts.sum(1), kind="stable"):
        fold = np.lexsort((sizes, filled @ weights[component]))[0]
        fold_of[component] = fold
        filled[fold] += counts[component]
        sizes[fold] += counts[component].sum()
    return fold_of[members]


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
    preparation: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Split positions into a training set and a held-out set; return both.

    `labels` and `groups`, (N,), belong to the whole split. All reviews of a group belong to the
    same set. The held-out set has `fraction` of the reviews of each label, or as near to it as the
    groups allow. In version 1 of `data.preparation`, the draw from the groups of a label ends at
    the first group that is too large, and a group with both labels counts under the label of its
    first review.
    """
    unique_groups, members = np.unique(groups[positions], return_inverse=True)
    group_labels = labels[unique_groups]
    order = [
        random.permutation(np.flatnonzero(group_labels == value))
        for value in np.unique(group_labels)
    ]
    is_held_out = np.zeros(len(unique_groups), bool)
    if preparation == 1:
        sizes = np.bincount(members)
        for same_label in order:
            filled = np.cumsum(sizes[same_label])
            is_held_out[same_label[filled <= round(filled[-1] * fraction)]] = True
    elif order:
        values, columns = np.unique(labels[positions], return_inverse=True)
        counts = np.zeros((len(unique_groups), len(values)), int)
        np.add.at(counts, (members, columns), 1)
        is_held_out = _held_out_groups(counts, np.concatenate(order), fraction)
    return positions[~is_held_out[members]], positions[is_held_out[members]]


def _held_out_groups(counts: np.ndarray, order: np.ndarray, fraction: float) -> np.ndarray:
    """Return which groups, (G,) bool, together have about `fraction` of each label's reviews.

    `counts`, (G, L), are the reviews of each group with each label, and `order`, (G,), is the order
    of the draw. Groups that do not fit are passed over. At the end, groups that exceed the number
    for a label are added as long as this brings the numbers nearer to `fraction`.
    """
    kept = counts.sum(0)  # reviews of each label in the training set
    missing = np.array([round(total * fraction) for total in kept.tolist()])
    is_held_out = np.zeros(len(counts), bool)
    fitting = order
    while len(fitting := fitting[(counts[fitting] <= missing).all(1)]):
        exceeding = np.flatnonzero((np.cumsum(counts[fitting], 0) > missing).any(1))
        end = exceeding[0] if len(exceeding) else len(fitting)
        drawn, fitting = fitting[:end], fitting[end + 1 :]
        is_held_out[drawn] = True
        kept, missing = kept - counts[drawn].sum(0), missing - counts[drawn].sum(0)
    while True:
        takes_all = ((counts > 0) & (counts == kept)).any(1)
        distances = np.abs(missing - counts).sum(1)
        distances[is_held_out | takes_all] = len(order) + counts.sum()
        nearest = order[distances[order].argmin()]
        if distances[nearest] >= np.abs(missing).sum():
            return is_held_out
        is_held_out[nearest] = True
        kept, missing = kept - counts[nearest], missing - counts[nearest]
