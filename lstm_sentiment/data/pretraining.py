"""The reviews from which word vectors, language models and terms without labels may learn.

These are the training set and the unlabelled reviews, if there are any, but never a text of a
held-out set: unlabelled reviews that are copies of validation or test reviews are left out. In
version 1 of `data.preparation`, they are not.
"""

from typing import NamedTuple

import numpy as np

from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.sources import UNSUPERVISED
from lstm_sentiment.data.splits import Split, are_copies
from lstm_sentiment.display import counted
from lstm_sentiment.errors import InputError


class PretrainingReviews(NamedTuple):
    """Reviews to learn from, and the number of unlabelled reviews that are not among them."""

    splits: list[Split]  # the training set and, if there are any, the unlabelled reviews, in tokens
    left_out: int | None = None  # None if no review was looked for

    @property
    def note(self) -> str | None:
        """A sentence on the reviews that are left out; None if there are none."""
        return left_out_note(self.left_out)


def left_out_note(left_out: int | None) -> str | None:
    """Return a sentence on the unlabelled reviews that are left out; None if there are none."""
    if not left_out:
        return None
    reviews = counted(left_out, "unlabelled review", "is", "are")
    return f"{reviews} left out of the corpus: validation or test reviews have the same words."


def pretraining_reviews(data: ReviewDataModule) -> PretrainingReviews:
    """Return the reviews from which a model may learn before training; `data` must be set up.

    Held out are the validation set and the whole test set, also if `test` is false. With folds, the
    held-out fold is the test set. Raises InputError if reviews cannot be read or cached.
    """
    if UNSUPERVISED not in data.corpus.parts:
        return PretrainingReviews([data.train_split])
    unlabelled, left_out = unlabelled_reviews(data)
    return PretrainingReviews([data.train_split, data.in_tokens(unlabelled)], left_out)


def unlabelled_reviews(data: ReviewDataModule) -> tuple[Split, int | None]:
    """Return the unlabelled reviews to learn from, in words, and how many are left out.

    None are left out, and their number is None, if none are looked for; see `pretraining_reviews`.
    """
    unlabelled = data.split(UNSUPERVISED)
    if not _leaves_out(data):
        return unlabelled, None
    is_copy = are_copies(unlabelled, *filter(None, [data.val_split, data.whole_test]))
    return unlabelled.take(np.flatnonzero(~is_copy)), int(is_copy.sum())


def pretraining_identity(data: ReviewDataModule) -> list[str]:
    """Return what identifies `pretraining_reviews`, beside the labelled reviews.

    Without unlabelled reviews, these are the training set, and the list is empty. `data` need not
    be set up. Raises InputError if reviews cannot be read or cached.
    """
    if UNSUPERVISED not in data.corpus.parts:
        return []
    unlabelled = data.split(UNSUPERVISED).identity
    if not _leaves_out(data):
        return [unlabelled]
    test = data.whole_test
    return [unlabelled, "without", "no test set" if test is None else test.identity]


def unlabelled_identity(data: ReviewDataModule, per_labelled: int) -> str:
    """Return what identifies the unlabelled reviews that `train_on_unlabelled` adds.

    It is "" if `per_labelled`, which is `objective.unlabelled`, is 0. Raises InputError if there
    are no unlabelled reviews, or if they cannot be read or cached.
    """
    if not per_labelled:
        return ""
    if UNSUPERVISED not in data.corpus.parts:
        raise InputError(
            f"objective.unlabelled must be 0 (got {per_labelled}): {data.corpus.name} has no "
            "unlabelled reviews."
        )
    return " ".join(["unlabelled", *pretraining_identity(data)])


def train_on_unlabelled(data: ReviewDataModule, per_labelled: int) -> None:
    """Add the unlabelled reviews to the training batches of `data`, which must be set up.

    Raises InputError if reviews cannot be read or cached, or if none is left.
    """
    if not per_labelled or data.unlabelled is not None:  # a run is prepared more than once
        return
    unlabelled, left_out = unlabelled_reviews(data)
    if note := left_out_note(left_out):
        data.cache.note(note)
    if not len(unlabelled.rows):
        raise InputError(
            f"objective.unlabelled must be 0 (got {per_labelled}): all unlabelled reviews of "
            f"{data.corpus.name} are copies of validation or test reviews."
        )
    data.train_beside(unlabelled, per_labelled, left_out)


def _leaves_out(data: ReviewDataModule) -> bool:
    """Return whether copies of held-out reviews are left out: since version 2 of the preparation.

    The published runs have version 1, and must give the same numbers when they are trained again.
    """
    return data.config.preparation > 1
