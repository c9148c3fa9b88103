"""The predictions of a run: written once, when training ends, and read by reports.

Runs on the same data have the same reviews. A sweep therefore keeps their rows, labels, token
counts and, if they are known, their groups and constructs once, in `reviews-<digest>.parquet` in
the sweep's folder. A run's own `predictions.parquet`
holds the logits in the same order, in float32 as the network computes them, and its metadata name
that file: the column `logit` for two classes, `logit_0`, `logit_1` and so on for more. Files of
older versions hold probabilities instead of logits, and those of the oldest versions have all
columns in the run's own file. Both are still read.
"""

import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.special import logit
from torch import Tensor

from lstm_sentiment.data.parquet import parquet_table
from lstm_sentiment.display import printable
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import PREDICTION_ROWS
from lstm_sentiment.files.reading import open_regular, reason_of
from lstm_sentiment.files.writing import write_atomically
from lstm_sentiment.labels import BINARY, MAX_CLASSES, Classes
from lstm_sentiment.model import probabilities
from lstm_sentiment.runs.folder import PREDICTIONS, REVIEWS
from lstm_sentiment.runs.reader import RunSummary
from lstm_sentiment.runs.record import record_classes

PredictionColumns = Mapping[str, Mapping[str, Tensor]]  # stage -> columns, (N,) each
ReviewColumns = Callable[[str, np.ndarray], Mapping[str, np.ndarray]]

REFERENCE = b"reviews"  # the key of the metadata that names the file of the reviews
RESTORE = "`lstm-sentiment baseline` or a run of the sweep with rerun=true writes it again"
SCORES = ("logit", "probability")  # the column of the predictions, in new and in older files
LOGITS = tuple(f"logit_{label}" for label in range(MAX_CLASSES))  # those of more than two classes
NAMES = ("split", "construct")
HAS_TYPE = {
    **dict.fromkeys(NAMES, lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind)),
    **dict.fromkeys(("index", "label", "tokens", "group"), pa.types.is_integer),
    **dict.fromkeys((*SCORES, *LOGITS), pa.types.is_floating),
}
ROWS_AT_ONCE = 100_000
MAX_NAME_BYTES = 100  # far more than the name of a split or a construct has
# In float32, large logits give probabilities of exactly 0 or 1. These stand for them: as close as
# possible to 0 and 1, but still rounded to them.
SMALLEST, LARGEST = 2.0**-151, 1 - 2.0**-26
REVIEWS_NAME = re.compile(r"reviews-[0-9a-f]{16}\.parquet")


class Predictions(NamedTuple):
    """The predictions for the reviews of a stage, in the order of their rows."""

    row: np.ndarray  # (N,) int64, of the review in its split of the corpus
    label: np.ndarray  # (N,) int8
    logit: np.ndarray  # (N,) float64 for two classes, (N, K) for more
    tokens: np.ndarray | None  # (N,) int64, before truncation; older runs do not have it
    classes: Classes = BINARY
    decided: np.ndarray | None = None  # (N,) predicted labels of joined folds; see `predicted`
    group: np.ndarray | None = None  # (N,) int64, equal within a group; None if unknown
    construct: np.ndarray | None = None  # (N,) str, of synthetic reviews; see `synthetic.Construct`

    @property
    def probability(self) -> np.ndarray:
        """The probability of the second class of two, (N,) float64, or of each of more, (N, K)."""
        return probabilities.probabilities(self.logit)

    @property
    def predicted(self) -> np.ndarray:
        """The label of the predicted class, (N,). Each of several joined folds has a threshold."""
        if self.decided is not None:
            return self.decided
        predicted: np.ndarray = self.classes.predicted(self.probability)
        return predicted

    @property
    def correct(self) -> np.ndarray:
        """Whether the predicted class equals the label, (N,) bool."""
        return self.predicted == self.label


def save_predictions(
    path: Path, predictions: PredictionColumns, review_columns: ReviewColumns = lambda *_: {}
) -> None:
    """Write the predictions of a run to `path` in its folder; write no file if there are none.

    Each stage has the columns `index` (the row of the review in its split of the corpus), `label`
    and `logit`, (N,) or (N, K). `review_columns` returns further columns of the reviews in some
    rows of a stage, the same columns for all stages: `tokens`, `group` and `construct`. In the
    file, the column `split` names the stage.
    """
    tables = []
    for stage, columns in predictions.items():
        arrays = {name: values.numpy() for name, values in columns.items()}
        arrays |= review_columns(stage, arrays["index"])
        arrays["label"] = arrays["label"].astype(np.int8)
        if "logit" in arrays and (logits := arrays["logit"]).ndim > 1:
            del arrays["logit"]
            arrays |= dict(zip(LOGITS, logits.T, strict=False))
        stages = pa.array([stage] * len(arrays["index"]))
        tables.append(pa.table({"split": stages, **arrays}))
    if tables:
        write_table(path, pa.concat_tables(tables))


def write_table(path: Path, table: pa.Table) -> None:
    """Write the logits to `path`, and the other columns to the sweep's file of reviews.

    A table of an older version keeps its probabilities. Several processes may write tables of the
    same sweep at the same time.
    """
    scores = _score_columns(table)
    reviews = table.drop_columns(scores).replace_schema_metadata()
    name = REVIEWS.format(_digest(reviews))
    _write_reviews(path.parent.parent / name, reviews)
    logits = table.select(scores).replace_schema_metadata({REFERENCE: name})
    write_atomically(path, _parquet(logits, use_dictionary=False))


def _score_columns(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name in (*SCORES, *LOGITS)]


def read_table(path: Path) -> pa.Table:
    """Return split, index, label, tokens, group, construct and logits of a run's predictions.

    Groups and constructs are only there if they are known. Runs of older versions have the
    probability instead of the logit, and may lack the tokens.
    Raises InputError if the run's file or the sweep's file of reviews is missing or damaged.
    """
    table = _read(path)
    file = _reviews_file(path, table)
    if file is None:
        return table
    reviews = _read_reviews(file)
    if table.column_names != _score_columns(table) or len(table) != len(reviews):
        raise InputError(f"{_shown(path)} does not match {file.name}")
    for column in table.column_names:
        reviews = reviews.append_column(column, table[column])
    return reviews


def reviews_file(path: Path) -> Path | None:
    """Return the sweep's file of reviews that a run's predictions name.

    None if the predictions have all columns themselves, as in older versions. Raises InputError if
    they are missing or damaged.
    """
    return _reviews_file(path, _read(path))


def _reviews_file(path: Path, table: pa.Table) -> Path | None:
    reference = (table.schema.metadata or {}).get(REFERENCE)
    if reference is None:
        return None
    name = reference.decode(errors="replace")
    if not REVIEWS_NAME.fullmatch(name):
        raise InputError(f"{_shown(path)} cannot be read: it names no file of reviews")
    return path.parent.parent / name


def read_predictions(run: RunSummary, stage: str) -> Predictions:
    """Return the predictions of a finished run in a stage, "val" or "test".

    Those of joined folds are the predictions of all of them. Raises InputError if they are missing
    or damaged, or do not match the run's record.
    """
    if run.folds:
        return _concatenated([read_predictions(fold, stage) for fold in run.folds])
    assert run.record is not None
    path = run.folder / PREDICTIONS
    table = read_table(path)
    classes = record_classes(run.record)
    try:
        predictions = _columns(table.filter(pc.equal(table["split"], stage)), classes)
    except (pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{_shown(path)} cannot be read ({reason_of(error)})") from error
    if not _matches(predictions, run.record[stage]["confusion_matrix"]):
        raise InputError(f"{_shown(path)} does not match the run's record")
    return predictions


def _concatenated(parts: Sequence[Predictions]) -> Predictions:
    """Return the predictions of all parts, sorted by row."""
    row = np.concatenate([part.row for part in parts])
    order = np.argsort(row, kind="stable")

    def joined(columns: Sequence[np.ndarray | None]) -> np.ndarray | None:
        known = [column for column in columns if column is not None]
        return np.concatenate(known)[order] if len(known) == len(parts) else None

    return Predictions(
        row[order],
        np.concatenate([part.label for part in parts])[order],
        np.concatenate([part.logit for part in parts])[order],
        joined([part.tokens for part in parts]),
        parts[0].classes,
        joined([part.predicted for part in parts]),
        joined([part.group for part in parts]),
        joined([part.construct for part in parts]),
    )


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _read(path: Path) -> pa.Table:
    try:
        with open_regular(path) as stream:
            return _read_columns(stream)
    except FileNotFoundError as error:
        raise InputError(f"{_shown(path)} is missing") from error
    except InputError as error:
        problem = str(error).rstrip(".")
        raise InputError(f"{_shown(path)} cannot be read ({problem})") from error
    except Exception as error:  # Arrow's errors have many types
        raise InputError(f"{_shown(path)} cannot be read ({reason_of(error)})") from error


def _read_columns(stream: BinaryIO) -> pa.Table:
    """Read a table, whose columns and sizes are checked first."""
    with parquet_table(stream) as file:
        PREDICTION_ROWS.check(file.num_rows)
        _check_columns(file.schema)
        batches = file.batches(file.schema.names, ROWS_AT_ONCE)
        return pa.Table.from_batches(map(_checked, batches), file.schema)


def _checked(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch. Raises InputError if a value is missing or the name of a split too long."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if column.null_count:
            raise InputError(f"a value of {name} is missing")
        if name in NAMES and (pc.max(pc.binary_length(column)).as_py() or 0) > MAX_NAME_BYTES:
            raise InputError(f"a name of its {name}s is too long")
    return batch


def _check_columns(schema: pa.Schema) -> None:
    if len(set(schema.names)) < len(schema.names):
        raise InputError("it has two columns of the same name")
    for field in schema:
        if field.name not in HAS_TYPE or not HAS_TYPE[field.name](field.type):
            column = printable(f"{field.name!r:.60} ({field.type!s:.60})")
            raise InputError(f"its column {column} is not one of predictions")


def _read_reviews(path: Path) -> pa.Table:
    """Read a sweep's file of reviews. Raises InputError with the remedy if it is not intact."""
    try:
        reviews = _read(path)
        if path.name != REVIEWS.format(_digest(reviews)):
            raise InputError(f"{_shown(path)} is damaged: its content does not match its name")
    except (InputError, pa.ArrowException, TypeError, ValueError) as error:
        problem = error if isinstance(error, InputError) else f"{_shown(path)} is damaged"
        raise InputError(f"{problem} ({RESTORE})") from error
    return reviews


def _write_reviews(path: Path, reviews: pa.Table) -> None:
    """Write the reviews to `path`, unless an intact file is already there."""
    with suppress(InputError):
        _read_reviews(path)
        return
    content = _parquet(
        reviews,
        use_dictionary=["split", "label", "tokens", "group", "construct"],
        column_encoding={"index": "DELTA_BINARY_PACKED"},
    )
    write_atomically(path, content)


def _parquet(table: pa.Table, **encoding: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", compression_level=19, **encoding)
    return buffer.getvalue()


def _digest(reviews: pa.Table) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of the values; all versions give the same."""
    digest = hashlib.sha256()
    for name, column in zip(reviews.column_names, reviews.columns, strict=True):
        digest.update(f"{name} {len(column)}\n".encode())
        if pa.types.is_integer(column.type):
            digest.update(column.cast(pa.int64()).to_numpy().astype("<i8").tobytes())
        else:
            digest.update("\n".join(column.to_pylist()).encode())
    return digest.hexdigest()[:16]


def _columns(table: pa.Table, classes: Classes) -> Predictions:
    """Return the columns of a table as predictions, sorted by row.

    Raises ValueError, KeyError or TypeError if the table does not have these columns.
    """
    row, label = (table[name].to_numpy() for name in ("index", "label"))
    tokens, group, construct = (
        table[name].to_numpy() if name in table.column_names else None
        for name in ("tokens", "group", "construct")
    )
    whole = [column for column in (row, label, tokens, group) if column is not None]
    labels = range(len(classes))
    if any(column.dtype.kind != "i" for column in whole) or not np.isin(label, labels).all():
        raise ValueError(
            "index, label, tokens and group must be signed whole numbers, and labels at most "
            f"{labels[-1]} and at least 0"
        )
    order = np.argsort(row, kind="stable")
    return Predictions(
        row[order],
        label[order].astype(np.int8),
        _logits(table, classes)[order],
        None if tokens is None else tokens[order],
        classes,
        group=None if group is None else group[order].astype(np.int64),
        construct=None if construct is None else construct[order].astype(str),
    )


def _logits(table: pa.Table, classes: Classes) -> np.ndarray:
    """Return the logits of a table, in float64; NaN for a number that is no probability."""
    if classes.outputs > 1:
        names = LOGITS[: classes.outputs]
        if _score_columns(table) != list(names):
            raise ValueError(f"it must have a logit for each of {len(names)} classes")
        return np.stack([table[name].to_numpy().astype(np.float64) for name in names], axis=1)
    if "logit" in table.column_names:
        return table["logit"].to_numpy().astype(np.float64)
    probability = table["probability"].to_numpy().astype(np.float64)
    within = np.where((probability >= 0) & (probability <= 1), probability, np.nan)
    return logit(within.clip(SMALLEST, LARGEST))


def _matches(predictions: Predictions, matrix: Sequence[Sequence[int]]) -> bool:
    """Return whether rows are unique and finite logits give the confusion matrix."""
    if not np.isfinite(predictions.logit).all():
        return False
    count = len(predictions.classes)
    cells = count * predictions.label.astype(np.int64) + predictions.predicted
    counted = np.bincount(cells, minlength=count**2).reshape(count, count)
    return len(np.unique(predictions.row)) == len(predictions.row) and counted.tolist() == matrix
