"""predictions -> accuracies with their errors, intervals and tests.

A test accuracy depends on chance in two ways: another seed gives another network, and another
sample of reviews gives another accuracy. Every claim of a report is a weighted sum of accuracies: a
single accuracy, a difference, or the contribution of a choice. `Accuracies.contrast` estimates it
with a standard error and degrees of freedom, as in Welch's t-test, and a family of claims is
corrected together. docs/statistics.md describes the methods and measures their error rates.

Shapes: K variants, N reviews, G groups of reviews, E estimates.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

LEVEL = 0.95
UNDECIDED = "cannot be told apart"  # part of the format of comparison.csv
DRAWS, AT_ONCE = 100_000, 5_000  # for the largest of correlated deviations
MAX_PAIRS = 5_000  # whose largest deviation is drawn
ROUNDING = 1e-9  # a value of zero may be this far from zero after rounding

Correct = Mapping[int, np.ndarray]  # seed -> (N,) bool, whether each prediction is correct


class Interval(NamedTuple):
    """The bounds of an interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """An estimate whose deviation from the truth, in standard errors, has a t distribution."""

    value: float
    error: float  # the standard error
    freedom: float  # the degrees of freedom of the error

    def interval(self, level: float = LEVEL) -> Interval:
        """Return the interval that contains the truth with the probability `level`."""
        reach = float(stats.t.isf((1 - level) / 2, self.freedom)) * self.error
        return Interval(self.value - reach, self.value + reach)

    @property
    def p(self) -> float:
        """The two-sided p-value of the hypothesis that the truth is zero."""
        return float(2 * stats.t.sf(abs(self.value) / self.error, self.freedom))


@dataclass(frozen=True)
class Accuracies:
    """The accuracies of K variants, means over seeds, and the two sources of their errors."""

    observed: np.ndarray  # (K,)
    by_reviews: np.ndarray  # (K, K), the covariance over samples of reviews
    independent: np.ndarray  # (K,), the variances if reviews of one group were not alike
    groups: int  # G, the number of reviews if their groups are unknown
    seeds: np.ndarray  # (K,), their number
    between_seeds: np.ndarray  # (K,), the variance of the accuracies of single seeds; 0 for one
    by_chance: np.ndarray  # (K,), the part of `between_seeds` that is in `by_reviews` already

    @cached_property
    def by_seeds(self) -> np.ndarray:
        """The variances of the means over samples of seeds, (K,); 0 for one seed.

        Two seeds also differ because each classifies some of the finitely many reviews correctly by
        chance. The variance over reviews contains this part, so it is not counted twice.
        """
        variances: np.ndarray = np.maximum(self.between_seeds - self.by_chance, 0) / self.seeds
        return variances

    def contrast(self, weights: np.ndarray) -> Estimate:
        """Return the estimate of a weighted sum of the accuracies; `weights` is (K,).

        The error is that of Welch (1947): each variant has a variance of its own, and the degrees
        of freedom follow from the shares of all variances (Satterthwaite 1946).
        """
        by_reviews = float(weights @ self.by_reviews @ weights)
        # A variance between seeds is as uncertain before subtraction as after it.
        observed = weights**2 * np.maximum(self.between_seeds, self.by_chance) / self.seeds
        return estimate(
            float(weights @ self.observed),
            by_reviews + float(weights**2 @ self.by_seeds),
            [by_reviews, *observed],
            [max(self.groups - 1, 1), *(self.seeds - 1)],
        )

    def difference(self, ours: int, other: int) -> Estimate:
        """Return the estimate of the accuracy of a variant minus that of another one."""
        return self.contrast(self.between(ours, other))

    def between(self, ours: int, other: int) -> np.ndarray:
        """Return the weights of a difference, (K,)."""
        return self._unit(ours) - self._unit(other)

    def accuracy(self, variant: int) -> Estimate:
        """Return the estimate of the accuracy of a variant."""
        return self.contrast(self._unit(variant))

    @property
    def covariance(self) -> np.ndarray:
        """The covariance of the accuracies over samples of reviews and of seeds, (K, K)."""
        return self.by_reviews + np.diag(self.by_seeds)

    @cached_property
    def design_effects(self) -> np.ndarray:
        """The variance of each accuracy over groups of reviews, relative to single reviews, (K,).

        Kish (1965): it is 1 if reviews of one group are no more alike than any others.
        """
        return np.diag(self.by_reviews) / self.independent

    def of(self, positions: Sequence[int]) -> "Accuracies":
        """Return the accuracies of the variants at these positions."""
        chosen = np.array(positions, int)
        return Accuracies(
            self.observed[chosen],
            self.by_reviews[np.ix_(chosen, chosen)],
            self.independent[chosen],
            self.groups,
            self.seeds[chosen],
            self.between_seeds[chosen],
            self.by_chance[chosen],
        )

    def _unit(self, variant: int) -> np.ndarray:
        return np.eye(len(self.observed))[variant]


def accuracies(variants: Sequence[Correct], groups: np.ndarray | None = None) -> Accuracies:
    """Return the accuracies of variants on the same reviews.

    `groups` are the numbers of the groups of reviews, (N,) int, if they are known: reviews of one
    group, such as of one film, are then sampled together.
    """
    means = np.stack([np.mean([*correct.values()], 0) for correct in variants], 1)  # (N, K)
    numbers = _numbered(groups, len(means))
    between, by_chance = np.transpose([_between_seeds(correct, numbers) for correct in variants])
    return Accuracies(
        means.mean(0),
        _by_reviews(means, numbers),
        np.diag(_by_reviews(means, np.arange(len(means)))),
        int(numbers.max()) + 1,
        np.array([len(correct) for correct in variants]),
        between,
        by_chance,
    )


def _numbered(groups: np.ndarray | None, size: int) -> np.ndarray:
    """Return a number from 0 to G - 1 for each of N reviews; each is alone in unknown groups."""
    if groups is None or len(np.unique(groups)) < 2:
        return np.arange(size)
    return np.unique(groups, return_inverse=True)[1]


def _by_reviews(means: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the covariance of the columns' means over samples of groups, (K, K).

    `means` is (N, K) and `groups` (N,). This is the variance that a bootstrap over groups would
    have with infinitely many draws (cluster-robust: Liang and Zeger 1986). As if one further review
    were classified correctly by this variant alone, 1 / N^2 is added to each variance (after Bonett
    and Price 2012). Otherwise, a variant without mistakes would have no error at all.
    """
    size, K = means.shape
    sums = _sums(means - means.mean(0), groups)
    number = len(sums)
    return (sums.T @ sums * number / max(number - 1, 1) + np.eye(K)) / size**2


def _sums(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the sum of the rows of each group, (G, K)."""
    return np.stack([np.bincount(groups, column) for column in values.T], 1)


def _between_seeds(correct: Correct, groups: np.ndarray) -> tuple[float, float]:
    """Return the variance of the accuracies of single seeds, and its part due to the reviews.

    The part is the variance over samples of reviews of the differences between the seeds. Both are
    0 for a variant with one seed.
    """
    if len(correct) < 2:
        return 0.0, 0.0
    runs = np.stack([*correct.values()], 1).astype(float)  # (N, S)
    by_chance = _sums(runs - runs.mean(0), groups).var(1, ddof=1).sum() / len(runs) ** 2
    return float(runs.mean(0).var(ddof=1)), float(by_chance)


def estimate(
    value: float, variance: float, parts: Sequence[float], freedom: Sequence[float]
) -> Estimate:
    """Return the estimate with a variance that is the sum of independent parts.

    Each part has its own degrees of freedom (Satterthwaite 1946); those of a part of zero have no
    meaning. The parts may add up to more than the variance, if something known was subtracted.
    """
    uncertain = sum(part**2 / known for part, known in zip(parts, freedom, strict=True) if part)
    return Estimate(value, float(np.sqrt(variance)), variance**2 / uncertain)


def local_level(covariance: np.ndarray) -> float:
    """Return the level for each of E correlated estimates that gives their family `1 - LEVEL`.

    `covariance` is (E, E). The level is that of the largest deviation of all, as in Dunnett's test
    (1955). It is at most that of a single estimate, and at least that of Bonferroni's correction,
    which holds whatever the correlations are.
    """
    error = np.sqrt(np.diag(covariance))
    draws = _draws(covariance / np.outer(error, error))
    return _level_of_largest([np.abs(drawn).max(0) for drawn in draws], len(covariance))


def level_of_all_pairs(covariance: np.ndarray) -> float:
    """Return the same level for the differences of all pairs of K accuracies.

    `covariance` is (K, K), that of the accuracies. Without correlations and with equal variances,
    it is the level of Tukey's test (1953). For very many accuracies, it is that of Bonferroni's
    correction, which is little lower then and needs no draws.
    """
    pairs = len(covariance) * (len(covariance) - 1) // 2
    if pairs > MAX_PAIRS:
        return (1 - LEVEL) / pairs
    scaled = covariance / np.diag(covariance).mean()
    own = np.diag(scaled)
    errors = np.sqrt(own[:, None] + own - 2 * scaled).astype(np.float32)[:, :, None]
    largest = []
    for drawn in _draws(scaled):
        deviations = [
            (np.abs(drawn[k] - drawn[k + 1 :]) / errors[k, k + 1 :]).max(0)
            for k in range(len(own) - 1)
        ]
        largest.append(np.max(deviations, 0))
    return _level_of_largest(largest, pairs)


def _draws(covariance: np.ndarray) -> Iterator[np.ndarray]:
    """Yield `DRAWS` draws of normal numbers with this covariance, (E, E), as (E, AT_ONCE) arrays.

    The variances are about 1.
    """
    values, vectors = np.linalg.eigh(covariance)
    is_varying = values > ROUNDING
    factor = (vectors[:, is_varying] * np.sqrt(values[is_varying])).astype(np.float32)
    random = np.random.default_rng(0)
    for _ in range(0, DRAWS, AT_ONCE):
        yield factor @ random.standard_normal((factor.shape[1], AT_ONCE), np.float32)


def _level_of_largest(largest: Sequence[np.ndarray], count: int) -> float:
    """Return the level of a single estimate from draws of the largest of `count` deviations."""
    level = 2 * stats.norm.sf(np.quantile(np.concatenate(largest), LEVEL))
    return float(np.clip(level, (1 - LEVEL) / count, 1 - LEVEL))


def mcnemar(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the p-value of the exact test (McNemar 1947) of two networks' correct predictions.

    Both arrays are (N,) bool. The test uses the reviews that only one network predicts correctly.
    """
    only_ours, only_theirs = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    either = only_ours + only_theirs
    return float(stats.binomtest(only_ours, either).pvalue) if either else 1.0


@dataclass(frozen=True)
class Verdict:
    """The accuracy of a variant minus the accuracy of another variant, on the same reviews.

    The interval and the p-values account for all comparisons of the family: the interval excludes
    zero if and only if p is below 0.05.
    """

    difference: float
    interval: Interval
    p: float
    mcnemar: Mapping[int, float]  # p-value for each seed of both variants
    family: int  # the number of comparisons in the family

    @property
    def verdict(self) -> str:
        """The verdict of comparison.csv: better, worse or cannot be told apart."""
        if self.interval.low <= 0 <= self.interval.high:
            return UNDECIDED
        return "better" if self.difference > 0 else "worse"

    @property
    def wording(self) -> str:
        """The verdict for people: better, worse or not significantly different."""
        return "not significantly different" if self.verdict == UNDECIDED else self.verdict


def compare(
    variants: Sequence[Correct],
    pairs: Sequence[tuple[int, int]],
    measured: Accuracies,
    chosen_from: Sequence[int] = (),
) -> list[Verdict]:
    """Return the verdicts on pairs of variants, each relative to the second one.

    The pairs are positions of variants. `measured` are the accuracies of all variants. The pairs
    are a family. But if the second variant was chosen by its scores, the family is all pairs of the
    variants that it was chosen from, so that the verdicts hold whichever is chosen.
    """
    if not pairs:
        return []
    if chosen_from:
        level = level_of_all_pairs(measured.of(chosen_from).covariance)
        family = len(chosen_from) * (len(chosen_from) - 1) // 2
    else:
        weights = np.stack([measured.between(*pair) for pair in pairs])
        level, family = local_level(weights @ measured.covariance @ weights.T), len(pairs)
    exact = _mcnemar_by_seed(variants, pairs)
    verdicts = []
    for position, pair in enumerate(pairs):
        difference = measured.difference(*pair)
        verdicts.append(
            Verdict(
                difference.value,
                difference.interval(1 - level),
                min(difference.p * (1 - LEVEL) / level, 1),
                {seed: values[position] for seed, values in exact.items() if position in values},
                family,
            )
        )
    return verdicts


def _mcnemar_by_seed(
    variants: Sequence[Correct], pairs: Sequence[tuple[int, int]]
) -> dict[int, dict[int, float]]:
    """Return the corrected p-values of a seed's networks, by seed and position of the pair."""
    values: dict[int, dict[int, float]] = {}
    for position, (ours, other) in enumerate(pairs):
        for seed in variants[other]:
            if seed in variants[ours]:
                p = mcnemar(variants[ours][seed], variants[other][seed])
                values.setdefault(seed, {})[position] = p
    return {seed: holm(of_pairs) for seed, of_pairs in values.items()}


def holm(p_values: Mapping[int, float]) -> dict[int, float]:
    """Return p-values corrected for their number (Holm 1979)."""
    if not p_values:
        return {}
    corrected = multipletests([*p_values.values()], method="holm")[1]
    return {key: float(p) for key, p in zip(p_values, corrected, strict=True)}
