"""The section on the differences that runs can show."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from lstm_sentiment.report.effect_section import SINGLE_SEEDS_NOTE
from lstm_sentiment.report.page import Paragraph, Table
from lstm_sentiment.report.power_section import (
    COLUMNS,
    NOTES,
    POWER,
    SINGLE,
    TITLE,
    PowerTable,
    power_table,
)
from tests.support.records import answers, network, put_baseline, put_run
from tests.support.reports import below, comparison, headings, report

REVIEWS = np.arange(2_000) % 2  # labels


def put_network(root: Path, cell: str, mistakes: list[int], head: str = "max") -> None:
    """Write a seed for each number of mistakes; most mistakes are those of all networks."""
    for seed, wrong in enumerate(mistakes):
        test = answers(wrong, REVIEWS)
        put_run(root, network(cell, head, seed=seed), test, test, REVIEWS)


def tabulated(root: Path, *points: float) -> PowerTable:
    return power_table(comparison(root), [each / 100 for each in points], POWER)


def test_the_section_is_after_the_verdicts(tmp_path: Path) -> None:
    put_network(tmp_path, "lstm", [200, 210, 230])
    put_network(tmp_path, "gru", [220, 230, 225])
    put_baseline(tmp_path, answers(300, REVIEWS), answers(300, REVIEWS), labels=REVIEWS)
    blocks = report(tmp_path)
    titles = headings(blocks)
    verdicts = "Comparison with ngrams-logistic, the best n-gram baseline"
    assert titles.index(TITLE) == titles.index(verdicts) + 1
    assert titles[titles.index(TITLE) - 1].startswith("Comparison with ngrams")
    table, text = below(blocks, TITLE)
    assert isinstance(table, Table)
    assert isinstance(text, Paragraph)
    assert table.columns == COLUMNS
    assert [row[0] for row in table.rows] == ["0.5", "1"]
    assert "each with 3 seeds, on 2,000 test reviews" in text.text
    assert "4 degrees of freedom" in text.text


@pytest.mark.parametrize("count", [0, 1])
def test_there_is_no_section_without_two_networks(tmp_path: Path, count: int) -> None:
    put_baseline(tmp_path, answers(40), answers(15))
    for cell in ("lstm", "gru")[:count]:
        put_run(tmp_path, network(cell), answers(20), answers(10))
    assert TITLE not in headings(report(tmp_path))


def test_a_large_difference_is_found_and_a_small_one_needs_more(tmp_path: Path) -> None:
    put_network(tmp_path, "lstm", [200, 210, 230])
    put_network(tmp_path, "gru", [220, 230, 225])
    (small, large), _ = tabulated(tmp_path, 0.5, 20)
    assert float(small[1].split()[0]) < 50
    assert large[1] == ">99.9 %"
    assert int(large[2]) == 2
    assert int(large[3].replace(",", "")) < 2_000
    assert 0.5 < float(small[4]) == float(large[4]) < 20


def test_single_seeds_are_compared_on_other_reviews_only(tmp_path: Path) -> None:
    put_network(tmp_path, "lstm", [200])
    put_network(tmp_path, "gru", [220])
    ((_, _, seeds, reviews, _),), notes = tabulated(tmp_path, 0.5)
    assert seeds == "unknown"
    assert int(reviews.replace(",", "")) > 2_000
    assert NOTES["unknown"] in notes
    assert not any("between seeds is" in note and "points" in note for note in notes)


def test_with_single_seeds_a_grid_shows_the_variance_between_seeds(tmp_path: Path) -> None:
    """By hand: the additive model leaves 20 mistakes each, with 4 degrees of freedom.

    They are a standard deviation of 1.41 points, of which 0.23 are by reviews: half the variance of
    a difference of 40 mistakes.
    """
    for choice in product((0, 1), repeat=3):
        cell, head, layers = choice
        test = answers(200 + 40 * (sum(choice) % 2), REVIEWS)
        config = network(("lstm", "gru")[cell], ("max", "avg")[head], num_layers=layers + 1)
        put_run(tmp_path, config, test, test, REVIEWS)
    ((_, now, seeds, reviews, smallest),), notes = tabulated(tmp_path, 3)
    assert (now, reviews, smallest) == ("no test", "no number", "no test")
    assert 3 <= int(seeds) <= 8
    assert (
        "Without the part that comes from the finite number of test reviews, the standard "
        "deviation of accuracies between seeds is 1.40 points." in notes
    )
    assert SINGLE_SEEDS_NOTE in notes
    assert NOTES["no test"] in notes


def test_unequal_variances_have_a_row_each(tmp_path: Path) -> None:
    for cell, head in product(("lstm", "gru", "rnn"), ("max", "avg")):
        spread = {"lstm": 6, "gru": 4, "rnn": 150}[cell]
        put_network(tmp_path, cell, [400 - spread, 400 + spread], head)
    (small, large), notes = tabulated(tmp_path, 1)
    assert small[0] == "1 with gru"
    assert large[0] == "1 with rnn"
    assert float(small[4]) < 5
    assert large[2:] == ["no number"] * 3
    assert any(" with rnn." in note for note in notes)


def test_a_single_network_is_compared_with_one_like_it(tmp_path: Path) -> None:
    put_network(tmp_path, "lstm", [200, 210, 230])
    _, notes = tabulated(tmp_path, 1)
    assert SINGLE in notes


def test_baselines_do_not_count(tmp_path: Path) -> None:
    put_network(tmp_path, "lstm", [200, 210, 230])
    put_network(tmp_path, "gru", [220, 230, 225])
    before = tabulated(tmp_path, 1)
    far = answers(900, REVIEWS)
    put_baseline(tmp_path, far, far, labels=REVIEWS)
    assert tabulated(tmp_path, 1) == before


def test_more_reviews_are_more_groups(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    films = np.repeat(np.arange(100), 20)
    for cell in ("lstm", "gru"):
        for seed in range(3):
            hard = np.repeat(random.random(100), 20) < 0.1
            test = np.where(hard, 1 - answers(0, REVIEWS), answers(0, REVIEWS))
            for name, group in (("alone", None), ("films", films)):
                config = network(cell, seed=seed)
                put_run(tmp_path / name, config, test, test, REVIEWS, group=group)
    alone, in_films = (tabulated(tmp_path / name, 5) for name in ("alone", "films"))
    assert float(alone.rows[0][4]) < float(in_films.rows[0][4])
    assert not any("groups" in note for note in alone.notes)
    assert any("groups" in note for note in in_films.notes)
