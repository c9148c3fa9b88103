"""The ranking: its rows, its order, and the failed runs below it, in a terminal and as Markdown."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from lstm_sentiment.commands.terminal import ranking_table
from lstm_sentiment.config import (
    AugmentConfig,
    Config,
    DataConfig,
    EmbeddingConfig,
    OptimizerConfig,
    TrainerConfig,
)
from lstm_sentiment.report.folds import joined_folds
from lstm_sentiment.report.formatting import mean_percent, spread
from lstm_sentiment.report.ranking import NOTE, OVER_SEEDS, markdown, not_compared, ranking
from lstm_sentiment.runs.reader import RunSummary, State, read_runs
from tests.support.records import COST, DATA, LABELS, answers, network, put, put_run

FEW_POSITIVE = (np.arange(200) < 50).astype(int)
OTHER = {"source": "synthetic", "fingerprint": "2", "train": 80, "val": 20, "test": None}


def printed(root: Path, width: int = 80) -> list[str]:
    """Return the lines of the ranking in a terminal of this width."""
    return lines_of(read_runs(root), width)


def lines_of(runs: Sequence[RunSummary], width: int) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, soft_wrap=True, highlight=False)
    console.print(ranking_table(*ranking(runs)))
    return stream.getvalue().splitlines()


def rows(root: Path) -> list[list[str]]:
    """Return the rows of the ranking in Markdown, without the titles of columns."""
    lines = [line for line in markdown(read_runs(root)).splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] and not row[0].startswith("-")]


def names(root: Path) -> list[str]:
    return [row[0] for row in rows(root)]


def test_the_ranking_is_by_validation_accuracy(tmp_path: Path) -> None:
    for cell, val, test in (("rnn", 40, 2), ("lstm", 20, 60), ("gru", 30, 30)):
        put_run(tmp_path, network(cell), answers(test), answers(val))
    assert names(tmp_path) == ["lstm-last", "gru-last", "rnn-last"]
    assert [row[3:5] for row in rows(tmp_path)] == [
        ["90.00", "70.00"],
        ["85.00", "85.00"],
        ["80.00", "99.00"],
    ]
    shown = [line.split()[0] for line in printed(tmp_path) if "-last" in line]
    assert shown == ["lstm-last", "gru-last", "rnn-last"]


def test_variants_without_validation_come_last(tmp_path: Path) -> None:
    put_run(tmp_path, network("gru"), answers(0), None, data=DATA)
    put_run(tmp_path, network("lstm"), None, answers(150), data=DATA)
    assert names(tmp_path) == ["lstm-last", "gru-last"]
    assert [row[3:7] for row in rows(tmp_path)] == [
        ["25.00", "–", "–", "–"],
        ["–", "100.00", "100.00", "100.00"],
    ]


def test_the_ranking_is_by_the_mean_over_seeds(tmp_path: Path) -> None:
    for seed, wrong in enumerate((2, 42)):
        put_run(tmp_path, network("lstm", seed=seed), None, answers(wrong))
    put_run(tmp_path, network("gru"), None, answers(20))
    assert names(tmp_path) == ["gru-last", "lstm-last"]


def test_runs_that_differ_only_in_their_seed_are_a_row_of_means(tmp_path: Path) -> None:
    cost = ({"fit_seconds": 1000.04}, {"fit_seconds": 1100.04}, {"fit_seconds": 1500.04})
    for seed, (val, test) in enumerate(((20, 30), (24, 31), (28, 33))):
        run = network(seed=seed)
        put_run(tmp_path, run, answers(test), answers(val), cost=COST | cost[seed])
    # val 90, 88, 86: the squared deviations from 88 are 4, 0, 4; the variance is 8 / 2.
    # test 85, 84.5, 83.5: from 84 1/3 they are 4/9, 1/36, 25/36; the variance is 7/6 / 2.
    (row,) = rows(tmp_path)
    assert row[:5] == ["lstm-last", "3", "1,412,225", "88.00 ± 2.00", "84.33 ± 0.76"]
    assert row[7] == "1,200.0"
    assert OVER_SEEDS in "\n".join(printed(tmp_path))


def test_a_single_seed_has_no_deviation_and_no_note_on_it(tmp_path: Path) -> None:
    put_run(tmp_path, network(), answers(30), answers(20))
    for text in ("\n".join(printed(tmp_path)), markdown(read_runs(tmp_path))):
        assert "±" not in text
        assert NOTE in text


def test_a_seed_without_test_scores_counts_in_validation(tmp_path: Path) -> None:
    put_run(tmp_path, network(seed=0), answers(30), answers(20), data=DATA)
    put_run(tmp_path, network(seed=1), None, answers(22), data=DATA)
    (row,) = rows(tmp_path)
    assert row[1:5] == ["2", "1,412,225", "89.50 ± 0.71", "85.00"]


def test_every_score_is_in_its_column(tmp_path: Path) -> None:
    # Of 50 positives, 10 are predicted negative: precision 1, recall 0.8, F1 2 * 0.8 / 1.8. The 10
    # have the probability of the negatives, the others a higher one: AUROC 0.8 + 0.2 / 2.
    test, val = answers(10, FEW_POSITIVE), answers(20, FEW_POSITIVE)
    put_run(tmp_path, network(), test, val, FEW_POSITIVE)
    title, empty, *lines = markdown(read_runs(tmp_path)).splitlines()
    assert (title, empty) == ("imdb: 900 train, 200 val, 200 test", "")
    assert lines[:3] == [
        "|  | seeds | params | val % | test % | balanced % | F1 % | AUROC % | fit s |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: |",
        "| lstm-last | 1 | 1,412,225 | 90.00 | 95.00 | 90.00 | 88.89 | 90.00 | 61.3 |",
    ]
    (title, *_), (shown,) = (
        [line.split() for line in printed(tmp_path) if word in line] for word in ("fit s", "61.3")
    )
    assert " ".join(title) == "seeds params val % test % balanced % F1 % AUROC % fit s"
    assert shown == "lstm-last 1 1,412,225 90.00 95.00 90.00 88.89 90.00 61.3".split()


def test_the_deviation_is_that_of_a_sample() -> None:
    assert spread(np.array([0.5, 0.7])) == "60.00 ± 14.14"  # 0.1 from the mean, times √2
    assert spread(np.array([0.5, 0.5])) == "50.00 ± 0.00"
    assert spread(np.array([0.5])) == mean_percent(np.array([0.5])) == "50.00"
    assert mean_percent(np.array([0.5, 0.75])) == "62.50"
    assert spread(np.array([])) == mean_percent(np.array([])) == "–"


def test_a_name_ends_with_a_setting_that_differs(tmp_path: Path) -> None:
    for lr, wrong in ((0.002, 40), (0.1, 20)):
        put_run(
            tmp_path, network("gru", "max", optimizer=OptimizerConfig(lr=lr)), None, answers(wrong)
        )
    assert names(tmp_path) == ["gru-max optimizer.lr=0.1", "gru-max optimizer.lr=0.002"]
    assert any("gru-max optimizer.lr=0.1" in line for line in printed(tmp_path, 120))


def test_a_name_omits_common_settings_and_those_of_the_network(tmp_path: Path) -> None:
    for cell, head in (("gru", "max"), ("gru", "avg"), ("rnn", "max")):
        put_run(tmp_path, network(cell, head, optimizer=OptimizerConfig(lr=0.1)), None, answers(20))
    deep = network(num_layers=3, bidirectional=True, optimizer=OptimizerConfig(lr=0.1))
    put_run(tmp_path, deep, None, answers(20))
    assert names(tmp_path) == ["deep_bilstm-last", "gru-avg", "gru-max", "rnn-max"]


def test_several_settings_that_differ_are_all_named(tmp_path: Path) -> None:
    put_run(tmp_path, network(), None, answers(20))
    other = Config(
        embedding=EmbeddingConfig(dim=64), data=DataConfig(augment=AugmentConfig(drop=0.1))
    )
    put_run(tmp_path, other, None, answers(30))
    assert [sorted(name.split()) for name in names(tmp_path)] == [
        ["data.augment.drop=0.0", "embedding.dim=128", "lstm-last"],
        ["data.augment.drop=0.1", "embedding.dim=64", "lstm-last"],
    ]


def test_paths_and_hardware_do_not_make_another_row(tmp_path: Path) -> None:
    for seed, trainer in enumerate((TrainerConfig(), TrainerConfig(threads=4))):
        run = Config(seed=seed, trainer=trainer, sweep=f"sweep{seed}")
        put_run(tmp_path, run, None, answers(20))
    assert [row[:2] for row in rows(tmp_path)] == [["lstm-last", "2"]]


def test_the_same_run_in_two_sweeps_counts_once(tmp_path: Path) -> None:
    for sweep in "ab":
        put_run(tmp_path / sweep, network(), None, answers(20))
    assert [row[:4] for row in rows(tmp_path)] == [["lstm-last", "1", "1,412,225", "90.00"]]


def test_each_data_set_has_its_own_table_the_largest_first(tmp_path: Path) -> None:
    put_run(tmp_path, network("rnn"), None, answers(0), data=OTHER)
    for cell in ("lstm", "gru"):
        put_run(tmp_path, network(cell), answers(30), answers(20))
    order = ["imdb: 900 train, 200 val, 200 test", "gru-last", "lstm-last"]
    order += ["synthetic: 80 train, 20 val", "rnn-last"]
    for text in ("\n".join(printed(tmp_path)), markdown(read_runs(tmp_path))):
        places = [text.index(words) for words in order]
        assert places == sorted(places)
        assert text.count("seeds") == text.count(NOTE) == 2


def test_another_split_of_the_same_reviews_is_another_data_set(tmp_path: Path) -> None:
    sizes = {"source": "imdb", "fingerprint": "1", "val": 200, "test": None}
    for seed, train in enumerate((1900, 800)):
        put_run(tmp_path, network(seed=seed), None, answers(20), data=sizes | {"train": train})
    text = markdown(read_runs(tmp_path))
    assert "imdb: 1,900 train, 200 val" in text
    assert "imdb: 800 train, 200 val" in text
    assert [row[1] for row in rows(tmp_path)] == ["1", "1"]


def test_only_the_table_with_several_seeds_explains_deviations(tmp_path: Path) -> None:
    put_run(tmp_path, network("rnn"), None, answers(0), data=OTHER)
    for seed in range(2):
        put_run(tmp_path, network(seed=seed), None, answers(20))
    text = markdown(read_runs(tmp_path))
    assert text.count(OVER_SEEDS) == 1
    assert text.index(OVER_SEEDS) < text.index("synthetic")


def test_runs_without_a_record_are_listed_with_their_state(tmp_path: Path) -> None:
    put_run(tmp_path, network(), answers(30), answers(20))
    begun = {"schema": 1, "choices": {}, "config": {}}
    put(tmp_path / "rnn-max-s7-4", config=begun, failed={"epoch": 2, "reason": "it [bold]rained"})
    put(tmp_path / "gru-max-s7-5", config=begun)
    runs = read_runs(tmp_path)
    assert not_compared(*joined_folds(runs[::-1])) == [
        ("gru-max-s7-5", "interrupted"),
        ("rnn-max-s7-4", "failed in epoch 2: it [bold]rained"),
    ]
    last = ["gru-max-s7-5 interrupted", "rnn-max-s7-4 failed in epoch 2: it [bold]rained"]
    assert printed(tmp_path)[-2:] == last
    lines = markdown(runs).splitlines()
    assert [line for line in lines if line.startswith("- ")] == [
        "- gru-max-s7-5: interrupted",
        "- rnn-max-s7-4: failed in epoch 2: it &#91;bold&#93;rained",
    ]
    assert names(tmp_path) == ["lstm-last"]


def test_without_any_record_there_is_no_table(tmp_path: Path) -> None:
    run = RunSummary(tmp_path / "gru", State.missing, None, "missing: not begun")
    assert markdown([run]) == "- gru: missing: not begun"
    assert lines_of([run], 80) == ["gru missing: not begun"]


def test_the_table_fits_into_80_columns(tmp_path: Path) -> None:
    for cell in ("rnn", "lstm", "gru"):
        deep = network(cell, num_layers=2, bidirectional=True)
        put_run(tmp_path, deep, answers(30), answers(20))
    lines = printed(tmp_path)
    assert max(map(cell_len, lines)) <= 80
    whole = "stacked_bilstm-last 1 1,412,225 90.00 85.00 85.00 85.00 61.3".split()
    assert whole in [line.split() for line in lines]


@pytest.mark.parametrize("lr", [0.002, 0.1])
def test_a_table_with_several_seeds_fits_and_shows_every_number(tmp_path: Path, lr: float) -> None:
    for seed in range(3):
        deep = network(head="max_attention", num_layers=3, bidirectional=True, seed=seed)
        put_run(tmp_path, deep, answers(30 + 2 * seed), answers(20 + 4 * seed))
    put_run(tmp_path, network(optimizer=OptimizerConfig(lr=lr)), answers(30), answers(20))
    lines = [line for line in printed(tmp_path) if "over seeds" not in line]
    assert max(map(cell_len, lines)) <= 80
    assert "…" not in "".join(lines)
    text = "\n".join(lines)
    for number in ("1,412,225", "88.00 ± 2.00", "84.00 ± 1.00", "84.00", "61.3"):
        assert number in text


def test_terminal_and_markdown_have_the_same_rows(tmp_path: Path) -> None:
    for seed, cell in enumerate(("rnn", "gru", "gru")):
        labels = LABELS if seed else LABELS[::-1].copy()
        put_run(tmp_path, network(cell, seed=seed), answers(7, labels), answers(9 + seed), labels)
    shown = [line.split() for line in printed(tmp_path, 120) if "-last" in line]
    assert shown == [" ".join(row).split() for row in rows(tmp_path)]
