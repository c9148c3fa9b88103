"""File formats of reviews: CSV, TSV, JSON Lines, Parquet and folders of text files.

Files are read as streams. Each value is checked when it is read, so errors name the file and the
row.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lstm_sentiment.config import Delimiter
from lstm_sentiment.data.columns import (
    TEXT_COLUMNS,
    USUAL_COLUMNS,
    Columns,
    LabelParser,
    MissingError,
    Review,
    invalid_byte,
    join_names,
    parse_group,
    parse_text,
)
from lstm_sentiment.data.delimited import (
    USUAL_FORMAT,
    Dialect,
    Header,
    Note,
    Row,
    RowTests,
    TextFormat,
    decoded_lines,
    detect,
    detect_encoding,
    is_gzip,
    open_file,
    read_delimited,
    wrong_encoding,
)
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import COLUMNS, LINE_BYTES, ROWS
from lstm_sentiment.files.reading import errors_named, read_bytes, reason_of
from lstm_sentiment.files.streams import lines_of
from lstm_sentiment.labels import USUAL_LABELS

if TYPE_CHECKING:  # only Parquet files need pyarrow
    import pyarrow as pa

PARQUET, TEXT = ".parquet", ".txt"
JSON_LINES = (".json", ".jsonl", ".ndjson")
DELIMITERS = {".csv": Delimiter.comma, ".tsv": Delimiter.tab}  # the usual ones, by suffix

Choose = Callable[[Header], Header]  # names of all columns -> names of the columns to read


@dataclass(frozen=True)
class Reading:
    """How files are read, apart from their columns."""

    text_format: TextFormat
    tests: RowTests
    found: Callable[[Dialect], object] = lambda _: None  # receives the dialect of a text file
    schema: Callable[["pa.Schema"], object] = lambda _: (
        None
    )  # receives the schema of a Parquet file
    note: Note = lambda _: None


Reader = Callable[[Path, Choose, Reading], Iterator[Row]]


def read_tables(
    files: Sequence[Path],
    columns: Columns = USUAL_COLUMNS,
    labelled: bool = True,
    text_format: TextFormat = USUAL_FORMAT,
    note: Note = lambda _: None,
    found: Callable[[Header, Dialect | None], object] = lambda *_: None,
) -> Iterator[Review]:
    """Yield the reviews of files that together form one table, in the order of files and rows.

    `note` receives sentences about what was guessed or looks wrong; of several files, each with the
    name of its file. `found` receives the names of the columns of text and label, and the dialect
    of a CSV or TSV file, when the first file is opened. Raises InputError with the file and the
    row, counted from 1.
    """
    parser = LabelParser(columns)
    tests = _row_tests(columns, labelled, parser)
    first_header: Header = ()
    dialect: Dialect | None = None

    def reviews_of(file: Path) -> Iterator[Review]:
        def choose(present: Header) -> Header:
            nonlocal first_header
            # A JSON object may leave out a column that has no value.
            may_differ = not first_header or _reader(file) is _json_lines
            if not may_differ and set(present) != set(first_header):
                raise InputError(
                    f"the columns are {join_names(present)}, but those of {files[0].name} are "
                    f"{join_names(first_header)}: give files with the same columns."
                )
            chosen = _chosen(columns, present, labelled)
            if not first_header:
                first_header = present
                found(chosen, dialect)
            return chosen

        def name_classes(schema: "pa.Schema") -> None:
            if labelled:
                parser.name_classes(_class_names(schema, columns.find_label(schema.names)))

        def note_guesses(of_file: Dialect) -> None:
            nonlocal dialect
            dialect = of_file
            if dialect.guesses:
                note_on_file(dialect.description)

        note_on_file = note if len(files) == 1 else _about(file.name, note)
        reading = Reading(text_format, tests, note_guesses, name_classes, note_on_file)
        parser.name_classes([])
        with errors_named(file):
            yield from _reviews(
                _reader(file)(file, choose, reading), parser, labelled, note_on_file
            )

    for file in files:
        yield from reviews_of(file)


def _about(name: str, note: Note) -> Note:
    return lambda sentence: note(f"{name}: {sentence}")


def _row_tests(columns: Columns, labelled: bool, parser: LabelParser) -> RowTests:
    """Return tests of rows; `parser` knows the labels of the rows that have been read."""

    def has_columns(header: Header) -> bool:
        try:
            return bool(_chosen(columns, header, labelled))
        except InputError:
            return False

    def are_reviews(rows: Iterator[Mapping[str, str]]) -> bool:
        fresh, has_label, found = LabelParser(columns), set[bool](), Counter[str]()
        for row in rows:
            try:
                label = columns.find_label(list(row))
            except InputError:
                return True  # there are no labels
            try:
                found[fresh.parse(row[label]).casefold()] += 1
                has_label.add(True)
            except MissingError:
                has_label.add(False)
            except ValueError:
                return False
        # Any text may be a label, so one that occurs once does not show that its line is a row.
        known = USUAL_LABELS.keys() if columns.classes is None else found.keys()
        if any(times == 1 and label not in known for label, times in found.items()):
            return False
        # All labels may be left empty in a file to predict, but not some of them.
        return columns.skip_missing or len(has_label) < 2

    def may_be_review(row: Mapping[str, str]) -> bool:
        try:
            return parser.knows(row[columns.find_label(list(row))])
        except InputError:
            return False

    return RowTests(has_columns, are_reviews, may_be_review, labelled)


def read_arrow(
    name: str,
    table: "pa.Table",
    columns: Columns = USUAL_COLUMNS,
    labelled: bool = True,
    note: Note = lambda _: None,
) -> Iterator[Review]:
    """Yield the reviews of an Arrow table. Raises InputError with `name` and the row."""
    from lstm_sentiment.data.parquet import ROWS_AT_ONCE, rows_of

    parser = LabelParser(columns)
    with errors_named(name):
        chosen = _chosen(columns, table.column_names, labelled)
        if labelled:
            parser.name_classes(_class_names(table.schema, chosen[1]))
        rows = rows_of(table.to_batches(ROWS_AT_ONCE), chosen)
        yield from _reviews(rows, parser, labelled, note)


def _class_names(schema: "pa.Schema", column: str) -> list[str]:
    """Return the names of a column's classes, by number, which the library `datasets` writes.

    See `datasets.ClassLabel`. Numbers without names give an empty list.
    """
    try:
        about = json.loads((schema.metadata or {})[b"huggingface"])
        names = about["info"]["features"][column]["names"]
    except (LookupError, TypeError, ValueError, RecursionError):
        return []
    is_valid = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return names if is_valid else []


def _chosen(columns: Columns, present: Sequence[str], labelled: bool) -> list[str]:
    """Return the names of the columns of text, label and group; without labels, of the text."""
    text = columns.find_text(present)
    if not labelled:
        return [text]
    group = columns.find_group(present)
    return [text, columns.find_label(present), *([] if group is None else [group])]


def _reviews(
    rows: Iterator[Row], parser: LabelParser, labelled: bool, note: Note
) -> Iterator[Review]:
    columns, number, skipped = parser.columns, 0, 0
    for number, row in enumerate(ROWS.bounded(rows), 1):
        try:
            text = parse_text(row[0])
            if columns.skip_missing and not text.strip():
                raise MissingError("text")
            label = parser.parse(row[1]) if labelled else None
            review = Review(text, label, parse_group(row[2]) if len(row) > 2 else None)
        except MissingError as error:
            if not columns.skip_missing:
                option = columns.options.missing
                advice = f"; {option} leaves out such rows" if option else ""
                raise InputError(f"row {number}: {error}{advice}.") from error
            skipped += 1
            continue
        except ValueError as error:
            raise InputError(f"row {number}: {error}") from error
        yield review
    if skipped and skipped == number:
        raise InputError("no row has both a text and a label: there are no reviews.")
    if skipped:
        note(f"{skipped:,} of {number:,} rows were left out, since they have no text or no label.")


def read_folders(
    folders: Sequence[tuple[Path, str | None]],
    groups_of: Callable[[Path], Callable[[Path], str | None]] = lambda _: lambda _: None,
) -> Iterator[Review]:
    """Yield the reviews of (folder, label) pairs: one per .txt file, sorted by file name.

    `groups_of` returns, for a folder, the function that gives the group of a file in it.
    """
    for folder, label in folders:
        group_of = groups_of(folder)
        for file in text_files(folder):
            with errors_named(file):
                content = read_bytes(file, LINE_BYTES, follow_links=True)
                try:
                    text = content.decode()
                except UnicodeDecodeError as error:
                    raise InputError(f"not UTF-8 ({invalid_byte(error)}).") from error
                yield Review(text, label, group_of(file))


def text_files(folder: Path) -> list[Path]:
    """Return the .txt files of a folder, sorted by name, without hidden ones.

    macOS adds a hidden file such as ._0_9.txt for each file of an archive that it unpacks.
    """
    return sorted(file for file in folder.glob("*.txt") if not file.name.startswith("."))


class Rows(NamedTuple):
    """A table, row by row, with all its columns or the texts alone."""

    names: Sequence[str]  # of all columns
    text_column: str
    text: int  # position of the text in a row
    rows: Iterator[Row]
    dialect: Dialect | None = None  # of a CSV, TSV or text file


def read_rows(
    file: Path,
    columns: Columns = USUAL_COLUMNS,
    text_format: TextFormat = USUAL_FORMAT,
    note: Note = lambda _: None,
    text_only: bool = False,
) -> Rows:
    """Return all rows and columns of a table, or the lines of a .txt file, unchecked.

    With `text_only`, a row has its text alone, and the values of other columns are not converted.

    A missing value of a JSON object and an empty field are None. `note` receives a warning if a
    quoted field seems to contain rows. Raises InputError with the file, even when the rows are
    consumed later.
    """
    names: Header = ()
    dialect: Dialect | None = None

    def choose(present: Header) -> Header:
        nonlocal names
        if reader is _json_lines:  # a JSON object may have columns that the first one lacks
            present = _json_names(file)
        repeated, count = Counter(present).most_common(1)[0] if present else ("", 0)
        if count > 1:
            raise InputError(
                f"more than one column is named {join_names([repeated])}: rename one of them."
            )
        names, text = present, columns.find_text(present)
        return [text] if text_only else present

    def found(of_file: Dialect) -> None:
        nonlocal dialect
        dialect = of_file

    tests = _row_tests(columns, False, LabelParser(columns))
    reading = Reading(text_format, tests, found, note=note)
    reader: Reader | None = None

    def located() -> Iterator[Row]:
        nonlocal reader
        with errors_named(file):
            reader = _reader(file, {TEXT: _text_lines} | READERS)
            yield from ROWS.bounded(reader(file, choose, reading))

    rows = located()
    first = list(islice(rows, 1))  # reading a row sets the names and the dialect
    text = columns.find_text(names)
    position = 0 if text_only else names.index(text)
    return Rows(names, text, position, chain(first, rows), dialect)


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
        return sum(map(_count_parquet_rows, files))
    except InputError:
        return None  # the error is reported when the file is read


def column_names(file: Path) -> list[str]:
    """Return the names of the columns of a Parquet file."""
    with errors_named(file):
        from lstm_sentiment.data.parquet import open_parquet

        with open_parquet(file) as table:
            return list(table.schema.names)


def _count_parquet_rows(file: Path) -> int:
    with errors_named(file):
        from lstm_sentiment.data.parquet import open_parquet

        with open_parquet(file) as table:
            return table.num_rows


def _suffix(file: Path) -> str:
    return (file.with_suffix("") if is_gzip(file) else file).suffix.lower()


def _is_readable(file: Path, readers: Mapping[str, Reader]) -> bool:
    # Parquet compresses its own columns.
    return _suffix(file) in readers and not (is_gzip(file) and _suffix(file) == PARQUET)


def _reader(file: Path, readers: Mapping[str, Reader] | None = None) -> Reader:
    readers = readers or READERS
    if not _is_readable(file, readers):
        *others, last = readers
        raise InputError(
            f"the file name must end in {', '.join(others)} or {last}; "
            "all but the last may also be followed by .gz."
        )
    return readers[_suffix(file)]


def _delimited(file: Path, choose: Choose, reading: Reading) -> Iterator[Row]:
    chosen, tests = reading.text_format, reading.tests
    dialect = detect(file, DELIMITERS[_suffix(file)], chosen, tests)
    reading.found(dialect)
    yield from read_delimited(file, dialect, chosen, choose, tests, reading.note)


def _text_lines(file: Path, choose: Choose, reading: Reading) -> Iterator[Row]:
    dialect, number = detect_encoding(file, reading.text_format), 1
    reading.found(dialect)
    choose([TEXT_COLUMNS[0]])
    with open_file(file) as stream:
        try:
            for line in decoded_lines(stream, dialect):
                yield [line.rstrip("\r\n")]
                number += 1
        except UnicodeDecodeError as error:
            reason = wrong_encoding(error, dialect, reading.text_format)
            raise InputError(f"line {number}: {reason}.") from error


def _json_lines(file: Path, choose: Choose, reading: Reading) -> Iterator[Row]:
    chosen: Sequence[str] | None = None
    for item in _json_objects(file):
        if chosen is None:
            chosen = choose(list(item))
        yield [item.get(name) for name in chosen]
    if chosen is None:
        raise InputError("the file is empty.")


def _json_objects(file: Path) -> Iterator[dict[str, Any]]:
    with open_file(file) as stream:
        lines = (line for line in lines_of(stream, LINE_BYTES) if line.strip())
        for number, line in enumerate(lines, 1):
            try:
                item = json.loads(line.decode("utf-8-sig"))
            except UnicodeDecodeError as error:
                raise InputError(
                    f"row {number}: not UTF-8 ({invalid_byte(error)}): JSON must be saved as UTF-8."
                ) from error
            except (ValueError, RecursionError) as error:
                reason = "too deep" if isinstance(error, RecursionError) else reason_of(error)
                raise InputError(
                    f"row {number}: not valid JSON ({getattr(error, 'msg', reason)}): each line "
                    "must hold one object."
                ) from error
            if not isinstance(item, dict):
                raise InputError(f"row {number}: not a JSON object: each line must hold one.")
            COLUMNS.check(len(item))
            yield item


def _json_names(file: Path) -> list[str]:
    """Return the names of all columns: objects may have columns that the first one lacks."""
    names: dict[str, None] = {}
    for item in ROWS.bounded(_json_objects(file)):
        names.update(dict.fromkeys(item))
        COLUMNS.check(len(names))
    return list(names)


def _parquet(file: Path, choose: Choose, reading: Reading) -> Iterator[Row]:
    from lstm_sentiment.data.parquet import open_parquet, rows_of

    with open_parquet(file) as table:
        chosen = choose(table.schema.names)
        reading.schema(table.schema)
        yield from rows_of(table.batches(chosen), chosen)


READERS: dict[str, Reader] = {
    ".csv": _delimited,
    ".tsv": _delimited,
    **dict.fromkeys(JSON_LINES, _json_lines),
    PARQUET: _parquet,
}
