"""accuracies of a grid -> the contribution of each choice, interactions, and effects within levels.

A linear model is fitted to the accuracies of the networks. Networks may differ in how much their
accuracies vary with the seed: of simple RNNs, accuracies may vary by seven points, and of gated
networks by one. The levels of one factor may therefore have different variances, and each network
counts by the inverse of its variance (generalized least squares: Aitken 1936).

Shapes: K networks, P coefficients, E effects, L levels of a factor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from lstm_sentiment.report.statistics import (
    ROUNDING,
    Accuracies,
    Estimate,
    Interval,
    estimate,
    local_level,
)

Choice = Mapping[str, str]  # factor -> level
UNEQUAL = 0.05  # the level of the test that the levels of a factor have one variance
ITERATIONS, PRECISION = 50, 1e-6  # of the weights
LEAST_RATIO = 1e-4  # of a level's variance to that of all networks


@dataclass(frozen=True)
class Effect:
    """The effect of a level of a factor on the mean accuracy, or the interaction of two levels."""

    choice: Choice
    size: float
    interval: Interval
    equally_weighted: float  # its size if all networks counted equally

    @property
    def significant(self) -> bool:
        """Whether the interval excludes zero."""
        return self.interval.low > ROUNDING or self.interval.high < -ROUNDING

    @property
    def depends_on_weights(self) -> bool:
        """Whether the effect would be outside of its interval if all networks counted equally."""
        return not self.interval.low <= self.equally_weighted <= self.interval.high


class Spread(NamedTuple):
    """How much the accuracies of networks vary from seed to seed, by the levels of one factor."""

    factor: str | None  # None if all networks have one variance
    level: np.ndarray  # (K,) int, the level of each network
    variance: np.ndarray  # (L,), of a network with one seed
    freedom: np.ndarray  # (L,), degrees of freedom of the variances


@dataclass(frozen=True)
class Effects:
    """The effects in a grid of networks."""

    main: Sequence[Effect]
    interactions: Sequence[Effect]  # the strongest of each pair of factors, the strongest first
    deviations: Mapping[str, float]  # of one seed, by level; one without a name if all are alike
    within: Mapping[str, Sequence[Effect]]  # of the other factors within each level of a factor
    is_replicated: bool  # whether all networks have several seeds, which give the variances


NO_EFFECTS = Effects([], [], {}, {}, is_replicated=False)


def effects(
    choices: Sequence[Choice], levels: Mapping[str, Sequence[str]], measured: Accuracies
) -> Effects:
    """Return the effects of all choices; NO_EFFECTS if the networks do not determine them.

    `choices` are the levels of each network, which have the same factors. `levels` are all levels
    of each factor in the order of the effects.
    """
    grid = Grid(choices, levels, measured)
    main = grid.main_effects()
    if not main or grid.spread is None:
        return NO_EFFECTS
    pairs = grid.interactions()
    within = grid.effects_within(pairs)
    return Effects(main, pairs, grid.deviations(), within, grid.is_replicated)


class Grid:
    """Networks that differ in several factors, and the model of their accuracies."""

    def __init__(
        self,
        choices: Sequence[Choice],
        levels: Mapping[str, Sequence[str]],
        measured: Accuracies,
    ) -> None:
        self.choices, self.measured = choices, measured
        self.levels = _varying(choices, levels)
        self.additive = [np.ones((len(choices), 1))] + [
            _codes(choices, factor, names) for factor, names in self.levels.items()
        ]
        self.is_replicated = bool((measured.seeds > 1).all())
        self.spread = self._spread()

    def main_effects(self) -> list[Effect]:
        """Return the mean contribution of each level of each factor.

        The effects of a factor add up to zero. Their intervals are simultaneous.
        """
        fit = self._fit(self.additive, self.spread)
        if fit is None:
            return []
        start, tables = 1, []
        for names in self.levels.values():
            end = start + len(names) - 1
            tables.append(_code_table(len(names)) @ np.eye(len(fit.weights))[start:end])
            start = end
        choice = [{factor: name} for factor, names in self.levels.items() for name in names]
        return self._family(choice, [(fit, np.vstack(tables))]) if tables else []

    def interactions(self) -> list[Effect]:
        """Return the strongest interaction of each pair of factors, the strongest of all first.

        An interaction is the difference between the effect of two levels together and the sum of
        their effects. Its strength is measured in standard errors. The intervals are simultaneous
        for all pairs of levels, since the largest of many differs from zero by chance.
        """
        tables: list[list[Choice]] = []
        parts = []
        for first, second in combinations(self.levels.items(), 2):
            both = _codes(self.choices, *first)[:, :, None] * _codes(self.choices, *second)[:, None]
            fit = self._fit([*self.additive, both.reshape(len(self.choices), -1)], self.spread)
            if fit is None:
                continue
            table = np.kron(_code_table(len(first[1])), _code_table(len(second[1])))
            parts.append((fit, table @ np.eye(len(fit.weights))[-table.shape[1] :]))
            tables.append([{first[0]: x, second[0]: y} for x in first[1] for y in second[1]])
        found = iter(self._family([pair for table in tables for pair in table], parts))
        strongest = [max((next(found) for _ in table), key=_strength) for table in tables]
        return sorted(strongest, key=_strength, reverse=True)

    def deviations(self) -> dict[str, float]:
        """Return the standard deviation between seeds of each level with a variance of its own."""
        assert self.spread is not None
        names = [""] if self.spread.factor is None else self.levels[self.spread.factor]
        return dict(zip(names, np.sqrt(self.spread.variance).tolist(), strict=True))

    def effects_within(self, pairs: Sequence[Effect]) -> dict[str, list[Effect]]:
        """Return the effects of the other factors within each level of a factor.

        It is the factor whose levels have different variances. If there is none, it is the first
        factor of the strongest significant interaction: an average over its levels describes none
        of them. The result is empty if there is neither. The intervals are simultaneous within a
        level.
        """
        assert self.spread is not None
        factor = self.spread.factor
        if factor is None and pairs and pairs[0].significant:
            factor = next(name for name in self.levels if name in pairs[0].choice)
        if factor is None:
            return {}
        within = {}
        for name in self.levels[factor]:
            chosen = [k for k, choice in enumerate(self.choices) if choice[factor] == name]
            choices = [self.choices[k] for k in chosen]
            part = Grid(choices, self.levels, self.measured.of(chosen))
            if part.spread is not None and (found := part.main_effects()):
                within[name] = found
        return within

    def _family(
        self, choices: Sequence[Choice], parts: Sequence[tuple["Fit", np.ndarray]]
    ) -> list[Effect]:
        """Return effects with simultaneous intervals: a row of a table, (E, P), for each of them.

        Each table belongs to the fit before it.
        """
        if not parts:
            return []
        weights = np.vstack([table @ fit.weights for fit, table in parts])  # (E, K)
        equal = np.vstack([table @ fit.equal_weights for fit, table in parts])
        by_seeds = np.diag(parts[0][0].by_seeds)
        level = local_level(weights @ (self.measured.by_reviews + by_seeds) @ weights.T)
        estimates = [fit.contrast(row) for fit, table in parts for row in table]
        unweighted = equal @ self.measured.observed
        return [
            Effect(choice, each.value, each.interval(1 - level), float(size))
            for choice, each, size in zip(choices, estimates, unweighted, strict=True)
        ]

    def _spread(self) -> Spread | None:
        """Return the variances between seeds; None if they cannot be estimated.

        They differ by the levels of the factor for which Bartlett's test (1937) is most certain
        that they do, if there is one.
        """
        pooled = self._variances(None)
        if pooled is None:
            return None
        found = [(_bartlett(s), s) for f in self.levels if (s := self._variances(f)) is not None]
        p, best = min(found, key=lambda pair: pair[0], default=(1.0, pooled))
        return best if p * len(self.levels) < UNEQUAL else pooled

    def _variances(
        self, factor: str | None, model: Sequence[np.ndarray] | None = None
    ) -> Spread | None:
        """Return the variance between seeds for each level of a factor.

        With several seeds for each network, it is the variance of their accuracies. Otherwise, it
        follows from the residuals of the model, as in an analysis of variance. Residuals and
        weights depend on each other and are computed in turns (like restricted maximum likelihood).
        """
        names = [""] if factor is None else self.levels[factor]
        level = np.array([0 if factor is None else names.index(c[factor]) for c in self.choices])
        if self.is_replicated:
            freedom = self.measured.seeds - 1.0
            return _pooled(factor, level, freedom * self.measured.between_seeds, freedom)
        design = np.hstack(self.additive if model is None else [*model])
        if np.linalg.matrix_rank(design) < design.shape[1]:
            return None
        spread, weights = None, np.ones(len(level))
        for _ in range(ITERATIONS):
            residual_of = np.eye(len(level)) - design @ _solution(design, weights)
            squares = (residual_of @ self.measured.observed) ** 2 * self.measured.seeds
            spread = _pooled(factor, level, squares, np.diag(residual_of).clip(0))
            if spread is None:
                return None
            last, weights = weights, 1 / self._total(spread)
            if np.abs(weights / last - 1).max() < PRECISION:
                break
        return spread

    def _total(self, spread: Spread) -> np.ndarray:
        """Return the variance of each mean accuracy beyond what all networks share, (K,)."""
        own = self.measured.by_reviews
        count = len(own)
        shared = (own.sum() - np.trace(own)) / max(count * (count - 1), 1)
        by_seeds = spread.variance[spread.level] / self.measured.seeds
        total: np.ndarray = np.maximum(by_seeds, max(np.trace(own) / count - shared, ROUNDING**2))
        return total

    def _fit(self, model: Sequence[np.ndarray], usual: Spread | None) -> "Fit | None":
        """Return the fit of a model, whose parts are (K, columns); None if it is not determined."""
        design = np.hstack([*model])
        if usual is None or np.linalg.matrix_rank(design) < design.shape[1]:
            return None
        spread = usual if self.is_replicated else self._variances(usual.factor, model)
        if spread is None:
            return None
        weights = _solution(design, 1 / self._total(spread))
        by_chance = self._by_chance(spread, np.eye(len(design)) - design @ weights)
        own = np.maximum(spread.variance - by_chance, 0)[spread.level] / self.measured.seeds
        equal = _solution(design, np.ones(len(design)))
        return Fit(self.measured, spread, weights, equal, own)

    def _by_chance(self, spread: Spread, residual_of: np.ndarray) -> np.ndarray:
        """Return the part of each level's variance that the variance by reviews contains, (L,)."""
        measured, count = self.measured, len(spread.variance)
        if self.is_replicated:
            freedom = measured.seeds - 1.0
            parts = measured.by_chance * freedom
        else:
            freedom = np.diag(residual_of)
            parts = np.diag(residual_of @ measured.by_reviews @ residual_of.T) * measured.seeds
        sums = [np.bincount(spread.level, each, minlength=count) for each in (parts, freedom)]
        by_chance: np.ndarray = sums[0] / sums[1]
        return by_chance


class Fit(NamedTuple):
    """A linear model, fitted to the accuracies of a grid."""

    measured: Accuracies
    spread: Spread
    weights: np.ndarray  # (P, K), of the accuracies in each coefficient
    equal_weights: np.ndarray  # (P, K), if all networks counted equally
    by_seeds: np.ndarray  # (K,), the variances of the accuracies over samples of seeds

    def contrast(self, table: np.ndarray) -> Estimate:
        """Return the estimate of a weighted sum of the coefficients; `table` is (P,)."""
        row = table @ self.weights
        by_reviews = float(row @ self.measured.by_reviews @ row)
        observed = self.spread.variance[self.spread.level] / self.measured.seeds
        count = len(self.spread.variance)
        # A variance between seeds is as uncertain before subtraction as after it.
        parts = np.bincount(self.spread.level, row**2 * observed, minlength=count)
        return estimate(
            float(row @ self.measured.observed),
            by_reviews + float(row**2 @ self.by_seeds),
            [by_reviews, *parts],
            [max(self.measured.groups - 1, 1), *self.spread.freedom],
        )


def _pooled(
    factor: str | None, level: np.ndarray, squares: np.ndarray, freedom: np.ndarray
) -> Spread | None:
    """Return the variance of each level from squared deviations, both (K,).

    Return None if a level has less than one degree of freedom.
    """
    sums = [np.bincount(level, each) for each in (squares, freedom)]
    if sums[1].min() < 1 - ROUNDING:
        return None
    variances = sums[0] / sums[1]
    least = LEAST_RATIO * squares.sum() / freedom.sum()
    return Spread(factor, level, np.maximum(variances, least), sums[1])


def _bartlett(spread: Spread) -> float:
    """Return the p-value of Bartlett's test (1937) that all variances are equal."""
    freedom, total, count = spread.freedom, spread.freedom.sum(), len(spread.variance)
    pooled = spread.variance @ freedom / total
    if not pooled:
        return 1.0
    statistic = total * np.log(pooled) - freedom @ np.log(spread.variance)
    scale = 1 + ((1 / freedom).sum() - 1 / total) / (3 * (count - 1))
    return float(chi2.sf(statistic / scale, count - 1))


def _solution(design: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weights of the observations in each coefficient, (P, K).

    `design` is (K, P), and `weights` are those of the squared errors, (K,).
    """
    root = np.sqrt(weights / weights.max())
    solution: np.ndarray = np.linalg.pinv(design * root[:, None]) * root
    return solution


def _strength(effect: Effect) -> float:
    """Return the size in units proportional to its standard error."""
    return round(abs(effect.size) / (effect.interval.high - effect.size), 9)


def _varying(
    choices: Sequence[Choice], levels: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """Return the factors that vary, each with those of its levels that occur, in their order."""
    occurring = {
        factor: [name for name in names if any(c.get(factor) == name for c in choices)]
        for factor, names in levels.items()
    }
    return {factor: names for factor, names in occurring.items() if len(names) > 1}


def _code_table(levels: int) -> np.ndarray:
    """Return the deviation coding of a factor, (L, L - 1): effects of all levels add up to zero."""
    return np.vstack([np.eye(levels - 1), -np.ones(levels - 1)])


def _codes(choices: Sequence[Choice], factor: str, names: Sequence[str]) -> np.ndarray:
    """Return the coded levels of all networks for a factor, (K, L - 1)."""
    return _code_table(len(names))[[names.index(choice[factor]) for choice in choices]]
