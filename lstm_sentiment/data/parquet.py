"""Parquet files, whose pages and values are measured before they are expanded.

A page of a few bytes may expand to gigabytes, and a value may be repeated by its number in a
dictionary. The sizes in the metadata may be wrong; pyarrow uses those in the headers of the pages.
"""

import os
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from itertools import accumulate, chain
from operator import floordiv
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lstm_sentiment.data.parquet_pages import DELTA_BYTE_ARRAY, DICTIONARY_ENCODINGS, Page, pages_of
from lstm_sentiment.files.limits import BLOCK_BYTES, COLUMNS, FOOTER_BYTES, ROWS
from lstm_sentiment.files.streams import open_plain

ROWS_AT_ONCE = 1_000
BYTE_ARRAYS = "BYTE_ARRAY"
WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}  # bytes
LEVEL_BYTES = 4  # of a nested value: its levels of definition and repetition
INDEX_BYTES = 4  # of a value in a dictionary
STORED_SHARE = 8  # a nested column may take this many bytes for each of its bytes in the file
OBJECT_BYTES = 32  # of a value in a list of Python
NANOSECONDS = (pa.types.is_time64, pa.types.is_timestamp)


@contextmanager
def open_parquet(file: Path) -> Iterator["ParquetTable"]:
    """Provide a Parquet file that a user named, as `parquet_table` does."""
    with open_plain(file) as stream, parquet_table(stream) as table:
        yield table


@contextmanager
def parquet_table(stream: BinaryIO) -> Iterator["ParquetTable"]:
    """Provide the table in a Parquet file, within the limits on metadata, columns and rows.

    Raises InputError beyond a limit, OSError or pyarrow.ArrowException if it cannot be read.
    """
    _check_footer(stream)
    with _parquet_file(stream) as table:
        metadata = table.metadata
        COLUMNS.check(max(metadata.num_columns, len(table.schema_arrow)))
        groups = range(metadata.num_row_groups)
        ROWS.check(sum(metadata.row_group(group).num_rows for group in groups))
        ROWS.check(metadata.num_rows)
        yield ParquetTable(stream, table)


def _parquet_file(stream: BinaryIO, read_dictionary: Sequence[str] | None = None) -> Any:
    return pq.ParquetFile(stream, page_checksum_verification=True, read_dictionary=read_dictionary)


def _is_within(path: str, names: Set[str]) -> bool:
    """Return whether one of the columns `names` contains the values at a path such as "a.list"."""
    return any(prefix in names for prefix in accumulate(path.split("."), "{}.{}".format))


def _check_footer(stream: BinaryIO) -> None:
    size = os.fstat(stream.fileno()).st_size
    stream.seek(max(0, size - 8))
    FOOTER_BYTES.check(min(size, int.from_bytes(stream.read(4), "little")))
    stream.seek(0)


class ParquetTable:
    """An open Parquet file."""

    def __init__(self, stream: BinaryIO, table: pq.ParquetFile) -> None:
        self._stream, self._table = stream, table
        self.schema: pa.Schema = table.schema_arrow
        self.num_rows: int = table.metadata.num_rows

    def batches(
        self, names: Sequence[str], rows_at_once: int = ROWS_AT_ONCE
    ) -> Iterator[pa.RecordBatch]:
        """Yield all rows of these columns, in batches of at most `rows_at_once`.

        Raises InputError, before the memory is used, if rows exceed BLOCK_BYTES.
        """
        schema, wanted = self._table.schema, set(names)
        leaves = [
            leaf for leaf in range(len(schema)) if _is_within(schema.column(leaf).path, wanted)
        ]
        # Shared values of nested columns stay shared until their expanded size is known.
        nested = {leaf for leaf in leaves if self._is_shareable(leaf)}
        table = self._table
        if nested:
            self._stream.seek(0)
            table = _parquet_file(self._stream, [schema.column(leaf).path for leaf in nested])
        shared = nested | {leaf for leaf in leaves if self._is_category(leaf)}
        groups = range(table.num_row_groups)
        # pyarrow cannot join lists whose values are in the dictionaries of several row groups.
        parts = [[group] for group in groups] if nested else [[*groups]]
        sizes = (min(rows_at_once, self._largest_batch(part, leaves, shared)) for part in parts)
        batches = chain.from_iterable(
            table.iter_batches(size, row_groups=part, columns=list(names))
            for part, size in zip(parts, sizes, strict=True)
        )
        for batch in _measured(batches):
            yield self._unshared(batch) if nested else batch

    def _is_shareable(self, leaf: int) -> bool:
        """Return whether pyarrow can read a nested column without repeating its values."""
        column, metadata = self._table.schema.column(leaf), self._table.metadata
        if not column.max_repetition_level or column.physical_type != BYTE_ARRAYS:
            return False
        groups = map(metadata.row_group, range(metadata.num_row_groups))
        encodings = {name for group in groups for name in group.column(leaf).encodings}
        return not any(name.startswith("DELTA") for name in encodings)

    def _is_category(self, leaf: int) -> bool:
        """Return whether pyarrow always reads a column without repeating its values."""
        column = self._table.schema.column(leaf)
        field = self.schema.get_field_index(column.path)  # -1 if there are several
        is_field = column.path == column.name and field >= 0
        return is_field and pa.types.is_dictionary(self.schema.field(field).type)

    def _unshared(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        names = batch.schema.names
        arrays = [batch.column(name).cast(self.schema.field(name).type) for name in names]
        return pa.RecordBatch.from_arrays(arrays, names=names)

    def _largest_batch(self, groups: Sequence[int], leaves: Sequence[int], shared: Set[int]) -> int:
        """Return the number of rows whose values fit into BLOCK_BYTES, whatever they are.

        Values of the columns `shared` are not repeated when they are read.
        """
        row_bytes = max((self._row_bytes(group, leaves, shared) for group in groups), default=1)
        BLOCK_BYTES.check(row_bytes)
        # pyarrow's buffers grow to twice their content.
        return max(1, BLOCK_BYTES.value // 2 // row_bytes)

    def _row_bytes(self, group: int, leaves: Sequence[int], shared: Set[int]) -> int:
        """Return the most bytes that the rows of any page have on average.

        A single row may have more, but not more than its page, or than the values of its nested
        columns. Raises InputError if these exceed BLOCK_BYTES.
        """
        row_group = self._table.metadata.row_group(group)
        pages_at_once, row_bytes = 0, 1
        for leaf in leaves:
            chunk, column = row_group.column(leaf), self._table.schema.column(leaf)
            pages = list(pages_of(self._stream, chunk))
            data = [page for page in pages if not page.is_dictionary]
            dictionary = max((page.expanded for page in pages if page.is_dictionary), default=0)
            pages_at_once += dictionary + max((page.expanded for page in data), default=0)
            BLOCK_BYTES.check(pages_at_once)
            longest = 0 if leaf in shared else dictionary
            sizes = [_value_bytes(page, column, longest) for page in data]
            if column.max_repetition_level:  # all values may be in one row
                levels = LEVEL_BYTES * sum(page.values for page in data)
                stored = sum(page.stored for page in data)
                BLOCK_BYTES.check(sum(sizes) + levels - STORED_SHARE * stored)
            else:
                counts = (max(1, page.values) for page in data)
                row_bytes += max(map(floordiv, sizes, counts), default=0)
        return row_bytes


def _value_bytes(page: Page, column: Any, longest: int) -> int:
    """Return the most bytes of a page's values, given the longest value of a dictionary."""
    if column.physical_type != BYTE_ARRAYS:
        return page.values * _width(column)
    if page.encoding in DICTIONARY_ENCODINGS:
        return page.values * max(INDEX_BYTES, longest)
    if page.encoding == DELTA_BYTE_ARRAY:  # a value may begin with all of the previous one
        return page.values * page.expanded
    return page.expanded


def _width(column: Any) -> int:
    return int(WIDTHS.get(column.physical_type) or column.length)


def _measured(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the batches. Raises InputError before 1,000 rows that exceed BLOCK_BYTES."""
    block: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        block.append(batch)
        rows += batch.num_rows
        size += sum(map(_expanded_bytes, batch.columns))
        BLOCK_BYTES.check(size)
        if rows >= ROWS_AT_ONCE:
            yield from block
            block, rows, size = [], 0, 0
    yield from block


def _expanded_bytes(array: pa.Array) -> int:
    """Return the bytes of an array whose shared values are repeated."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        values = array.dictionary
        if not _is_binary(values.type):
            return int(array.indices.nbytes + values.nbytes)
        lengths = pc.binary_length(values).cast(pa.int64()).take(array.indices)
        return int(pc.sum(lengths).as_py() or 0)
    if pa.types.is_struct(kind):
        return sum(map(_expanded_bytes, array.flatten()))
    if pa.types.is_map(kind):
        first, after = array.offsets[0].as_py(), array.offsets[-1].as_py()
        parts = [part.slice(first, after - first) for part in (array.keys, array.items)]
        return OBJECT_BYTES * (after - first) + sum(map(_expanded_bytes, parts))
    if _is_list(kind):
        values = array.flatten()
        return OBJECT_BYTES * (len(array) + len(values)) + _expanded_bytes(values)
    return int(array.nbytes)


def _is_list(kind: pa.DataType) -> bool:
    tests = (
        pa.types.is_list,
        pa.types.is_large_list,
        pa.types.is_fixed_size_list,
    )
    return any(test(kind) for test in tests)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def rows_of(batches: Iterable[pa.RecordBatch], names: Sequence[str]) -> Iterator[Sequence[Any]]:
    """Yield rows whose strings are bytes: a file may contain strings that are not UTF-8."""
    for batch in batches:
        yield from zip(*(_values(batch.column(name)) for name in names), strict=True)


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
    kind = _exact(column.type)
    return (column if kind == column.type else column.cast(kind)).to_pylist()


def _exact(kind: pa.DataType) -> pa.DataType:
    """Return the type with strings for times that have nanoseconds, unlike those of Python."""
    if any(is_time(kind) for is_time in NANOSECONDS) and kind.unit == "ns":
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_exact(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_exact(kind.key_type), _exact(kind.item_type))
    if pa.types.is_large_list(kind):
        return pa.large_list(_exact(kind.value_type))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_exact(kind.value_type), kind.list_size)
    if pa.types.is_list(kind):
        return pa.list_(_exact(kind.value_type))
    return kind
