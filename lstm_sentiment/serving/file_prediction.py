"""rows of a file -> the same rows with predictions, as a stream."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from lstm_sentiment.data.columns import invalid_byte
from lstm_sentiment.data.delimited import Row
from lstm_sentiment.data.formats import Rows, count_rows, read_rows
from lstm_sentiment.display import SILENT, Display
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.outputs import file_output
from lstm_sentiment.serving.file_reading import FileReading
from lstm_sentiment.serving.predictor import Prediction, Predictor
from lstm_sentiment.serving.table_output import (
    InputTable,
    PredictedRows,
    check_output,
    is_copied,
    table_output,
)

# The largest number of rows in memory, and of characters in their values.
ROWS, CHARACTERS = 4_000, 8_000_000

AnyRow = TypeVar("AnyRow", bound=Row)
Predict = Callable[[list[str]], list[Prediction]]


class Counts(NamedTuple):
    """The numbers of rows of a file."""

    rows: int
    without_text: int  # and therefore without a prediction


def predict_file(
    predictor: Predictor,
    file: Path,
    output: Path,
    reading: FileReading,
    display: Display = SILENT,
    overwrite: bool = False,
) -> Counts:
    """Write every row of `file` to `output`, with its prediction; return their numbers.

    The rows keep their order and all their values; in the format of the input, they keep their
    text, or their types. A row without a text gets no prediction. The output is written completely
    or not at all. Raises InputError if the file cannot be read, or the output cannot be written or
    exists and `overwrite` is false.
    """
    check_output(file, output, overwrite)
    table = _read_table(file, reading, display, text_only=is_copied(file, output))
    done, without_text = 0, 0
    with (
        display.progress("predicting", count_rows([file])) as advance,
        file_output(output, overwrite) as draft,
        table_output(InputTable(file, table, predictor.classes), output, draft) as write,
    ):
        for rows, predictions in predicted_rows(predictor.predict, file, table):
            write(rows, predictions)
            done += len(rows)
            without_text += predictions.count(None)
            advance(done)
    return Counts(done, without_text)


def predicted_rows(
    predict: Predict, file: Path, table: Rows, chunk_size: int = ROWS
) -> Iterator[tuple[list[Row], PredictedRows]]:
    """Yield the rows of a file in chunks, in order, with their predictions.

    A row without a text has no prediction. Raises InputError if the file cannot be read.
    """
    done = 0
    for rows in in_chunks(table.rows, chunk_size):
        values = (row[table.text] for row in rows)
        texts = [_text(file, number, value) for number, value in enumerate(values, done + 1)]
        yield rows, _predictions(predict, texts)
        done += len(rows)


def predict_stream(
    predictor: Predictor,
    texts: Iterator[str | None],
    weights: bool = False,
    chunk_size: int = ROWS,
) -> Iterator[tuple[str | None, Prediction | None]]:
    """Yield each text with its prediction, in order, reading at most `chunk_size` texts ahead.

    Without a text, there is no prediction.
    """

    def predict(present: list[str]) -> list[Prediction]:
        return predictor.predict(present, weights)

    for rows in in_chunks(([text] for text in texts), chunk_size):
        chunk = [row[0] for row in rows]
        yield from zip(chunk, _predictions(predict, chunk), strict=True)


def _predictions(predict: Predict, texts: Sequence[str | None]) -> PredictedRows:
    predictions = iter(predict([text for text in texts if text is not None]))
    return [None if text is None else next(predictions) for text in texts]


def read_texts(file: Path, reading: FileReading, display: Display = SILENT) -> Iterator[str | None]:
    """Yield the text of each row, or None. Raises InputError if the file cannot be read."""
    table = _read_table(file, reading, display, text_only=True)
    values = (row[table.text] for row in table.rows)
    return (_text(file, number, value) for number, value in enumerate(values, 1))


def _read_table(file: Path, reading: FileReading, display: Display, text_only: bool) -> Rows:
    """Return the rows of a file, and show how it is read."""
    table = read_rows(file, reading.columns, reading.text_format, display.message, text_only)
    used = reading.used([table.text_column], table.dialect is not None)
    display.message(reading.sentence(file, used))
    if table.dialect is not None and table.dialect.guesses:
        display.message(table.dialect.description)
    return table


def in_chunks(rows: Iterator[AnyRow], size: int = ROWS) -> Iterator[list[AnyRow]]:
    """Yield the rows in lists of `size`, or of fewer if their values are long."""
    chunk: list[AnyRow] = []
    characters = 0
    for row in rows:
        chunk.append(row)
        characters += sum(
            len(value if isinstance(value, str | bytes) else str(value)) for value in row
        )
        if len(chunk) == size or characters > CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _text(file: Path, number: int, value: Any) -> str | None:
    """Return the text of a row; None if it is missing or blank. Other values give their digits.

    Raises InputError if the text is not valid UTF-8.
    """
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{file}: row {number}: the text is not UTF-8 ({invalid_byte(error)}): write the "
                "column as strings."
            ) from error
    text = "" if value is None else str(value)
    return text if text.strip() else None
