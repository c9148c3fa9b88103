"""The pages of a column in a Parquet file, from their headers.

pyarrow allocates the memory that the header of a page announces, and offers no bound for it. The
metadata at the end of the file may announce less.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from lstm_sentiment.errors import InputError
from lstm_sentiment.files.varint import read_varint

# Numbers of Parquet's format: https://github.com/apache/parquet-format
LARGEST_HEADER = 2**24  # bytes
PADDING = 100  # bytes that pyarrow reads beyond a column of some old writers
DICTIONARY_PAGE = 2
DELTA_BYTE_ARRAY, DICTIONARY_ENCODINGS = 7, (2, 8)
TYPE, EXPANDED, STORED, DATA_PAGE, DATA_PAGE_V2 = 1, 2, 3, 5, 8
PAGE_VALUES, PAGE_ENCODING, PAGE_V2_ENCODING = 1, 2, 4


class Page(NamedTuple):
    """The sizes of a page, and how its values are encoded."""

    expanded: int  # bytes
    stored: int  # bytes
    values: int  # missing ones included
    is_dictionary: bool
    encoding: int | None  # of the values


def pages_of(stream: BinaryIO, chunk: Any) -> Iterator[Page]:
    """Yield the pages of a column of a row group, in the order in which pyarrow reads them."""
    starts = [chunk.data_page_offset]
    if chunk.has_dictionary_page and chunk.dictionary_page_offset > 0:
        starts.append(chunk.dictionary_page_offset)
    offset, values = min(starts), 0
    end = offset + chunk.total_compressed_size + PADDING
    while offset < end and values < chunk.num_values:
        page, header_size = _page(stream, offset)
        yield page
        offset += header_size + page.stored
        values += page.values


def _page(stream: BinaryIO, offset: int) -> tuple[Page, int]:
    size = 2**8
    while size <= LARGEST_HEADER:
        stream.seek(offset)
        header = _Header(stream.read(size))
        try:
            return _page_of(header.struct()), header.position
        except IndexError:  # the header is longer: it contains the largest and smallest value
            size *= 8
    raise InputError("a page of it is damaged.")


def _page_of(fields: dict[int, Any]) -> Page:
    about, encoding = fields.get(DATA_PAGE, {}), PAGE_ENCODING
    if DATA_PAGE_V2 in fields:
        about, encoding = fields[DATA_PAGE_V2], PAGE_V2_ENCODING
    is_dictionary = fields.get(TYPE) == DICTIONARY_PAGE
    try:
        page = Page(
            fields[EXPANDED],
            fields[STORED],
            0 if is_dictionary else about.get(PAGE_VALUES, 0),
            is_dictionary,
            about.get(encoding),
        )
        if min(page[:3]) >= 0:
            return page
    except (KeyError, TypeError, AttributeError):
        pass
    raise InputError("a page of it is damaged.")


class _Header:
    """A header of a page in Thrift's compact protocol."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.position = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return the numbers and structs of a struct by the numbers of their fields.

        Raises IndexError if the content ends before the struct.
        """
        if depth > 8:
            raise InputError("a page of it is damaged.")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._integer()
        if kind == 7:
            return self._skip(8)
        if kind == 8:
            return self._skip(self._unsigned())
        if kind == 12:
            return self.struct(depth + 1)
        raise InputError("a page of it is damaged.")  # headers of pages have no lists

    def _byte(self) -> int:
        byte = self._content[self.position]
        self.position += 1
        return byte

    def _skip(self, size: int) -> None:
        self.position += size
        if self.position > len(self._content):
            raise IndexError

    def _unsigned(self) -> int:
        value, self.position = read_varint(self._content, self.position)
        return value

    def _integer(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
