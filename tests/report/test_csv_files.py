"""The CSV files have the numbers of their comparison, and other programs can read them."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lstm_sentiment.config import SCORES, Config, OptimizerConfig
from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.csv_files import comparison_table, run_table
from lstm_sentiment.report.variants import variant_groups
from lstm_sentiment.runs.reader import RunSummary, State, read_runs
from tests.support.records import COST, DATA, amend, answers, network, put, put_baseline, put_run
from tests.support.reports import comparison

BEGUN = {"schema": 1, "choices": {}, "config": {}}


def read(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text))


def known(row: pd.Series) -> dict[str, Any]:
    return row.dropna().to_dict()


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Three seeds of the best, one of a network behind it, and a baseline."""
    root = tmp_path_factory.mktemp("runs")
    for seed, wrong in enumerate((20, 24, 31)):
        cost = COST | {"fit_seconds": (60, 61, 65)[seed]}
        put_run(root, network("lstm", seed=seed), answers(wrong), answers(wrong - 10), cost=cost)
    folder = put_run(root, network("gru", "max"), answers(60), answers(30))
    amend(folder, lambda record: record["cost"].update(fit_seconds=10.5, peak_memory_mib=None))
    put_baseline(root, answers(22), answers(40))
    return comparison(root)


@pytest.fixture(scope="module")
def text(compared: Comparison) -> str:
    return comparison_table([compared])


@pytest.fixture
def table(text: str) -> pd.DataFrame:
    return read(text)


def test_comparison_csv_has_a_row_for_each_variant_by_rank(table: pd.DataFrame) -> None:
    assert [*table["configuration"]] == ["lstm-last", "gru-max", "ngrams-logistic"]
    assert [*table["rank"]] == [1, 2, 3]
    assert [*table["seeds"]] == [3, 1, 1]
    assert {*table["reviews"]} == {"imdb: 900 train, 200 val, 200 test"}
    assert [*table.columns[:4]] == ["reviews", "rank", "configuration", "seeds"]


def test_scores_are_those_of_the_records(compared: Comparison, table: pd.DataFrame) -> None:
    for (_, row), variant in zip(table.iterrows(), compared.variants, strict=True):
        for stage in ("val", "test"):
            for score in SCORES:
                values = [run.record[stage][score] for run in variant.runs.values() if run.record]
                assert row[f"{stage}/{score}"] == pytest.approx(np.mean(values))
                if len(values) > 1:
                    assert row[f"{stage}/{score}/std"] == pytest.approx(np.std(values, ddof=1))
                else:
                    assert np.isnan(row[f"{stage}/{score}/std"])


def test_accuracy_over_three_seeds_by_hand(table: pd.DataFrame) -> None:
    row = table.loc[0]
    assert row["test/accuracy"] == pytest.approx((0.9 + 0.88 + 0.845) / 3)
    assert row["test/accuracy/std"] == pytest.approx(np.sqrt((0.025**2 + 0.005**2 + 0.03**2) / 2))
    assert row["val/accuracy"] == pytest.approx((0.95 + 0.93 + 0.895) / 3)


def test_intervals_and_verdicts_are_of_the_comparison(
    compared: Comparison, table: pd.DataFrame
) -> None:
    table = table.set_index("configuration")
    for name, interval in compared.intervals.items():
        bounds = table.loc[name, ["test/accuracy/low", "test/accuracy/high"]]
        assert tuple(bounds) == pytest.approx(interval)
    for other, prefix in ((compared.best, ""), (compared.baseline, "baseline/")):
        for name, verdict in compared.against(other).items():
            columns = ("difference", "difference/low", "difference/high", "p", "family")
            numbers = table.loc[name, [f"{prefix}{column}" for column in columns]]
            expected = (verdict.difference, *verdict.interval, verdict.p, verdict.family)
            assert tuple(numbers) == pytest.approx(expected)
            assert other is not None
            assert table.loc[name, f"{prefix}compared_with"] == other.name
            assert table.loc[name, f"{prefix}verdict"] == verdict.verdict
    assert table.loc["gru-max", "difference"] == pytest.approx(0.7 - (0.9 + 0.88 + 0.845) / 3)
    assert table.loc["gru-max", "verdict"] == "worse"
    assert table.loc["lstm-last", "baseline/verdict"] == "cannot be told apart"
    assert table.loc["lstm-last", ["difference", "p", "verdict"]].isna().all()
    assert table.loc["ngrams-logistic", ["difference", "baseline/verdict"]].isna().all()


def test_costs_are_means_and_unknown_values_are_empty(text: str, table: pd.DataFrame) -> None:
    table = table.set_index("configuration")
    assert [*table["parameters"]] == [COST["parameters"]] * 3
    assert [*table["fit_seconds"]] == pytest.approx([62, 10.5, 61.26])
    assert [*table["tokens_per_second"]] == [150_000] * 3
    assert np.isnan(table.loc["gru-max", "peak_memory_mib"])
    assert table.loc["lstm-last", "peak_memory_mib"] == 900
    assert ",nan" not in text


def test_settings_stand_beside_the_scores(compared: Comparison, table: pd.DataFrame) -> None:
    table = table.set_index("configuration")
    assert [*table["encoder.cell"][:2]] == ["lstm", "gru"]
    assert [*table["head.kind"][:2]] == ["last", "max"]
    assert [*table["encoder.hidden_size"][:2]] == [128, 128]
    assert np.isnan(table.loc["ngrams-logistic", "encoder.hidden_size"])
    assert table.loc["ngrams-logistic", "ngrams.kind"] == "logistic"
    for (_, row), variant in zip(table.iterrows(), compared.variants, strict=True):
        settings = {name: value for name, value in variant.settings.items() if value is not None}
        settings["decision.threshold"] = float(settings["decision.threshold"])
        if variant.is_baseline:
            settings["ngrams.grid"] = str(settings["ngrams.grid"])
        assert {name: row[name] for name in settings} == settings
    assert "seed" not in table.columns


def test_each_data_set_has_its_own_ranks_and_best_variant(tmp_path: Path) -> None:
    for place, fingerprint in (("a", "1"), ("b", "2")):
        data = DATA | {"fingerprint": fingerprint, "source": place}
        for cell, wrong in (("lstm", 10), ("gru", 60)):
            mistakes = answers(wrong if place == "a" else 70 - wrong)
            put_run(tmp_path / place, network(cell), mistakes, mistakes, data=data)
    table = read(
        comparison_table([Comparison(group) for group in variant_groups(read_runs(tmp_path))])
    )
    rows = [(r.reviews[0], r.rank, r.configuration, r.verdict) for r in table.itertuples()]
    assert [(*row[:3], row[3] == "worse") for row in rows] == [
        ("a", 1, "lstm-last", False),
        ("a", 2, "gru-last", True),
        ("b", 1, "gru-last", False),
        ("b", 2, "lstm-last", True),
    ]


def test_untested_and_unvalidated_variants_have_a_row(tmp_path: Path) -> None:
    put_run(tmp_path, network("lstm"), None, answers(20), data=DATA)
    put_run(tmp_path, network("gru"), answers(30), None, data=DATA)
    first, second = read(comparison_table([comparison(tmp_path)])).to_dict("records")
    assert first["configuration"] == "lstm-last"
    assert first["val/accuracy"] == 0.9
    assert np.isnan(first["test/accuracy"])
    assert np.isnan(first["test/accuracy/low"])
    assert second["configuration"] == "gru-last"
    assert "val/accuracy" in second
    assert np.isnan(second["val/accuracy"])
    assert second["test/accuracy"] == 0.85
    assert second["test/accuracy/low"] < 0.85 < second["test/accuracy/high"]
    assert "verdict" not in second  # the best was not tested


def test_runs_csv_has_a_row_for_every_run_in_any_state(tmp_path: Path) -> None:
    config = network("lstm", seed=3, optimizer=OptimizerConfig(lr=1e-3))
    on = {"device": "cuda", "threads": 8}
    done = put_run(tmp_path / "a", config, answers(20), answers(11), environment=on)
    amend(done, lambda record: record["epochs"].append(record["epochs"][0] | {"epoch": 2}))
    amend(done, lambda record: record.update(best_epoch=2))
    put_run(tmp_path / "b", network("gru"), None, answers(30), vectors={"fingerprint": "v"})
    put(tmp_path / "c" / "failed", config=BEGUN, failed={"epoch": 2, "reason": "it rained"})
    put(tmp_path / "c" / "halted", config=BEGUN)
    put(tmp_path / "c", sweep=["halted", "never"])
    runs = read_runs(tmp_path)
    table = read(run_table(runs))
    assert [*table["run"]] == [run.name for run in runs]
    assert [*table["state"]] == ["done", "done", "failed", "interrupted", "missing"]
    assert [*table["trouble"][2:]] == [
        "failed in epoch 2: it rained",
        "interrupted",
        "missing: not begun",
    ]
    assert table["trouble"][:2].isna().all()
    first, second, failed = (table.loc[k] for k in (0, 1, 2))
    assert known(failed).keys() == {"run", "state", "trouble"}
    assert (first["seed"], first["best_epoch"], first["data"]) == (3, 2, 1)
    assert (first["device"], first["threads"]) == ("cuda", 8)
    assert (second["device"], second["threads"]) == ("cpu", 2)
    assert {name: first[name] for name in COST} == pytest.approx(COST)
    assert first["optimizer.lr"] == 1e-3
    assert (first["encoder.cell"], second["encoder.cell"]) == ("lstm", "gru")
    assert second["vectors"] == "v"
    assert np.isnan(second["test/accuracy"])
    for row, run in ((first, runs[0]), (second, runs[1])):
        assert run.record is not None
        for stage in ("val", "test"):
            for score in SCORES if run.record[stage] else ():
                assert row[f"{stage}/{score}"] == pytest.approx(run.record[stage][score])


def test_without_runs_tables_have_no_rows() -> None:
    assert run_table([]).strip() == ""
    assert comparison_table([]).strip() == ""


def test_names_with_commas_and_quotes_are_quoted(tmp_path: Path) -> None:
    name = 'lstm "small, or so"-last-s0-1'
    source = 'mine, "cleaned"'
    put_run(tmp_path, Config(), answers(20), answers(10), name=name, data=DATA | {"source": source})
    compared = read(comparison_table([comparison(tmp_path)]))
    assert compared.loc[0, "configuration"] == 'lstm "small, or so"-last'
    assert compared.loc[0, "reviews"] == 'mine, "cleaned": 900 train, 200 val, 200 test'
    trouble = 'failed: it said "no, thanks"\nand left; naïve …'
    failed = RunSummary(tmp_path / 'a "b", c', State.failed, None, trouble)
    table = read(run_table([*read_runs(tmp_path), failed]))
    assert [*table["run"]] == [name, 'a "b", c']
    assert table.loc[1, "trouble"] == trouble


def test_lines_end_with_a_newline(text: str) -> None:
    assert "\r" not in text
    assert text.count("\n") == 4


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@a", " =1", "a\x1b\udcff"])
def test_texts_are_printable_and_no_formulas(name: str) -> None:
    run = RunSummary(Path(name), State.failed, None, name)
    [row] = csv.DictReader(io.StringIO(run_table([run])))
    shown = "a\\x1b\\udcff" if name.startswith("a") else f"'{name}"
    assert (row["run"], row["trouble"]) == (shown, shown)
