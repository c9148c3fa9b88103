"""The simulation draws what its scenario says, and counts correct and wrong verdicts."""

import numpy as np
import pytest

from scripts.benchmarks.statistics_rates import (
    ACCURACY,
    Scenario,
    effect_rates,
    rates,
    resampled,
    simulated,
)


def test_a_simulated_sweep_has_the_accuracies_of_its_scenario() -> None:
    scenario = Scenario(3, 100_000, behind=0.05, spread=0.0)
    variants = simulated(scenario, np.random.default_rng(0), gains=[0.0, 0.0, 0.02])
    means = [np.mean([*seeds.values()]) for seeds in variants]
    assert means == pytest.approx([ACCURACY, ACCURACY - 0.05, ACCURACY + 0.02], abs=0.005)
    first, second, _ = variants[0].values()
    assert np.mean(first != second) == pytest.approx(0.1, abs=0.03)


def test_large_differences_are_detected() -> None:
    scenario = Scenario(3, 4_000, behind=0.2, spread=0.001)
    for draw in ({}, {"draw": resampled}):
        measured = rates(scenario, 3, count=200, **draw)  # type: ignore[arg-type]
        assert measured.detected == 1
        assert measured.false_alarms < 1


def test_a_large_effect_is_detected() -> None:
    assert effect_rates(seeds=2, repeats=2, better=0.08, count=100).detected == 1
