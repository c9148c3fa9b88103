"""reviews -> a baseline whose penalty is chosen on reviews that it is not fitted to.

These are the validation set or, without one, a part of the training set. The test set is not used.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.splits import Split
from lstm_sentiment.model import ngrams
from lstm_sentiment.model.metrics import classification_scores
from lstm_sentiment.model.ngram_classifier import NgramClassifier, NgramModel
from lstm_sentiment.model.ngrams import TrainingNgrams

CHOSEN_BY = "val/loss"  # recorded; ties are decided for the stronger penalty
HELD_OUT = 0.2  # the share of the training set that takes the place of the validation set


class Penalty(NamedTuple):
    """The penalty of a baseline, and the scores of those that were tried."""

    c: float  # inverse strength
    chosen_on: str | None  # the set; None if there were too few reviews to choose
    tried: Sequence[dict[str, float]] = ()  # `c`, and `accuracy` and `loss` on this set

    @property
    def recorded(self) -> dict[str, Any]:
        """The entry `penalty` of a record."""
        return {"c": self.c, "chosen_on": self.chosen_on, "tried": [*self.tried]}


def fit_baseline(kind: NgramModel, data: ReviewDataModule) -> tuple[NgramClassifier, Penalty]:
    """Return a baseline fitted to the training set, and its penalty.

    Raises ValueError if no n-gram occurs in enough training reviews.
    """
    if len(data.val_split.rows):
        return _fit_best(kind, data, data.train_split, data.val_split, "validation set")
    penalty = _penalty_of_held_out(kind, data)
    with data.cache.display.progress(f"training {kind} on all training reviews"):
        return _training_ngrams(kind, data, data.train_split).fitted(penalty.c), penalty


def _penalty_of_held_out(kind: NgramModel, data: ReviewDataModule) -> Penalty:
    """Choose the penalty on a part of the training set.

    The default is returned, with a warning, if a class would be missing or no n-gram be frequent.
    """
    whole, random = data.train_split, np.random.default_rng(data.config.split_seed)
    train, held_out = whole.split_off(np.arange(len(whole.rows)), HELD_OUT, random)
    counts = [np.bincount(part.labels, minlength=len(data.classes)) for part in (train, held_out)]
    if np.all(counts):
        try:
            chosen_on = f"{HELD_OUT:.0%} of the training set"
            return _fit_best(kind, data, train, held_out, chosen_on)[1]
        except ValueError:  # scikit-learn raises it for an empty vocabulary
            pass
    default = ngrams.DEFAULT_C[kind]
    data.cache.display.message(
        f"{kind}: the {len(whole.rows):,} training reviews are too few to choose the penalty on a "
        f"part of them: C={default:g} is used.",
        "warning",
    )
    return Penalty(default, None)


def _fit_best(
    kind: NgramModel, data: ReviewDataModule, train: Split, held_out: Split, chosen_on: str
) -> tuple[NgramClassifier, Penalty]:
    """Fit a baseline with each penalty to `train`, and return the one with the least loss."""
    grid, display = ngrams.GRID[kind], data.cache.display
    with display.progress(f"counting n-grams for {kind}"):
        training_ngrams = _training_ngrams(kind, data, train)
        values = training_ngrams.values(tokens(held_out))
    fitted, tried = list[NgramClassifier](), list[dict[str, float]]()
    for number, c in enumerate(grid, 1):
        with display.progress(f"training {kind}: C={c:g}, {number} of {len(grid)}"):
            fitted.append(training_ngrams.fitted(c))
        logits = fitted[-1].logits_of_values(values)
        scores = classification_scores(held_out.labels, logits, data.classes)
        tried.append({"c": c, "accuracy": scores["accuracy"], "loss": scores["loss"]})
    best = min(range(len(grid)), key=lambda number: tried[number]["loss"])
    return fitted[best], Penalty(grid[best], chosen_on, tried)


def _training_ngrams(kind: NgramModel, data: ReviewDataModule, train: Split) -> TrainingNgrams:
    weights = data.config.class_weights
    return TrainingNgrams(kind, tokens(train), train.labels, len(data.classes), weights)


def tokens(reviews: Split) -> list[list[str]]:
    """Return the tokens of each review."""
    return [reviews.tokenized.words_of(row) for row in reviews.rows]
