"""predictions -> certainty: intervals, paired tests and effects.

A score is uncertain twice: with another seed another network would have been trained, and with
other reviews it would have been asked other questions. Both are drawn anew, thousands of times
(hierarchical bootstrap); the reviews alike for all configurations, so that what these share
cancels where they are compared. docs/statistics.md has the rates at which this errs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, polygamma
from scipy.stats import binomtest, chi2, f, norm
from statsmodels.stats.multitest import multipletests

REPLICATES = 10_000
AT_ONCE = 100  # replicates; they take memory for each review
LEVEL = 0.95
ROUNDING = 1e-9  # what rounding makes of no effect

Correct = Mapping[int, np.ndarray]  # by seed: (N,), whether each review was answered rightly


class Interval(NamedTuple):
    low: float
    high: float


def replicates(
    configurations: Sequence[Correct], count: int = REPLICATES, seed: int = 0
) -> np.ndarray:
    """The mean accuracy of each configuration, as it might have come out: (count, K).

    Reviews are drawn with replacement. Seeds are too few for that: of three, a draw with
    replacement shows two thirds of the variance, and never more than was seen. So what they add is
    drawn as a t-test sees it (parametric bootstrap), from the spread that `seed_variances` tells.
    A configuration of one seed varies by its reviews alone.
    """
    random = np.random.default_rng(seed)
    over_reviews = _over_reviews(configurations, count, random)
    return over_reviews + _over_seeds(configurations, count, random)


def _over_reviews(
    configurations: Sequence[Correct], count: int, random: np.random.Generator
) -> np.ndarray:
    """(count, K)"""
    means = np.stack([np.mean([*correct.values()], 0) for correct in configurations], 1)
    size, drawn = len(means), np.empty((count, len(configurations)))
    for start in range(0, count, AT_ONCE):
        part = drawn[start : start + AT_ONCE]
        often = [np.bincount(random.integers(0, size, size), minlength=size) for _ in part]
        part[:] = np.stack(often) @ means / size
    return drawn


def _over_seeds(
    configurations: Sequence[Correct], count: int, random: np.random.Generator
) -> np.ndarray:
    """(count, K): how far the mean over seeds may lie beside that of all seeds there are."""
    variances, by_reviews, freedom = seed_variances(configurations)
    deviations = random.standard_normal((count, len(configurations)))
    quantiles = random.uniform(size=(count, len(configurations)))
    for k, correct in enumerate(configurations):
        drawn = np.zeros(count)
        if freedom[k]:
            # As likely as what was seen makes it: Student's distribution, but for the reviews.
            drawn = variances[k] * freedom[k] / chi2.ppf(quantiles[:, k], freedom[k])
        deviations[:, k] *= np.sqrt(np.maximum(drawn - by_reviews[k], 0) / len(correct))
    return deviations


def seed_variances(
    configurations: Sequence[Correct],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(K,), (K,), (K,): the variance of accuracy from seed to seed, how much of it comes from
    asking a finite number of reviews, which two seeds answer differently by chance, and the
    degrees of freedom of the first. All are 0 for a configuration of one seed.
    """
    variances, by_reviews, freedom = np.zeros((3, len(configurations)))
    for k, correct in enumerate(configurations):
        if len(correct) > 1:
            answers = np.stack([*correct.values()])
            variances[k] = answers.mean(1).var(ddof=1)
            by_reviews[k] = answers.var(0, ddof=1).mean() / answers.shape[1]
            freedom[k] = len(correct) - 1
    alike = freedom > 0
    alike &= ~_wild(variances, freedom)
    if variances[alike].any():
        variances[alike], freedom[alike] = moderated(variances[alike], freedom[alike])
    return variances, by_reviews, freedom


def _wild(variances: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """(K,), (K,) -> (K,) bool: which vary so much more than the rest that they tell nothing of it.

    They would hide among steady ones, and make these look unsteady (F test, 1 %).
    """
    rest = freedom.sum() - freedom
    usual = ((variances * freedom).sum() - variances * freedom) / np.maximum(rest, 1)
    return (
        (rest > 0)
        & (freedom > 0)
        & (variances > usual * f.ppf(0.99, np.maximum(freedom, 1), np.maximum(rest, 1)))
    )


def moderated(variances: np.ndarray, freedom: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(K,), (K,) -> (K,), (K,): variances drawn towards each other, and the freedom they then have.

    Three seeds tell little of their variance; twenty configurations together tell more. How far
    each may be trusted alone shows in how much they differ (empirical Bayes: Smyth 2004,
    equations of section 6.2; never more freedom than all of them have).
    """
    if len(variances) == 1:
        return variances, freedom
    variances = np.maximum(variances, 1e-5 * np.median(variances[variances > 0]))
    half = freedom / 2
    logs = np.log(variances) - digamma(half) + np.log(half)
    beyond_chance = logs.var(ddof=1) - polygamma(1, half).mean()
    if beyond_chance < 1e-6:  # they differ no more than those of one and the same population
        together = np.average(variances, weights=freedom)
        return np.full_like(variances, together), np.full_like(freedom, freedom.sum())
    prior = 2 * np.exp(brentq(lambda log: polygamma(1, np.exp(log)) - beyond_chance, -20, 20))
    usual = np.exp(logs.mean() + digamma(prior / 2) - np.log(prior / 2))
    mixed = (prior * usual + freedom * variances) / (prior + freedom)
    return mixed, np.minimum(prior + freedom, freedom.sum())


def interval(drawn: np.ndarray, level: float = LEVEL) -> Interval:
    """(count,) -> the middle 95 % of them"""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def p_value(differences: np.ndarray) -> float:
    """(count,) -> how often, by chance alone, a difference would be as far from zero: two-sided"""
    sides = [(differences <= 0).sum(), (differences >= 0).sum()]
    return min(1.0, 2 * (1 + min(sides)) / (1 + len(differences)))


def mcnemar(ours: np.ndarray, theirs: np.ndarray) -> float:
    """(N,), (N,) -> p of the exact test (McNemar 1947) on the reviews that only one got right."""
    only_ours, only_theirs = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    either = only_ours + only_theirs
    return float(binomtest(only_ours, either).pvalue) if either else 1.0


@dataclass(frozen=True)
class Verdict:
    """A configuration beside another on the same reviews, the other's accuracy taken off."""

    difference: float
    interval: Interval
    p: float  # of the bootstrap
    mcnemar: Mapping[int, float]  # p of each seed that both have
    # Both p are corrected for how many configurations are compared (Holm 1979).

    @property
    def verdict(self) -> str:
        if self.p >= 1 - LEVEL:
            return "cannot be told apart"
        return "better" if self.difference > 0 else "worse"


def compare(configurations: Sequence[Correct], other: int, drawn: np.ndarray) -> dict[int, Verdict]:
    """Each configuration beside `other`, by position; `drawn` are the replicates of all."""
    rest = [k for k in range(len(configurations)) if k != other]
    if not rest:
        return {}
    differences = {k: drawn[:, k] - drawn[:, other] for k in rest}
    corrected = holm({k: p_value(differences[k]) for k in rest})
    theirs = configurations[other]
    exact: dict[int, dict[int, float]] = {
        seed: holm(
            {
                k: mcnemar(configurations[k][seed], theirs[seed])
                for k in rest
                if seed in configurations[k]
            }
        )
        for seed in theirs
    }
    means = [np.mean([answers.mean() for answers in c.values()]) for c in configurations]
    return {
        k: Verdict(
            float(means[k] - means[other]),
            interval(differences[k]),
            corrected[k],
            {seed: found[k] for seed, found in exact.items() if k in found},
        )
        for k in rest
    }


def holm(p_values: Mapping[int, float]) -> dict[int, float]:
    """What each p is worth when it is one of so many (Holm 1979)."""
    if not p_values:
        return {}
    corrected = multipletests([*p_values.values()], method="holm")[1]
    return {key: float(p) for key, p in zip(p_values, corrected, strict=True)}


@dataclass(frozen=True)
class Effect:
    """What a choice, or two at once, adds to the mean of all configurations."""

    choice: Mapping[str, str]  # factor -> level
    size: float
    interval: Interval

    @property
    def certain(self) -> bool:
        return self.interval.low > ROUNDING or self.interval.high < -ROUNDING


def main_effects(
    choices: Sequence[Mapping[str, str]], observed: np.ndarray, drawn: np.ndarray
) -> list[Effect]:
    """What each level of each factor contributes on average: least squares, effects adding to zero.

    `choices` are the levels of each configuration, (K,) `observed` accuracies, (count, K) `drawn`.
    The intervals hold for all effects at once. Empty where the configurations do not tell all of
    them apart.
    """
    levels = _levels(choices)
    fitted = _fit(_additive(choices), observed, drawn)
    if fitted is None:
        return []
    names = [{factor: name} for factor, found in levels.items() for name in found]
    values = [
        row @ coefficients
        for found, coefficients in zip(levels.values(), fitted, strict=True)
        for row in _code_table(len(found))
    ]
    return simultaneous(names, np.array(values))


def interactions(
    choices: Sequence[Mapping[str, str]], observed: np.ndarray, drawn: np.ndarray
) -> list[Effect]:
    """For each two factors, the pair of levels that departs most from the sum of its effects.

    The surest first, by how many standard errors that is. The intervals hold for all pairs of
    levels at once: the largest of many is far from zero by chance alone.
    """
    tables: list[list[Mapping[str, str]]] = []
    values: list[np.ndarray] = []
    for first, second in combinations(_levels(choices).items(), 2):
        both = _codes(choices, *first)[:, :, None] * _codes(choices, *second)[:, None, :]
        model = [*_additive(choices), both.reshape(len(choices), -1)]
        fitted = _fit(model, observed, drawn)
        if fitted is None:
            continue
        codes = np.kron(_code_table(len(first[1])), _code_table(len(second[1])))
        values += [*(codes @ fitted[-1])]
        tables.append([{first[0]: x, second[0]: y} for x in first[1] for y in second[1]])
    effects = iter(simultaneous([pair for table in tables for pair in table], np.array(values)))
    strongest = [max((next(effects) for _ in table), key=_strength) for table in tables]
    return sorted(strongest, key=_strength, reverse=True)


def simultaneous(names: Sequence[Mapping[str, str]], values: np.ndarray) -> list[Effect]:
    """(E, 1 + count) effects as observed and as drawn, with intervals that hold for all at once.

    They reach as many standard errors as the largest deviation of a draw does in 95 % of draws
    (the maximum's distribution: Westfall and Young 1993).
    """
    if not len(names):
        return []
    sizes, drawn = values[:, 0], values[:, 1:]
    low, middle, high = np.quantile(drawn, norm.cdf([-1, 0, 1]), axis=1)
    deviations = drawn - middle[:, None]
    errors = np.maximum((high - low) / 2, ROUNDING)  # few seeds have tails without a variance
    reach = np.quantile(np.abs(deviations / errors[:, None]).max(0), LEVEL)
    return [
        Effect(name, float(size), Interval(float(size - reach * e), float(size + reach * e)))
        for name, size, e in zip(names, sizes, errors, strict=True)
    ]


def _strength(effect: Effect) -> float:
    """In standard errors, but for a factor that all effects share."""
    return round(abs(effect.size) / (effect.interval.high - effect.size), 9)


def with_residuals(
    choices: Sequence[Mapping[str, str]], observed: np.ndarray, drawn: np.ndarray, seed: int = 0
) -> np.ndarray | None:
    """(count, K): the draws with what seeds add, told from how far the additive model misses.

    For configurations of one seed, which do not tell it themselves: the error of an analysis of
    variance. None where the model fits whatever was observed.
    """
    design = np.hstack([np.ones((len(observed), 1)), *_additive(choices)])
    freedom = len(observed) - np.linalg.matrix_rank(design)
    if freedom == 0:
        return None
    missed = observed - design @ np.linalg.lstsq(design, observed, rcond=None)[0]
    random = np.random.default_rng(seed)
    variance = (missed @ missed) / chi2.ppf(random.uniform(size=(len(drawn), 1)), freedom)
    return drawn + np.sqrt(variance) * random.standard_normal(drawn.shape)


def _additive(choices: Sequence[Mapping[str, str]]) -> list[np.ndarray]:
    return [_codes(choices, factor, names) for factor, names in _levels(choices).items()]


def _levels(choices: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """The factors that vary, and their levels as they come."""
    factors = {factor: list(dict.fromkeys(c[factor] for c in choices)) for factor in choices[0]}
    return {factor: names for factor, names in factors.items() if len(names) > 1}


def _code_table(levels: int) -> np.ndarray:
    """(L, L - 1), deviation coding: effects of all levels add up to zero."""
    return np.vstack([np.eye(levels - 1), -np.ones(levels - 1)])


def _codes(choices: Sequence[Mapping[str, str]], factor: str, names: Sequence[str]) -> np.ndarray:
    """(K, L - 1)"""
    return _code_table(len(names))[[names.index(choice[factor]) for choice in choices]]


def _fit(
    model: Sequence[np.ndarray], observed: np.ndarray, drawn: np.ndarray
) -> list[np.ndarray] | None:
    """For each part of the model its coefficients, (columns, 1 + count): observed, then drawn."""
    design = np.hstack([np.ones((len(observed), 1)), *model])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    coefficients = np.linalg.lstsq(design, np.vstack([observed, drawn]).T, rcond=None)[0]
    ends = np.cumsum([1] + [part.shape[1] for part in model])
    return np.split(coefficients, ends[:-1])[1:]
