"""Which variants are compared, and the verdicts on them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student

from lstm_sentiment.config import Config
from lstm_sentiment.report.effects import NO_EFFECTS
from lstm_sentiment.report.statistics import accuracies, mcnemar
from lstm_sentiment.report.variants import Variant
from lstm_sentiment.runs.folder import PREDICTIONS
from tests.support.records import DATA, LABELS, answers, network, put_baseline, put_run
from tests.support.reports import comparison, only_group


def named(variant: Variant | None) -> str | None:
    return variant and variant.name


def test_the_best_variant_is_the_best_on_validation(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(10), answers(20))
    put_run(tmp_path, network("gru"), answers(20), answers(10))
    put_run(tmp_path, network("rnn"), answers(30), answers(30))
    put_baseline(tmp_path, answers(20), answers(25))
    put_baseline(tmp_path, answers(10), answers(26), kind="nb_svm")
    compared = comparison(tmp_path)
    assert named(compared.best) == named(compared.best_network) == "gru-last"
    assert named(compared.baseline) == "ngrams-logistic"
    assert [v.name for v in compared.networks] == ["gru-last", "lstm-last", "rnn-last"]


def test_a_baseline_may_be_the_best(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(10), answers(20))
    put_baseline(tmp_path, answers(20), answers(10))
    compared = comparison(tmp_path)
    assert compared.best is compared.baseline
    assert named(compared.baseline) == "ngrams-logistic"
    assert named(compared.best_network) == "lstm-last"


def test_without_validation_no_variant_is_best(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(10), None)
    put_baseline(tmp_path, answers(20), None)
    compared = comparison(tmp_path)
    assert compared.best is compared.best_network is None
    assert compared.baseline
    assert compared.against(compared.baseline)["lstm-last"].difference == pytest.approx(0.05)
    assert len(compared.tested) == 2


def test_a_single_variant_has_no_baseline_and_no_verdicts(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(10), answers(20))
    compared = comparison(tmp_path)
    assert compared.baseline is None
    assert compared.best in compared.tested
    assert compared.against(compared.best) == {}
    assert compared.title == "imdb: 900 train, 200 val, 200 test"


def test_untested_variants_are_ranked(tmp_path: Path) -> None:
    for cell, wrong in (("lstm", 20), ("gru", 10)):
        data = DATA | {"test": None}
        put_run(tmp_path, network(cell), None, answers(wrong), data=data)
    compared = comparison(tmp_path)
    assert [v.name for v in compared.variants] == ["gru-last", "lstm-last"]
    assert compared.tested == []
    assert compared.intervals == {}
    assert compared.against(compared.best) == {}
    assert compared.effects == NO_EFFECTS
    assert compared.notes == []


def test_intervals_are_those_of_the_tested_variants(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(20), answers(20))
    put_run(tmp_path, network("gru"), answers(40), answers(10))
    put_baseline(tmp_path, answers(60), answers(30))
    compared = comparison(tmp_path)
    assert [v.name for v in compared.tested] == ["gru-last", "lstm-last", "ngrams-logistic"]
    assert compared.accuracies.observed == pytest.approx([0.8, 0.9, 0.7])
    for name, share in (("gru-last", 0.8), ("lstm-last", 0.9), ("ngrams-logistic", 0.7)):
        error = np.sqrt(share * (1 - share) / 200)
        expected = (share - 1.96 * error, share + 1.96 * error)
        assert compared.intervals[name] == pytest.approx(expected, abs=error / 2)


def test_accuracy_is_the_mean_over_seeds() -> None:
    correct = {0: np.array([True, True, False, False]), 3: np.array([True, True, True, True])}
    assert accuracies([correct]).observed == pytest.approx([0.75])


@pytest.mark.parametrize("column", ["rows", "labels"])
def test_a_variant_tested_on_other_reviews_is_left_out_with_a_note(
    tmp_path: Path, column: str
) -> None:
    put_run(tmp_path, network("lstm"), answers(20), answers(10))
    put_run(tmp_path, network("gru"), answers(24), answers(12))
    rows = np.arange(200) + (column == "rows")
    labels = LABELS if column == "rows" else 1 - LABELS
    wrong = answers(30, labels)
    put_run(tmp_path, network("rnn"), wrong, wrong, labels=labels, rows=rows)
    put_run(tmp_path, network("rnn", seed=1), answers(30), answers(30))
    compared = comparison(tmp_path)
    assert [v.name for v in compared.tested] == ["lstm-last", "gru-last"]
    assert compared.intervals.keys() == {"lstm-last", "gru-last"}
    assert compared.against(compared.best).keys() == {"gru-last"}
    assert compared.against(compared.variants[2]) == {}
    (note,) = compared.notes
    assert note.startswith("rnn-last was not tested on the same reviews")


def test_a_variant_with_damaged_predictions_is_left_out_with_a_note(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(20), answers(10))
    broken = put_run(tmp_path, network("lstm", seed=1), answers(60), answers(10))
    put_run(tmp_path, network("gru"), answers(30), answers(20))
    gone = put_run(tmp_path, network("rnn"), answers(30), answers(30))
    (broken / PREDICTIONS).write_bytes(b"")
    (gone / PREDICTIONS).unlink()
    compared = comparison(tmp_path)
    assert [v.name for v in compared.tested] == ["gru-last"]  # a mean must be over all its seeds
    assert compared.accuracies.observed == pytest.approx([0.85])
    assert {name: [*by_seed] for name, by_seed in compared.predictions.items()} == {
        "lstm-last": [],
        "gru-last": [0],
        "rnn-last": [],
    }
    first, second = compared.notes
    assert first.startswith(f"{broken.name}/{PREDICTIONS} cannot be read")
    assert first.endswith(": lstm-last is left out of intervals and tests.")
    assert second.startswith(f"{gone.name}/{PREDICTIONS} is missing: rnn-last")


def test_notes_on_the_group_are_kept(tmp_path: Path) -> None:
    for place in ("a", "b"):
        put_run(tmp_path / place, network("lstm"), answers(20), answers(10))
    compared = comparison(tmp_path)
    assert compared.notes == only_group(tmp_path).notes
    assert len(compared.notes) == 1


def test_training_reviews_among_the_test_reviews_are_noted_once(tmp_path: Path) -> None:
    for seed in range(2):
        data = DATA | {"test_copies": 150}
        put_run(tmp_path, network("lstm", seed=seed), answers(20), answers(10), data=data)
    put_run(tmp_path, network("gru"), answers(20), answers(10))  # a record that does not say
    (note,) = comparison(tmp_path).notes
    assert note.startswith("150 of the 200 test reviews are copies of training or validation")


def test_validation_reviews_that_a_language_model_has_read_are_noted(tmp_path: Path) -> None:
    for seed, read in ((0, 30), (1, 30), (2, 1), (3, 0)):
        model = {"digest": "1" * 64, "read_validation": read}
        config = network("lstm", seed=seed)
        put_run(tmp_path, config, answers(20), answers(10), language_model=model)
    put_run(tmp_path, network("gru"), answers(20), answers(10))
    several, one = comparison(tmp_path).notes
    assert re.fullmatch(
        r"The language model of lstm-last-s0-\w+, lstm-last-s1-\w+ has read the texts of 30 "
        r"validation reviews, without labels: the validation accuracy, by which variants are "
        r"ranked, may be a little too high\.",
        several,
    )
    assert "lstm-last-s2-" in one
    assert "of 1 validation review," in one


def test_runs_on_other_hardware_are_noted(tmp_path: Path) -> None:
    for seed in range(8):
        put_run(tmp_path, network("lstm", seed=seed), answers(20), answers(10))
    on_gpu = {"device": "cuda", "threads": 2}
    gpu = [
        put_run(tmp_path, network(cell), answers(20), answers(10), environment=on_gpu).name
        for cell in ("gru", "rnn")
    ]
    many = {"device": "cpu", "threads": 8}
    busy = [
        put_run(
            tmp_path, network("lstm", "max", seed=s), answers(20), answers(10), environment=many
        )
        for s in range(5)
    ]
    device, threads = comparison(tmp_path).notes
    assert device.endswith(f"device is cuda instead of cpu for {', '.join(gpu)}.")
    first = ", ".join(sorted(run.name for run in busy)[:3])
    assert threads.endswith(f"threads is 8 instead of 2 for {first} and 2 more.")


def test_the_hardware_of_baselines_is_not_noted(tmp_path: Path) -> None:
    for kind in ("logistic", "nb_svm"):
        put_baseline(tmp_path, answers(20), answers(20), kind)
    on_gpu = {"device": "cuda", "threads": 16}
    put_run(tmp_path, network("lstm"), answers(20), answers(10), environment=on_gpu)
    assert comparison(tmp_path).notes == []


def test_verdicts_on_one_seed(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(30), answers(10))
    put_run(tmp_path, network("gru"), answers(60), answers(12))
    put_run(tmp_path, network("rnn"), answers(31), answers(14))
    put_run(tmp_path, network("lstm", "max"), answers(5), answers(16))
    compared = comparison(tmp_path)
    verdicts = compared.against(compared.best)
    assert {name: verdict.verdict for name, verdict in verdicts.items()} == {
        "gru-last": "worse",
        "rnn-last": "cannot be told apart",
        "lstm-max": "better",
    }
    differences = {name: round(v.difference, 9) for name, v in verdicts.items()}
    assert differences == {"gru-last": -0.15, "rnn-last": -0.005, "lstm-max": 0.125}
    for verdict in verdicts.values():
        assert verdict.interval.low <= verdict.difference <= verdict.interval.high
    # Only one network is right on 30, 25 and 1 reviews; Holm multiplies the p-values by 3, 2 and 1.
    assert verdicts["gru-last"].mcnemar == pytest.approx({0: 3 * 2 * 0.5**30})
    assert verdicts["lstm-max"].mcnemar == pytest.approx({0: 2 * 2 * 0.5**25})
    assert verdicts["rnn-last"].mcnemar == {0: 1}


def test_verdicts_are_relative_to_the_given_variant(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(30), answers(10))
    put_run(tmp_path, network("gru"), answers(60), answers(12))
    put_baseline(tmp_path, answers(90), answers(14))
    compared = comparison(tmp_path)
    verdicts = compared.against(compared.baseline)
    assert {name: (v.verdict, round(v.difference, 9)) for name, v in verdicts.items()} == {
        "lstm-last": ("better", 0.3),
        "gru-last": ("better", 0.15),
    }
    assert compared.against(None) == {}
    of_another_comparison = comparison(tmp_path).best
    assert compared.against(of_another_comparison) == {}


def put_seeds(root: Path, config: Config, wrong: Sequence[int], val: int) -> None:
    for seed, count in enumerate(wrong):
        put_run(root, replace(config, seed=seed), answers(count), answers(val))


def test_verdicts_on_several_seeds(tmp_path: Path) -> None:
    put_seeds(tmp_path, network("lstm"), (20, 22, 24), val=10)
    put_seeds(tmp_path, network("gru"), (62, 60), val=20)
    compared = comparison(tmp_path)
    verdict = compared.against(compared.best)["gru-last"]
    assert verdict.verdict == "worse"
    assert verdict.difference == pytest.approx((22 - 61) / 200)
    assert verdict.interval.high < 0
    lstm, gru = compared.correct
    assert verdict.mcnemar == {seed: mcnemar(gru[seed], lstm[seed]) for seed in (0, 1)}


def test_seeds_that_disagree_make_a_difference_insignificant(tmp_path: Path) -> None:
    put_seeds(tmp_path / "one", network("lstm"), (40,), val=10)
    put_seeds(tmp_path / "one", network("gru"), (70,), val=20)
    put_seeds(tmp_path / "more", network("lstm"), (40, 0, 80), val=10)
    put_seeds(tmp_path / "more", network("gru"), (70, 40, 100), val=20)
    alone, together = comparison(tmp_path / "one"), comparison(tmp_path / "more")
    (sure,) = alone.against(alone.best).values()
    (unsure,) = together.against(together.best).values()
    assert sure.difference == pytest.approx(unsure.difference)
    assert sure.verdict == "worse"
    assert unsure.verdict == "cannot be told apart"


def test_a_pair_has_one_verdict(tmp_path: Path) -> None:
    """A network and a baseline: in two families of tests their verdicts might differ."""
    for head, wrong in (("last", 20), ("max", 30), ("avg", 40)):
        put_run(tmp_path, network("gru", head), answers(wrong), answers(wrong))
    put_baseline(tmp_path, answers(35), answers(35))
    compared = comparison(tmp_path)
    assert compared.best_network
    assert compared.baseline
    assert compared.against(compared.best_network).keys() == {"gru-max", "gru-avg"}
    assert compared.against(compared.baseline).keys() == {"gru-last", "gru-max", "gru-avg"}


def test_the_interval_of_the_best_network_allows_for_the_choice(tmp_path: Path) -> None:
    for number, cell in enumerate(("rnn", "lstm", "gru")):
        wrong = np.roll(answers(40), 60 * number)
        put_run(tmp_path, network(cell), wrong, answers(20 + number))
    compared = comparison(tmp_path)
    best = compared.best
    assert best
    accuracy = compared.accuracies.accuracy(compared.tested.index(best))
    usual, ours = accuracy.interval(), compared.intervals[best.name]
    assert ours.high == usual.high
    # Bonferroni's correction for three networks is the most it can be.
    assert accuracy.interval(1 - 0.05 / 3).low <= ours.low < usual.low
    others = [v for v in compared.tested if v is not best]
    for other in others:
        estimate = compared.accuracies.accuracy(compared.tested.index(other))
        assert compared.intervals[other.name] == estimate.interval()


def test_verdicts_relative_to_the_best_network_account_for_its_choice(tmp_path: Path) -> None:
    """It is favoured by the luck of its seeds; a baseline, or a trained network, has none."""
    for number, cell in enumerate(("rnn", "lstm", "gru", "gru")):
        config = network(cell, "last" if number < 3 else "max")
        put_run(tmp_path, config, np.roll(answers(40), 60 * number), answers(20 + number))
    put_baseline(tmp_path, answers(50), answers(50))
    single = comparison(tmp_path)
    assert {verdict.family for verdict in single.against(single.best).values()} == {3}
    put_run(tmp_path, network("rnn", seed=1), answers(40), answers(20))
    compared = comparison(tmp_path)
    families = [
        {verdict.family for verdict in compared.against(other).values()}
        for other in (compared.best, compared.baseline)
    ]
    assert families == [{6}, {4}]  # the pairs of four networks, and each with the baseline
    asked = compared.family([(compared.networks[1], compared.networks[0])])
    ((pair, verdict),) = asked.items()
    assert verdict.family == 1
    assert verdict.interval.low > compared.against(pair[1])[pair[0].name].interval.low


def test_the_best_of_a_network_and_baselines_was_chosen_from_all(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(20), answers(10))
    put_baseline(tmp_path, np.roll(answers(30), 50), answers(30))
    put_baseline(tmp_path, np.roll(answers(33), 90), answers(31), kind="nb_svm")
    compared = comparison(tmp_path)
    best, baseline = compared.best, compared.baseline
    assert best
    assert baseline
    assert best is compared.best_network
    assert compared.candidates(best) == compared.variants
    assert compared.candidates(baseline) == []
    usual = compared.accuracies.accuracy(compared.tested.index(best)).interval()
    assert compared.intervals[best.name].low < usual.low


def test_a_single_network_behind_a_baseline_was_not_chosen(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(20), answers(40))
    put_baseline(tmp_path, answers(30), answers(30))
    compared = comparison(tmp_path)
    assert compared.best_network
    assert compared.candidates(compared.best_network) == []


def test_reviews_of_one_group_are_sampled_together(tmp_path: Path) -> None:
    """Mistakes in whole groups of ten reviews: the interval is as wide as that of 20 reviews."""
    groups = np.arange(200) // 10
    right = np.repeat(np.arange(20) % 4 > 0, 10)
    wrong = np.where(right, answers(0), 1 - answers(0))
    put_run(tmp_path, network("lstm"), wrong, answers(20), group=groups)
    compared = comparison(tmp_path)
    assert compared.accuracies.groups == 20
    assert compared.accuracies.design_effects == pytest.approx([10], rel=0.06)
    low, high = compared.intervals["lstm-last"]
    error = np.sqrt(0.75 * 0.25 / 19)
    reach = student.isf(0.025, 19) * error
    assert (low, high) == pytest.approx((0.75 - reach, 0.75 + reach), abs=0.002)


def test_the_best_baseline_has_the_least_validation_loss(tmp_path: Path) -> None:
    """It is more accurate on one review less, but more certain of all others."""
    put_baseline(tmp_path, answers(30), answers(20, confidence=0.6))
    put_baseline(tmp_path, answers(30), answers(21, confidence=0.9), kind="nb_svm")
    compared = comparison(tmp_path)
    assert named(compared.best) == "ngrams-logistic"
    assert named(compared.baseline) == "ngrams-nb_svm"
