"""The effects of choices, estimated from runs with known effects."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_sentiment.config import DataConfig, OptimizerConfig
from lstm_sentiment.report.effects import NO_EFFECTS
from lstm_sentiment.runs.folder import PREDICTIONS
from tests.support.records import answers, network, put_baseline, put_run
from tests.support.reports import comparison

CELLS = {"rnn": 12, "lstm": -4, "gru": -8}  # more mistakes of 200: -6, 2 and 4 points
HEADS = {"last": 6, "max": -6}  # -3 and 3 points


def put_grid(root: Path, **more: Any) -> None:
    """Write a run for each cell and head, with the mistakes of both."""
    for (cell, a), (head, b) in product(CELLS.items(), HEADS.items()):
        wrong = answers(50 + a + b)
        put_run(root, network(cell, head, **more), wrong, wrong)


def test_known_effects_are_estimated(tmp_path: Path) -> None:
    put_grid(tmp_path)
    found = comparison(tmp_path).effects
    main, pairs = found.main, found.interactions
    expected = {"rnn": -0.06, "lstm": 0.02, "gru": 0.04, "last": -0.03, "max": 0.03}
    sizes = {level: effect.size for effect in main for level in effect.choice.values()}
    assert sizes == pytest.approx(expected)
    assert [[*effect.choice] for effect in main] == [["cell"]] * 3 + [["head"]] * 2
    for effect in main:
        assert effect.interval.low < effect.size < effect.interval.high
        assert effect.significant
    assert pairs == []  # a model with all interactions leaves no residuals


def test_effects_are_means_over_seeds(tmp_path: Path) -> None:
    put_grid(tmp_path)
    put_run(tmp_path, network("gru", "max", seed=1), answers(48), answers(36))  # seed 0 has 36
    main = comparison(tmp_path).effects.main
    sizes = {level: effect.equally_weighted for effect in main for level in effect.choice.values()}
    # The variant's mean falls by 6 / 200, that of gru by a half of it, and that of all by a sixth.
    assert sizes["gru"] == pytest.approx(0.04 - 0.03 / 2 + 0.03 / 6)
    assert sizes["max"] == pytest.approx(0.03 - 0.03 / 3 + 0.03 / 6)


def test_a_known_interaction_is_estimated(tmp_path: Path) -> None:
    for cell, head, seed in product(("rnn", "lstm"), ("last", "max"), (0, 1)):
        put_run(
            tmp_path,
            network(cell, head, seed=seed),
            answers(30 + 40 * (cell == "rnn" and head == "last")),
            answers(30),
        )
    (pair,) = comparison(tmp_path).effects.interactions
    assert abs(pair.size) == pytest.approx(0.05)  # 20 points in one of four
    lowered = dict(pair.choice) in (
        {"cell": "rnn", "head": "last"},
        {"cell": "lstm", "head": "max"},
    )
    assert (pair.size < 0) == lowered
    assert pair.significant


def test_effects_come_in_the_natural_order_of_levels(tmp_path: Path) -> None:
    grid = product(("rnn", "lstm", "gru"), (1, 2, 3), (False, True), ("last", "max"))
    for wrong, (cell, layers, both, head) in enumerate(grid):
        config = network(cell, head, num_layers=layers, bidirectional=both)
        put_run(tmp_path, config, answers(90 - wrong), answers(90 - wrong))  # the last is the best
    found = comparison(tmp_path).effects
    main, pairs = found.main, found.interactions
    assert [dict(effect.choice) for effect in main] == [
        {"cell": "rnn"},
        {"cell": "lstm"},
        {"cell": "gru"},
        {"depth": "one layer"},
        {"depth": "two layers"},
        {"depth": "three layers"},
        {"direction": "one direction"},
        {"direction": "two directions"},
        {"head": "last"},
        {"head": "max"},
    ]
    sizes = {name: effect.size for effect in main for name in effect.choice.values()}
    # Twelve of 36 between cells, four between depths, two between directions, one between heads.
    assert sizes["rnn"] == pytest.approx(-12 / 200)
    assert sizes["gru"] == pytest.approx(12 / 200)
    assert sizes["one layer"] == pytest.approx(-4 / 200)
    assert sizes["two directions"] == pytest.approx(1 / 200)
    assert sizes["last"] == pytest.approx(-0.5 / 200)
    assert len(pairs) == 6


def test_any_setting_that_varies_has_an_effect_under_its_name(tmp_path: Path) -> None:
    for padding, lr in product(("exact", "keras"), (1e-3, 2e-3)):
        config = network("lstm", data=DataConfig(padding=padding), optimizer=OptimizerConfig(lr=lr))
        wrong = answers(20 + 20 * (padding == "keras") + 10 * (lr == 1e-3))
        put_run(tmp_path, config, wrong, wrong)
    main = comparison(tmp_path).effects.main
    assert {name: round(e.size, 9) for e in main for name in e.choice.items()} == {
        ("data.padding", "data.padding=exact"): 0.05,
        ("data.padding", "data.padding=keras"): -0.05,
        ("optimizer.lr", "optimizer.lr=0.002"): 0.025,
        ("optimizer.lr", "optimizer.lr=0.001"): -0.025,
    }


def test_effects_exclude_baselines_and_untested_variants(tmp_path: Path) -> None:
    put_grid(tmp_path / "grid")
    expected = comparison(tmp_path / "grid").effects.main
    put_baseline(tmp_path / "grid", answers(0), answers(0))
    put_baseline(tmp_path / "grid", answers(0), answers(199), kind="nb_svm")
    gone = put_run(tmp_path / "grid", network("gru", "avg"), answers(0), answers(40))
    (gone / PREDICTIONS).unlink()
    main = comparison(tmp_path / "grid").effects.main
    assert [effect.choice for effect in main] == [effect.choice for effect in expected]
    assert [e.size for e in main] == pytest.approx([e.size for e in expected])


def test_fewer_than_four_networks_have_no_effects(tmp_path: Path) -> None:
    for number, (cell, head) in enumerate(product(("rnn", "lstm"), ("last", "max"))):
        if number == 3:
            put_baseline(tmp_path, answers(20), answers(20))
            assert comparison(tmp_path).effects == NO_EFFECTS
        put_run(tmp_path, network(cell, head), answers(20 + number), answers(20))
    assert len(comparison(tmp_path).effects.main) == 4


def test_a_single_factor_has_no_effects(tmp_path: Path) -> None:
    for wrong, head in enumerate(("last", "flatten", "max", "avg", "attention")):
        put_run(tmp_path, network("lstm", head), answers(20 + wrong), answers(20))
    assert comparison(tmp_path).effects == NO_EFFECTS


def test_factors_that_vary_only_together_have_no_effects(tmp_path: Path) -> None:
    for (cell, lr), head in product((("rnn", 1e-3), ("lstm", 2e-3)), ("last", "max")):
        config = network(cell, head, optimizer=OptimizerConfig(lr=lr))
        put_run(tmp_path, config, answers(20 + (cell == "rnn")), answers(20))
    assert comparison(tmp_path).effects == NO_EFFECTS


def test_effects_within_the_variance_of_seeds_are_not_significant(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    for cell, head in product(("rnn", "lstm", "gru"), ("last", "max", "avg", "flatten")):
        wrong = 40 + int(draw.normal(0, 12))  # of 200, by chance alone
        put_run(tmp_path, network(cell, head), answers(wrong), answers(wrong))
    compared = comparison(tmp_path)
    assert compared.has_single_seeds
    found = compared.effects
    assert not [e for e in (*found.main, *found.interactions) if e.significant]
    # The variance between reviews alone would make some significant.
    error = compared.accuracies.accuracy(0).error
    assert any(abs(effect.size) > 2 * error / np.sqrt(3) for effect in found.main)


def test_single_seeds_without_residuals_have_no_effects(tmp_path: Path) -> None:
    for cell, head in (("rnn", "last"), ("lstm", "last"), ("rnn", "max"), ("gru", "last")):
        put_run(tmp_path, network(cell, head), answers(20), answers(20))
    assert comparison(tmp_path).effects == NO_EFFECTS
