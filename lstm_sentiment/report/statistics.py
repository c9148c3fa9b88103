"""predictions -> intervals, paired tests and effects.

A test accuracy depends on chance in two ways: another seed gives another network, and another
sample of reviews gives another accuracy. A hierarchical bootstrap draws seeds and reviews thousands
of times. It draws the same reviews for all variants, so that shared effects cancel when variants
are compared. docs/statistics.md describes the methods and measures their error rates.

Shapes: K variants, N reviews, `count` replicates, E effects, L levels of a factor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, polygamma
from scipy.stats import binomtest, chi2, norm
from scipy.stats import f as f_distribution
from statsmodels.stats.multitest import multipletests

REPLICATES = 10_000
AT_ONCE = 100  # replicates computed together; each needs memory for every review
LEVEL = 0.95
UNDECIDED = "cannot be told apart"  # part of the format of comparison.csv
ROUNDING = 1e-9  # an effect of zero may be this far from zero after rounding

Correct = Mapping[int, np.ndarray]  # seed -> (N,) bool, whether each prediction is correct


class Interval(NamedTuple):
    """The bounds of an interval."""

    low: float
    high: float


def replicates(variants: Sequence[Correct], count: int = REPLICATES, seed: int = 0) -> np.ndarray:
    """Return bootstrap replicates of the mean accuracy of each variant, (count, K).

    Reviews are drawn with replacement. There are too few seeds for drawing with replacement: with
    three seeds, it gives two thirds of the variance, and no values beyond the observed ones. The
    effect of seeds is therefore drawn from the distribution of a t-test (parametric bootstrap),
    with the variances of `seed_variances`. For a variant with one seed, only the reviews vary.
    """
    random = np.random.default_rng(seed)
    over_reviews = _over_reviews(variants, count, random)
    return over_reviews + _over_seeds(variants, count, random)


def _over_reviews(
    variants: Sequence[Correct], count: int, random: np.random.Generator
) -> np.ndarray:
    """Return mean accuracies on reviews drawn with replacement, (count, K)."""
    means = np.stack([np.mean([*correct.values()], 0) for correct in variants], 1)
    size, accuracies = len(means), np.empty((count, len(variants)))
    for start in range(0, count, AT_ONCE):
        part = accuracies[start : start + AT_ONCE]
        weights = [np.bincount(random.integers(0, size, size), minlength=size) for _ in part]
        part[:] = np.stack(weights) @ means / size
    return accuracies


def _over_seeds(variants: Sequence[Correct], count: int, random: np.random.Generator) -> np.ndarray:
    """Return draws of the difference between a mean over seeds and the true mean, (count, K)."""
    variances, by_reviews, freedom = seed_variances(variants)
    deviations = random.standard_normal((count, len(variants)))
    quantiles = random.uniform(size=(count, len(variants)))
    for k, correct in enumerate(variants):
        variance = np.zeros(count)
        if freedom[k]:
            # Drawn given the observed variance, so that the mean follows Student's distribution.
            variance = variances[k] * freedom[k] / chi2.ppf(quantiles[:, k], freedom[k])
        # The replicates over reviews already contain the variance due to reviews.
        deviations[:, k] *= np.sqrt(np.maximum(variance - by_reviews[k], 0) / len(correct))
    return deviations


def seed_variances(
    variants: Sequence[Correct],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the variances between seeds, their parts due to reviews, and degrees of freedom.

    Each array is (K,). The first is the variance of the accuracies of a variant's seeds. The second
    is the part of this variance due to the finite number of reviews, since two seeds differ on some
    reviews by chance. The third is the degrees of freedom of the variance. All values are 0 for a
    variant with one seed.
    """
    variances, by_reviews, freedom = np.zeros((3, len(variants)))
    for k, correct in enumerate(variants):
        if len(correct) > 1:
            runs = np.stack([*correct.values()])
            variances[k] = runs.mean(1).var(ddof=1)
            by_reviews[k] = runs.var(0, ddof=1).mean() / runs.shape[1]
            freedom[k] = len(correct) - 1
    alike = freedom > 0
    alike &= ~_outlying(variances, freedom)
    if variances[alike].any():
        variances[alike], freedom[alike] = moderated(variances[alike], freedom[alike])
    return variances, by_reviews, freedom


def _outlying(variances: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """Return whether each variance exceeds the other variances (F test, 1 %), (K,) bool.

    Such a variance is estimated alone. Estimated together with small variances, it would be too
    small, and the small variances would be too large.
    """
    rest = freedom.sum() - freedom
    usual = ((variances * freedom).sum() - variances * freedom) / np.maximum(rest, 1)
    return (
        (rest > 0)
        & (freedom > 0)
        & (
            variances
            > usual * f_distribution.ppf(0.99, np.maximum(freedom, 1), np.maximum(rest, 1))
        )
    )


def moderated(variances: np.ndarray, freedom: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return variances shrunk towards each other and their degrees of freedom, both (K,).

    Three seeds give a poor estimate of a variance, but twenty variants together give a good one.
    The less the variances differ, the more they are shrunk (empirical Bayes: Smyth 2004, equations
    of section 6.2). The degrees of freedom are at most the sum over all variances.
    """
    if len(variances) == 1:
        return variances, freedom
    variances = np.maximum(variances, 1e-5 * np.median(variances[variances > 0]))
    half = freedom / 2
    logs = np.log(variances) - digamma(half) + np.log(half)
    beyond_chance = logs.var(ddof=1) - polygamma(1, half).mean()
    if beyond_chance < 1e-6:  # the variances differ no more than by chance
        together = np.average(variances, weights=freedom)
        return np.full_like(variances, together), np.full_like(freedom, freedom.sum())
    prior = 2 * np.exp(brentq(lambda log: polygamma(1, np.exp(log)) - beyond_chance, -20, 20))
    usual = np.exp(logs.mean() + digamma(prior / 2) - np.log(prior / 2))
    mixed = (prior * usual + freedom * variances) / (prior + freedom)
    return mixed, np.minimum(prior + freedom, freedom.sum())


def interval(values: np.ndarray, level: float = LEVEL) -> Interval:
    """Return the central interval of (count,) values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def p_value(differences: np.ndarray) -> float:
    """Return the two-sided bootstrap p-value of (count,) replicates of a difference."""
    sides = [(differences <= 0).sum(), (differences >= 0).sum()]
    return min(1.0, 2 * (1 + min(sides)) / (1 + len(differences)))


def mcnemar(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the p-value of the exact test (McNemar 1947) of two networks' correct predictions.

    Both arrays are (N,) bool. The test uses the reviews that only one network predicts correctly.
    """
    only_ours, only_theirs = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    either = only_ours + only_theirs
    return float(binomtest(only_ours, either).pvalue) if either else 1.0


@dataclass(frozen=True)
class Verdict:
    """The accuracy of a variant minus the accuracy of another variant, on the same reviews.

    Both p-values are corrected for the number of compared variants (Holm 1979).
    """

    difference: float
    interval: Interval
    p: float  # of the bootstrap
    mcnemar: Mapping[int, float]  # p-value for each seed of both variants

    @property
    def verdict(self) -> str:
        """The verdict of comparison.csv: better, worse or cannot be told apart."""
        if self.p >= 1 - LEVEL:
            return UNDECIDED
        return "better" if self.difference > 0 else "worse"

    @property
    def wording(self) -> str:
        """The verdict for people: better, worse or not significantly different."""
        return "not significantly different" if self.verdict == UNDECIDED else self.verdict


def compare(variants: Sequence[Correct], other: int, samples: np.ndarray) -> dict[int, Verdict]:
    """Return the verdicts on all variants relative to the variant at position `other`, by position.

    `samples` are the replicates of all variants, (count, K).
    """
    rest = [k for k in range(len(variants)) if k != other]
    if not rest:
        return {}
    differences = {k: samples[:, k] - samples[:, other] for k in rest}
    corrected = holm({k: p_value(differences[k]) for k in rest})
    theirs = variants[other]
    exact: dict[int, dict[int, float]] = {
        seed: holm(
            {k: mcnemar(variants[k][seed], theirs[seed]) for k in rest if seed in variants[k]}
        )
        for seed in theirs
    }
    means = [np.mean([run.mean() for run in correct.values()]) for correct in variants]
    return {
        k: Verdict(
            float(means[k] - means[other]),
            interval(differences[k]),
            corrected[k],
            {seed: p_values[k] for seed, p_values in exact.items() if k in p_values},
        )
        for k in rest
    }


def holm(p_values: Mapping[int, float]) -> dict[int, float]:
    """Return p-values corrected for their number (Holm 1979)."""
    if not p_values:
        return {}
    corrected = multipletests([*p_values.values()], method="holm")[1]
    return {key: float(p) for key, p in zip(p_values, corrected, strict=True)}


@dataclass(frozen=True)
class Effect:
    """The effect of a level of a factor on the mean accuracy, or the interaction of two levels."""

    choice: Mapping[str, str]  # factor -> level
    size: float
    interval: Interval

    @property
    def significant(self) -> bool:
        """Whether the interval excludes zero."""
        return self.interval.low > ROUNDING or self.interval.high < -ROUNDING


def main_effects(
    choices: Sequence[Mapping[str, str]], observed: np.ndarray, samples: np.ndarray
) -> list[Effect]:
    """Return the mean contribution of each level of each factor, by least squares.

    The effects of a factor add up to zero. `choices` are the levels of each variant, `observed` the
    accuracies, (K,), and `samples` their replicates, (count, K). The intervals are simultaneous for
    all effects. The result is empty if the variants do not determine all effects.
    """
    levels = _levels(choices)
    fitted = _fit(_additive(choices), observed, samples)
    if fitted is None:
        return []
    choice = [{factor: name} for factor, names in levels.items() for name in names]
    values = [
        row @ coefficients
        for names, coefficients in zip(levels.values(), fitted, strict=True)
        for row in _code_table(len(names))
    ]
    return simultaneous(choice, np.array(values))


def interactions(
    choices: Sequence[Mapping[str, str]], observed: np.ndarray, samples: np.ndarray
) -> list[Effect]:
    """Return the strongest interaction of each pair of factors, the strongest of all first.

    An interaction is the difference between the effect of two levels together and the sum of their
    effects. Its strength is measured in standard errors. The intervals are simultaneous for all
    pairs of levels, since the largest of many differs from zero by chance. The arguments are as in
    `main_effects`.
    """
    tables: list[list[Mapping[str, str]]] = []
    values: list[np.ndarray] = []
    for first, second in combinations(_levels(choices).items(), 2):
        both = _codes(choices, *first)[:, :, None] * _codes(choices, *second)[:, None, :]
        model = [*_additive(choices), both.reshape(len(choices), -1)]
        fitted = _fit(model, observed, samples)
        if fitted is None:
            continue
        codes = np.kron(_code_table(len(first[1])), _code_table(len(second[1])))
        values += [*(codes @ fitted[-1])]
        tables.append([{first[0]: x, second[0]: y} for x in first[1] for y in second[1]])
    effects = iter(simultaneous([pair for table in tables for pair in table], np.array(values)))
    strongest = [max((next(effects) for _ in table), key=_strength) for table in tables]
    return sorted(strongest, key=_strength, reverse=True)


def simultaneous(choices: Sequence[Mapping[str, str]], values: np.ndarray) -> list[Effect]:
    """Return effects with simultaneous intervals, from their sizes and replicates, (E, 1 + count).

    The half-width of the intervals, in standard errors, is the 95 % quantile of the largest
    deviation in a replicate (maximum statistic: Westfall and Young 1993).
    """
    if not len(choices):
        return []
    sizes, samples = values[:, 0], values[:, 1:]
    low, middle, high = np.quantile(samples, norm.cdf([-1, 0, 1]), axis=1)
    deviations = samples - middle[:, None]
    # From quantiles: with few seeds, the tails are heavy, and the variance may not exist.
    errors = np.maximum((high - low) / 2, ROUNDING)
    reach = np.quantile(np.abs(deviations / errors[:, None]).max(0), LEVEL)
    return [
        Effect(choice, float(size), Interval(float(size - reach * e), float(size + reach * e)))
        for choice, size, e in zip(choices, sizes, errors, strict=True)
    ]


def _strength(effect: Effect) -> float:
    """Return the size in units proportional to its standard error."""
    return round(abs(effect.size) / (effect.interval.high - effect.size), 9)


def with_residuals(
    choices: Sequence[Mapping[str, str]], observed: np.ndarray, samples: np.ndarray, seed: int = 0
) -> np.ndarray | None:
    """Return the replicates with the effect of seeds added, (count, K).

    Variants with one seed do not show the variance between seeds. It is therefore estimated from
    the residuals of the additive model, as in an analysis of variance. Return None if the model has
    as many parameters as there are variants. The arguments are as in `main_effects`.
    """
    design = np.hstack([np.ones((len(observed), 1)), *_additive(choices)])
    freedom = len(observed) - np.linalg.matrix_rank(design)
    if freedom == 0:
        return None
    residuals = observed - design @ np.linalg.lstsq(design, observed, rcond=None)[0]
    random = np.random.default_rng(seed)
    quantiles = random.uniform(size=(len(samples), 1))
    variance = (residuals @ residuals) / chi2.ppf(quantiles, freedom)
    return samples + np.sqrt(variance) * random.standard_normal(samples.shape)


def _additive(choices: Sequence[Mapping[str, str]]) -> list[np.ndarray]:
    """Return the columns of the model without interactions, (K, L - 1) for each factor."""
    return [_codes(choices, factor, names) for factor, names in _levels(choices).items()]


def _levels(choices: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the factors that vary, each with its levels in the order of their first occurrence."""
    factors = {factor: list(dict.fromkeys(c[factor] for c in choices)) for factor in choices[0]}
    return {factor: names for factor, names in factors.items() if len(names) > 1}


def _code_table(levels: int) -> np.ndarray:
    """Return the deviation coding of a factor, (L, L - 1): effects of all levels add up to zero."""
    return np.vstack([np.eye(levels - 1), -np.ones(levels - 1)])


def _codes(choices: Sequence[Mapping[str, str]], factor: str, names: Sequence[str]) -> np.ndarray:
    """Return the coded levels of all variants for a factor, (K, L - 1)."""
    return _code_table(len(names))[[names.index(choice[factor]) for choice in choices]]


def _fit(
    model: Sequence[np.ndarray], observed: np.ndarray, samples: np.ndarray
) -> list[np.ndarray] | None:
    """Return the coefficients of each part of the model, (columns, 1 + count).

    The first column is fitted to the observed accuracies, and the others to the replicates. Return
    None if the variants do not determine all coefficients.
    """
    design = np.hstack([np.ones((len(observed), 1)), *model])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    coefficients = np.linalg.lstsq(design, np.vstack([observed, samples]).T, rcond=None)[0]
    ends = np.cumsum([1] + [part.shape[1] for part in model])
    return np.split(coefficients, ends[:-1])[1:]
