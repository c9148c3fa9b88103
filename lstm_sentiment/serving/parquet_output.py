"""rows and their predictions -> a Parquet file, as a stream; see `table_output`."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lstm_sentiment.data.delimited import Row
from lstm_sentiment.data.parquet import open_parquet
from lstm_sentiment.files.limits import BLOCK_BYTES
from lstm_sentiment.serving.table_output import (
    InputTable,
    PredictedRows,
    Write,
    as_text,
    converter,
)


@contextmanager
def copy_parquet(source: InputTable, draft: Path) -> Iterator[Write]:
    """Copy all columns of a Parquet file, and append the predictions."""
    with open_parquet(source.file) as table:
        schema, new_fields = table.schema, _new_fields(source)
        for field in new_fields:
            schema = schema.append(field)
        batches = _Batches(table.batches(table.schema.names))
        with pq.ParquetWriter(draft, schema) as copy:

            def write(_rows: Iterable[Row], predictions: PredictedRows) -> None:
                remaining = iter(predictions)
                for part in batches.take(len(predictions)):
                    of_part = list(islice(remaining, part.num_rows))
                    columns = zip(new_fields, _columns(source, of_part), strict=True)
                    new = [pa.array(values, field.type) for field, values in columns]
                    copy.write_table(pa.Table.from_arrays([*part.columns, *new], schema=schema))

            yield write


class _Batches:
    """The rows of several batches as one stream."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self.batches = batches
        self.rest: Any = None

    def take(self, count: int) -> Iterator[pa.Table]:
        """Yield the next `count` rows, in parts of at most about BLOCK_BYTES."""
        parts: list[pa.RecordBatch] = []
        size = 0
        while count:
            rest = self.rest if self.rest else next(self.batches)
            part = rest.slice(0, count)
            self.rest = rest.slice(part.num_rows)
            if parts and size + part.nbytes > BLOCK_BYTES.value:
                yield pa.Table.from_batches(parts)
                parts, size = [], 0
            parts.append(part)
            size += part.nbytes
            count -= part.num_rows
        if parts:
            yield pa.Table.from_batches(parts)


@contextmanager
def write_parquet(source: InputTable, draft: Path) -> Iterator[Write]:
    """Write all columns of the input as strings."""
    columns = [(name, pa.string()) for name in source.table.names]
    schema = pa.schema([*columns, *_new_fields(source)])
    convert = converter(source, lambda value: None if value is None else as_text(value))
    with pq.ParquetWriter(draft, schema) as table:

        def write(rows: Iterable[Row], predictions: PredictedRows) -> None:
            values = [*zip(*convert(rows), strict=True), *_columns(source, predictions)]
            arrays = [pa.array(v, field.type) for v, field in zip(values, schema, strict=True)]
            table.write_table(pa.Table.from_arrays(arrays, schema=schema))

        yield write


def _new_fields(source: InputTable) -> list[pa.Field]:
    label, *probabilities = source.new_names
    numbers = (pa.field(name, pa.float64()) for name in probabilities)
    return [pa.field(label, pa.string()), *numbers]


def _columns(source: InputTable, predictions: PredictedRows) -> list[list[str | float | None]]:
    """Return the values of each new column."""
    rows = [source.values(prediction) for prediction in predictions]
    return [[row[column] for row in rows] for column in range(len(source.new_names))]
