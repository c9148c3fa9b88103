"""files -> reviews: CSV, TSV, JSON Lines, Parquet and folders of texts, read as streams.

Every row is checked where it is read, so that what is wrong can be said with its place.
"""

import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from lstm_sentiment.errors import InputError

NEGATIVE, POSITIVE, UNLABELLED = 0, 1, -1
TEXT_COLUMNS, LABEL_COLUMNS = ("text", "review"), ("label", "sentiment")
# As text, whatever the type of the column: 1, 1.0 and True, "1" and "Positive" are positive.
USUAL_LABELS = {
    **dict.fromkeys(("0", "neg", "negative", "false"), NEGATIVE),
    **dict.fromkeys(("1", "pos", "positive", "true"), POSITIVE),
}
WHOLE_NUMBER = re.compile(r"^(-?\d+)\.0+$")
# A quote that is left open makes one field of all that follows: it has to be noticed before that
# has filled the memory.
LONGEST_FIELD = 2**26
ROWS_AT_ONCE = 1_000
PARQUET, TEXT = ".parquet", ".txt"

csv.field_size_limit(LONGEST_FIELD)


class Review(NamedTuple):
    text: str
    label: int  # POSITIVE, NEGATIVE or UNLABELLED


Row = Sequence[Any]  # the values of the chosen columns
Choose = Callable[[Sequence[str]], Sequence[str]]  # the columns there are -> those to read


@dataclass(frozen=True)
class Columns:
    """Which columns hold text and label; None looks for the usual names and labels."""

    text: str | None = None
    label: str | None = None
    positive: str | None = None
    # By which option each of the three is named, for a sentence that says so.
    options: tuple[str, str, str] = ("data.text_column", "data.label_column", "data.positive_label")

    def find_text(self, present: Sequence[str]) -> str:
        return _find("texts", self.text, TEXT_COLUMNS, present, self.options[0])

    def find_label(self, present: Sequence[str]) -> str:
        return _find("labels", self.label, LABEL_COLUMNS, present, self.options[1])


def _find(
    what: str, wanted: str | None, usual: Sequence[str], present: Sequence[str], option: str
) -> str:
    names = usual if wanted is None else (wanted,)
    for name in names:
        found = [column for column in present if column == name]
        found = found or [column for column in present if _alike(column, name)]
        if len(found) > 1:
            raise InputError(
                f"{len(found)} columns are named {_listed([name])}: leave one of them."
            )
        if found:
            return found[0]
    raise InputError(
        f"there is no column {_listed(names, ' or ')}, only {_listed(present)}: "
        f"name the one of the {what} with {option}."
    )


def _alike(column: str, name: str) -> bool:
    return column.strip().casefold() == name.strip().casefold()


def _listed(names: Iterable[str], between: str = ", ", most: int = 8) -> str:
    """Names for a sentence: where a header is missing, they are whatever stands in the file."""
    short = [" ".join(str(name).split())[:40] or "one without a name" for name in names]
    if not short:
        return "nothing"
    return between.join(short[:most]) + (", ..." if len(short) > most else "")


def read_tables(
    files: Sequence[Path], columns: Columns = Columns(), labelled: bool = True
) -> Iterator[Review]:
    """Reviews of files that together are one table, in the order of the files and their rows.

    Raises InputError with the file, and the row counted from 1 where there is one.
    """
    label = _Labels(columns)
    first: Sequence[str] | None = None

    def choose(present: Sequence[str]) -> Sequence[str]:
        nonlocal first
        # A JSON object may leave out what it has no value for.
        if first is not None and set(present) != set(first) and _reader(file) is not _json_lines:
            raise InputError(
                f"its columns are {_listed(present)}, but those of {files[0].name} are "
                f"{_listed(first)}: give files with the same columns."
            )
        first = first or present
        text = columns.find_text(present)
        return [text, columns.find_label(present)] if labelled else [text]

    for file in files:
        with _said_of(file):
            yield from _checked(_reader(file)(file, choose, "strict"), label, labelled)


class Rows(NamedTuple):
    """All columns of a table, row by row."""

    names: Sequence[str]
    text: int  # which of them holds the text
    rows: Iterator[Row]


def read_rows(file: Path, columns: Columns = Columns()) -> Rows:
    """Every row as it stands there, whatever its text is; of a text file (.txt), its lines.

    What is no UTF-8 is replaced, and an object's missing value is None, as an empty field is.
    Raises InputError with the file, also while rows are read, where it cannot be read on.
    """
    names: Sequence[str] = ()

    def choose(present: Sequence[str]) -> Sequence[str]:
        nonlocal names
        if len(set(present)) < len(present):
            twice = max(present, key=list(present).count)
            raise InputError(f"{_listed([twice])} names more than one column: rename one of them.")
        columns.find_text(present)
        names = present
        return present

    rows = _said(file, _reader(file, {TEXT: _text_lines} | READERS)(file, choose, "replace"))
    first = list(islice(rows, 1))  # with it come the names
    return Rows(names, names.index(columns.find_text(names)), chain(first, rows))


def _said(file: Path, rows: Iterator[Row]) -> Iterator[Row]:
    with _said_of(file):
        yield from rows


def read_arrow(
    name: str, table: pa.Table, columns: Columns = Columns(), labelled: bool = True
) -> Iterator[Review]:
    """Reviews of a table in memory or mapped into it; raises InputError with `name` and the row."""
    with _said_of(name):
        chosen = [columns.find_text(table.column_names)]
        if labelled:
            chosen.append(columns.find_label(table.column_names))
        rows = _rows(table.to_batches(ROWS_AT_ONCE), chosen)
        yield from _checked(rows, _Labels(columns), labelled)


def _checked(rows: Iterator[Row], label: "_Labels", labelled: bool) -> Iterator[Review]:
    for number, row in enumerate(rows, 1):
        try:
            yield Review(_text(row[0]), label(row[1]) if labelled else UNLABELLED)
        except ValueError as error:
            raise InputError(f"row {number}: {error}") from error


def read_folders(folders: Sequence[tuple[Path, int]]) -> Iterator[Review]:
    """Reviews of folders of text files, one review each, in the order of the files' names."""
    for folder, label in folders:
        for file in text_files(folder):
            with _said_of(file):
                yield Review(file.read_bytes().decode(), label)


def text_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.txt"))


def table_suffix(file: Path) -> str | None:
    """The part of the name that says how to read it, such as ".csv"; None where nothing does."""
    known = _suffix(file) in READERS and not (_is_gzip(file) and _suffix(file) == PARQUET)
    return _suffix(file) if known else None


def _suffix(file: Path) -> str:
    return (file.with_suffix("") if _is_gzip(file) else file).suffix.lower()


def count_rows(files: Sequence[Path]) -> int | None:
    """The rows of Parquet files, which know them; None of others, and of what cannot be read."""
    if any(table_suffix(file) != PARQUET for file in files):
        return None
    try:
        return sum(pq.read_metadata(file).num_rows for file in files)
    except (OSError, ValueError, pa.ArrowException):
        return None  # said with its place when it is read


def _is_gzip(file: Path) -> bool:
    return file.suffix.lower() == ".gz"


def _reader(file: Path, readers: Mapping[str, "Reader"] | None = None) -> "Reader":
    readers = readers or READERS
    suffix = _suffix(file)
    if suffix not in readers or (suffix == PARQUET and _is_gzip(file)):  # which packs by itself
        raise InputError(
            f"its name ends in none of {', '.join(readers)} (all but the last also with .gz): "
            "so it is not known how to read it."
        )
    return readers[suffix]


@contextmanager
def _said_of(file: Path | str) -> Iterator[None]:
    """What is wrong with a file is said with its name, in one sentence."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: it is not UTF-8 ({_undecodable(error)}).") from error
    except (pa.ArrowException, OSError, EOFError, OverflowError, zlib.error) as error:
        cause = (getattr(error, "strerror", None) or str(error) or "no reason given").splitlines()
        raise InputError(f"{file}: it cannot be read ({cause[0].rstrip('.')}).") from error


def _undecodable(error: UnicodeDecodeError) -> str:
    return f"byte 0x{error.object[error.start]:02x}"


def _text(value: Any) -> str:
    """Raises ValueError, as `_Labels` does, with a sentence."""
    if value is None:
        raise ValueError("the text is missing: every review needs one.")
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"the text is not UTF-8 ({_undecodable(error)}).") from error
    if not isinstance(value, str):
        raise ValueError(f"the text is {value!r:.60}, no string.")
    return value


class _Labels:
    """Turns a column's values into labels; remembers what stands for negative."""

    def __init__(self, columns: Columns) -> None:
        self.positive = None if columns.positive is None else _label_text(columns.positive)
        self.option = columns.options[2]
        self.negative: str | None = None

    def __call__(self, value: Any) -> int:
        text = _label_text(value)
        if not text:
            raise ValueError("the label is missing: every review needs one.")
        if self.positive is None:
            label = USUAL_LABELS.get(text.casefold())
            if label is None:
                raise ValueError(
                    f"label {text!r:.60} is not allowed: allowed are 0 and 1, neg and pos, "
                    "negative and positive, false and true; for others, "
                    f"name the positive one with {self.option}."
                )
            return label
        if text == self.positive:
            return POSITIVE
        self.negative = text if self.negative is None else self.negative
        if text != self.negative:
            raise ValueError(
                f"label {text!r:.60} is neither {self.option}={self.positive} nor "
                f"{self.negative!r:.60}, which stands for negative: there may be two labels."
            )
        return NEGATIVE


def _label_text(value: Any) -> str:
    """A column's value as one would type it: 1.0 is "1", True "true"; "" where there is none."""
    if value is None or value != value:  # not a number
        return ""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    text = WHOLE_NUMBER.sub(r"\1", str(value).strip())
    return text.lower() if text.lower() in ("true", "false") else text


def _open(file: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(file)) if _is_gzip(file) else file.open("rb")


def _separated(delimiter: str, file: Path, choose: Choose, errors: str = "strict") -> Iterator[Row]:
    with _open(file) as stream:
        # Read as bytes and decoded line by line, so that the place of what is no text is known.
        reader = csv.reader(_lines(stream, errors), delimiter=delimiter, strict=True)
        place, number = "the header", 0
        try:
            header = next(filter(None, reader), None)  # perhaps behind empty lines
            if header is None:
                raise InputError("it is empty.")
            columns = [header.index(name) for name in choose(header)]
            while True:
                place = f"row {number + 1} (line {reader.line_num + 1})"
                row = next(reader, None)
                if row is None:
                    return
                if not row:
                    continue  # an empty line, as often at the end
                number += 1
                if len(row) != len(header):
                    raise InputError(
                        f"{place} has {len(row)} fields, but the header {len(header)}: "
                        "a text that holds the separator or a line break stands in quotes."
                    )
                # An empty field is how CSV writes that there is none.
                yield [row[column] or None for column in columns]
        except csv.Error as error:
            raise InputError(f"{place}: {_of_csv(str(error))}.") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{place}: it is not UTF-8 ({_undecodable(error)}).") from error


def _of_csv(error: str) -> str:
    if "unexpected end of data" in error:
        return "a quote is opened and never closed"
    if "field larger" in error:
        return f"a field is longer than {LONGEST_FIELD:,} characters, so a quote may be left open"
    if "new-line" in error:
        return "a carriage return stands outside of quotes"
    return "something stands behind a closing quote: a quote within a text is written twice"


def _lines(stream: IO[bytes], errors: str = "strict") -> Iterator[str]:
    for number, line in enumerate(stream):
        yield line.decode("utf-8-sig" if number == 0 else "utf-8", errors)


def _csv(file: Path, choose: Choose, errors: str = "strict") -> Iterator[Row]:
    return _separated(",", file, choose, errors)


def _tsv(file: Path, choose: Choose, errors: str = "strict") -> Iterator[Row]:
    return _separated("\t", file, choose, errors)


def _text_lines(file: Path, choose: Choose, errors: str = "strict") -> Iterator[Row]:
    choose([TEXT_COLUMNS[0]])
    with _open(file) as stream:
        for line in _lines(stream, errors):
            yield [line.rstrip("\r\n")]


def _json_lines(file: Path, choose: Choose, errors: str = "strict") -> Iterator[Row]:
    chosen: Sequence[str] | None = None
    number = 0
    with _open(file) as stream:
        for line in stream:
            if not line.strip():
                continue
            number += 1
            try:
                item = json.loads(line.decode("utf-8-sig", errors))
            except UnicodeDecodeError as error:
                raise InputError(
                    f"row {number}: it is not UTF-8 ({_undecodable(error)})."
                ) from error
            except (ValueError, RecursionError) as error:
                reason = getattr(error, "msg", "too deep")
                raise InputError(
                    f"row {number}: it is no JSON ({reason}): each line holds one object."
                ) from error
            if not isinstance(item, dict):
                raise InputError(f"row {number}: it is no JSON object, as each line must be.")
            if chosen is None:
                chosen = choose(list(item))
            yield [item.get(name) for name in chosen]
    if chosen is None:
        raise InputError("it is empty.")


def _parquet(file: Path, choose: Choose, errors: str = "strict") -> Iterator[Row]:
    with (
        file.open("rb") as stream,
        pq.ParquetFile(stream, page_checksum_verification=True) as table,
    ):
        chosen = choose(table.schema_arrow.names)
        yield from _rows(table.iter_batches(ROWS_AT_ONCE, columns=list(chosen)), chosen)


def _rows(batches: Iterable[pa.RecordBatch], names: Sequence[str]) -> Iterator[Row]:
    """The rows of an Arrow table; strings as bytes, since one may be no UTF-8 after all."""
    for batch in batches:
        yield from zip(*(_values(batch.column(name)) for name in names), strict=True)


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
    return column.to_pylist()


# The last says what becomes of bytes that are no UTF-8, as for `bytes.decode`.
Reader = Callable[[Path, Choose, str], Iterator[Row]]
READERS: dict[str, Reader] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".json": _json_lines,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    PARQUET: _parquet,
}
