"""Worked examples, reference implementations, and simulations with known effects."""

import numpy as np
import pytest
from scipy.stats import norm, ttest_1samp
from scipy.stats import t as student
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from lstm_sentiment.report.statistics import (
    compare,
    holm,
    interactions,
    interval,
    main_effects,
    mcnemar,
    moderated,
    p_value,
    replicates,
    seed_variances,
    simultaneous,
    with_residuals,
)
from scripts.benchmarks import statistics_rates


def answers(accuracy: float, size: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(size) < accuracy


def test_with_one_seed_only_the_reviews_vary() -> None:
    right = np.arange(2000) < 1700
    samples = replicates([{0: right}])[:, 0]
    error = np.sqrt(0.85 * 0.15 / 2000)  # of a share
    assert samples.mean() == pytest.approx(0.85, abs=4 * error / np.sqrt(len(samples)))
    assert samples.std() == pytest.approx(error, rel=0.05)
    low, high = interval(samples)
    assert (low, high) == pytest.approx((0.85 - 1.96 * error, 0.85 + 1.96 * error), abs=error / 8)


def test_seeds_alone_give_the_interval_of_a_t_test() -> None:
    # With accuracies of 100 %, 0 % and 0 %, only the seeds vary.
    yes, no = np.ones(50, bool), np.zeros(50, bool)
    samples = replicates([{0: yes, 1: no, 2: no}], count=40_000)[:, 0]
    expected = ttest_1samp([1, 0, 0], 0).confidence_interval(0.95)
    assert interval(samples) == pytest.approx((expected.low, expected.high), abs=0.08)


def test_effects_that_variants_share_cancel() -> None:
    ours = {0: answers(0.8, 1000, 0)}
    samples = replicates([ours, ours])
    assert np.array_equal(samples[:, 0], samples[:, 1])
    assert p_value(samples[:, 1] - samples[:, 0]) == 1


def test_replicates_are_reproducible() -> None:
    variants = [{0: answers(0.8, 100, 1)}, {0: answers(0.8, 100, 2), 1: answers(0.8, 100, 3)}]
    assert np.array_equal(replicates(variants, 50), replicates(variants, 50))


def test_p_values_by_hand() -> None:
    assert p_value(np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9])) == pytest.approx(0.2)  # 2 x 1 of 10
    assert p_value(np.array([-1.0, 1, 2, 3, 4, 5, 6, 7, 8])) == pytest.approx(0.4)
    assert p_value(np.zeros(9)) == 1


@pytest.mark.parametrize("seed", range(5))
def test_mcnemars_test_is_exact(seed: int) -> None:
    ours, theirs = answers(0.85, 300, seed), answers(0.8, 300, seed + 100)
    table = [[(ours & theirs).sum(), (ours & ~theirs).sum()]]
    table.append([(~ours & theirs).sum(), (~ours & ~theirs).sum()])
    assert mcnemar(ours, theirs) == pytest.approx(reference_mcnemar(table, exact=True).pvalue)
    assert mcnemar(ours, ours) == 1


def test_holm_by_hand() -> None:
    # 0.01 x 3, 0.02 x 2, and never less than the one before: 0.04
    assert holm({5: 0.02, 7: 0.01, 9: 0.03}) == pytest.approx({7: 0.03, 5: 0.04, 9: 0.04})
    assert holm({}) == {}


def test_a_verdict_is_based_on_the_corrected_p_value() -> None:
    right = np.arange(1000) < 850
    behind = right & ~(np.arange(1000) % 100 == 7)  # 9 reviews worse: 1 point
    variants = [{0: right}, {0: behind}, *({0: right} for _ in range(8))]
    verdicts = compare(variants, 0, replicates(variants))
    assert verdicts[1].difference == pytest.approx(-0.009)
    alone = mcnemar(behind, right)
    assert alone == pytest.approx(2 / 2**9)  # nine coins that fall alike
    assert verdicts[1].mcnemar == pytest.approx({0: 9 * alone})
    assert verdicts[1].verdict == "worse"
    assert {verdicts[k].verdict for k in range(2, 10)} == {"cannot be told apart"}
    assert compare(variants[:1], 0, replicates(variants[:1])) == {}


def test_mcnemars_test_uses_the_seeds_that_both_have() -> None:
    right = np.arange(100) < 80
    variants = [{0: right, 1: right}, {1: right, 2: right}]
    assert [*compare(variants, 0, replicates(variants, 9))[1].mcnemar] == [1]


def test_variances_that_differ_by_chance_are_pooled() -> None:
    freedom = np.array([2.0, 2.0, 4.0])
    variances, together = moderated(np.array([1.0, 2.0, 3.0]), freedom)
    assert variances == pytest.approx([9 / 4] * 3)  # (2 x 1 + 2 x 2 + 4 x 3) / 8
    assert together.tolist() == [8, 8, 8]
    alone = moderated(np.array([2.0]), np.array([2.0]))
    assert (alone[0].tolist(), alone[1].tolist()) == ([2], [2])


def test_an_outlying_variance_is_estimated_alone() -> None:
    steady = [
        {seed: np.arange(10_000) < 8_700 + 20 * ((seed + k) % 3) for seed in range(3)}
        for k in range(7)
    ]
    wild = {seed: np.arange(10_000) < 7_000 + 900 * seed for seed in range(3)}
    variances, _, freedom = seed_variances([*steady, wild])
    assert variances == pytest.approx([0.002**2] * 7 + [0.09**2])
    assert freedom.tolist() == [14] * 7 + [2]


def test_variances_are_shrunk_as_far_as_they_are_alike() -> None:
    """4,000 precisions are drawn with 6 degrees of freedom around 1 / 0.5."""
    random = np.random.default_rng(0)
    true = 0.5 * 6 / random.chisquare(6, 4000)
    observed = true * random.chisquare(2, 4000) / 2
    shrunk, freedom = moderated(observed, np.full(4000, 2.0))
    prior = freedom[0] - 2
    assert prior == pytest.approx(6, rel=0.15)
    assert shrunk == pytest.approx((prior * 0.5 + 2 * observed) / (prior + 2), rel=0.05)
    assert np.mean((shrunk - true) ** 2) < np.mean((observed - true) ** 2) / 2


def test_variances_of_zero_are_allowed() -> None:
    same = {seed: np.arange(100) < 80 for seed in range(3)}
    assert replicates([same, same], 50).std() > 0
    spread = {0: np.arange(100) < 70, 1: np.arange(100) < 80, 2: np.arange(100) < 90}
    assert np.isfinite(replicates([same, spread], 50)).all()


def test_variance_by_reviews_is_not_counted_twice() -> None:
    """Equally good seeds that differ by chance add nothing to the variance by reviews."""
    variants = [{seed: answers(0.8, 3000, 10 * k + seed) for seed in range(5)} for k in range(8)]
    samples = replicates(variants)
    of_a_mean = np.sqrt(0.8 * 0.2 / (5 * 3000))
    assert np.median(samples.std(0)) == pytest.approx(of_a_mean, rel=0.2)


@pytest.mark.slow
def test_a_difference_of_two_points_is_found_at_the_published_rates() -> None:
    """At the rates of docs/statistics.md, within the error of 100 simulations."""
    scenario = statistics_rates.Scenario(4, 4_000, behind=0.02, spread=0.003)
    rates = statistics_rates.rates(scenario, 100)
    assert rates.covered >= 0.9
    assert rates.detected >= 0.8
    assert rates.false_alarms <= 0.07


CELLS, HEADS = ("rnn", "lstm", "gru"), ("last", "max")
GRID = [
    {"cell": cell, "head": head, "depth": depth}
    for cell in ("rnn", "lstm", "gru")
    for head in ("last", "max")
    for depth in ("1", "2")
]


def test_main_effects_by_hand() -> None:
    plus = {"rnn": -3.0, "lstm": 1.0, "gru": 2.0, "last": -1.0, "max": 1.0, "1": 0.5, "2": -0.5}
    observed = np.array([80 + sum(plus[level] for level in c.values()) for c in GRID])
    effects = main_effects(GRID, observed, np.stack([observed, observed]))
    assert {name: round(e.size, 9) for e in effects for name in e.choice.values()} == plus
    # Without a cell of the grid it is the same: the effects are fitted, not averaged.
    effects = main_effects(GRID[1:], observed[1:], np.stack([observed[1:]] * 2))
    assert {name: round(e.size, 9) for e in effects for name in e.choice.values()} == plus


def test_the_strongest_interaction_comes_first() -> None:
    def score(choice: dict[str, str]) -> float:
        together = choice["cell"] == "rnn" and choice["head"] == "last"
        return 85 - 6 * together + 0.1 * (choice["depth"] == "2" and choice["head"] == "max")

    observed = np.array([score(choice) for choice in GRID])
    first, second, third = interactions(GRID, observed, np.stack([observed] * 2))
    assert dict(first.choice) == {"cell": "rnn", "head": "last"}
    # -6 in one of six cells, less its row's mean (-3), less its column's (-2), plus the mean (-1)
    assert first.size == pytest.approx(-2)
    assert set(second.choice) == {"head", "depth"}
    assert abs(second.size) == pytest.approx(0.025)
    assert third.size == pytest.approx(0)


def test_effects_that_are_not_determined_are_not_estimated() -> None:
    line = [{"cell": "rnn", "head": "last"}, {"cell": "lstm", "head": "max"}]
    assert main_effects(line, np.array([0.8, 0.9]), np.full((3, 2), 0.8)) == []
    assert interactions(line, np.array([0.8, 0.9]), np.full((3, 2), 0.8)) == []


def test_intervals_of_effects_are_simultaneous() -> None:
    """In 95 % of replicates, none of twenty effects of pure noise is outside of its interval."""
    random = np.random.default_rng(0)
    noise = random.standard_normal((20, 20_001))
    noise[:, 0] = 0
    effects = simultaneous([{"factor": str(k)} for k in range(20)], noise)
    within = [
        (effect.interval.low < noise[k, 1:]) & (noise[k, 1:] < effect.interval.high)
        for k, effect in enumerate(effects)
    ]
    assert np.all(within, 0).mean() == pytest.approx(0.95, abs=0.005)
    assert effects[0].interval.high == pytest.approx(norm.ppf((1 + 0.95 ** (1 / 20)) / 2), rel=0.02)
    assert simultaneous([], np.empty((0, 5))) == []


def test_residuals_give_the_error_of_an_analysis_of_variance() -> None:
    design = np.array([[1, c == "rnn", c == "lstm", h == "last"] for c in CELLS for h in HEADS])
    choices = [{"cell": cell, "head": head} for cell in CELLS for head in HEADS]
    observed = np.array([0.80, 0.83, 0.86, 0.84, 0.90, 0.88])
    fit = OLS(observed, design.astype(float)).fit()
    samples = with_residuals(choices, observed, np.zeros((40_000, 6)))
    assert samples is not None
    spread = interval(samples[:, 0])
    reach = student.ppf(0.975, fit.df_resid) * np.sqrt(fit.mse_resid)
    assert (spread.low, spread.high) == pytest.approx((-reach, reach), rel=0.05)
    saturated = [{"cell": "rnn"}, {"cell": "lstm"}]
    assert with_residuals(saturated, observed[:2], np.zeros((5, 2))) is None


@pytest.mark.slow
def test_effects_in_a_grid_are_found_at_the_published_rates() -> None:
    """At the rates of docs/statistics.md, within the error of 100 simulations."""
    for seeds, least in ((3, 0.95), (1, 0.6)):
        rates = statistics_rates.effect_rates(seeds, 100, count=400)
        assert rates.detected >= least
        assert rates.false_alarms <= 0.1
        assert rates.interactions <= 0.1
