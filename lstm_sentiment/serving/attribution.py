"""The logit of a class as a sum of contributions of tokens."""

from dataclasses import dataclass, replace
from math import isfinite
from typing import NamedTuple

import numpy as np


class Method(NamedTuple):
    """A method that computes contributions, in words."""

    sentence: str
    baseline: str  # the input or parameter that gives the baseline


INTEGRATED_GRADIENTS = Method(
    "The contributions to the logit are integrated gradients.", "all word vectors zero"
)
WITH_NGRAMS = Method(
    "The contributions to the logit are integrated gradients, plus those of n-grams: the weight of "
    "each, divided equally among its tokens.",
    "all word vectors zero, and no n-grams",
)
LINEAR = Method(
    "The contribution of an n-gram to the logit is its weight times its value; that of a bigram or "
    "trigram is divided equally among its tokens.",
    "intercept",
)


@dataclass(frozen=True)
class Attribution:
    """The logit of a class as the sum of a baseline and one contribution for each token.

    `logit` = `baseline` + sum of `contributions` + `gap`, the error of the numerical integration.
    """

    logit: float
    baseline: float  # for a network: with the same length, and word vectors that are all zero
    contributions: tuple[float, ...]  # of each token that the model reads
    attention: tuple[float, ...] | None  # of each token, adding up to 1; None if the head has none
    gap: float
    method: Method = INTEGRATED_GRADIENTS

    @property
    def is_finite(self) -> bool:
        """Whether all numbers are finite."""
        numbers = (self.logit, self.baseline, self.gap, *self.contributions)
        return all(map(isfinite, (*numbers, *(self.attention or ()))))

    def summed(self, groups: np.ndarray) -> "Attribution":
        """Return the attribution to groups of tokens; `groups` (T,) has the numbers from 0 on."""
        attention = None if self.attention is None else np.bincount(groups, self.attention)
        return replace(
            self,
            contributions=tuple(np.bincount(groups, self.contributions).tolist()),
            attention=None if attention is None else tuple(attention.tolist()),
        )

    def spread(self, positions: np.ndarray, count: int) -> "Attribution":
        """Return the attribution to `count` tokens, of which these are at `positions`, (T,).

        The contribution and the attention of all others are zero.
        """

        def placed(values: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(np.bincount(positions, values, count).tolist())

        attention = None if self.attention is None else placed(self.attention)
        return replace(self, contributions=placed(self.contributions), attention=attention)

    def with_ngrams(self, contributions: np.ndarray) -> "Attribution":
        """Return the attribution of this logit plus the contributions of n-grams, (T,)."""
        return replace(
            self,
            logit=self.logit + float(contributions.sum()),
            contributions=tuple((np.array(self.contributions) + contributions).tolist()),
            method=WITH_NGRAMS,
        )
