"""Adding films to the predictions of finished runs changes no other value."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lstm_sentiment.config import Config, DataConfig
from lstm_sentiment.files.locks import LOCK, sole_writer
from lstm_sentiment.model.ngram_classifier import NgramModel
from lstm_sentiment.runs.folder import PREDICTIONS, RECORD
from lstm_sentiment.runs.predictions import read_predictions, read_table, write_table
from lstm_sentiment.runs.reader import read_run
from lstm_sentiment.training.baseline import baseline
from scripts.maintenance.prediction_groups import KnownReviews, add_groups_to_runs
from tests.support.records import amend, answers, put_run
from tests.support.tables import write_rows


def write_films(folder: Path, reverse: bool = False) -> Path:
    """Write reviews in the form of IMDB: 4 reviews of each film, in words of their own."""
    for split in ("train", "test"):
        rows = [
            (f"{'good' if row % 2 else 'bad'} {'very ' * (row % 7)}{split}{row}", row % 2,
             f"tt{row // 4:07}")
            for row in range(60)
        ]  # fmt: skip
        write_rows(folder / f"{split}.parquet", rows[::-1] if reverse else rows, "text label film")
    return folder


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    return write_films(tmp_path / "imdb")


@pytest.fixture
def known(reviews: Path, cache: str) -> KnownReviews:
    return KnownReviews(reviews, cache)


def put_old_sweep(sweep: Path, reviews: Path, cache: str) -> list[Path]:
    """Train baselines, and remove the groups of their predictions as if an older version did."""
    data = DataConfig(path=str(reviews), cache=cache)
    config = Config(root=str(sweep.parent), sweep=sweep.name, data=data)
    folders = [sweep / baseline(kind, config)["name"] for kind in NgramModel]
    for folder in folders:
        path = folder / PREDICTIONS
        write_table(path, read_table(path).drop_columns("group"))
        record = json.loads((folder / RECORD).read_text())
        del record["data"]["groups"]
        (folder / RECORD).write_text(json.dumps(record))
    for file in sweep.glob("reviews-*"):
        if "group" in pq.read_schema(file).names:
            file.unlink()
    return folders


def tables(folders: list[Path]) -> list[pa.Table]:
    return [read_table(folder / PREDICTIONS) for folder in folders]


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_only_the_groups_are_added(
    tmp_path: Path, reviews: Path, known: KnownReviews, cache: str, capsys: Any
) -> None:
    folders = put_old_sweep(tmp_path / "runs/a", reviews, cache)
    before, [old] = tables(folders), [*(tmp_path / "runs/a").glob("reviews-*")]
    assert add_groups_to_runs([tmp_path / "runs"], known)
    assert capsys.readouterr().out == "2 of 2 runs have got groups.\n"
    [new] = (tmp_path / "runs/a").glob("reviews-*")
    assert new != old
    for folder, table in zip(folders, before, strict=True):
        assert read_table(folder / PREDICTIONS).select(table.column_names).equals(table)
        run = read_run(folder)
        assert run.record is not None
        assert run.record["data"]["groups"] == "film"
        for stage in ("val", "test"):
            predictions = read_predictions(run, stage)
            assert predictions.group is not None
            films = (predictions.row // 4).tolist()
            pairs = set(zip(films, predictions.group.tolist(), strict=True))
            assert len(pairs) == len(set(films)) == len(set(predictions.group.tolist()))
    after = files_of(tmp_path / "runs")
    assert add_groups_to_runs([tmp_path / "runs"], known)
    assert files_of(tmp_path / "runs") == after


def test_a_new_run_shares_the_file_of_converted_ones(
    tmp_path: Path, reviews: Path, known: KnownReviews, cache: str
) -> None:
    put_old_sweep(tmp_path / "runs/a", reviews, cache)
    assert add_groups_to_runs([tmp_path / "runs"], known)
    before = [*(tmp_path / "runs/a").glob("reviews-*")]
    data = DataConfig(path=str(reviews), cache=cache)
    baseline(NgramModel.nb_svm, Config(root=f"{tmp_path}/runs", sweep="a", data=data, rerun=True))
    assert [*(tmp_path / "runs/a").glob("reviews-*")] == before


def test_runs_on_other_reviews_stay_as_they_are(
    tmp_path: Path, reviews: Path, known: KnownReviews, cache: str, capsys: Any
) -> None:
    sweep = tmp_path / "runs/a"
    other, reversed_rows = put_old_sweep(sweep, reviews, cache)
    amend(other, lambda record: record["data"].update(fingerprint="sha256-0 sha256-1"))
    before = files_of(sweep)
    in_other_order = KnownReviews(write_films(tmp_path / "reversed", reverse=True), cache)
    assert not add_groups_to_runs([sweep], in_other_order)
    assert files_of(sweep) == before
    errors = capsys.readouterr().err
    assert f"{other.name}: its reviews are not those of {in_other_order.path}" in errors
    assert f"{reversed_rows.name}: its val rows are not those of the files" in errors
    assert not add_groups_to_runs([sweep], known)
    # The run that was not converted still needs the old file.
    assert len([*sweep.glob("reviews-*")]) == 2
    assert len(read_table(other / PREDICTIONS)) == len(read_table(reversed_rows / PREDICTIONS))


def test_other_sources_and_runs_in_training_are_named(
    tmp_path: Path, reviews: Path, known: KnownReviews, cache: str, capsys: Any
) -> None:
    first, second = put_old_sweep(tmp_path / "runs/a", reviews, cache)
    synthetic = Config(data=DataConfig("synthetic"))  # type: ignore[arg-type]
    put_run(tmp_path / "runs/b", synthetic, answers(20), answers(10))
    with sole_writer(first / LOCK):
        assert not add_groups_to_runs([tmp_path / "runs"], known)
    errors = capsys.readouterr().err
    assert f"{first.name} is being trained" in errors
    assert "it is a run on data=synthetic" in errors
    assert "group" not in read_table(first / PREDICTIONS).column_names
    assert "group" in read_table(second / PREDICTIONS).column_names
