"""The effects in a grid: worked examples, references, and unequal variances."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.stats import bartlett
from scipy.stats import t as student
from statsmodels.regression.linear_model import OLS, WLS

from lstm_sentiment.report.effects import NO_EFFECTS, Effects, Grid, effects
from lstm_sentiment.report.statistics import Accuracies
from scripts.benchmarks import statistics_rates

LEVELS = {"cell": ["rnn", "lstm", "gru"], "head": ["last", "max"], "depth": ["1", "2"]}
GRID = [dict(zip(LEVELS, levels, strict=True)) for levels in product(*LEVELS.values())]
LARGE = LEVELS | {"depth": ["1", "2", "3"], "direction": ["one", "two"]}
LARGE_GRID = [dict(zip(LARGE, levels, strict=True)) for levels in product(*LARGE.values())]


def measured(
    observed: np.ndarray, seeds: int = 1, between: np.ndarray | None = None, by_reviews: float = 0
) -> Accuracies:
    """Return accuracies whose errors by reviews are shared by all networks, or nearly zero."""
    count = len(observed)
    own = 1e-18 * np.eye(count)
    return Accuracies(
        observed,
        own + by_reviews,
        np.diag(own) + by_reviews,
        10_000,
        np.full(count, seeds),
        np.zeros(count) if between is None else between,
        np.zeros(count),
    )


def sizes(found: Effects) -> dict[str, float]:
    return {name: round(e.size, 9) for e in found.main for name in e.choice.values()}


def with_noise(deviations: dict[str, float], seed: int, grid: Any = LARGE_GRID) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.array([0.85 + deviations[c["cell"]] * random.standard_normal() for c in grid])


def test_main_effects_by_hand() -> None:
    plus = {"rnn": -3.0, "lstm": 1.0, "gru": 2.0, "last": -1.0, "max": 1.0, "1": 0.5, "2": -0.5}
    observed = np.array([80 + sum(plus[level] for level in c.values()) for c in GRID])
    assert sizes(effects(GRID, LEVELS, measured(observed))) == plus
    # Without a cell of the grid it is the same: the effects are fitted, not averaged.
    assert sizes(effects(GRID[1:], LEVELS, measured(observed[1:]))) == plus


def test_the_strongest_interaction_comes_first() -> None:
    def score(choice: dict[str, str]) -> float:
        together = choice["cell"] == "rnn" and choice["head"] == "last"
        return 85 - 6 * together + 0.1 * (choice["depth"] == "2" and choice["head"] == "max")

    observed = np.array([score(choice) for choice in GRID])
    several = measured(observed, 3, np.full(12, 1.0))
    first, second, third = effects(GRID, LEVELS, several).interactions
    assert dict(first.choice) == {"cell": "rnn", "head": "last"}
    # -6 in one of six cells, less its row's mean (-3), less its column's (-2), plus the mean (-1)
    assert first.size == pytest.approx(-2)
    assert set(second.choice) == {"head", "depth"}
    assert abs(second.size) == pytest.approx(0.025)
    assert third.size == pytest.approx(0)


def test_effects_that_are_not_determined_are_not_estimated() -> None:
    line = [{"cell": "rnn", "head": "last"}, {"cell": "lstm", "head": "max"}]
    levels = {"cell": ["rnn", "lstm"], "head": ["last", "max"]}
    assert effects(line, levels, measured(np.array([0.8, 0.9]))) == NO_EFFECTS
    assert effects(line, levels, measured(np.array([0.8, 0.9]), 3, np.ones(2))) == NO_EFFECTS


def test_residuals_give_the_error_of_an_analysis_of_variance() -> None:
    choices = [{"cell": cell, "head": head} for cell in LEVELS["cell"] for head in LEVELS["head"]]
    design = np.array([[1, *codes(choice)] for choice in choices])
    observed = np.array([0.80, 0.83, 0.86, 0.84, 0.90, 0.88])
    fit = OLS(observed, design).fit()
    grid = Grid(choices, LEVELS, measured(observed))
    assert grid.deviations() == pytest.approx({"": np.sqrt(fit.mse_resid)})
    main = grid.main_effects()
    assert main[0].size == pytest.approx(fit.params[1])
    # The half-width in standard errors is between that of one effect and Bonferroni's of five.
    reach = (main[0].interval.high - main[0].size) / fit.bse[1]
    t_of = [student.isf(0.025 / count, fit.df_resid) for count in (1, 4)]
    assert t_of[0] < reach < t_of[1]


def codes(choice: dict[str, str]) -> list[float]:
    cell = {"rnn": [1, 0], "lstm": [0, 1], "gru": [-1, -1]}[choice["cell"]]
    return [*cell, {"last": 1, "max": -1}[choice["head"]]]


def test_shared_errors_by_reviews_do_not_affect_effects() -> None:
    observed = with_noise({"rnn": 0.01, "lstm": 0.01, "gru": 0.01}, 1)
    alone = effects(LARGE_GRID, LARGE, measured(observed))
    shared = effects(LARGE_GRID, LARGE, measured(observed, by_reviews=0.01**2))
    for one, other in zip(shared.main, alone.main, strict=True):
        assert [*one.interval] == pytest.approx([*other.interval], rel=0.01)


def test_bartletts_test_finds_the_factor_with_unequal_variances() -> None:
    """The variances of several seeds: the p-value is that of scipy."""
    random = np.random.default_rng(0)
    spread = {"rnn": 0.07, "lstm": 0.012, "gru": 0.012}
    runs = {c: spread[c] * random.standard_normal((12, 3)) for c in spread}
    between = np.concatenate([part.var(1, ddof=1) for part in runs.values()])
    observed = np.full(36, 0.8)
    grid = Grid(LARGE_GRID, LARGE, measured(observed, 3, between))
    assert grid.spread is not None
    assert grid.spread.factor == "cell"
    pooled = {cell: np.sqrt(part.var(1, ddof=1).mean()) for cell, part in runs.items()}
    assert grid.deviations() == pytest.approx(pooled)
    assert grid.spread.freedom.tolist() == [24, 24, 24]
    equal = Grid(LARGE_GRID, LARGE, measured(observed, 3, np.full(36, 0.01**2)))
    assert equal.deviations() == pytest.approx({"": 0.01})


def test_bartletts_statistic_is_that_of_scipy() -> None:
    from lstm_sentiment.report.effects import Spread, _bartlett

    samples = [np.random.default_rng(k).normal(0, 1 + k, 9 + k) for k in range(3)]
    variances = np.array([sample.var(ddof=1) for sample in samples])
    freedom = np.array([len(sample) - 1.0 for sample in samples])
    spread = Spread("cell", np.arange(3), variances, freedom)
    assert _bartlett(spread) == pytest.approx(bartlett(*samples).pvalue)


def test_networks_count_by_the_inverse_of_their_variances() -> None:
    """With known variances, effects and errors are those of weighted least squares."""
    between = np.array([{"rnn": 0.07, "lstm": 0.01, "gru": 0.02}[c["cell"]] ** 2 for c in GRID])
    observed = with_noise({"rnn": 0.07, "lstm": 0.01, "gru": 0.02}, 3, GRID)
    design = np.array([[1, *codes(choice), {"1": 1, "2": -1}[choice["depth"]]] for choice in GRID])
    reference = WLS(observed, design, weights=1 / between).fit(cov_type="fixed scale")
    found = effects(GRID, LEVELS, measured(observed, 4, between))
    assert found.deviations == pytest.approx({"rnn": 0.07, "lstm": 0.01, "gru": 0.02})
    by_level = {name: e for e in found.main for name in e.choice.values()}
    assert by_level["max"].size == pytest.approx(-reference.params[3])
    assert by_level["1"].size == pytest.approx(reference.params[4])
    equal = OLS(observed, design).fit()
    assert by_level["max"].equally_weighted == pytest.approx(-equal.params[3])
    # The mean of four seeds has a quarter of the variance.
    error = np.sqrt(np.linalg.inv(design.T @ (design / between[:, None] * 4))[3, 3])
    reach = (by_level["max"].interval.high - by_level["max"].size) / error
    assert student.isf(0.025, 36) < reach < student.isf(0.025 / 7, 9)


def test_an_effect_within_one_level_is_shown_there() -> None:
    """avg adds ten points to RNNs only, whose accuracies vary by seven points."""
    observed = with_noise({"rnn": 0.05, "lstm": 0.004, "gru": 0.004}, 5)
    observed += [0.2 * (c["cell"] == "rnn" and c["head"] == "max") for c in LARGE_GRID]
    found = effects(LARGE_GRID, LARGE, measured(observed))
    assert [*found.deviations] == ["rnn", "lstm", "gru"]
    (average,) = (e for e in found.main if e.choice.get("head") == "max")
    assert abs(average.size) < 0.005
    assert average.equally_weighted == pytest.approx(0.2 / 6, abs=0.015)
    assert average.depends_on_weights
    by_cell = {
        cell: next(e for e in main if e.choice.get("head") == "max")
        for cell, main in found.within.items()
    }
    assert {cell: e.significant for cell, e in by_cell.items()} == {
        "rnn": True,
        "lstm": False,
        "gru": False,
    }
    assert by_cell["rnn"].size == pytest.approx(0.1, abs=0.04)
    assert not any("cell" in e.choice for main in found.within.values() for e in main)


def test_equal_variances_without_an_interaction_have_no_effects_within() -> None:
    observed = with_noise({"rnn": 0.01, "lstm": 0.01, "gru": 0.01}, 7)
    assert effects(LARGE_GRID, LARGE, measured(observed)).within == {}


def test_a_significant_interaction_shows_the_effects_within() -> None:
    observed = with_noise({"rnn": 0.01, "lstm": 0.01, "gru": 0.01}, 8)
    observed += [0.1 * (c["head"] == "max" and c["direction"] == "two") for c in LARGE_GRID]
    found = effects(LARGE_GRID, LARGE, measured(observed))
    assert set(found.interactions[0].choice) == {"head", "direction"}
    assert [*found.within] == ["last", "max"]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", statistics_rates.GRIDS[1:3])
def test_effects_in_a_grid_are_found_at_the_published_rates(
    scenario: statistics_rates.GridScenario,
) -> None:
    """At the rates of docs/statistics.md, within the error of 60 simulations."""
    rates = statistics_rates.effect_rates(scenario, 60)
    assert rates.detected >= 0.5
    assert rates.false_alarms <= 0.15
    assert rates.interactions <= 0.15
