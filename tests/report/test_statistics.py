"""Worked examples, reference implementations, and simulations with known effects."""

import numpy as np
import pytest
from scipy.stats import norm, studentized_range, ttest_1samp, ttest_ind
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from lstm_sentiment.report.statistics import (
    Correct,
    Estimate,
    accuracies,
    compare,
    estimate,
    holm,
    level_of_all_pairs,
    local_level,
    mcnemar,
)
from scripts.benchmarks import statistics_rates


def answers(accuracy: float, size: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(size) < accuracy


def only(variant: Correct, groups: np.ndarray | None = None) -> Estimate:
    return accuracies([variant], groups).accuracy(0)


def test_with_one_seed_only_the_reviews_vary() -> None:
    found = only({0: np.arange(2000) < 1700})
    error = np.sqrt(0.85 * 0.15 / 2000)
    assert found.value == pytest.approx(0.85)
    assert found.error == pytest.approx(error, rel=0.003)
    low, high = found.interval()
    assert (low, high) == pytest.approx((0.85 - 1.961 * error, 0.85 + 1.961 * error), abs=1e-4)


def test_seeds_alone_give_the_interval_of_a_t_test() -> None:
    # With accuracies of 100 %, 0 % and 0 % on many reviews, only the seeds vary.
    yes, no = np.ones(5000, bool), np.zeros(5000, bool)
    measured = accuracies([{0: yes, 1: no, 2: no}])
    expected = ttest_1samp([1, 0, 0], 0).confidence_interval(0.95)
    found = measured.accuracy(0)
    assert found.interval() == pytest.approx((expected.low, expected.high), rel=1e-3)
    assert measured.by_chance[0] == pytest.approx(0, abs=1e-12)  # the same for all reviews


def test_a_difference_of_seeds_is_welchs_test() -> None:
    """Two variants whose seeds are right on all reviews of a part, with unequal spreads."""
    ours, theirs = [0.60, 0.61, 0.62], [0.80, 0.50, 0.90, 0.64]
    size = 100_000
    variants = [
        {seed: np.arange(size) < share * size for seed, share in enumerate(shares)}
        for shares in (ours, theirs)
    ]
    measured = accuracies(variants)
    parts = (measured.between_seeds / measured.seeds).tolist()
    freedom = (measured.seeds - 1).tolist()
    found = estimate(measured.difference(0, 1).value, sum(parts), parts, freedom)
    expected = ttest_ind(ours, theirs, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.freedom == pytest.approx(expected.df)
    low, high = expected.confidence_interval(0.95)
    assert found.interval() == pytest.approx((low, high))


def test_the_variance_over_groups_is_that_of_a_bootstrap_over_groups() -> None:
    random = np.random.default_rng(0)
    groups = random.integers(0, 60, 900)
    hard = random.random(60)[groups]
    variants: list[Correct] = [{0: random.random(900) > 0.6 * hard}, {0: random.random(900) > 0.3}]
    measured = accuracies(variants, groups)
    right = np.stack([variant[0] for variant in variants], 1)
    sums = np.array([[*right[groups == g].sum(0), (groups == g).sum()] for g in range(60)])
    draws = np.array([sums[random.integers(0, 60, 60)].sum(0) for _ in range(20_000)])
    shares = draws[:, :2] / draws[:, 2:]
    assert measured.groups == 60
    assert np.sqrt(np.diag(measured.by_reviews)) == pytest.approx(shares.std(0), rel=0.06)
    difference = (shares[:, 0] - shares[:, 1]).std()
    assert measured.difference(0, 1).error == pytest.approx(difference, rel=0.06)
    # Reviews of a group are alike for the first variant only.
    first, second = measured.design_effects
    assert first > 1.3
    assert second < first


def test_groups_of_equal_reviews_count_as_one_review() -> None:
    """Each review three times: the error is that of a third of the reviews."""
    right = answers(0.8, 500, 1)
    thrice = np.repeat(right, 3)
    grouped = only({0: thrice}, np.repeat(np.arange(500), 3))
    assert grouped.error == pytest.approx(only({0: right}).error, rel=0.01)
    assert only({0: thrice}).error == pytest.approx(grouped.error / np.sqrt(3), rel=0.01)
    measured = accuracies([{0: thrice}], np.repeat(np.arange(500), 3))
    assert measured.design_effects[0] == pytest.approx(3, rel=0.01)


def test_one_group_is_as_good_as_unknown_groups() -> None:
    right = answers(0.8, 100, 1)
    assert only({0: right}, np.zeros(100, int)) == only({0: right})


def test_few_groups_have_few_degrees_of_freedom() -> None:
    right = answers(0.8, 100, 1)
    assert only({0: right}, np.arange(100) % 5).freedom == pytest.approx(4)


def test_a_variant_without_mistakes_has_an_interval() -> None:
    low, high = only({0: np.ones(100, bool)}).interval()
    assert 0.95 < low < 1 < high


def test_equal_predictions_are_no_difference() -> None:
    ours = {0: answers(0.8, 1000, 0)}
    found = accuracies([ours, ours]).difference(1, 0)
    assert (found.value, found.p) == (0, 1)


def test_the_degrees_of_freedom_follow_from_the_shares_of_the_variances() -> None:
    # Satterthwaite by hand: (1 + 2)^2 / (1 / 4 + 4 / 2)
    assert estimate(0, 3.0, [1.0, 2.0], [4, 2]).freedom == pytest.approx(9 / 2.25)
    assert estimate(0, 1.0, [1.0, 0.0], [4, 0]).freedom == pytest.approx(4)
    # A known 0.5 was subtracted from the second part, whose uncertainty stays the same.
    assert estimate(0, 2.5, [1.0, 2.0], [4, 2]).freedom == pytest.approx(6.25 / 2.25)


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


def test_independent_estimates_are_corrected_as_by_sidak() -> None:
    assert local_level(np.eye(1)) == pytest.approx(0.05)
    assert local_level(np.eye(20)) == pytest.approx(1 - 0.95 ** (1 / 20), rel=0.04)
    assert 0.05 / 100 <= local_level(np.eye(100)) < 0.05 / 80


def test_equal_estimates_count_as_one() -> None:
    assert local_level(np.ones((30, 30))) == pytest.approx(0.05, rel=0.04)


def test_comparisons_with_one_variant_are_corrected_as_by_dunnett() -> None:
    """The critical values of Dunnett's table for many observations."""
    for treatments, expected in ((1, 1.96), (2, 2.21), (5, 2.51), (9, 2.69)):
        pairs = np.hstack([np.eye(treatments), -np.ones((treatments, 1))])
        critical = norm.isf(local_level(pairs @ pairs.T) / 2)
        assert critical == pytest.approx(expected, abs=0.012)


def test_all_pairs_are_corrected_as_by_tukey() -> None:
    """The critical values of the studentized range, for accuracies that share their reviews."""
    for count in (2, 3, 10):
        critical = norm.isf(level_of_all_pairs(1e-6 * (np.eye(count) + 2)) / 2)
        expected = studentized_range.isf(0.05, count, np.inf) / np.sqrt(2)
        assert critical == pytest.approx(expected, abs=0.012)


def test_all_pairs_are_the_family_of_all_their_differences() -> None:
    covariance = np.diag([1e-4, 1e-6, 1e-6, 4e-6]) + 1e-5
    pairs = np.array([np.eye(4)[i] - np.eye(4)[j] for i in range(4) for j in range(i)])
    expected = local_level(pairs @ covariance @ pairs.T)
    assert level_of_all_pairs(covariance) == pytest.approx(expected, rel=0.04)


def test_very_many_pairs_are_corrected_as_by_bonferroni() -> None:
    assert level_of_all_pairs(np.eye(300)) == pytest.approx(0.05 / (300 * 299 / 2))


def variants_of(*mistakes: int) -> list[Correct]:
    """Return variants with one seed, each with that many mistakes in 1,000 reviews of its own."""
    return [{0: (np.arange(1000) + 100 * k) % 1000 >= n} for k, n in enumerate(mistakes)]


def test_p_and_interval_agree() -> None:
    for seed in range(40):
        random = np.random.default_rng(seed)
        variants: list[Correct] = [
            {s: random.random(300) < 0.7 + 0.05 * random.random() for s in range(3)}
            for _ in range(4)
        ]
        for verdict in compare(variants, [(1, 0), (2, 0), (3, 0)], accuracies(variants)):
            excludes_zero = not verdict.interval.low <= 0 <= verdict.interval.high
            assert excludes_zero == (verdict.p < 0.05)
            assert (verdict.verdict != "cannot be told apart") == excludes_zero


def test_p_has_no_floor() -> None:
    """A clear difference stays significant among 300 comparisons."""
    variants = variants_of(300, *[100] * 300)
    measured = accuracies(variants)
    verdicts = compare(variants, [(0, k) for k in range(1, 301)], measured)
    assert all(verdict.verdict == "worse" for verdict in verdicts)
    assert max(verdict.p for verdict in verdicts) < 1e-10


def test_a_family_is_corrected_together() -> None:
    right = np.arange(1000) < 850
    behind = right & ~(np.arange(1000) % 100 == 7)  # 9 reviews worse: 1 point
    variants = [{0: right}, {0: behind}, *({0: right} for _ in range(8))]
    measured = accuracies(variants)
    (alone,) = compare(variants, [(1, 0)], measured)
    family = compare(variants, [(k, 0) for k in range(1, 10)], measured)
    assert alone.difference == family[0].difference == pytest.approx(-0.009)
    assert alone.p < family[0].p <= 9 * alone.p
    assert family[0].interval.low < alone.interval.low
    exact = mcnemar(behind, right)
    assert exact == pytest.approx(2 / 2**9)  # nine coins that fall alike
    assert family[0].mcnemar == pytest.approx({0: 9 * exact})
    assert {verdict.verdict for verdict in family[1:]} == {"cannot be told apart"}
    assert compare(variants, [], measured) == []


def test_verdicts_relative_to_a_chosen_variant_account_for_all_pairs() -> None:
    variants = variants_of(100, 140, 160, 130)
    measured = accuracies(variants)
    pairs = [(1, 0), (2, 0), (3, 0)]
    usual = compare(variants, pairs, measured)
    chosen = compare(variants, pairs, measured, chosen_from=range(4))
    assert {verdict.family for verdict in usual} == {3}
    assert {verdict.family for verdict in chosen} == {6}
    for one, other in zip(usual, chosen, strict=True):
        assert one.difference == other.difference
        assert one.interval.low > other.interval.low
        assert one.p < other.p <= 6 * measured.difference(1, 0).p or other.p > 0.05


def test_mcnemars_test_uses_the_seeds_that_both_have() -> None:
    right = np.arange(100) < 80
    variants = [{0: right, 1: right}, {1: right, 2: right}]
    assert [*compare(variants, [(1, 0)], accuracies(variants))[0].mcnemar] == [1]


def test_variance_by_reviews_is_not_counted_twice() -> None:
    """Equally good seeds that differ by chance add nothing to the variance by reviews."""
    variants = [{seed: answers(0.8, 3000, 10 * k + seed) for seed in range(5)} for k in range(40)]
    measured = accuracies(variants)
    errors = [measured.accuracy(k).error for k in range(40)]
    assert np.median(errors) == pytest.approx(np.sqrt(0.8 * 0.2 / (5 * 3000)), rel=0.2)
    assert measured.between_seeds.mean() == pytest.approx(measured.by_chance.mean(), rel=0.3)


def test_variances_of_zero_are_allowed() -> None:
    same = {seed: np.arange(100) < 80 for seed in range(3)}
    found = accuracies([same, same]).difference(0, 1)
    assert np.isfinite([found.error, found.freedom, found.p]).all()


@pytest.mark.slow
def test_equal_networks_are_not_worse_than_the_one_that_was_chosen() -> None:
    """At the rates of docs/statistics.md, within the error of 100 simulations."""
    scenario = statistics_rates.Scenario(12, 2_000, behind=0.0, spread=0.01)
    assert statistics_rates.winner_rates(scenario, 100).alarms <= 0.1


@pytest.mark.slow
def test_a_difference_of_two_points_is_found_at_the_published_rates() -> None:
    """At the rates of docs/statistics.md, within the error of 100 simulations."""
    scenario = statistics_rates.Scenario(4, 4_000, behind=0.02, spread=0.003)
    rates = statistics_rates.rates(scenario, 100)
    assert rates.covered >= 0.9
    assert rates.detected >= 0.75
    assert rates.false_alarms <= 0.1
