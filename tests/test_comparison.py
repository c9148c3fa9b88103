"""Who is compared with whom, and that effects which were put there are found."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import LABELS, answers, put_run
from test_configurations import DATA, GRU, only_group, put_baseline

from lstm_sentiment.config import (
    Config,
    DataConfig,
    EncoderConfig,
    HeadConfig,
    OptimizerConfig,
    Reference,
)
from lstm_sentiment.report.comparison import Comparison, Published, accuracy, published
from lstm_sentiment.report.statistics import main_effects, mcnemar
from lstm_sentiment.training.record import PREDICTIONS

RNN = Config(encoder=EncoderConfig("rnn"))  # type: ignore[arg-type]


def comparison(root: Path) -> Comparison:
    """Of all the runs below `root`, which are on the same reviews."""
    return Comparison(only_group(root))


def network(cell: str, head: str = "last", **fields: Any) -> Config:
    encoder = {name: fields.pop(name) for name in ("num_layers", "bidirectional") if name in fields}
    return Config(EncoderConfig(cell, **encoder), HeadConfig(head), **fields)  # type: ignore[arg-type]


def named(configuration: Any) -> str | None:
    return configuration and configuration.name


def test_the_best_is_the_best_on_validation(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(10), answers(20))
    put_run(tmp_path, network("gru"), answers(20), answers(10))
    put_run(tmp_path, network("rnn"), answers(30), answers(30))
    put_baseline(tmp_path, answers(20), answers(25))
    put_baseline(tmp_path, answers(10), answers(26), kind="nb_svm")
    found = comparison(tmp_path)
    assert named(found.best) == named(found.best_network) == "gru-last"
    assert named(found.baseline) == "ngrams-logistic"
    assert [c.name for c in found.networks] == ["gru-last", "lstm-last", "rnn-last"]


def test_a_baseline_may_be_the_best(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(10), answers(20))
    put_baseline(tmp_path, answers(20), answers(10))
    found = comparison(tmp_path)
    assert found.best is found.baseline
    assert named(found.baseline) == "ngrams-logistic"
    assert named(found.best_network) == "lstm-last"


def test_without_validation_none_is_best(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(10), None)
    put_baseline(tmp_path, answers(20), None)
    found = comparison(tmp_path)
    assert found.best is found.best_network is None
    assert found.baseline
    assert found.against(found.baseline)["lstm-last"].difference == pytest.approx(0.05)
    assert len(found.tested) == 2


def test_alone_there_is_no_baseline_and_nobody_to_be_compared_with(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(10), answers(20))
    found = comparison(tmp_path)
    assert found.baseline is None
    assert found.best in found.tested
    assert found.against(found.best) == {}
    assert found.title == "imdb: 900 train, 200 val, 200 test"


def test_what_was_not_tested_is_ranked_all_the_same(tmp_path: Path) -> None:
    for cell, wrong in (("lstm", 20), ("gru", 10)):
        data = DATA | {"test": None}
        put_run(tmp_path, network(cell), None, answers(wrong), data=data)
    found = comparison(tmp_path)
    assert [c.name for c in found.configurations] == ["gru-last", "lstm-last"]
    assert found.tested == []
    assert found.intervals == {}
    assert found.against(found.best) == {}
    assert found.effects() == ([], [])
    assert found.remarks == []


def test_intervals_hold_the_accuracies_of_those_tested(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(20), answers(20))
    put_run(tmp_path, network("gru"), answers(40), answers(10))
    put_baseline(tmp_path, answers(60), answers(30))
    found = comparison(tmp_path)
    assert [c.name for c in found.tested] == ["gru-last", "lstm-last", "ngrams-logistic"]
    assert [accuracy(right) for right in found.right] == pytest.approx([0.8, 0.9, 0.7])
    for name, share in (("gru-last", 0.8), ("lstm-last", 0.9), ("ngrams-logistic", 0.7)):
        error = np.sqrt(share * (1 - share) / 200)
        expected = (share - 1.96 * error, share + 1.96 * error)
        assert found.intervals[name] == pytest.approx(expected, abs=error / 4)


def test_accuracy_is_the_mean_over_seeds() -> None:
    right = {0: np.array([True, True, False, False]), 3: np.array([True, True, True, True])}
    assert accuracy(right) == 0.75


@pytest.mark.parametrize("what", ["rows", "labels"])
def test_who_was_tested_on_other_reviews_is_left_out_and_named(tmp_path: Path, what: str) -> None:
    put_run(tmp_path, network("lstm"), answers(20), answers(10))
    put_run(tmp_path, network("gru"), answers(24), answers(12))
    rows = np.arange(200) + (what == "rows")
    labels = LABELS if what == "rows" else 1 - LABELS
    given = answers(30, labels)
    put_run(tmp_path, network("rnn"), given, given, labels=labels, rows=rows)
    put_run(tmp_path, network("rnn", seed=1), answers(30), answers(30))
    found = comparison(tmp_path)
    assert [c.name for c in found.tested] == ["lstm-last", "gru-last"]
    assert found.intervals.keys() == {"lstm-last", "gru-last"}
    assert found.against(found.best).keys() == {"gru-last"}
    assert found.against(found.configurations[2]) == {}
    assert found.remarks == [
        "rnn-last was tested on other reviews than the rest: "
        "it takes no part in intervals and tests."
    ]


def test_a_run_whose_answers_cannot_be_believed_takes_no_part(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(20), answers(10))
    broken = put_run(tmp_path, network("lstm", seed=1), answers(60), answers(10))
    put_run(tmp_path, network("gru"), answers(30), answers(20))
    gone = put_run(tmp_path, network("rnn"), answers(30), answers(30))
    (broken / PREDICTIONS).write_bytes(b"")
    (gone / PREDICTIONS).unlink()
    found = comparison(tmp_path)
    assert [c.name for c in found.tested] == ["gru-last"]  # a mean must be over all its seeds
    assert [accuracy(right) for right in found.right] == pytest.approx([0.85])
    assert {name: [*given] for name, given in found.answers.items()} == {
        "lstm-last": [],
        "gru-last": [0],
        "rnn-last": [],
    }
    first, second = found.remarks
    assert first.startswith(f"{broken.name}/{PREDICTIONS} cannot be read")
    assert first.endswith(": lstm-last takes no part in intervals and tests.")
    missing = f"{gone.name}/{PREDICTIONS} is missing"
    assert second == f"{missing}: rnn-last takes no part in intervals and tests."


def test_remarks_on_the_group_are_kept(tmp_path: Path) -> None:
    for place in ("a", "b"):
        put_run(tmp_path / place, network("lstm"), answers(20), answers(10))
    found = comparison(tmp_path)
    assert found.remarks == only_group(tmp_path).remarks
    assert len(found.remarks) == 1


def test_runs_on_another_machine_than_most_are_named(tmp_path: Path) -> None:
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
    assert comparison(tmp_path).remarks == [
        f"device cuda instead of cpu, so that times are not alike: {', '.join(gpu)}.",
        f"threads 8 instead of 2, so that times are not alike: "
        f"{', '.join(sorted(run.name for run in busy)[:3])} and 2 more.",
    ]


def test_baselines_may_run_wherever_they_do(tmp_path: Path) -> None:
    for kind in ("logistic", "nb_svm"):
        put_baseline(tmp_path, answers(20), answers(20), kind)
    on_gpu = {"device": "cuda", "threads": 16}
    put_run(tmp_path, network("lstm"), answers(20), answers(10), environment=on_gpu)
    assert comparison(tmp_path).remarks == []


def test_verdicts_on_one_seed(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(30), answers(10))
    put_run(tmp_path, network("gru"), answers(60), answers(12))
    put_run(tmp_path, network("rnn"), answers(31), answers(14))
    put_run(tmp_path, network("lstm", "max"), answers(5), answers(16))
    found = comparison(tmp_path)
    verdicts = found.against(found.best)
    assert {name: verdict.verdict for name, verdict in verdicts.items()} == {
        "gru-last": "worse",
        "rnn-last": "cannot be told apart",
        "lstm-max": "better",
    }
    differences = {name: round(v.difference, 9) for name, v in verdicts.items()}
    assert differences == {"gru-last": -0.15, "rnn-last": -0.005, "lstm-max": 0.125}
    for verdict in verdicts.values():
        assert verdict.interval.low <= verdict.difference <= verdict.interval.high
    # 30 reviews that only one got right, beside 25 and 1: Holm takes the first three times.
    assert verdicts["gru-last"].mcnemar == pytest.approx({0: 3 * 2 * 0.5**30})
    assert verdicts["lstm-max"].mcnemar == pytest.approx({0: 2 * 2 * 0.5**25})
    assert verdicts["rnn-last"].mcnemar == {0: 1}


def test_verdicts_are_beside_whoever_was_asked_for(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), answers(30), answers(10))
    put_run(tmp_path, network("gru"), answers(60), answers(12))
    put_baseline(tmp_path, answers(90), answers(14))
    found = comparison(tmp_path)
    verdicts = found.against(found.baseline)
    assert {name: (v.verdict, round(v.difference, 9)) for name, v in verdicts.items()} == {
        "lstm-last": ("better", 0.3),
        "gru-last": ("better", 0.15),
    }
    assert found.against(None) == {}
    somebody_else = comparison(tmp_path).best
    assert found.against(somebody_else) == {}


def put_seeds(root: Path, config: Config, wrong: Sequence[int], val: int) -> None:
    for seed, count in enumerate(wrong):
        put_run(root, replace(config, seed=seed), answers(count), answers(val))


def test_verdicts_on_several_seeds(tmp_path: Path) -> None:
    put_seeds(tmp_path, network("lstm"), (20, 22, 24), val=10)
    put_seeds(tmp_path, network("gru"), (62, 60), val=20)
    found = comparison(tmp_path)
    verdict = found.against(found.best)["gru-last"]
    assert verdict.verdict == "worse"
    assert verdict.difference == pytest.approx((22 - 61) / 200)
    assert verdict.interval.high < 0
    lstm, gru = found.right
    assert verdict.mcnemar == {seed: mcnemar(gru[seed], lstm[seed]) for seed in (0, 1)}


def test_seeds_that_disagree_forbid_what_one_of_them_would_claim(tmp_path: Path) -> None:
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


CELLS = {"rnn": 12, "lstm": -4, "gru": -8}  # more mistakes of 200: -6, 2 and 4 points
HEADS = {"last": 6, "max": -6}  # -3 and 3 points


def put_grid(root: Path, **more: Any) -> None:
    """Cells by heads, the best of them first."""
    for (cell, a), (head, b) in product(CELLS.items(), HEADS.items()):
        wrong = answers(50 + a + b)
        put_run(root, network(cell, head, **more), wrong, wrong)


def test_effects_that_were_put_there_are_found(tmp_path: Path) -> None:
    put_grid(tmp_path)
    main, pairs = comparison(tmp_path).effects()
    expected = {"rnn": -0.06, "lstm": 0.02, "gru": 0.04, "last": -0.03, "max": 0.03}
    found = {level: effect.size for effect in main for level in effect.choice.values()}
    assert found == pytest.approx(expected)
    assert [[*effect.choice] for effect in main] == [["cell"]] * 3 + [["head"]] * 2
    for effect in main:
        assert effect.interval.low < effect.size < effect.interval.high
        assert effect.certain
    (pair,) = pairs
    assert pair.choice.keys() == {"cell", "head"}
    assert pair.size == pytest.approx(0)


def test_effects_are_means_over_seeds(tmp_path: Path) -> None:
    put_grid(tmp_path)
    put_run(tmp_path, network("gru", "max", seed=1), answers(48), answers(36))  # beside 36
    main, _ = comparison(tmp_path).effects()
    found = {level: effect.size for effect in main for level in effect.choice.values()}
    # The cell's mean falls by 6 of 200, and with it gru by a third more than all by a sixth.
    assert found["gru"] == pytest.approx(0.04 - 0.03 / 2 + 0.03 / 6)
    assert found["max"] == pytest.approx(0.03 - 0.03 / 3 + 0.03 / 6)


def test_an_interaction_that_was_put_there_is_found(tmp_path: Path) -> None:
    for cell, head, seed in product(("rnn", "lstm"), ("last", "max"), (0, 1)):
        put_run(
            tmp_path,
            network(cell, head, seed=seed),
            answers(30 + 40 * (cell == "rnn" and head == "last")),
            answers(30),
        )
    (pair,) = comparison(tmp_path).effects()[1]
    assert abs(pair.size) == pytest.approx(0.05)  # 20 points in one of four
    lowered = dict(pair.choice) in (
        {"cell": "rnn", "head": "last"},
        {"cell": "lstm", "head": "max"},
    )
    assert (pair.size < 0) == lowered
    assert pair.certain


def test_effects_come_in_the_natural_order_of_levels(tmp_path: Path) -> None:
    grid = product(("rnn", "lstm", "gru"), (1, 2, 3), (False, True), ("last", "max"))
    for wrong, (cell, layers, both, head) in enumerate(grid):
        config = network(cell, head, num_layers=layers, bidirectional=both)
        put_run(tmp_path, config, answers(90 - wrong), answers(90 - wrong))  # the last is the best
    main, pairs = comparison(tmp_path).effects()
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
    main, _ = comparison(tmp_path).effects()
    assert {name: round(e.size, 9) for e in main for name in e.choice.items()} == {
        ("data.padding", "data.padding=exact"): 0.05,
        ("data.padding", "data.padding=keras"): -0.05,
        ("optimizer.lr", "optimizer.lr=0.002"): 0.025,
        ("optimizer.lr", "optimizer.lr=0.001"): -0.025,
    }


def test_baselines_and_the_untested_are_no_part_of_effects(tmp_path: Path) -> None:
    put_grid(tmp_path / "grid")
    expected = comparison(tmp_path / "grid").effects()[0]
    put_baseline(tmp_path / "grid", answers(0), answers(0))
    put_baseline(tmp_path / "grid", answers(0), answers(199), kind="nb_svm")
    gone = put_run(tmp_path / "grid", network("gru", "avg"), answers(0), answers(40))
    (gone / PREDICTIONS).unlink()
    found = comparison(tmp_path / "grid").effects()[0]
    assert [effect.choice for effect in found] == [effect.choice for effect in expected]
    assert [e.size for e in found] == pytest.approx([e.size for e in expected])


def test_fewer_than_four_networks_tell_no_effects(tmp_path: Path) -> None:
    for number, (cell, head) in enumerate(product(("rnn", "lstm"), ("last", "max"))):
        if number == 3:
            put_baseline(tmp_path, answers(20), answers(20))
            assert comparison(tmp_path).effects() == ([], [])
        put_run(tmp_path, network(cell, head), answers(20 + number), answers(20))
    assert len(comparison(tmp_path).effects()[0]) == 4


def test_where_one_thing_varies_there_are_no_effects(tmp_path: Path) -> None:
    for wrong, head in enumerate(("last", "flatten", "max", "avg", "attention")):
        put_run(tmp_path, network("lstm", head), answers(20 + wrong), answers(20))
    assert comparison(tmp_path).effects() == ([], [])


def test_what_varies_only_together_has_no_effects(tmp_path: Path) -> None:
    for (cell, lr), head in product((("rnn", 1e-3), ("lstm", 2e-3)), ("last", "max")):
        config = network(cell, head, optimizer=OptimizerConfig(lr=lr))
        put_run(tmp_path, config, answers(20 + (cell == "rnn")), answers(20))
    assert comparison(tmp_path).effects() == ([], [])


def beside(root: Path) -> list[Published]:
    return published(only_group(root).configurations)


def referring(config: Config, run: str, accuracy: float | None = 0.8, **more: Any) -> Config:
    return replace(config, reference=[Reference(run, accuracy, **more)])


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("encoder=lstm", ["lstm-last", "lstm-max data.padding=keras"]),
        ("encoder=bigru", ["bigru-last"]),
        ("head=last", ["lstm-last", "bigru-last"]),
        ("encoder=lstm head=last", ["lstm-last"]),
        ("data.padding=keras", ["lstm-max data.padding=keras"]),
        ("head=max data.padding=keras", ["lstm-max data.padding=keras"]),
        ("head=max data.padding=exact", [None]),
        ("encoder=gru", [None]),
        ("encoder.num_layers=1 encoder=lstm head=max", ["lstm-max data.padding=keras"]),
        ("embedding=glove", [None]),
        ("encoder=ls", [None]),
    ],
)
def test_a_reference_is_of_the_configurations_with_its_choices(
    tmp_path: Path, run: str, expected: list[str | None]
) -> None:
    bigru = network("gru", bidirectional=True)
    keras = DataConfig(padding="keras")  # type: ignore[arg-type]
    put_run(tmp_path, referring(Config(), run), answers(20), answers(10))
    put_run(tmp_path, network("lstm", "max", data=keras), answers(30), answers(20))
    put_run(tmp_path, bigru, answers(40), answers(30))
    put_baseline(tmp_path, answers(50), answers(40))
    found = beside(tmp_path)
    assert [row.name for row in found] == expected
    ours = {"lstm-last": 0.9, "lstm-max": 0.85, "bigru-last": 0.8}
    for row in found:
        assert row.ours == (row.name and pytest.approx(ours[row.name.split()[0]]))
        assert (row.run, row.theirs, row.score) == (run, 0.8, "accuracy")


def test_what_was_typed_counts(tmp_path: Path) -> None:
    typed = {"encoder": "mine", "head": "last", "embedding": "random", "data": "imdb"}
    config = referring(Config(), "encoder=mine data=imdb")
    put_run(tmp_path, config, answers(20), answers(10), choices=typed)
    assert [row.name for row in beside(tmp_path)] == ["lstm-last"]


def test_loss_and_accuracy_are_two_rows(tmp_path: Path) -> None:
    config = referring(Config(), "encoder=lstm", 0.8715, loss=0.3507, source="a paper")
    for seed, wrong in ((0, 20), (1, 30)):
        put_run(tmp_path, replace(config, seed=seed), answers(wrong), answers(10))
    put_run(tmp_path, referring(GRU, "encoder=gru", None, loss=0.3), answers(40), answers(20))
    loss = {wrong: np.log(1 / 0.9) + wrong / 200 * np.log(0.9 / 0.1) for wrong in (20, 25, 40)}
    rows = [(r.run, r.source, r.score, r.theirs, r.name, r.ours) for r in beside(tmp_path)]
    lstm = ("encoder=lstm", "a paper")
    assert rows == [
        (*lstm, "accuracy", 0.8715, "lstm-last", pytest.approx(0.875)),
        (*lstm, "loss", 0.3507, "lstm-last", pytest.approx(loss[25])),
        ("encoder=gru", "", "loss", 0.3, "gru-last", pytest.approx(loss[40])),
    ]


def test_a_reference_in_several_records_counts_once(tmp_path: Path) -> None:
    for cell in ("lstm", "gru"):
        for seed in range(2):
            config = referring(network(cell, seed=seed), "encoder=gru", source="a paper")
            put_run(tmp_path, config, answers(20), answers(10))
    put_run(tmp_path, referring(RNN, "encoder=gru", source="another"), answers(20), answers(30))
    assert [(row.source, row.name) for row in beside(tmp_path)] == [
        ("a paper", "gru-last"),
        ("another", "gru-last"),
    ]


def test_nothing_answers_to_a_reference_that_was_not_tested(tmp_path: Path) -> None:
    put_run(tmp_path, referring(Config(), "encoder=lstm"), None, answers(10), data=DATA)
    assert beside(tmp_path) == [Published("encoder=lstm", "", "accuracy", 0.8, None, None)]


def test_without_references_there_is_nothing_to_stand_beside(tmp_path: Path) -> None:
    put_run(tmp_path, Config(), answers(20), answers(10))
    put_baseline(tmp_path, answers(20), answers(20))  # whose record has no such field
    assert beside(tmp_path) == []


def test_a_pair_is_judged_once(tmp_path: Path) -> None:
    """A network and a baseline: in two families of tests their verdicts might differ."""
    for head, wrong in (("last", 20), ("max", 30), ("avg", 40)):
        put_run(tmp_path, network("gru", head), answers(wrong), answers(wrong))
    put_baseline(tmp_path, answers(35), answers(35))
    found = comparison(tmp_path)
    assert found.best_network
    assert found.baseline
    assert found.against(found.best_network).keys() == {"gru-max", "gru-avg"}
    assert found.against(found.baseline).keys() == {"gru-last", "gru-max", "gru-avg"}


def test_one_seed_makes_no_effect_certain_that_seeds_could_make(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    for cell, head in product(("rnn", "lstm", "gru"), ("last", "max", "avg", "flatten")):
        wrong = 40 + int(draw.normal(0, 12))  # of 200, by luck alone
        put_run(tmp_path, network(cell, head), answers(wrong), answers(wrong))
    found = comparison(tmp_path)
    assert found.has_single_seeds
    main, pairs = found.effects()
    assert not [effect for effect in (*main, *pairs) if effect.certain]
    # By their reviews alone, some would be: a draw of reviews that all networks share moves little.
    naive = main_effects(
        [{"cell": c.network, "head": c.name.split("-")[1]} for c in found.tested],
        np.array([accuracy(right) for right in found.right]),
        found.drawn,
    )
    assert [effect for effect in naive if effect.certain]


def test_where_single_seeds_leave_nothing_to_tell_their_part_from_no_effect_is_told(
    tmp_path: Path,
) -> None:
    for cell, head in (("rnn", "last"), ("lstm", "last"), ("rnn", "max"), ("gru", "last")):
        put_run(tmp_path, network(cell, head), answers(20), answers(20))
    assert comparison(tmp_path).effects() == ([], [])
