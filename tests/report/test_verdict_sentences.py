"""The sentences about the best variant and the n-gram baseline."""

import re
from pathlib import Path

import pytest

from lstm_sentiment.config import OptimizerConfig
from lstm_sentiment.report.page import Block, markdown
from lstm_sentiment.report.verdict_sentences import NO_BASELINE, NO_NETWORK, SINGLE_SEEDS
from tests.support.records import answers, network, put_baseline, put_run
from tests.support.reports import headings, opening, ranking, report


def test_the_best_variant_is_chosen_on_validation(three: list[Block]) -> None:
    text = opening(three)
    match = re.match(
        r"\*\*gru-max\*\* has the highest validation accuracy \(95\.00 %\)\. "
        r"Its test accuracy is 80\.00 % \(95 % interval (\S+) to (\S+); "
        r"its lower end allows for the choice\)\. "
        r"Compared with it on the same test reviews, rnn-max is not significantly different "
        r"and lstm-max is better\.\n",
        text,
    )
    assert match
    # 80 % of 200 reviews: 1.96 standard errors are 5.5 points, and more below, for the choice.
    low, high = map(float, match.groups())
    assert high == pytest.approx(85.5, abs=0.2)
    assert 80 - 1.25 * 5.5 < low < 80 - 1.05 * 5.5
    assert text.count("test accuracy") == text.count("80.00") == 1
    assert [row[""] for row in ranking(three)] == ["**gru-max**", "lstm-max", "rnn-max"]


def test_a_single_seed_is_mentioned(three: list[Block]) -> None:
    assert markdown(three).count(SINGLE_SEEDS) == 1


def test_several_seeds_need_no_mention(tmp_path: Path) -> None:
    for seed in range(2):
        put_run(tmp_path, network("gru", "max", seed=seed), answers(10 + seed), answers(10))
        put_run(tmp_path, network("lstm", "max", seed=seed), answers(20 + seed), answers(20))
    put_baseline(tmp_path, answers(30), answers(30))  # its result does not depend on the seed
    assert SINGLE_SEEDS not in markdown(report(tmp_path))
    put_run(tmp_path, network("rnn", "max"), answers(30), answers(30))
    assert SINGLE_SEEDS in markdown(report(tmp_path))


def test_a_single_run_has_no_verdict(tmp_path: Path) -> None:
    put_run(tmp_path, network("gru", "max"), answers(40), answers(10))
    blocks = report(tmp_path)
    assert not [title for title in headings(blocks) if title.startswith("Comparison with")]
    assert SINGLE_SEEDS not in markdown(blocks)
    assert "Compared with" not in opening(blocks)


def test_networks_are_counted_by_their_verdict_relative_to_the_baseline(tmp_path: Path) -> None:
    put_baseline(tmp_path, answers(40), answers(15), "nb_svm")
    for head, wrong in (("max", 10), ("avg", 41), ("last", 70), ("attention", 80)):
        put_run(tmp_path, network("gru", head), answers(wrong), answers(20))
    text = opening(report(tmp_path))
    assert text.startswith("**ngrams-nb_svm** has the highest validation accuracy (92.50 %).")
    assert "The best network is **gru-attention** (validation accuracy 90.00 %)." in text
    assert (
        "the n-gram baseline **ngrams-nb_svm** (test accuracy 80.00 %), "
        "1 of 4 networks is better, 2 are worse and 1 is not significantly different."
    ) in text
    assert NO_BASELINE not in text


def test_networks_are_compared_with_the_best_baseline(tmp_path: Path) -> None:
    put_baseline(tmp_path, answers(20), answers(30), "logistic")
    put_baseline(tmp_path, answers(60), answers(20), "nb_svm")
    put_run(tmp_path, network("gru", "max"), answers(40), answers(40))
    text = opening(report(tmp_path))
    assert "n-gram baseline **ngrams-nb_svm**" in text
    assert "the network is better." in text
    put_run(tmp_path, network("gru", "avg"), answers(30), answers(40))
    assert "both networks are better." in opening(report(tmp_path))


def test_networks_are_compared_in_words_if_a_baseline_is_best(tmp_path: Path) -> None:
    put_baseline(tmp_path, answers(20), answers(5))
    put_run(tmp_path, network("gru", "max"), answers(30), answers(20))
    put_run(tmp_path, network("lstm", "max"), answers(33), answers(30))
    assert opening(report(tmp_path)).startswith("**ngrams-logistic** has the highest")
    assert re.search(
        r"The best network is \*\*gru-max\*\* \(.*?\)\. Its test accuracy is .*?\)\. "
        r"Compared with it on the same test reviews, lstm-max is not significantly different\.",
        opening(report(tmp_path)),
    )


def test_the_best_networks_of_the_cells_are_compared_if_there_are_many(tmp_path: Path) -> None:
    for number, head in enumerate(("max", "avg", "last", "attention")):
        put_run(tmp_path, network("gru", head), answers(20 + number), answers(10 + number))
        put_run(tmp_path, network("lstm", head), answers(22 - number), answers(20 + number))
    text = opening(report(tmp_path))
    assert "7 variants are not significantly different" in text
    assert (
        "Compared with the best GRU (gru-max), the best LSTM (lstm-max) is not significantly "
        "different (-1.00 points)."
    ) in text


def test_equal_variants_are_a_tie(tmp_path: Path) -> None:
    for cell in ("gru", "lstm", "rnn"):
        put_run(tmp_path, network(cell), answers(20), answers(20 + 5 * (cell == "rnn")))
    text = opening(report(tmp_path))
    assert "lstm-last has the same, but no lower validation loss." in text
    assert "rnn-last has the same" not in text


def test_the_only_variant_is_not_called_the_highest(tmp_path: Path) -> None:
    put_run(tmp_path, network("gru"), answers(20), answers(20))
    text = opening(report(tmp_path))
    assert text.startswith("**gru-last** is the only variant (validation accuracy 90.00 %). Its")
    assert "highest" not in text


def test_baselines_alone_are_said_to_have_no_network_beside_them(tmp_path: Path) -> None:
    for kind, wrong in (("logistic", 30), ("nb_svm", 20)):
        put_baseline(tmp_path, answers(wrong), answers(wrong), kind)
    text = opening(report(tmp_path))
    assert NO_NETWORK in text
    assert "0 networks" not in text
    put_run(tmp_path, network("gru"), answers(20), answers(20))
    assert NO_NETWORK not in opening(report(tmp_path))


def test_a_missing_baseline_is_mentioned(three: list[Block]) -> None:
    text = opening(three)
    assert NO_BASELINE in text
    assert "`lstm-sentiment baseline`" in NO_BASELINE
    assert "n-gram baseline **" not in text


def test_many_variants_are_counted_instead_of_named(tmp_path: Path) -> None:
    for k in range(6):
        optimizer = OptimizerConfig(lr=(k + 1) / 1000)
        put_run(tmp_path, network("gru", optimizer=optimizer), answers(20), answers(10 + k))
    assert "5 variants are not significantly different" in opening(report(tmp_path))
