"""The simulation draws what its scenario says, and counts correct and wrong verdicts."""

import numpy as np
import pytest

from scripts.benchmarks.statistics_rates import (
    ACCURACY,
    GridScenario,
    Scenario,
    effect_rates,
    rates,
    simulated,
    winner_rates,
)


def test_a_simulated_sweep_has_the_accuracies_of_its_scenario() -> None:
    scenario = Scenario(3, 100_000, behind=0.05, spread=0.0)
    gains = [0.0, 0.0, 0.02]
    expected = [ACCURACY, ACCURACY - 0.05, ACCURACY + 0.02]
    *stages, truth = simulated(scenario, np.random.default_rng(0), gains)
    assert truth == pytest.approx(expected)
    for variants in stages:
        means = [np.mean([*seeds.values()]) for seeds in variants]
        assert means == pytest.approx(expected, abs=0.005)
        first, second, _ = variants[0].values()
        assert np.mean(first != second) == pytest.approx(0.1, abs=0.03)


def test_seeds_have_their_luck_in_both_sets() -> None:
    scenario = Scenario(2, 100_000, behind=0.0, spread=0.05)
    test, val, _ = simulated(scenario, np.random.default_rng(0))
    for of_test, of_val in zip(test, val, strict=True):
        deviations = [[run.mean() for run in stage.values()] for stage in (of_test, of_val)]
        assert np.corrcoef(deviations)[0, 1] > 0.95


def test_large_differences_are_detected() -> None:
    measured = rates(Scenario(3, 4_000, behind=0.2, spread=0.001), 3)
    assert measured.detected == 1
    assert measured.false_alarms < 1


def test_the_accuracy_of_the_best_of_equal_networks_is_too_high() -> None:
    assert winner_rates(Scenario(8, 2_000, behind=0.0, spread=0.03), 5).too_high > 0.005


def test_a_large_effect_is_detected() -> None:
    scenario = GridScenario(2, (0.01, 0.01, 0.01), cell=0.08, direction=0.0, reviews=1_000)
    assert effect_rates(scenario, 2).detected == 1
