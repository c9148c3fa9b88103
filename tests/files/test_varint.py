"""Integers of variable length."""

import pytest

from lstm_sentiment.files.varint import read_varint


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"\x00", 0),
        (b"\x7f", 127),
        (b"\x80\x01", 128),
        (b"\xac\x02", 300),  # the example of protobuf's documentation
        (b"\x80\x80\x01", 2**14),
        (b"\xff" * 9 + b"\x01", 2**64 - 1),
    ],
)
def test_integers_are_read(content: bytes, value: int) -> None:
    assert read_varint(b"?" + content + b"?", 1) == (value, 1 + len(content))


@pytest.mark.parametrize("content", [b"", b"\x80", b"\xff" * 5])
def test_an_integer_that_is_cut_is_an_error(content: bytes) -> None:
    with pytest.raises(IndexError):
        read_varint(content, 0)


def test_an_integer_without_an_end_is_cut_after_ten_bytes() -> None:
    assert read_varint(memoryview(b"\xff" * 10_000), 0)[1] == 10
