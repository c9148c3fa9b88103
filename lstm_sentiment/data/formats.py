"""files -> reviews: CSV, TSV, JSON Lines, Parquet and folders of texts, read as streams.

Every row is checked where it is read, so that what is wrong can be said with its place.
"""

import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
PARQUET = ".parquet"

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

    def find_text(self, present: Sequence[str]) -> str:
        return _find("text", self.text, TEXT_COLUMNS, present)

    def find_label(self, present: Sequence[str]) -> str:
        return _find("label", self.label, LABEL_COLUMNS, present)


def _find(what: str, wanted: str | None, usual: Sequence[str], present: Sequence[str]) -> str:
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
        f"name the one of the {what}s with data.{what}_column."
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
    label = _Labels(columns.positive)
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
            yield from _checked(_reader(file)(file, choose), label, labelled)


def read_arrow(
    name: str, table: pa.Table, columns: Columns = Columns(), labelled: bool = True
) -> Iterator[Review]:
    """Reviews of a table in memory or mapped into it; raises InputError with `name` and the row."""
    with _said_of(name):
        chosen = [columns.find_text(table.column_names)]
        if labelled:
            chosen.append(columns.find_label(table.column_names))
        rows = _rows(table.to_batches(ROWS_AT_ONCE), chosen)
        yield from _checked(rows, _Labels(columns.positive), labelled)


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
    suffix = (file.with_suffix("") if _is_gzip(file) else file).suffix.lower()
    known = suffix in READERS and not (_is_gzip(file) and suffix == PARQUET)  # it packs by itself
    return suffix if known else None


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


def _reader(file: Path) -> "Reader":
    suffix = table_suffix(file)
    if suffix is None:
        raise InputError(
            f"its name ends in none of {', '.join(READERS)} (all but the last also with .gz): "
            "so it is not known how to read it."
        )
    return READERS[suffix]


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

    def __init__(self, positive: str | None) -> None:
        self.positive = None if positive is None else _label_text(positive)
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
                    "name the positive one with data.positive_label."
                )
            return label
        if text == self.positive:
            return POSITIVE
        self.negative = text if self.negative is None else self.negative
        if text != self.negative:
            raise ValueError(
                f"label {text!r:.60} is neither data.positive_label={self.positive} nor "
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


def _separated(delimiter: str, file: Path, choose: Choose) -> Iterator[Row]:
    with _open(file) as stream:
        # Read as bytes and decoded line by line, so that the place of what is no text is known.
        reader = csv.reader(_lines(stream), delimiter=delimiter, strict=True)
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


def _lines(stream: IO[bytes]) -> Iterator[str]:
    for number, line in enumerate(stream):
        yield line.decode("utf-8-sig" if number == 0 else "utf-8")


def _csv(file: Path, choose: Choose) -> Iterator[Row]:
    return _separated(",", file, choose)


def _tsv(file: Path, choose: Choose) -> Iterator[Row]:
    return _separated("\t", file, choose)


def _json_lines(file: Path, choose: Choose) -> Iterator[Row]:
    chosen: Sequence[str] | None = None
    number = 0
    with _open(file) as stream:
        for line in stream:
            if not line.strip():
                continue
            number += 1
            try:
                item = json.loads(line.decode("utf-8-sig"))
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
            for name in chosen:
                if name not in item:
                    raise InputError(
                        f"row {number} has no {_listed([name])}, only {_listed(item)}."
                    )
            yield [item[name] for name in chosen]
    if chosen is None:
        raise InputError("it is empty.")


def _parquet(file: Path, choose: Choose) -> Iterator[Row]:
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


Reader = Callable[[Path, Choose], Iterator[Row]]
READERS: dict[str, Reader] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".json": _json_lines,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    PARQUET: _parquet,
}
