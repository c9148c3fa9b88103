"""The conversion of predictions changes their form, and no value of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from lstm_sentiment.config import Config
from lstm_sentiment.files.locks import LOCK, sole_writer
from lstm_sentiment.runs.folder import PREDICTIONS
from lstm_sentiment.runs.predictions import read_table
from scripts.maintenance import compact_predictions
from scripts.maintenance.compact_predictions import compact_runs
from tests.support.records import LABELS, answers, put_complete_run, put_run


def drawn(seed: int) -> np.ndarray:
    """Return 200 probabilities whose last bits differ."""
    return np.random.default_rng(seed).random(200)


def put_sweep(sweep: Path) -> list[Path]:
    """Two runs in the form of older versions; the paths of their predictions."""
    folders = [
        put_complete_run(sweep, Config(seed=seed), drawn(seed), drawn(seed + 9)) for seed in (0, 1)
    ]
    return [folder / PREDICTIONS for folder in folders]


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_value_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = put_sweep(tmp_path / "sweep")
    before = {path: pq.read_table(path) for path in paths}
    assert compact_runs(tmp_path)
    for path, table in before.items():
        assert pq.read_schema(path).names == ["probability"]
        converted = read_table(path)
        assert converted.select(table.column_names).equals(table)
        values = converted["probability"].to_numpy()
        assert values.tobytes() == table["probability"].to_numpy().tobytes()
    assert len([*(tmp_path / "sweep").glob("reviews-*")]) == 1
    assert "2 of 2 runs" in capsys.readouterr().out


def test_predictions_without_tokens_are_converted(tmp_path: Path) -> None:
    path, _ = put_sweep(tmp_path)
    table = pq.read_table(path).drop_columns("tokens")
    pq.write_table(table, path)
    assert compact_runs(tmp_path)
    assert read_table(path).select(table.column_names).equals(table)
    assert len([*tmp_path.glob("reviews-*")]) == 2


def test_a_second_conversion_changes_nothing(tmp_path: Path) -> None:
    put_sweep(tmp_path)
    put_run(tmp_path, Config(seed=2), drawn(2), drawn(3))
    assert compact_runs(tmp_path)
    before = files_of(tmp_path)
    assert compact_runs(tmp_path)
    assert files_of(tmp_path) == before


def test_what_cannot_be_read_stays_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged, missing = put_sweep(tmp_path)
    damaged.write_bytes(damaged.read_bytes()[:-50])
    content = damaged.read_bytes()
    missing.unlink()
    partial = put_complete_run(tmp_path, Config(seed=2), drawn(2), drawn(3)) / PREDICTIONS
    pq.write_table(pq.read_table(partial).drop_columns("label"), partial)
    other = put_complete_run(tmp_path, Config(seed=3), drawn(2), drawn(3)) / PREDICTIONS
    assert not compact_runs(tmp_path)
    assert damaged.read_bytes() == content
    assert pq.read_schema(other).names == ["probability"]
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    for path in (damaged, missing, partial):
        assert sum(path.parent.name in line for line in errors) == 1


def test_a_conversion_that_changes_a_value_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rounded(path: Path, table: Any) -> None:
        values = table["probability"].to_numpy().round(3)
        write_table(path, table.drop_columns("probability").append_column("probability", [values]))

    write_table = compact_predictions.write_table
    monkeypatch.setattr(compact_predictions, "write_table", rounded)
    before = {path: path.read_bytes() for path in put_sweep(tmp_path)}
    assert not compact_runs(tmp_path)
    assert {path: path.read_bytes() for path in before} == before


def test_runs_that_are_being_trained_are_left_alone(tmp_path: Path) -> None:
    path, other = put_sweep(tmp_path)
    begun = put_complete_run(tmp_path, Config(seed=2), answers(2), answers(3), LABELS)
    (begun / "run.json").unlink()
    before = path.read_bytes(), (begun / PREDICTIONS).read_bytes()
    with sole_writer(path.parent / LOCK):
        assert not compact_runs(tmp_path)
    assert (path.read_bytes(), (begun / PREDICTIONS).read_bytes()) == before
    assert pq.read_schema(other).names == ["probability"]
