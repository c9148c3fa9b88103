"""The section on what each choice adds: sentences with intervals, and a plot."""

import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from lstm_sentiment.config import OptimizerConfig
from lstm_sentiment.report.effect_section import (
    NOTE,
    SINGLE_SEEDS_NOTE,
    TITLE,
    WITHIN,
    WITHIN_NOTE,
    effect_section,
)
from lstm_sentiment.report.page import Block, Listing, Paragraph, Plot, Table
from tests.support.records import answers, network, put_run
from tests.support.reports import below, comparison, headings, report

SENTENCE = re.compile(
    r"With (.+), accuracy is (\d+\.\d\d) points (higher|lower) than the (average|sum) .+ "
    r"\(([+-]\d+\.\d\d) to ([+-]\d+\.\d\d)\)(; this is not significant)?\."
)


def put_grid(root: Path) -> None:
    """Write a grid with accuracies of 80, 80 and 76 % (lstm) and 90, 90 and 82 % (gru).

    avg is wrong on other reviews than max.
    """
    for (cell, wrong, extra), seed in product((("lstm", 40, 8), ("gru", 20, 16)), (0, 1)):
        put_run(root, network(cell, "max", seed=seed), answers(wrong), answers(wrong))
        other = np.roll(answers(wrong), 100)
        put_run(root, network(cell, "avg", seed=seed), other, answers(wrong))
        worse = answers(wrong + extra)
        put_run(root, network(cell, "attention", seed=seed), worse, answers(wrong))


def test_every_effect_has_an_interval_and_says_if_it_is_not_significant(tmp_path: Path) -> None:
    put_grid(tmp_path)
    main, note, plot, _, pairs = below(report(tmp_path), TITLE)
    assert note == Paragraph(NOTE)
    assert isinstance(main, Listing)
    assert isinstance(pairs, Listing)
    assert isinstance(plot, Plot)
    sizes, doubtful = {}, {}
    for sentence in (*main.items, *pairs.items):
        match = SENTENCE.fullmatch(sentence)
        assert match, sentence
        levels, size, sign, reference, low, high, doubt = match.groups()
        sizes[levels, reference] = float(size) if sign == "higher" else -float(size)
        doubtful[levels] = doubt is not None
        assert float(low) < sizes[levels, reference] < float(high)
        assert doubtful[levels] == (float(low) <= 0 <= float(high))
    assert sizes == {  # relative to 83
        ("lstm", "average"): -4.33,
        ("gru", "average"): 4.33,
        ("max", "average"): 2,
        ("avg", "average"): 2,
        ("attention", "average"): -4,
        ("lstm and attention", "sum"): 1.33,  # 76 relative to 83 - 4.33 - 4
    }
    assert not doubtful["lstm"]
    assert doubtful["avg"]
    points = plot.figure.axes[0].containers[0].lines[0].get_xdata()
    assert sorted(points) == pytest.approx([-4.333, -4, 2, 2, 4.333], abs=0.001)


def test_the_variances_of_several_seeds_are_called_those_between_seeds(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for cell, head, seed in product(("rnn", "gru"), ("last", "max", "avg"), range(4)):
        wrong = answers(60 + round((15 if cell == "rnn" else 1) * random.standard_normal()))
        put_run(tmp_path, network(cell, head, seed=seed), wrong, wrong)
    _, note, *_ = effect_section(comparison(tmp_path), "")
    assert isinstance(note, Paragraph)
    assert "standard deviation of an accuracy between seeds is" in note.text


def test_the_average_of_a_setting_is_that_over_its_values(tmp_path: Path) -> None:
    for cell, lr in product(("lstm", "gru"), (1e-3, 2e-3)):
        for seed in range(2):
            optimizer = OptimizerConfig(lr=lr)
            wrong = answers(20 + seed)
            put_run(tmp_path, network(cell, seed=seed, optimizer=optimizer), wrong, wrong)
    listing = next(b for b in effect_section(comparison(tmp_path), "") if isinstance(b, Listing))
    averages = [re.search(r"average over all (.+?) \(", item) for item in listing.items]
    names = [match[1].replace("\\", "") for match in averages if match]
    assert names == ["cells", "cells", "values of optimizer.lr", "values of optimizer.lr"]


def test_few_variants_have_no_effects(three: list[Block]) -> None:
    assert TITLE not in headings(three)


def test_an_effect_whose_interval_has_zero_is_not_significant(tmp_path: Path) -> None:
    # The heads differ on two reviews of one network: one draw in seven contains neither of them.
    for cell, head, wrong in (("lstm", "max", 40), ("lstm", "avg", 40), ("gru", "max", 20)):
        put_run(tmp_path, network(cell, head), answers(wrong), answers(wrong))
        put_run(tmp_path, network(cell, "attention"), answers(wrong), answers(wrong))
    put_run(tmp_path, network("gru", "avg"), answers(22), answers(20))
    listing, note, *_ = below(report(tmp_path), TITLE)
    assert isinstance(listing, Listing)
    assert [item.endswith("not significant.") for item in listing.items[2:]] == [True] * 3
    assert note == Paragraph(f"{NOTE} {SINGLE_SEEDS_NOTE}")


def test_effects_within_cells_are_shown_if_variances_differ(tmp_path: Path) -> None:
    """The accuracies of RNNs vary by many points, and avg helps them alone."""
    grid = product(("rnn", "lstm", "gru"), (1, 2, 3), (False, True), ("last", "max", "avg"))
    random = np.random.default_rng(1)
    for cell, layers, both, head in grid:
        spread = 6 if cell == "rnn" else 1
        wrong = 60 + round(spread * random.standard_normal())
        wrong -= 40 * (cell == "rnn" and head == "avg")
        config = network(cell, head, num_layers=layers, bidirectional=both)
        put_run(tmp_path, config, answers(wrong), answers(wrong))
    blocks = report(tmp_path)
    spread_note, listing, *_ = below(blocks, TITLE)
    assert isinstance(spread_note, Paragraph)
    assert re.search(r"\d points with rnn, 0\.\d\d points with lstm and", spread_note.text)
    assert isinstance(listing, Listing)
    (avg,) = (item for item in listing.items if item.startswith("With avg"))
    assert re.search(r"If all networks counted equally, it would be \+\d\.\d\d points\.", avg)
    assert "average over all heads" in avg
    assert "accuracy from what its choices let expect is" in spread_note.text
    table, note, unlike = below(blocks, f"{WITHIN} rnn, lstm and gru")
    assert isinstance(table, Table)
    assert note == Paragraph(WITHIN_NOTE)
    assert table.columns == ["", "rnn", "lstm", "gru"]
    rows = {row[0]: row[1:] for row in table.rows}
    assert [*rows] == [
        *("one layer", "two layers", "three layers"),
        *("one direction", "two directions", "last", "max", "avg"),
    ]
    assert rows["avg"][0].startswith("**+1")
    assert not any(cell.startswith("**") for cell in rows["avg"][1:])
    assert isinstance(unlike, Listing)
    assert any(" of avg within rnn (+1" in item for item in unlike.items)
