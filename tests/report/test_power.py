"""The power of comparisons: worked examples, references and simulations."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import NormalIndPower

from lstm_sentiment.report.power import MOST_REVIEWS, Design, design
from lstm_sentiment.report.statistics import Accuracies, accuracies
from scripts.benchmarks.statistics_rates import Scenario, simulated

# A standard deviation of 0.2 points over reviews, of which three seeds contribute 0.16.
USUAL = Design(
    shared=1.44e-6,
    by_chance=3.84e-6,
    between_seeds=0.003**2,
    freedom=4,
    seeds=3,
    reviews=25_000,
    groups=25_000,
)
REVIEWS_ONLY = replace(USUAL, between_seeds=None)


def measured(
    by_reviews: list[list[float]],
    seeds: list[int],
    between_seeds: list[float],
    by_chance: list[float],
) -> Accuracies:
    numbers = map(np.array, (by_reviews, seeds, between_seeds, by_chance))
    covariance, counts, between, chance = numbers
    none = np.zeros(len(seeds))
    return Accuracies(none, covariance, none, 1_000, counts, between, chance)


def test_the_variance_by_reviews_has_a_part_that_decreases_with_seeds() -> None:
    assert USUAL.by_reviews == pytest.approx(0.002**2)
    assert USUAL.with_seeds(6).by_reviews == pytest.approx(1.44e-6 + 1.28e-6)
    assert USUAL.with_reviews(100_000).by_reviews == pytest.approx(0.001**2)
    assert USUAL.with_reviews(50_000).with_seeds(10**9).by_reviews == pytest.approx(0.72e-6)


def test_more_reviews_are_as_many_of_each_group() -> None:
    grouped = replace(USUAL, groups=1_000)
    assert grouped.with_reviews(50_000).groups == 2_000
    assert grouped.with_reviews(3).groups == 1


@pytest.mark.parametrize("difference", [0.001, 0.005, 0.01])
def test_without_seeds_the_power_is_that_of_a_normal_test(difference: float) -> None:
    effect = difference / np.sqrt(REVIEWS_ONLY.by_reviews * 25_000)
    expected = NormalIndPower().power(effect, 25_000, alpha=0.05, ratio=0)
    assert REVIEWS_ONLY.power(difference) == pytest.approx(expected, abs=2e-4)


def test_numbers_without_seeds_are_those_of_a_normal_test() -> None:
    """By hand: (1.960 + 0.842)^2 = 7.85 standard errors, squared, are needed."""
    assert REVIEWS_ONLY.reviews_needed(0.005, 0.8) == pytest.approx(7.85 * 4 / 25 * 25_000, 1e-3)
    assert REVIEWS_ONLY.smallest_difference(0.8) == pytest.approx(2.802 * 0.002, rel=1e-3)
    assert REVIEWS_ONLY.seeds_needed(0.005, 0.8) is None


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_without_reviews_the_power_is_that_of_welchs_test(seeds: int) -> None:
    infinite = replace(USUAL, shared=1e-12, by_chance=0.0, seeds=seeds)
    random = np.random.default_rng(0)
    ours, theirs = 0.003 * random.standard_normal((2, 20_000, seeds))
    found = stats.ttest_ind(ours + 0.007, theirs, axis=1, equal_var=False).pvalue < 0.05
    assert infinite.power(0.007) == pytest.approx(found.mean(), abs=0.012)


@pytest.mark.parametrize(("seeds", "reviews"), [(2, 2_000), (3, 2_000), (6, 1_000)])
def test_the_power_is_that_of_the_test_of_a_report(seeds: int, reviews: int) -> None:
    """The design follows from 4 seeds and 2,000 reviews, and predicts other numbers."""
    random, repeats = np.random.default_rng(1), 500
    scenario = Scenario(2, 2_000, 0.025, 0.006, seeds=4)
    known = [design(accuracies(simulated(scenario, random)[0]), 2_000) for _ in range(100)]
    names = ("shared", "by_chance", "between_seeds")
    means = {name: float(np.mean([getattr(each, name) for each in known])) for name in names}
    mean = replace(known[0], **means)  # type: ignore[arg-type]
    expected = mean.with_seeds(seeds).with_reviews(reviews).power(0.025)
    scenario = scenario._replace(seeds=seeds, reviews=reviews)
    found = [
        accuracies(simulated(scenario, random)[0]).difference(1, 0).p < 0.05 for _ in range(repeats)
    ]
    assert 0.2 < expected < 0.9
    assert np.mean(found) == pytest.approx(expected, abs=3 * 0.5 / np.sqrt(repeats))


def test_power_increases_with_the_difference_seeds_and_reviews() -> None:
    for powers in (
        [USUAL.power(difference) for difference in np.linspace(0, 0.02, 30)],
        [USUAL.with_seeds(seeds).power(0.005) for seeds in range(2, 30)],
        [replace(USUAL, seeds=5).with_reviews(n).power(0.005) for n in range(1_000, 30_000, 999)],
        [replace(USUAL, between_seeds=v).power(0.005) for v in (1e-4, 1e-5, 1e-6, 0.0)],
    ):
        assert (np.diff(powers) > 0).all()
    assert USUAL.power(-0.005) == pytest.approx(USUAL.power(0.005))


@pytest.mark.parametrize("difference", [0.004, 0.005, 0.01])
@pytest.mark.parametrize("start", [2, 3, 40])
def test_the_number_of_seeds_is_the_least_that_is_enough(difference: float, start: int) -> None:
    needed = replace(USUAL, seeds=start).seeds_needed(difference, 0.8)
    assert needed is not None
    assert USUAL.with_seeds(needed).power(difference) >= 0.8
    assert needed == 2 or USUAL.with_seeds(needed - 1).power(difference) < 0.8


@pytest.mark.parametrize("reviews", [1_000, 25_000, 1_000_000])
def test_the_number_of_reviews_is_the_least_that_is_enough(reviews: int) -> None:
    many = replace(USUAL, seeds=10)
    needed = many.with_reviews(reviews).reviews_needed(0.006, 0.8)
    assert needed is not None
    assert many.with_reviews(needed).power(0.006) >= 0.8
    assert many.with_reviews(needed - 1).power(0.006) < 0.8


def test_there_is_no_number_if_the_other_source_is_too_uncertain() -> None:
    assert USUAL.reviews_needed(0.005, 0.8) is None
    assert USUAL.with_reviews(MOST_REVIEWS).power(0.005) < 0.8
    assert USUAL.with_reviews(2_000).seeds_needed(0.005, 0.8) is None
    assert USUAL.with_reviews(2_000).with_seeds(1_000).power(0.005) < 0.8


def test_a_needed_number_agrees_with_the_present_power() -> None:
    """With two seeds, power may fall with more reviews."""
    few = replace(USUAL, seeds=2, by_chance=0.0, shared=4e-6)
    assert few.power(0.02) > 0.8 > few.with_reviews(1_000_000).power(0.02)
    needed = few.reviews_needed(0.02, 0.8)
    assert needed is not None
    assert needed <= few.reviews


def test_single_seeds_have_no_test_if_seeds_vary() -> None:
    single = USUAL.with_seeds(1)
    assert np.isnan(single.power(0.01))
    assert single.smallest_difference(0.8) is None
    assert single.reviews_needed(0.01, 0.8) is None
    assert single.seeds_needed(0.01, 0.8) == USUAL.seeds_needed(0.01, 0.8)


def test_the_smallest_difference_has_the_power() -> None:
    smallest = USUAL.smallest_difference(0.9)
    assert smallest is not None
    assert USUAL.power(smallest) == pytest.approx(0.9, abs=1e-4)
    assert replace(USUAL, between_seeds=1.0).smallest_difference(0.8) is None


def test_a_design_is_the_median_over_pairs_and_the_mean_over_networks() -> None:
    """By hand: without chance, 1e-4, 2e-4 and 3e-4 remain on the diagonal."""
    covariance = [[2e-4, 0, 0], [0, 3e-4, 0], [0, 0, 5e-4]]
    seeds, between, by_chance = [2, 3, 2], [5e-4, 2e-4, 9e-4], [2e-4, 3e-4, 4e-4]
    found = design(measured(covariance, seeds, between, by_chance), 2_000)
    assert found.shared == pytest.approx(4e-4)
    assert found.by_chance == pytest.approx((2e-4 + 2 * 3e-4 + 4e-4) / 4)
    assert found.between_seeds == pytest.approx((3e-4 + 2 * -1e-4 + 5e-4) / 4)
    assert (found.seeds, found.freedom, found.reviews, found.groups) == (2, 4, 2_000, 1_000)


def test_single_seeds_beside_several_have_the_usual_part_by_chance() -> None:
    covariance = [[5e-4, 1e-4], [1e-4, 4e-4]]
    found = design(measured(covariance, [1, 3], [0, 7e-4], [0, 3e-4]), 2_000)
    assert found.shared == pytest.approx(7e-4 - 3e-4 - 1e-4)
    assert (found.by_chance, found.between_seeds) == pytest.approx((3e-4, 4e-4))
    assert (found.seeds, found.freedom) == (1, 2)


def test_with_single_seeds_the_variance_between_seeds_is_unknown() -> None:
    found = design(measured([[5e-4, 1e-4], [1e-4, 4e-4]], [1, 1], [0, 0], [0, 0]), 2_000)
    assert found.shared == found.by_reviews == pytest.approx(7e-4)
    assert found.between_seeds is found.largest_between_seeds is None


def test_a_single_network_is_compared_with_an_independent_one_like_it() -> None:
    found = design(measured([[5e-4]], [2], [9e-4], [2e-4]), 2_000)
    assert found.shared == pytest.approx(2 * 4e-4)
    assert found.by_reviews == pytest.approx(2 * 5e-4)


def test_the_bound_of_the_variance_between_seeds_is_that_of_a_normal_sample() -> None:
    """By hand: 4 degrees of freedom have the quantile 0.711 at 5 %."""
    alone = replace(USUAL, by_chance=0.0)
    assert alone.largest_between_seeds == pytest.approx(9e-6 * 4 / 0.7107, rel=1e-3)
