"""Predictions are read as they were written, and only if they match their run's record."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torchmetrics.functional.classification import binary_stat_scores

from lstm_sentiment.config import Config, EncoderConfig
from lstm_sentiment.errors import InputError
from lstm_sentiment.runs.folder import PREDICTIONS
from lstm_sentiment.runs.predictions import (
    REFERENCE,
    Predictions,
    read_predictions,
    read_table,
    save_predictions,
)
from lstm_sentiment.runs.reader import read_run, read_runs
from tests.support.processes import context
from tests.support.records import LABELS, answers, logits, put_complete_run, put_run

GRU = Config(encoder=EncoderConfig("gru"))  # type: ignore[arg-type]


def probabilities(seed: int = 0) -> np.ndarray:
    """Return 200 numbers between 0 and 1, many of them 0, 0.5 or 1 exactly."""
    random = np.random.default_rng(seed)
    return np.where(
        random.random(200) < 0.5, random.choice([0, 0.5, 1], 200), random.random(200).round(3)
    )


def reviews_of(sweep: Path) -> list[Path]:
    return sorted(sweep.glob("reviews-*"))


def predictions_of(folder: Path, stage: str = "test") -> Predictions:
    return read_predictions(read_run(folder), stage)


@pytest.mark.parametrize("seed", range(5))
def test_the_predicted_class_is_that_of_torchmetrics(tmp_path: Path, seed: int) -> None:
    run = read_run(put_run(tmp_path, Config(), probabilities(seed), answers(20)))
    predictions = read_predictions(run, "test")
    given, labels = torch.from_numpy(probabilities(seed)), torch.from_numpy(LABELS)
    counts = binary_stat_scores(given[:, None], labels[:, None], multidim_average="samplewise")
    true_positive, false_positive, true_negative = counts[:, :3].numpy().T.astype(bool)
    assert np.array_equal(predictions.correct, true_positive | true_negative)
    assert np.array_equal(predictions.predicted, true_positive | false_positive)
    assert run.record is not None
    assert predictions.correct.mean() == pytest.approx(run.record["test"]["accuracy"])
    assert not predictions.predicted[probabilities(seed) == 0.5].any()


@pytest.mark.parametrize("form", [put_run, put_complete_run])
def test_each_split_has_its_own_predictions(tmp_path: Path, form: Callable[..., Path]) -> None:
    rows, tokens = np.arange(200)[::-1] * 3, np.arange(200) + 7
    given = {"test": probabilities(1), "val": probabilities(2)}
    folder = form(tmp_path, Config(), given["test"], given["val"], LABELS, rows, tokens)
    for stage, expected in given.items():
        predictions = predictions_of(folder, stage)
        assert predictions.logit.dtype == predictions.probability.dtype == np.float64
        np.testing.assert_allclose(predictions.probability, expected[::-1], rtol=1e-5, atol=1e-40)
        assert np.array_equal(predictions.label, LABELS[::-1])
        assert np.array_equal(predictions.row, rows[::-1])
        assert predictions.tokens is not None
        assert np.array_equal(predictions.tokens, tokens[::-1])


def test_predictions_without_tokens_are_read(tmp_path: Path) -> None:
    folder = put_complete_run(tmp_path, Config(), answers(20), answers(10))
    path = folder / PREDICTIONS
    pq.write_table(pq.read_table(path).drop_columns("tokens"), path)
    predictions = predictions_of(folder)
    assert predictions.tokens is None
    assert predictions.correct.sum() == 180


def test_a_table_has_every_value_of_every_split(tmp_path: Path) -> None:
    folder = put_run(tmp_path, Config(), probabilities(1), probabilities(2))
    table = read_table(folder / PREDICTIONS)
    both = logits(np.concatenate([probabilities(2), probabilities(1)])).astype(np.float32)
    assert table["split"].to_pylist() == ["val"] * 200 + ["test"] * 200
    assert table["index"].to_pylist() == [*range(200)] * 2
    assert table["label"].to_pylist() == LABELS.tolist() * 2
    assert table["tokens"].to_pylist() == [*range(1, 201)] * 2
    assert table["logit"].to_numpy().tobytes() == both.tobytes()


def test_probabilities_of_older_versions_keep_every_bit(tmp_path: Path) -> None:
    probability = np.random.default_rng(0).random(200).astype(np.float32)
    extremes = [0, 1, 0.5, np.nextafter(np.float32(1), np.float32(0)), 1e-45, 1e-38, 2**-60, 1 / 3]
    probability[: len(extremes)] = extremes
    folder = put_complete_run(tmp_path, Config(), probability, answers(10))
    predictions = predictions_of(folder)
    assert np.isfinite(predictions.logit).all()
    assert predictions.probability.astype(np.float32).tobytes() == probability.tobytes()
    assert np.array_equal(predictions.predicted, probability > 0.5)


def test_logits_keep_every_bit(tmp_path: Path) -> None:
    """Probabilities in float32 would be 1 from a logit of 17 on."""
    values = np.linspace(-150, 150, 200, dtype=np.float32)
    columns = {
        "index": torch.arange(200),
        "label": torch.from_numpy(LABELS),
        "logit": torch.from_numpy(values),
        "tokens": torch.arange(200),
    }
    path = tmp_path / "run" / PREDICTIONS
    path.parent.mkdir()
    save_predictions(path, {"test": columns})
    assert read_table(path)["logit"].to_numpy().tobytes() == values.tobytes()


def test_runs_on_the_same_reviews_share_a_file(tmp_path: Path) -> None:
    one = put_run(tmp_path, Config(), answers(20), answers(10))
    [reviews] = reviews_of(tmp_path)
    before = reviews.stat()
    other = put_run(tmp_path, GRU, answers(30), answers(10))
    assert reviews_of(tmp_path) == [reviews]
    assert (reviews.stat().st_ino, reviews.stat().st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )
    for folder in (one, other):
        assert pq.read_schema(folder / PREDICTIONS).names == ["logit"]
    assert pq.read_schema(reviews).names == ["split", "index", "label", "tokens"]
    assert {path.name for path in tmp_path.iterdir()} == {one.name, other.name, reviews.name}


@pytest.mark.parametrize(
    "difference",
    [
        {"labels": 1 - LABELS},
        {"rows": np.arange(200) + 1},
        {"tokens": np.arange(200) + 2},
        {"val": None},
    ],
    ids=lambda difference: next(iter(difference)),
)
def test_other_reviews_are_in_another_file(tmp_path: Path, difference: dict[str, Any]) -> None:
    one = put_run(tmp_path, Config(), answers(20), answers(10))
    other = put_run(tmp_path, GRU, **{"test": answers(20), "val": answers(10), **difference})
    assert len(reviews_of(tmp_path)) == 2
    for folder in (one, other):
        assert len(predictions_of(folder).row) == 200


GROUPS = np.repeat(np.array([2**63 - 1, -(2**63), -1, 7]), 50)
CONSTRUCTS = np.array(["negation", "plain"] * 100)


def test_groups_and_constructs_are_kept_once_for_a_sweep(tmp_path: Path) -> None:
    rows, columns = np.arange(200)[::-1].copy(), {"group": GROUPS, "construct": CONSTRUCTS}
    folders = [
        put_run(tmp_path, config, answers(20), answers(10), rows=rows, **columns)
        for config in (Config(), GRU)
    ]
    [reviews] = reviews_of(tmp_path)
    names = ["split", "index", "label", "tokens", "group", "construct"]
    assert pq.read_schema(reviews).names == names
    for folder in folders:
        for stage in ("val", "test"):
            predictions = predictions_of(folder, stage)
            assert predictions.group is not None
            assert predictions.group.dtype == np.int64
            assert predictions.group.tolist() == GROUPS[::-1].tolist()
            assert predictions.construct is not None
            assert predictions.construct.tolist() == CONSTRUCTS[::-1].tolist()


def test_predictions_of_older_versions_have_no_groups(tmp_path: Path) -> None:
    predictions = predictions_of(put_run(tmp_path, Config(), answers(20), answers(10)))
    assert (predictions.group, predictions.construct) == (None, None)


def test_other_groups_are_in_another_file(tmp_path: Path) -> None:
    for config, group in ((Config(), GROUPS), (GRU, GROUPS + 1)):
        put_run(tmp_path, config, answers(20), answers(10), group=group)
    assert len(reviews_of(tmp_path)) == 2


def test_a_sweep_may_be_named_like_a_column(tmp_path: Path) -> None:
    folder = put_run(tmp_path / "tokens=1", Config(), answers(20), answers(10))
    assert predictions_of(folder).correct.sum() == 180


def test_a_run_without_predictions_writes_nothing(tmp_path: Path) -> None:
    save_predictions(tmp_path / "run" / PREDICTIONS, {})
    assert not [*tmp_path.iterdir()]


def test_files_of_reviews_are_no_runs(tmp_path: Path) -> None:
    folder = put_run(tmp_path / "sweep", Config(), answers(20), answers(10))
    assert [run.folder for run in read_runs(tmp_path)] == [folder]


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("harm", [damage, Path.unlink])
def test_the_next_run_restores_a_file_of_reviews(
    tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    folder = put_run(tmp_path, Config(), answers(20), answers(10))
    [reviews] = reviews_of(tmp_path)
    harm(reviews)
    put_run(tmp_path, GRU, answers(30), answers(10))
    assert reviews_of(tmp_path) == [reviews]
    assert predictions_of(folder).correct.sum() == 180


def start_writing(sweep: Path, count: int) -> list[Any]:
    """Start processes that each put a run into the sweep, all at the same time."""
    start = context.Barrier(count + 1)
    processes = [
        context.Process(target=put_after, args=(start, sweep, seed), daemon=True)
        for seed in range(count)
    ]
    for process in processes:
        process.start()
    start.wait(60)
    return processes


def put_after(start: Any, sweep: Path, seed: int) -> None:
    start.wait(60)
    put_run(sweep, Config(seed=seed), answers(20), answers(10))


def test_processes_may_write_the_same_reviews_at_once(tmp_path: Path) -> None:
    for process in start_writing(tmp_path, 4):
        process.join(60)
        assert process.exitcode == 0
    assert len(reviews_of(tmp_path)) == 1
    for run in read_runs(tmp_path):
        assert read_predictions(run, "test").correct.sum() == 180
    assert not [*tmp_path.rglob(".*")]


def rewrite(path: Path, **columns: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change columns of complete predictions: the 200 rows of val, then those of test."""
    table = pq.read_table(path)
    for name, change in columns.items():
        values = pa.array(change(table[name].to_numpy().copy()))
        table = table.set_column(table.column_names.index(name), name, values)
    pq.write_table(table, path)


def add(path: Path, **columns: np.ndarray) -> None:
    """Add columns to complete predictions."""
    table = pq.read_table(path)
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    pq.write_table(table, path)


def at(place: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that puts the value into a place of the test set."""

    def change(column: np.ndarray) -> np.ndarray:
        column[200 + place] = value
        return column

    return change


def of_another_run(path: Path) -> None:
    other = put_complete_run(path.parent.parent / "other", GRU, answers(21), answers(10))
    path.write_bytes((other / PREDICTIONS).read_bytes())


def as_accurate(path: Path) -> None:
    """Another run's predictions: as many mistakes, but other ones, all on negative reviews."""
    wrong = np.where(LABELS == 1, 0.9, 0.1)
    wrong[:40:2] = 0.9
    other = put_complete_run(path.parent.parent / "other", GRU, wrong, answers(10))
    path.write_bytes((other / PREDICTIONS).read_bytes())


def keep_rows(count: int) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pq.read_table(path).slice(0, count), path)


def drop(column: str) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pq.read_table(path).drop_columns(column), path)


OTHER_THAN_THE_RECORD: dict[str, Callable[[Path], None]] = {
    "another run": of_another_run,
    "another run, as accurate": as_accurate,
    "no predictions for test": keep_rows(200),
    "one row missing": keep_rows(399),
    "NaN for a negative prediction": lambda path: rewrite(path, probability=at(100, np.nan)),
    "NaN for a positive prediction": lambda path: rewrite(path, probability=at(101, np.nan)),
    "a probability above 1": lambda path: rewrite(path, probability=at(101, 1.5)),
    "a probability below 0": lambda path: rewrite(path, probability=at(100, -0.5)),
    "a row twice": lambda path: rewrite(path, index=at(100, 99)),
    "another label": lambda path: rewrite(path, label=at(100, 1)),
    "all labels exchanged": lambda path: rewrite(path, label=lambda label: 1 - label),
}
UNREADABLE: dict[str, Callable[[Path], object]] = {
    "cut short": damage,
    "empty": lambda path: path.write_bytes(b""),
    "no Parquet": lambda path: path.write_text("split,index,label,probability\n"),
    "a column whose name is no text": lambda path: path.write_bytes(
        path.read_bytes().replace(b"probability", b"pr\xffbability")
    ),
    "no column of labels": drop("label"),
    "no column of splits": drop("split"),
    "words instead of numbers": lambda path: rewrite(
        path, probability=lambda column: np.array(["often"] * len(column), object)
    ),
}


@pytest.mark.parametrize("case", OTHER_THAN_THE_RECORD)
def test_predictions_that_do_not_match_the_record_are_refused(tmp_path: Path, case: str) -> None:
    folder = put_complete_run(tmp_path / "a", Config(), answers(20), answers(10))
    OTHER_THAN_THE_RECORD[case](folder / PREDICTIONS)
    with pytest.raises(InputError, match=f"^{folder.name}/{PREDICTIONS} does not match .* record$"):
        predictions_of(folder)


@pytest.mark.parametrize("case", UNREADABLE)
def test_damaged_predictions_are_refused(tmp_path: Path, case: str) -> None:
    folder = put_complete_run(tmp_path, Config(), answers(20), answers(10))
    UNREADABLE[case](folder / PREDICTIONS)
    with pytest.raises(InputError, match=f"^{folder.name}/{PREDICTIONS} cannot be read"):
        predictions_of(folder)


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a FIFO": (lambda path: (path.unlink(), os.mkfifo(path)), "not a regular file"),
    "a link": (lambda path: (path.rename(f"{path}2"), path.symlink_to(f"{path}2")), "a link"),
    "another column": (
        lambda path: pq.write_table(pa.table({"more": [1]}), path),
        "its column 'more' .int64. is not one",
    ),
    "a nested column": (
        lambda path: pq.write_table(pa.table({"index": [[1]]}), path),
        "its column 'index' .list.* is not one",
    ),
    "a column twice": (
        lambda path: pq.write_table(pa.table([[1], [2]], ["index", "index"]), path),
        "two columns of the same name",
    ),
    "a long name": (
        lambda path: rewrite(path, split=lambda column: np.array(["x" * 9_999] * len(column))),
        "a name of its splits is too long",
    ),
    "long names": (
        lambda path: rewrite(
            path, split=lambda column: np.array([f"{n:9999}" for n in range(len(column))])
        ),
        "a name of its splits is too long",
    ),
    "groups that are not whole numbers": (
        lambda path: add(path, group=np.full(400, 0.5)),
        "its column 'group' .double. is not one",
    ),
    "groups without a sign": (
        lambda path: add(path, group=np.full(400, 2**63, np.uint64)),
        "group must be signed whole numbers",
    ),
    "constructs that are numbers": (
        lambda path: add(path, construct=np.arange(400)),
        "its column 'construct' .int64. is not one",
    ),
    "a long construct": (
        lambda path: add(path, construct=np.array(["x" * 101] * 400)),
        "a name of its constructs is too long",
    ),
    "a large footer": (
        lambda path: path.write_bytes(path.read_bytes()[:-8] + b"\xff\xff\xff\x7fPAR1"),
        "size reported by footer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_predictions_are_refused(tmp_path: Path, case: str) -> None:
    folder = put_complete_run(tmp_path, Config(), answers(20), answers(10))
    change, reason = HOSTILE[case]
    change(folder / PREDICTIONS)
    expected = f"^{folder.name}/{PREDICTIONS} cannot be read.*{reason}"
    with pytest.raises(InputError, match=expected):
        predictions_of(folder)


def test_the_number_of_rows_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put_run(tmp_path, Config(), answers(20), answers(10))
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_PREDICTION_ROWS", "400")
    predictions_of(folder)
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_PREDICTION_ROWS", "399")
    with pytest.raises(InputError, match="it has 400 rows, more than the 399 allowed"):
        predictions_of(folder)


def test_pages_of_predictions_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sizes in the metadata may be wrong."""
    folder = put_run(tmp_path, Config(), answers(20), answers(10))
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_BLOCK_BYTES", "1000")
    with pytest.raises(InputError, match="bytes in 1,000 rows or a page, more than the 1,000"):
        predictions_of(folder)


def test_missing_predictions_are_refused(tmp_path: Path) -> None:
    folder = put_run(tmp_path, Config(), answers(20), answers(10))
    (folder / PREDICTIONS).unlink()
    with pytest.raises(InputError, match=f"^{folder.name}/{PREDICTIONS} is missing$"):
        predictions_of(folder)


def of_other_reviews(path: Path) -> None:
    """Intact, but with other labels than the name says."""
    put_run(path.parent / "other", Config(), answers(20), answers(10), 1 - LABELS)
    [other] = reviews_of(path.parent / "other")
    path.write_bytes(other.read_bytes())


DAMAGED_REVIEWS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "is missing"),
    "cut short": (damage, "cannot be read"),
    "empty": (lambda path: path.write_bytes(b""), "cannot be read"),
    "other reviews": (of_other_reviews, "is damaged"),
    "one row missing": (keep_rows(399), "is damaged"),
    "no column of labels": (drop("label"), "is damaged"),
    "another label": (lambda path: rewrite(path, label=at(100, 1)), "is damaged"),
    "no text for a split": (
        lambda path: rewrite(path, split=lambda column: np.array([None] * len(column))),
        r"cannot be read \(its column 'split'",
    ),
}


@pytest.mark.parametrize("case", DAMAGED_REVIEWS)
def test_a_damaged_file_of_reviews_is_named(tmp_path: Path, case: str) -> None:
    folder = put_run(tmp_path / "sweep", Config(), answers(20), answers(10))
    [reviews] = reviews_of(folder.parent)
    harm, message = DAMAGED_REVIEWS[case]
    harm(reviews)
    with pytest.raises(InputError, match=f"^sweep/{reviews.name} {message}.*rerun=true"):
        predictions_of(folder)


def test_another_run_of_the_sweep_writes_the_file_of_reviews_again(tmp_path: Path) -> None:
    folder = put_run(tmp_path / "sweep", Config(), answers(20), answers(10))
    [reviews] = reviews_of(folder.parent)
    reviews.unlink()
    (folder.parent / ".draft-0123456789abcdef").touch()
    put_run(folder.parent, Config(seed=1), answers(30), answers(10))
    assert predictions_of(folder).correct.sum() == 180
    assert not [*folder.parent.glob(".draft*")]


REFERENCES = [
    "../reviews-0123456789abcdef.parquet",
    "/etc/passwd",
    "reviews-.parquet",
    "reviews-0123456789abcdefXparquet",
    "",
]


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_reference_names_a_file_of_the_sweep(tmp_path: Path, reference: str) -> None:
    path = put_run(tmp_path, Config(), answers(20), answers(10)) / PREDICTIONS
    table = pq.read_table(path).replace_schema_metadata({REFERENCE: reference})
    pq.write_table(table, path)
    with pytest.raises(InputError, match=f"^{path.parent.name}/{PREDICTIONS} cannot be read"):
        predictions_of(path.parent)


@pytest.mark.parametrize("count", [0, 399])
def test_probabilities_match_their_reviews(tmp_path: Path, count: int) -> None:
    path = put_run(tmp_path, Config(), answers(20), answers(10)) / PREDICTIONS
    [reviews] = reviews_of(tmp_path)
    pq.write_table(pq.read_table(path).slice(0, count), path)
    expected = f"^{path.parent.name}/{PREDICTIONS} does not match {reviews.name}$"
    with pytest.raises(InputError, match=expected):
        predictions_of(path.parent)
