"""File formats of reviews: CSV, TSV, JSON Lines, Parquet and folders of text files.

Files are read as streams. Each value is checked when it is read, so errors name the file and the
row.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from lstm_sentiment.data.columns import (
    TEXT_COLUMNS,
    USUAL_COLUMNS,
    Columns,
    LabelParser,
    Review,
    invalid_byte,
    join_names,
    parse_text,
)
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import UNLABELLED

# If a quote is never closed, the rest of the file is one field. The limit keeps this field from
# filling the memory.
LONGEST_FIELD = 2**26  # characters
ROWS_AT_ONCE = 1_000
PARQUET, TEXT = ".parquet", ".txt"

csv.field_size_limit(LONGEST_FIELD)

Row = Sequence[Any]  # the values of the chosen columns
Choose = Callable[
    [Sequence[str]], Sequence[str]
]  # names of all columns -> names of the columns to read
# The string is the argument `errors` of `bytes.decode`.
Reader = Callable[[Path, Choose, str], Iterator[Row]]


def read_tables(
    files: Sequence[Path], columns: Columns = USUAL_COLUMNS, labelled: bool = True
) -> Iterator[Review]:
    """Yield the reviews of files that together form one table, in the order of files and rows.

    Raises InputError with the file and the row, counted from 1.
    """
    parser = LabelParser(columns)
    header: Sequence[str] = ()  # of the first file

    def choose(file: Path, present: Sequence[str]) -> Sequence[str]:
        nonlocal header
        # A JSON object may leave out a column that has no value.
        if header and set(present) != set(header) and _reader(file) is not _json_lines:
            raise InputError(
                f"the columns are {join_names(present)}, but those of {files[0].name} are "
                f"{join_names(header)}: give files with the same columns."
            )
        header = header or present
        return _chosen(columns, present, labelled)

    for file in files:
        with _errors_of(file):
            rows = _reader(file)(file, partial(choose, file), "strict")
            yield from _reviews(rows, parser, labelled)


def read_arrow(
    name: str, table: pa.Table, columns: Columns = USUAL_COLUMNS, labelled: bool = True
) -> Iterator[Review]:
    """Yield the reviews of an Arrow table. Raises InputError with `name` and the row."""
    with _errors_of(name):
        chosen = _chosen(columns, table.column_names, labelled)
        rows = _arrow_rows(table.to_batches(ROWS_AT_ONCE), chosen)
        yield from _reviews(rows, LabelParser(columns), labelled)


def _chosen(columns: Columns, present: Sequence[str], labelled: bool) -> list[str]:
    text = columns.find_text(present)
    return [text, columns.find_label(present)] if labelled else [text]


def _reviews(rows: Iterator[Row], parser: LabelParser, labelled: bool) -> Iterator[Review]:
    for number, row in enumerate(rows, 1):
        try:
            yield Review(parse_text(row[0]), parser.parse(row[1]) if labelled else UNLABELLED)
        except ValueError as error:
            raise InputError(f"row {number}: {error}") from error


def read_folders(folders: Sequence[tuple[Path, int]]) -> Iterator[Review]:
    """Yield the reviews of (folder, label) pairs: one per .txt file, sorted by file name."""
    for folder, label in folders:
        for file in text_files(folder):
            with _errors_of(file):
                yield Review(file.read_bytes().decode(), label)


def text_files(folder: Path) -> list[Path]:
    """Return the .txt files of a folder, sorted by name."""
    return sorted(folder.glob("*.txt"))


class Rows(NamedTuple):
    """A table with all its columns, row by row."""

    names: Sequence[str]
    text: int  # position of the text column among the names
    rows: Iterator[Row]


def read_rows(file: Path, columns: Columns = USUAL_COLUMNS) -> Rows:
    """Return all rows and columns of a table, or the lines of a .txt file, unchecked.

    Bytes that are not UTF-8 are replaced; a missing value of a JSON object and an empty field are
    None. Raises InputError with the file, even when the rows are consumed later.
    """
    names: Sequence[str] = ()

    def choose(present: Sequence[str]) -> Sequence[str]:
        nonlocal names
        if len(set(present)) < len(present):
            repeated = max(present, key=list(present).count)
            raise InputError(
                f"more than one column is named {join_names([repeated])}: rename one of them."
            )
        columns.find_text(present)
        names = present
        return present

    def located() -> Iterator[Row]:
        with _errors_of(file):
            yield from _reader(file, {TEXT: _text_lines} | READERS)(file, choose, "replace")

    rows = located()
    first = list(islice(rows, 1))  # reading a row sets the names
    return Rows(names, names.index(columns.find_text(names)), chain(first, rows))


def table_suffix(file: Path) -> str | None:
    """Return the suffix that names the format of a table, such as ".csv"; None if unknown.

    A final ".gz" is ignored.
    """
    return _suffix(file) if _is_readable(file, READERS) else None


def count_rows(files: Sequence[Path]) -> int | None:
    """Return the number of rows if all files are readable Parquet files, otherwise None."""
    if any(table_suffix(file) != PARQUET for file in files):
        return None
    try:
        return sum(pq.read_metadata(file).num_rows for file in files)
    except (OSError, ValueError, pa.ArrowException):
        return None  # the error is reported when the file is read


def _suffix(file: Path) -> str:
    return (file.with_suffix("") if _is_gzip(file) else file).suffix.lower()


def _is_gzip(file: Path) -> bool:
    return file.suffix.lower() == ".gz"


def _is_readable(file: Path, readers: Mapping[str, Reader]) -> bool:
    # Parquet compresses its own columns.
    return _suffix(file) in readers and not (_is_gzip(file) and _suffix(file) == PARQUET)


def _reader(file: Path, readers: Mapping[str, Reader] | None = None) -> Reader:
    readers = readers or READERS
    if not _is_readable(file, readers):
        *others, last = readers
        raise InputError(
            f"the file name must end in {', '.join(others)} or {last}; "
            "all but the last may also be followed by .gz."
        )
    return readers[_suffix(file)]


@contextmanager
def _errors_of(source: Path | str) -> Iterator[None]:
    """Turn the errors of reading a source into InputError with its name, on one line."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: not UTF-8 ({invalid_byte(error)}).") from error
    except (pa.ArrowException, OSError, EOFError, OverflowError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no reason given"
        raise InputError(
            f"{source}: cannot be read ({reason.splitlines()[0].rstrip('.')})."
        ) from error


def _open(file: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(file)) if _is_gzip(file) else file.open("rb")


def _separated(delimiter: str, file: Path, choose: Choose, errors: str) -> Iterator[Row]:
    with _open(file) as stream:
        # Bytes are decoded line by line, so that errors name their row.
        reader = csv.reader(_lines(stream, errors), delimiter=delimiter, strict=True)
        position, number = "the header", 0
        try:
            header = next(filter(None, reader), None)  # may follow empty lines
            if header is None:
                raise InputError("the file is empty.")
            columns = [header.index(name) for name in choose(header)]
            while True:
                position = f"row {number + 1} (line {reader.line_num + 1})"
                row = next(reader, None)
                if row is None:
                    return
                if not row:
                    continue  # empty lines are common at the end of a file
                number += 1
                if len(row) != len(header):
                    raise InputError(
                        f"{position}: the number of fields is {len(row)}, but the header has "
                        f"{len(header)}: put a text with a separator or line break in quotes."
                    )
                # CSV does not distinguish empty and missing values.
                yield [row[column] or None for column in columns]
        except csv.Error as error:
            raise InputError(f"{position}: {_csv_reason(str(error))}.") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{position}: not UTF-8 ({invalid_byte(error)}).") from error


def _csv_reason(error: str) -> str:
    if "unexpected end of data" in error:
        return "a quote is opened and never closed"
    if "field larger" in error:
        return (
            f"a field is longer than {LONGEST_FIELD:,} characters: a closing quote may be missing"
        )
    if "new-line" in error:
        return "there is a carriage return outside of quotes"
    return "text follows a closing quote: write a quote inside a text twice"


def _lines(stream: IO[bytes], errors: str) -> Iterator[str]:
    for number, line in enumerate(stream):
        yield line.decode("utf-8-sig" if number == 0 else "utf-8", errors)


def _text_lines(file: Path, choose: Choose, errors: str) -> Iterator[Row]:
    choose([TEXT_COLUMNS[0]])
    with _open(file) as stream:
        for line in _lines(stream, errors):
            yield [line.rstrip("\r\n")]


def _json_lines(file: Path, choose: Choose, errors: str) -> Iterator[Row]:
    chosen: Sequence[str] | None = None
    with _open(file) as stream:
        for number, line in enumerate((line for line in stream if line.strip()), 1):
            try:
                item = json.loads(line.decode("utf-8-sig", errors))
            except UnicodeDecodeError as error:
                raise InputError(f"row {number}: not UTF-8 ({invalid_byte(error)}).") from error
            except (ValueError, RecursionError) as error:
                reason = getattr(error, "msg", "too deep")
                raise InputError(
                    f"row {number}: not valid JSON ({reason}): each line must hold one object."
                ) from error
            if not isinstance(item, dict):
                raise InputError(f"row {number}: not a JSON object: each line must hold one.")
            if chosen is None:
                chosen = choose(list(item))
            yield [item.get(name) for name in chosen]
    if chosen is None:
        raise InputError("the file is empty.")


def _parquet(file: Path, choose: Choose, errors: str) -> Iterator[Row]:
    with (
        file.open("rb") as stream,
        pq.ParquetFile(stream, page_checksum_verification=True) as table,
    ):
        chosen = choose(table.schema_arrow.names)
        yield from _arrow_rows(table.iter_batches(ROWS_AT_ONCE, columns=list(chosen)), chosen)


def _arrow_rows(batches: Iterable[pa.RecordBatch], names: Sequence[str]) -> Iterator[Row]:
    """Yield rows whose strings are bytes: a file may contain strings that are not UTF-8."""
    for batch in batches:
        yield from zip(*(_values(batch.column(name)) for name in names), strict=True)


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
    return column.to_pylist()


READERS: dict[str, Reader] = {
    ".csv": partial(_separated, ","),
    ".tsv": partial(_separated, "\t"),
    ".json": _json_lines,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    PARQUET: _parquet,
}
