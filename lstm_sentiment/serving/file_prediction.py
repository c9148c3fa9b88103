"""rows of a file -> the same rows with predictions, as a stream."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lstm_sentiment.data.columns import Columns, Options
from lstm_sentiment.data.formats import PARQUET, count_rows, read_rows, table_suffix
from lstm_sentiment.display import SILENT, Display, printable
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import file_draft
from lstm_sentiment.serving.predictor import Prediction, Predictor

# The largest number of rows in memory, and of characters in their texts.
ROWS, CHARACTERS = 4_000, 8_000_000
# The options of the command line that name columns, for error messages.
OPTIONS = Options("--column", "--label-column", "--positive-label", None)

Row = Sequence[Any]
Write = Callable[[Sequence[Row]], object]
Writer = Callable[[Path, pa.Schema], AbstractContextManager[Write]]


def predict_file(
    predictor: Predictor,
    file: Path,
    column: str | None,
    output: Path,
    display: Display = SILENT,
) -> int:
    """Write every row of `file` to `output`, with its class and probability; return their number.

    `column` is the name of the text column; if it is None, the usual names are tried. The rows keep
    their order. A missing text is classified like an empty text. The output is written completely
    or not at all.
    Raises InputError if the file cannot be read or the output cannot be written.
    """
    writer = output_writer(output)
    table = read_rows(file, Columns(text=column, options=OPTIONS))
    count = 0
    try:
        with (
            display.progress("predicting", count_rows([file])) as advance,
            file_draft(output) as draft,
            writer(draft, _output_schema(file, table.names)) as write,
        ):
            for rows in in_chunks(table.rows, table.text):
                texts = [cell_text(row[table.text]) for row in rows]
                predictions = predictor.predict(texts)
                write(
                    [
                        [*row, prediction.label, prediction.probability]
                        for row, prediction in zip(rows, predictions, strict=True)
                    ]
                )
                count += len(rows)
                advance(count)
    except OSError as error:
        raise InputError(f"{output} cannot be written ({error.strerror}).") from error
    return count


def predict_stream(
    predictor: Predictor, texts: Iterator[str], weights: bool = False, chunk_size: int = ROWS
) -> Iterator[tuple[str, Prediction]]:
    """Yield each text with its prediction, in order, reading at most `chunk_size` texts ahead."""
    for rows in in_chunks(([text] for text in texts), 0, chunk_size):
        chunk = [row[0] for row in rows]
        yield from zip(chunk, predictor.predict(chunk, weights), strict=True)


def read_texts(file: Path, column: str | None) -> Iterator[str]:
    """Yield the text of each row. Raises InputError if the file cannot be read."""
    table = read_rows(file, Columns(text=column, options=OPTIONS))
    return (cell_text(row[table.text]) for row in table.rows)


def in_chunks(rows: Iterator[Row], text_index: int, size: int = ROWS) -> Iterator[list[Row]]:
    """Yield the rows in lists of `size`, or of fewer if their texts are long.

    `text_index` is the index of the text in a row.
    """
    chunk: list[Row] = []
    characters = 0
    for row in rows:
        chunk.append(row)
        characters += len(cell_text(row[text_index]))
        if len(chunk) == size or characters > CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def cell_text(value: Any) -> str:
    """Return the text of a cell: "" if it is missing, digits for a number, bytes as UTF-8."""
    if value is None:
        return ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _output_schema(file: Path, names: Sequence[str]) -> pa.Schema:
    """Return the columns of the file and two more, with names that the file does not use.

    Columns of a Parquet file keep their types; columns of other files are strings.
    """
    columns = [pa.field(printable(name), pa.string()) for name in names]
    if table_suffix(file) == PARQUET:
        columns = list(pq.read_schema(file))
    label, probability = _unused_name("label", names), _unused_name("probability", names)
    return pa.schema([*columns, (label, pa.string()), (probability, pa.float64())])


def _unused_name(name: str, used: Sequence[str]) -> str:
    return name if name not in used else _unused_name(f"predicted_{name}", used)


def output_writer(path: Path) -> Writer:
    """Return the writer for the suffix of `path`. Raises InputError if there is none."""
    if path.suffix.lower() not in WRITERS:
        raise InputError(f"The output's name must end in {', '.join(WRITERS)} (got {path}).")
    return WRITERS[path.suffix.lower()]


@contextmanager
def _write_separated(delimiter: str, path: Path, schema: pa.Schema) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
        writer.writerow(schema.names)
        yield lambda rows: writer.writerows([_plain(value) for value in row] for row in rows)


def _plain(value: Any) -> Any:
    """Return the value as a string that can be encoded, or as a number; None stays None."""
    if isinstance(value, str | bytes):
        return printable(cell_text(value))
    return json.dumps(value, default=str) if isinstance(value, dict | list | bool) else value


@contextmanager
def _write_json_lines(path: Path, schema: pa.Schema) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as stream:
        yield lambda rows: stream.writelines(
            json.dumps(dict(zip(schema.names, row, strict=True)), default=cell_text) + "\n"
            for row in rows
        )


@contextmanager
def _write_parquet(path: Path, schema: pa.Schema) -> Iterator[Write]:
    def write(rows: Sequence[Row]) -> None:
        columns = zip(*rows, strict=True)
        arrays = [_array(column, field) for column, field in zip(columns, schema, strict=True)]
        table.write_table(pa.Table.from_arrays(arrays, schema=schema))

    with pq.ParquetWriter(path, schema) as table:
        yield write


def _array(column: Sequence[Any], field: pa.Field) -> pa.Array:
    if not pa.types.is_string(field.type):
        return pa.array(column, field.type)
    return pa.array([None if value is None else str(_plain(value)) for value in column], field.type)


WRITERS: dict[str, Writer] = {
    ".csv": partial(_write_separated, ","),
    ".tsv": partial(_write_separated, "\t"),
    ".jsonl": _write_json_lines,
    ".parquet": _write_parquet,
}
