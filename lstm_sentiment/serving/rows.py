"""rows of a file -> the same rows with a label and a probability, as a stream."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lstm_sentiment.data.formats import PARQUET, Columns, read_rows, table_suffix
from lstm_sentiment.data.tokens import printable
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import draft_of
from lstm_sentiment.serving.predictor import Prediction, Predictor, prediction

# Rows that are held at a time: few enough for memory, enough to batch reviews of like length.
ROWS, CHARACTERS = 4_000, 8_000_000
OPTIONS = ("--column", "--label-column", "--positive-label")  # as the command line names columns

Row = Sequence[Any]
Write = Callable[[Sequence[Row]], object]
Writer = Callable[[Path, pa.Schema], AbstractContextManager[Write]]


def predict_file(
    predictor: Predictor,
    file: Path,
    column: str | None,
    output: Path,
    seen: Callable[[int], object] | None = None,
) -> int:
    """Writes every row of the file with a label and a probability behind it; how many there were.

    The order is the file's. A row without a text is read as an empty one. The output appears whole
    or not at all. `seen` is told how many rows have been done. Raises InputError.
    """
    writer = output_writer(output)
    table = read_rows(file, Columns(text=column, options=OPTIONS))
    done = 0
    try:
        with draft_of(output) as draft, writer(draft, _schema(file, table.names)) as write:
            for rows in in_parts(table.rows, table.text):
                texts = [text_of(row[table.text]) for row in rows]
                found = map(prediction, predictor.probabilities(texts))
                write([[*row, p.label, p.probability] for row, p in zip(rows, found, strict=True)])
                done += len(rows)
                if seen is not None:
                    seen(done)
    except OSError as error:
        raise InputError(f"{output} cannot be written ({error.strerror}).") from error
    return done


def predictions(
    predictor: Predictor, texts: Iterator[str], weights: bool = False, at_once: int = ROWS
) -> Iterator[tuple[str, Prediction]]:
    """Each text with what is predicted of it, in their order."""
    for rows in in_parts(([text] for text in texts), 0, at_once):
        part = [row[0] for row in rows]
        yield from zip(part, predictor.predict(part, weights), strict=True)


def texts_of(file: Path, column: str | None) -> Iterator[str]:
    """Those of a file's rows. Raises InputError."""
    table = read_rows(file, Columns(text=column, options=OPTIONS))
    return (text_of(row[table.text]) for row in table.rows)


def in_parts(rows: Iterator[Row], text: int, at_once: int = ROWS) -> Iterator[list[Row]]:
    """The rows, so many at a time; fewer where their texts are long."""
    part: list[Row] = []
    characters = 0
    for row in rows:
        part.append(row)
        characters += len(text_of(row[text]))
        if len(part) == at_once or characters > CHARACTERS:
            yield part
            part, characters = [], 0
    if part:
        yield part


def text_of(value: Any) -> str:
    """What a network reads of a value: nothing of a missing one, and of a number its digits."""
    if value is None:
        return ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _schema(file: Path, names: Sequence[str]) -> pa.Schema:
    """The columns of the file and two more, which have other names where it has these already.

    Those of a Parquet file keep their types; of others, all are strings.
    """
    kept = [pa.field(printable(name), pa.string()) for name in names]
    if table_suffix(file) == PARQUET:
        kept = list(pq.read_schema(file))
    label, probability = _new("label", names), _new("probability", names)
    return pa.schema([*kept, (label, pa.string()), (probability, pa.float64())])


def _new(name: str, taken: Sequence[str]) -> str:
    return name if name not in taken else _new(f"predicted_{name}", taken)


def output_writer(path: Path) -> Writer:
    """Raises InputError where its name does not say how to write it."""
    if path.suffix.lower() not in WRITERS:
        raise InputError(f"{path} ends in none of {', '.join(WRITERS)}: name the output so.")
    return WRITERS[path.suffix.lower()]


@contextmanager
def _separated(delimiter: str, path: Path, schema: pa.Schema) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
        writer.writerow(schema.names)
        yield lambda rows: writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str):
        return printable(value)
    return json.dumps(value, default=str) if isinstance(value, dict | list | bool) else value


@contextmanager
def _json_lines(path: Path, schema: pa.Schema) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as stream:
        yield lambda rows: stream.writelines(
            json.dumps(dict(zip(schema.names, row, strict=True)), default=_plain) + "\n"
            for row in rows
        )


def _plain(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


@contextmanager
def _parquet(path: Path, schema: pa.Schema) -> Iterator[Write]:
    def write(rows: Sequence[Row]) -> None:
        columns = zip(*rows, strict=True)
        arrays = [_array(column, field) for column, field in zip(columns, schema, strict=True)]
        table.write_table(pa.Table.from_arrays(arrays, schema=schema))

    with pq.ParquetWriter(path, schema) as table:
        yield write


def _array(column: Sequence[Any], field: pa.Field) -> pa.Array:
    if not pa.types.is_string(field.type):
        return pa.array(column, field.type)
    return pa.array([None if value is None else str(_cell(value)) for value in column], field.type)


WRITERS: dict[str, Writer] = {
    ".csv": partial(_separated, ","),
    ".tsv": partial(_separated, "\t"),
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}
