"""rows and their predictions -> a file, as a stream.

In the format of the input, the output is a copy of the input: each row keeps its bytes, and the
predictions are appended to it. For another format, the values are converted.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from lstm_sentiment.data.columns import join_names
from lstm_sentiment.data.delimited import Dialect, Row, delimited_records, open_file
from lstm_sentiment.data.formats import JSON_LINES, PARQUET, Rows, table_suffix
from lstm_sentiment.display import shortened
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import LINE_BYTES
from lstm_sentiment.files.outputs import check_file_output
from lstm_sentiment.files.streams import lines_of
from lstm_sentiment.labels import BINARY, Classes
from lstm_sentiment.serving.predictor import Prediction

PredictedRows = list[Prediction | None]  # None for a row without a text
Write = Callable[[Iterable[Row], PredictedRows], None]
Output = AbstractContextManager[Write]


class InputTable(NamedTuple):
    """The table that is predicted."""

    file: Path
    table: Rows
    classes: Classes = BINARY  # of the model

    @property
    def new_names(self) -> list[str]:
        """The names of the new columns; the table has no such columns.

        They are those of class and probability and, unless the classes are usual, those of the
        probability of each class.
        """
        of_classes = [] if self.classes.are_usual else self.classes.names
        new = ["label", "probability", *(f"probability_{name}" for name in of_classes)]
        return [_unused_name(name, self.table.names) for name in new]

    def values(self, prediction: Prediction | None) -> list[str | float | None]:
        """Return the values of the new columns; they are None without a prediction."""
        if prediction is None:
            return [None] * len(self.new_names)
        of_classes = () if self.classes.are_usual else prediction.probabilities
        return [prediction.label, prediction.probability, *of_classes]


def _unused_name(name: str, used: Sequence[str]) -> str:
    while name in used:
        name = f"predicted_{name}"
    return name


def check_output(file: Path, output: Path, overwrite: bool = False) -> None:
    """Raise InputError if the output has no known suffix, is the input itself, or is refused.

    `file_output` refuses a file that exists, unless `overwrite` is true.
    """
    if output.suffix.lower() not in CONVERTERS:
        raise InputError(f"The output's name must end in {', '.join(CONVERTERS)} (got {output}).")
    with suppress(OSError):  # a missing file is reported when it is read
        if output.samefile(file):  # also through a link
            raise InputError(f"-o {output} is the input itself: give another name.")
    check_file_output(output, overwrite)


def table_output(source: InputTable, output: Path, draft: Path) -> Output:
    """Return the context that writes to `draft` in the format that `output` names.

    It provides a function that takes the next rows of the table with their predictions, in order.
    """
    writers = COPIERS if is_copied(source.file, output) else CONVERTERS
    return writers[output.suffix.lower()](source, draft)


def is_copied(file: Path, output: Path) -> bool:
    """Return whether the output has the format of the input, so that its rows are copied."""
    suffix = table_suffix(file)
    return (".jsonl" if suffix in JSON_LINES else suffix) == output.suffix.lower()


# Copies


@contextmanager
def _copy_delimited(source: InputTable, draft: Path) -> Iterator[Write]:
    dialect, names = source.table.dialect, source.table.names
    assert dialect is not None  # of every CSV and TSV file
    _check_classes(source, dialect)
    with open_file(source.file) as stream, _open_text(draft, dialect) as copy:
        records = delimited_records(stream, dialect)

        def append(values: Iterable[str | float | None], blank_is_row: bool) -> None:
            fields, text = next(records)
            while not (fields or blank_is_row):
                copy.write(text)
                fields, text = next(records)
            content = text.rstrip("\r\n")
            cells = (_quoted(as_text(value), dialect.delimiter) for value in values)
            copy.write(dialect.delimiter.join((content, *cells)) + text[len(content) :])

        def write(_rows: Iterable[Row], predictions: PredictedRows) -> None:
            for prediction in predictions:
                append(source.values(prediction), blank_is_row=len(names) == 1)

        append(source.new_names, blank_is_row=False)
        yield write
        copy.writelines(text for _, text in records)  # empty lines at the end


@contextmanager
def _copy_json_lines(source: InputTable, draft: Path) -> Iterator[Write]:
    with open_file(source.file) as stream, draft.open("wb") as copy:
        lines, names = lines_of(stream, LINE_BYTES), source.new_names

        def write(_rows: Iterable[Row], predictions: PredictedRows) -> None:
            for prediction in predictions:
                line = next(lines)
                while not line.strip():
                    copy.write(line)
                    line = next(lines)
                item = line.rstrip()
                start = item.removesuffix(b"}").rstrip()
                comma = b"" if start.endswith(b"{") else b", "
                new = json.dumps(dict(zip(names, source.values(prediction), strict=True)))
                copy.write(start + comma + new[1:].encode() + line[len(item) :])

        yield write
        copy.writelines(lines)  # empty lines at the end


# Conversions


@contextmanager
def _write_delimited(delimiter: str, source: InputTable, draft: Path) -> Iterator[Write]:
    """Write in the encoding of the input, if it is a text file, otherwise in UTF-8."""
    dialect = source.table.dialect or Dialect("", "utf-8")
    dialect = dialect._replace(delimiter=delimiter, quoted=True)
    _check_classes(source, dialect)
    with _open_text(draft, dialect) as stream:

        def write(rows: Iterable[Row], predictions: PredictedRows) -> None:
            for cells, prediction in zip(convert(rows), predictions, strict=True):
                write_cells([*cells, *map(as_text, source.values(prediction))])

        def write_cells(cells: Iterable[str]) -> None:
            stream.write(delimiter.join(_quoted(cell, delimiter) for cell in cells) + "\n")

        convert = converter(source, as_text)
        write_cells([*source.table.names, *source.new_names])
        yield write


def _quoted(cell: str, delimiter: str) -> str:
    """Return a cell of a CSV file. Some versions of the module csv do not quote a "\r"."""
    special = any(character in cell for character in (delimiter, '"', "\r", "\n"))
    return '"{}"'.format(cell.replace('"', '""')) if special else cell


@contextmanager
def _write_json_lines(source: InputTable, draft: Path) -> Iterator[Write]:
    names = [json.dumps(name) for name in (*source.table.names, *source.new_names)]
    convert = converter(source, _json)
    with draft.open("w", encoding="utf-8") as stream:

        def write(rows: Iterable[Row], predictions: PredictedRows) -> None:
            for values, prediction in zip(convert(rows), predictions, strict=True):
                new = map(_json, source.values(prediction))
                items = zip(names, [*values, *new], strict=True)
                stream.write(f"{{{', '.join(map(': '.join, items))}}}\n")

        yield write


def converter(
    source: InputTable, convert: Callable[[Any], Any]
) -> Callable[[Iterable[Row]], Iterator[list[Any]]]:
    """Return a function that converts the values of the next rows.

    It raises InputError with the row and the column of a value that is not valid Unicode.
    """
    names, number = source.table.names, 0

    def converted(value: Any, name: str) -> Any:
        try:
            return convert(value)
        except UnicodeError as error:
            raise InputError(
                f"{source.file}: row {number}, column {join_names([name])}: the value is not valid "
                "Unicode and cannot be converted to another format: name an output in the format "
                "of the input, which keeps the value."
            ) from error

    def rows_converted(rows: Iterable[Row]) -> Iterator[list[Any]]:
        nonlocal number
        for row in rows:
            number += 1
            yield [converted(value, name) for value, name in zip(row, names, strict=True)]

    for name in names:
        converted(name, name)
    return rows_converted


def as_text(value: Any) -> str:
    """Return a value as text: "" if it is missing, JSON for lists, dictionaries and booleans.

    Raises UnicodeError if a string or bytes are not valid Unicode.
    """
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict | list | bool):
        return _json(value)
    text = str(value)
    text.encode()  # refuses a lone surrogate, which JSON may contain
    return text


def _json(value: Any) -> str:
    return json.dumps(value, default=as_text)


def _copy_parquet(source: InputTable, draft: Path) -> Output:
    from lstm_sentiment.serving.parquet_output import copy_parquet  # needs pyarrow

    return copy_parquet(source, draft)


def _write_parquet(source: InputTable, draft: Path) -> Output:
    from lstm_sentiment.serving.parquet_output import write_parquet

    return write_parquet(source, draft)


CONVERTERS: Mapping[str, Callable[[InputTable, Path], Output]] = {
    ".csv": partial(_write_delimited, ","),
    ".tsv": partial(_write_delimited, "\t"),
    ".jsonl": _write_json_lines,
    PARQUET: _write_parquet,
}
COPIERS: Mapping[str, Callable[[InputTable, Path], Output]] = {
    ".csv": _copy_delimited,
    ".tsv": _copy_delimited,
    ".jsonl": _copy_json_lines,
    PARQUET: _copy_parquet,
}


# Both


def _check_classes(source: InputTable, dialect: Dialect) -> None:
    """Raise InputError if the names of the classes cannot be written in a CSV or TSV file."""
    for name in source.classes.names:
        try:
            name.encode(dialect.encoding)
        except UnicodeError as error:
            raise InputError(
                f"The class {shortened(name)} cannot be written in {dialect.encoding}, the "
                f"encoding of {source.file}: name an output in another format, such as .jsonl."
            ) from error
        if not dialect.quoted and _quoted(name, dialect.delimiter) != name:
            raise InputError(
                f"The class {shortened(name)} cannot be written without quotes, as {source.file} "
                "is: name an output in another format, such as .jsonl."
            )


def _open_text(file: Path, dialect: Dialect) -> TextIO:
    """Open a file for writing, and write the byte order mark if there is one."""
    stream = file.open("w", encoding=dialect.encoding, newline="")
    if dialect.byte_order_mark:
        stream.write("\ufeff")
    return stream
