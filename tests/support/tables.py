"""Files of reviews in every format, by the suffix of their names."""

import csv
import gzip
import json
from collections.abc import Mapping, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lstm_sentiment.data.columns import Columns, Review
from lstm_sentiment.data.delimited import USUAL_FORMAT, TextFormat
from lstm_sentiment.data.formats import read_tables
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import Classes


class NumberedReview(NamedTuple):
    """A text and the label of its class."""

    text: str
    label: int | None


def table_bytes(name: str, columns: Mapping[str, Any]) -> bytes:
    """Return the content of a CSV, TSV, JSON Lines or Parquet file of this name."""
    if name.lower().endswith(".gz"):
        return gzip.compress(table_bytes(name[:-3], columns), mtime=0)
    suffix, rows = name.lower().rsplit(".")[-1], zip(*columns.values(), strict=True)
    if suffix == "parquet":
        stream = BytesIO()
        pq.write_table(pa.table(dict(columns)), stream)
        return stream.getvalue()
    if suffix in ("csv", "tsv"):
        text = StringIO()
        writer = csv.writer(text, delimiter="," if suffix == "csv" else "\t")
        writer.writerows([columns, *rows])
        return text.getvalue().encode()
    lines = (json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode()


def write_columns(file: Path, *columns: Sequence[Any], names: str = "text label") -> Path:
    """Write a table with these columns; `names` are separated by spaces."""
    file.parent.mkdir(parents=True, exist_ok=True)
    named = dict(zip(names.split(), columns, strict=True))
    file.write_bytes(table_bytes(file.name, named))
    return file


def write_rows(file: Path, rows: Sequence[Sequence[Any]], names: str = "text label") -> Path:
    """Write a table with as many values of each row as there are names."""
    width = len(names.split())
    columns = list(zip(*(row[:width] for row in rows), strict=True)) or [()] * width
    return write_columns(file, *map(list, columns), names=names)


def write_bytes(file: Path, content: bytes | str) -> Path:
    """Write a file with this content, in UTF-8."""
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def read_reviews(
    *files: Path,
    labelled: bool = True,
    text_format: TextFormat = USUAL_FORMAT,
    notes: list[str] | None = None,
    **columns: Any,
) -> list[NumberedReview]:
    """Read all reviews; `columns` are the fields of `Columns`, and `notes` gets all sentences.

    Their labels are those of the classes that are found in them.
    """
    note = [].append if notes is None else notes.append
    reviews = list(read_tables(files, Columns(**columns), labelled, text_format, note))
    return numbered(reviews)


def numbered(reviews: Sequence[Review]) -> list[NumberedReview]:
    """Return reviews with the labels of the classes that are found in them."""
    classes = Classes.found(review.label for review in reviews if review.label is not None)
    return [
        NumberedReview(review.text, None if review.label is None else classes.label(review.label))
        for review in reviews
    ]


def refusal(*files: Path, **options: Any) -> str:
    """Return the message with which the last file is refused, without the name of the file."""
    with pytest.raises(InputError) as raised:
        read_reviews(*files, **options)
    start, message = f"{files[-1]}: ", str(raised.value)
    assert message.startswith(start)
    assert "\n" not in message
    assert message.endswith(".")
    return message.removeprefix(start)
