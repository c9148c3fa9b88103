"""variances -> the power of a comparison: how likely a difference of two networks is found.

Card et al. (2020) recommend this calculation before an experiment. The test is that of a report,
Welch's test of a single difference at the two-sided level 0.05 (`Accuracies.difference`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy import stats

from lstm_sentiment.report.statistics import LEVEL, Accuracies

MOST_SEEDS, MOST_REVIEWS = 1_000, 100_000_000  # larger numbers are of no use to anybody
QUANTILES = 60  # of the estimated variance of each network
HALVINGS = 20  # of the interval that contains the smallest difference


@dataclass(frozen=True)
class Design:
    """Two networks that are compared, with the variances of the difference of their accuracies.

    With S seeds for each network and N reviews, the difference of the mean accuracies has the
    variance

        (shared + 2 by_chance / S) N0 / N + 2 between_seeds / S

    The mean over more seeds varies less over samples of reviews, too: a review that single seeds
    classify correctly by chance counts less. Only the part that all seeds of a network share
    remains. All variances are those of accuracies as shares.
    """

    shared: float  # over samples of N0 reviews, of a difference with infinitely many seeds
    by_chance: float  # over samples of N0 reviews, of a seed's accuracy beyond its network's
    between_seeds: float | None  # of a seed's accuracy on infinitely many reviews; None: unknown
    freedom: int  # degrees of freedom of `between_seeds`; 0 if they are unknown
    seeds: int  # S, of each network
    reviews: int  # N0
    groups: int  # G of the N0 reviews, as in `Accuracies`

    def with_seeds(self, seeds: int) -> "Design":
        """Return the design with another number of seeds."""
        return replace(self, seeds=seeds)

    def with_reviews(self, reviews: int) -> "Design":
        """Return the design with N reviews, as many of each group as now."""
        ratio = self.reviews / reviews
        return replace(
            self,
            shared=self.shared * ratio,
            by_chance=self.by_chance * ratio,
            reviews=reviews,
            groups=max(round(self.groups / ratio), 1),
        )

    @property
    def by_reviews(self) -> float:
        """The variance of the difference over samples of reviews."""
        return self.shared + 2 * self.by_chance / self.seeds

    @property
    def largest_between_seeds(self) -> float | None:
        """The upper bound of the variance between seeds, with the probability `LEVEL`."""
        if self.between_seeds is None or not self.freedom:
            return None
        ratio = float(stats.chi2.ppf(1 - LEVEL, self.freedom)) / self.freedom
        return (self.between_seeds + self.by_chance) / ratio - self.by_chance

    def power(self, difference: float) -> float:
        """Return the probability that a true difference is significant.

        It is NaN for single seeds if the variance between seeds is known: no test can account for
        it. If it is unknown, only reviews are sampled.

        The observed difference is normal and independent of the two estimated variances between
        seeds, which have chi-squared distributions. The probability is therefore the mean of
        normal probabilities over quantiles of both variances. The noncentral t distribution would
        be exact for a variance that both networks share. Welch's test does not assume this, and
        with two or three seeds it is less powerful.
        """
        if self.between_seeds is not None and self.seeds < 2:
            return float("nan")
        observed = self._observed()
        floor = 0 if self.between_seeds is None else self.by_chance
        squares = np.maximum(observed, floor) ** 2 / max(self.seeds - 1, 1)
        estimates = np.maximum(observed - self.by_chance, 0)
        total = self.by_reviews + np.add.outer(estimates, estimates) / self.seeds
        uncertain = self.by_reviews**2 / max(self.groups - 1, 1)
        uncertain += np.add.outer(squares, squares) / self.seeds**2
        bound = stats.t.isf((1 - LEVEL) / 2, total**2 / uncertain) * np.sqrt(total)
        error = np.sqrt(self.by_reviews + 2 * (self.between_seeds or 0) / self.seeds)
        tails = stats.norm.sf([(bound - difference) / error, (bound + difference) / error])
        return float(tails.sum(0).mean())

    def _observed(self) -> np.ndarray:
        """Return equally likely values of the observed variance between seeds, (Q,).

        They are the values of `Accuracies.between_seeds`, which contain the part by chance.
        """
        if self.between_seeds is None:
            return np.zeros(1)
        freedom = self.seeds - 1
        ratios = stats.chi2.ppf((np.arange(QUANTILES) + 0.5) / QUANTILES, freedom) / freedom
        observed: np.ndarray = (self.between_seeds + self.by_chance) * ratios
        return observed

    def seeds_needed(self, difference: float, power: float) -> int | None:
        """Return the number of seeds of each network with which the difference is found.

        It is None if the reviews alone are too uncertain, or if the variance is unknown.
        """
        if self.between_seeds is None:
            return None
        return _threshold(
            lambda seeds: self.with_seeds(seeds).power(difference) >= power,
            self.seeds,
            MOST_SEEDS,
        )

    def reviews_needed(self, difference: float, power: float) -> int | None:
        """Return the number of reviews with which it is found; None if seeds are too uncertain."""
        return _threshold(
            lambda reviews: self.with_reviews(reviews).power(difference) >= power,
            self.reviews,
            MOST_REVIEWS,
        )

    def smallest_difference(self, power: float) -> float | None:
        """Return the smallest difference that is found; None if not even a difference of 1 is."""
        low, high = 0.0, 1.0
        if not self.power(high) >= power:
            return None
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if self.power(middle) >= power else (middle, high)
        return high


def _threshold(is_enough: Callable[[int], bool], present: int, most: int) -> int | None:
    """Return the least number that is enough, on the way from the present one; at most `most`.

    Power may fall a little with more reviews, since the test then depends more on the few seeds.
    Starting from the present number keeps the result consistent with the present power.
    """
    low, high = present // 2, present
    if is_enough(high):
        while low and is_enough(low):
            low, high = low // 2, low
    else:
        low, high = high, 2 * high
        while not is_enough(high):
            if high > most:
                return None
            low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def design(measured: Accuracies, reviews: int) -> Design:
    """Return the design of two networks like the measured ones, with their usual number of seeds.

    The part that seeds of a network share is the median over all pairs. For a single network, it is
    that of two networks whose mistakes are independent, which is an upper bound in practice. For
    single seeds, the part by chance is unknown and counts as shared, so it does not decrease with
    more seeds.

    The variance between seeds is the mean over all networks with several seeds, weighted by their
    degrees of freedom. It may not be below zero, but the part of each network may, since the mean
    would be too high otherwise.
    """
    several, freedom = measured.seeds > 1, measured.seeds - 1
    between = by_chance = None
    if several.any():
        by_chance = float(np.average(measured.by_chance, weights=freedom))
        between = max(float(np.average(measured.between_seeds, weights=freedom)) - by_chance, 0.0)
    return Design(
        _shared(measured, np.where(several, measured.by_chance, by_chance or 0) / measured.seeds),
        by_chance or 0,
        between,
        int(freedom.sum()),
        int(np.quantile(measured.seeds, 0.5, method="lower")),
        reviews,
        measured.groups,
    )


def _shared(measured: Accuracies, by_chance: np.ndarray) -> float:
    """Return the variance of a difference without the part by chance of each mean, (K,)."""
    own = measured.by_reviews - np.diag(by_chance)
    pairs = combinations(range(len(own)), 2)
    differences = [own[a, a] + own[b, b] - 2 * own[a, b] for a, b in pairs]
    return max(float(np.median(differences)) if differences else 2 * float(own[0, 0]), 0.0)
