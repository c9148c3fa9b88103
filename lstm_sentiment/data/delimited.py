"""Delimited text files: CSV and TSV files, with any delimiter, encoding and quoting.

`TextFormat` holds the choices of the user. `detect` returns the `Dialect` of a file, in which the
choices "auto" are replaced by what the file shows.
"""

import codecs
import csv
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

from lstm_sentiment.config import Delimiter, Quoting
from lstm_sentiment.config_fields import AUTO
from lstm_sentiment.data.columns import invalid_byte
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import COLUMNS, LINE_BYTES, ROWS
from lstm_sentiment.files.streams import lines_of, open_gzip, open_plain

CHARACTERS = {
    Delimiter.comma: ",",
    Delimiter.semicolon: ";",
    Delimiter.tab: "\t",
    Delimiter.pipe: "|",
}
UTF8 = "utf-8"
# The mark of UTF-32 begins with that of UTF-16.
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: UTF8,
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
TOO_LONG = "record larger than the limit"
SAMPLE = 64  # bytes at the start of a file that show its encoding

# Rows are bounded by LINE_BYTES, which may be raised, and thus their fields.
csv.field_size_limit(2**31 - 1)

Row = Sequence[Any]  # the values of the chosen columns
Header = Sequence[str]
Note = Callable[[str], object]  # receives a sentence about a file


@dataclass(frozen=True)
class TextFormat:
    """How the user says that delimited text files are written; "auto" is guessed from each file.

    `prefix` begins the names of the options in messages: "data." in the configuration, "--" on the
    command line.
    """

    delimiter: Delimiter = Delimiter.auto
    encoding: str = AUTO
    quoting: Quoting = Quoting.auto
    prefix: str = "data."

    def __str__(self) -> str:
        """Return the choices, as a part of the keys of cached reviews."""
        return f"{self.delimiter} {self.encoding} {self.quoting}"

    def option(self, name: str, value: str) -> str:
        """Return an option as it is typed, such as data.quoting=none."""
        return f"{self.prefix}{name}={value}"


USUAL_FORMAT = TextFormat()


class Dialect(NamedTuple):
    """How a delimited text file is written."""

    delimiter: str  # one character
    encoding: str  # of Python's codecs
    byte_order_mark: bytes = b""
    quoted: bool = True  # whether a field may be in quotes, as in CSV
    guesses: tuple[str, ...] = ()  # the unusual answers that the file gave, as options

    @property
    def description(self) -> str:
        """One sentence with the guesses; empty if there are none."""
        return f"Guessed from the file: {', '.join(self.guesses)}." if self.guesses else ""


@dataclass(frozen=True)
class RowTests:
    """Tests of rows that help to find out how a file is written.

    A row is given as its fields by the names of the columns.
    """

    has_columns: Callable[[Header], bool]
    # Whether no row has a label that is not allowed.
    are_reviews: Callable[[Iterator[dict[str, str]]], bool]
    # Whether a line of a longer field could be a row of its own, as its label tells.
    may_be_review: Callable[[dict[str, str]], bool]
    labelled: bool  # whether the labels are read


def open_file(file: Path) -> IO[bytes]:
    """Open a regular file for reading, decompressed if its name ends in .gz."""
    return open_gzip(file) if is_gzip(file) else open_plain(file)


def is_gzip(file: Path) -> bool:
    """Return whether the name of a file ends in .gz."""
    return file.suffix.lower() == ".gz"


# What a file shows


def detect(file: Path, usual: Delimiter, chosen: TextFormat, tests: RowTests) -> Dialect:
    """Return the dialect of a file, whose suffix suggests the delimiter `usual`.

    The result depends on the content of the file, the choices and the columns only. Errors in the
    file are left to the reader, which reports them with their rows. Raises InputError if the file
    contradicts the chosen encoding, and OSError if it cannot be read.
    """
    encoding, mark = _encoding(file, chosen)
    dialect = Dialect(CHARACTERS[usual], encoding, mark, chosen.quoting is not Quoting.none)
    delimiter = chosen.delimiter
    if delimiter is Delimiter.auto:
        delimiter = _delimiter(file, usual, dialect, tests)
    dialect = dialect._replace(delimiter=CHARACTERS[delimiter])
    guesses = []
    if chosen.delimiter is Delimiter.auto and delimiter is not usual:
        guesses.append(chosen.option("delimiter", delimiter))
    if chosen.encoding == AUTO and encoding != UTF8:
        guesses.append(chosen.option("encoding", encoding))
    # Quotes are usual in CSV files, but many TSV files are written without quoting.
    if (
        chosen.quoting is Quoting.auto
        and delimiter is Delimiter.tab
        and _unquoted(file, dialect, tests)
    ):
        dialect = dialect._replace(quoted=False)
        guesses.append(chosen.option("quoting", Quoting.none))
    return dialect._replace(guesses=tuple(guesses))


def detect_encoding(file: Path, chosen: TextFormat) -> Dialect:
    """Return the dialect of a file of lines, of which only the encoding matters."""
    return Dialect("", *_encoding(file, chosen))


def is_unicode(file: Path, other: str) -> bool:
    """Return whether a file is certainly not in the encoding `other`, but in one that auto finds.

    Such a file begins with a byte order mark or is UTF-8. A file of ASCII characters alone may be
    in `other` if this encoding contains ASCII. Errors are left to the reader of the file.
    """
    is_ascii = True
    try:
        with open_file(file) as stream:
            for number, line in enumerate(lines_of(stream, LINE_BYTES)):
                if number == 0 and line.startswith(tuple(BYTE_ORDER_MARKS)):
                    return True
                if b"\0" in line:  # UTF-16 without a mark
                    return False
                line.decode()
                is_ascii = is_ascii and line.isascii()
    except (InputError, OSError, EOFError, zlib.error, UnicodeDecodeError):
        return False
    return not is_ascii or b"a".decode(other, errors="replace") != "a"


def _encoding(file: Path, chosen: TextFormat) -> tuple[str, bytes]:
    """Return the encoding and the byte order mark."""
    with open_file(file) as stream:
        start = stream.read(SAMPLE)
    marks = (mark for mark in BYTE_ORDER_MARKS if start.startswith(mark))
    mark = next(marks, b"")
    if chosen.encoding == AUTO:
        return (BYTE_ORDER_MARKS[mark] if mark else _unmarked_encoding(start)), mark
    encoding = codecs.lookup(chosen.encoding).name.removesuffix("-sig")
    if not mark:
        return (f"{encoding}-le" if encoding in ("utf-16", "utf-32") else encoding), mark
    marked = BYTE_ORDER_MARKS[mark]
    if not marked.startswith(encoding):
        raise InputError(
            f"{chosen.option('encoding', chosen.encoding)} contradicts the byte order mark of "
            f"{marked} at the start of the file: leave out the encoding."
        )
    return marked, mark


def _unmarked_encoding(start: bytes) -> str:
    """Return UTF-16 if every other byte is 0, as in a header of ASCII characters, else UTF-8."""
    for encoding, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
        if len(start) >= 4 and not any(zeros):
            return encoding
    return UTF8


def _delimiter(file: Path, usual: Delimiter, dialect: Dialect, tests: RowTests) -> Delimiter:
    """Return the first delimiter, beginning with the usual one, that yields the columns.

    If there is none, return the one that yields the most columns.
    """
    headers: dict[Delimiter, Header] = {}
    for delimiter in (usual, *(other for other in CHARACTERS if other is not usual)):
        header = _header(file, dialect._replace(delimiter=CHARACTERS[delimiter]))
        if header and tests.has_columns(header):
            return delimiter
        headers[delimiter] = header
    return max(headers, key=lambda delimiter: len(headers[delimiter]))


def _header(file: Path, dialect: Dialect) -> Header:
    """Return the header, or nothing if it cannot be read."""
    with open_file(file) as stream:
        try:
            return _read_header(_reader(stream, dialect)) or ()
        except (csv.Error, UnicodeDecodeError):
            return ()


def _unquoted(file: Path, dialect: Dialect, tests: RowTests) -> bool:
    """Return whether quotes are certainly part of the texts.

    Each line must be a row if quotes have no meaning. In addition, the file must be malformed if
    they have one, or quotes would join lines, none of which has a label that is not allowed. Files
    without labels are therefore read like those with labels.
    """
    plain = dialect._replace(quoted=False)
    header = _header(file, plain)
    # A single column fits every line.
    if len(header) < 2 or header != _header(file, dialect):
        return False
    if (lines := _count_rows(file, plain)) is None:
        return False
    rows = _count_rows(file, dialect)
    return rows is None or (rows < lines and tests.are_reviews(_records(file, plain)))


def _count_rows(file: Path, dialect: Dialect) -> int | None:
    """Return the number of rows, or None if one of them is malformed."""
    try:
        return sum(1 for _ in ROWS.bounded(_records(file, dialect)))
    except (csv.Error, UnicodeDecodeError, ValueError):
        return None


def _records(file: Path, dialect: Dialect) -> Iterator[dict[str, str]]:
    """Yield rows by column. Raises ValueError if a row does not have the fields of the header."""
    with open_file(file) as stream:
        rows = _reader(stream, dialect)
        header = _read_header(rows) or []
        for row in filter(None, rows):
            yield dict(zip(header, row, strict=True))


# Reading


def read_delimited(
    file: Path,
    dialect: Dialect,
    chosen: TextFormat,
    choose: Callable[[Header], Header],
    tests: RowTests,
    note: Note,
) -> Iterator[Row]:
    """Yield the values of the columns that `choose` selects from the header; empty ones are None.

    `note` gets a warning if a quoted field seems to contain rows. Raises InputError with the row,
    or the line if the row is malformed.
    """
    with open_file(file) as stream:
        reader = _reader(stream, dialect)
        position, number, warned = "the header", 0, False
        try:
            header = _read_header(reader)
            if header is None:
                raise InputError("the file is empty.")
            positions = {name: index for index, name in reversed([*enumerate(header)])}
            columns = [positions[name] for name in choose(header)]
            while True:
                position = f"row {number + 1} (line {reader.line_num + 1})"
                row = next(reader, None)
                if row is None:
                    return
                if not row:
                    if len(header) > 1:
                        continue  # empty lines are common at the end of a file
                    row = [""]
                number += 1
                if len(row) != len(header):
                    raise InputError(
                        f"{position}: the number of fields is {len(row)}, but the header has "
                        f"{len(header)}: {_advice_on_fields(dialect, chosen)}."
                    )
                if not warned and _contains_rows(row, header, dialect, tests):
                    warned = True
                    note(
                        f"{position}: a field in quotes has a line that looks like a "
                        f"row: if quotes are part of the texts, give "
                        f"{chosen.option('quoting', Quoting.none)}."
                    )
                # CSV does not distinguish empty and missing values.
                yield [row[column] or None for column in columns]
        except csv.Error as error:
            raise InputError(f"{position}: {_reason(str(error), chosen)}.") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{position}: {wrong_encoding(error, dialect, chosen)}.") from error


def delimited_records(stream: IO[bytes], dialect: Dialect) -> Iterator[tuple[list[str], str]]:
    """Yield the fields and the text of each record, the header and empty lines included.

    Together, the texts are the whole file without its byte order mark.
    """
    consumed: list[str] = []

    def lines() -> Iterator[str]:
        for line in decoded_lines(stream, dialect):
            consumed.append(line)
            yield line

    for fields in _Reader(lines(), dialect):
        yield fields, "".join(consumed)
        consumed.clear()


def _reader(stream: IO[bytes], dialect: Dialect) -> "_Reader":
    return _Reader(decoded_lines(stream, dialect), dialect)


class _Reader:
    """The records of a delimited file, each within LINE_BYTES, although its lines may be many."""

    def __init__(self, lines: Iterator[str], dialect: Dialect) -> None:
        self._size, self._longest = 0, LINE_BYTES.value
        self._reader = csv.reader(
            self._measured(lines),
            delimiter=dialect.delimiter,
            quoting=csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE,
            strict=True,
        )

    @property
    def line_num(self) -> int:
        """The number of lines read."""
        return self._reader.line_num

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> list[str]:
        self._size = 0
        return next(self._reader)

    def _measured(self, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            self._size += len(line)
            if self._size > self._longest:
                raise csv.Error(TOO_LONG)
            yield line


def _read_header(reader: _Reader) -> list[str] | None:
    """Return the first record, which may follow empty lines, or None if the file is empty."""
    header = next(filter(None, reader), None)
    COLUMNS.check(len(header or ()))
    return header


def decoded_lines(stream: IO[bytes], dialect: Dialect) -> Iterator[str]:
    """Yield the lines of a file, each with its line break, without the byte order mark.

    They are decoded line by line, so that errors can be reported with the row.
    """
    stream.read(len(dialect.byte_order_mark))
    unit = {"utf-16": 2, "utf-32": 4}.get(dialect.encoding[:6], 1)  # bytes
    decoder = codecs.getincrementaldecoder(dialect.encoding)()
    text = ""
    for part in lines_of(stream, LINE_BYTES):
        text += decoder.decode(part + stream.read(-len(part) % unit))
        if text.endswith("\n"):  # otherwise the byte is a part of another character
            yield text
            text = ""
        else:
            LINE_BYTES.check(len(text))
    text += decoder.decode(b"", True)
    if text:
        yield text


def wrong_encoding(error: UnicodeDecodeError, dialect: Dialect, chosen: TextFormat) -> str:
    """Return the reason why a file cannot be decoded, and what to do."""
    advice = f"the file is damaged or has another encoding: name it with {chosen.prefix}encoding"
    if dialect.encoding == UTF8:
        option = chosen.option("encoding", "cp1252")
        advice = f"name the encoding of the file, such as {option}"
    return f"not {dialect.encoding.upper()} ({invalid_byte(error)}): {advice}"


def _contains_rows(row: Sequence[str], header: Header, dialect: Dialect, tests: RowTests) -> bool:
    # Other delimiters are frequent in texts, so that only a label shows that a line is a row.
    fields_suffice = dialect.delimiter == CHARACTERS[Delimiter.tab] and not tests.labelled
    return dialect.quoted and any(
        fields_suffice or tests.may_be_review(dict(zip(header, fields, strict=True)))
        for value in row
        if "\n" in value
        for line in value.splitlines()
        if len(fields := line.split(dialect.delimiter)) == len(header) > 1
    )


def _advice_on_fields(dialect: Dialect, chosen: TextFormat) -> str:
    if not dialect.quoted:
        return (
            "a text must not contain a delimiter or line break, unless it is in quotes and "
            f"{chosen.option('quoting', Quoting.csv)}"
        )
    return "put a text with a separator or line break in quotes"


def _reason(error: str, chosen: TextFormat) -> str:
    unquoted = f"if quotes are part of the texts, give {chosen.option('quoting', Quoting.none)}"
    if "unexpected end of data" in error:
        return f"a quote is opened and never closed: {unquoted}"
    if error == TOO_LONG:
        return (
            f"it is longer than {LINE_BYTES.value:,} bytes, the limit that the environment "
            f"variable {LINE_BYTES.variable} raises: a closing quote may be missing; {unquoted}"
        )
    if "new-line" in error:
        return "there is a carriage return outside of quotes"
    return f"text follows a closing quote: write a quote inside a text twice; {unquoted}"
