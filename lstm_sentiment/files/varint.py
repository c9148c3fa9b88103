"""Integers of variable length, as in protobuf's and Thrift's formats."""

LARGEST_SHIFT = 63  # bits; ten bytes hold an integer of 64 bits


def read_varint(content: bytes | memoryview, position: int) -> tuple[int, int]:
    """Return the unsigned integer at a position, and the position after it.

    Each byte holds seven bits, the lowest ones first; the eighth bit says that another byte
    follows. Raises IndexError if the content ends before the integer.
    """
    value = shift = 0
    while (byte := content[position]) & 0x80 and shift < LARGEST_SHIFT:
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
    return value | byte << shift, position + 1
