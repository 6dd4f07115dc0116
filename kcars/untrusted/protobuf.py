"""Reads the wire format of protocol buffers field by field, without a schema, to check files before a library loads them."""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MOST_VARINT_BYTES = 10


def named(text: str) -> frozenset[str]:
    """The space-separated names in a text, such as those of operations."""
    return frozenset(text.split())


def fields(message: int | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) in the order of the message: a number for a varint, the bytes of anything else.

    Raises ValueError if the message is truncated or invalid.
    """
    if isinstance(message, int):
        raise ValueError("a number instead of a message")
    position, end = 0, len(message)
    while position < end:
        key, position = varint(message, position)
        number, kind = key >> 3, key & 7
        if not number:
            raise ValueError("a field without a number")
        if kind == VARINT:
            value, position = varint(message, position)
            yield number, value
            continue
        if kind == BYTES:
            size, position = varint(message, position)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"a field of wire type {kind}")
        if size > end - position:
            raise ValueError("a truncated field")
        yield number, message[position : position + size]
        position += size


def varint(message: memoryview, position: int) -> tuple[int, int]:
    """(the number at a position, the position after it)."""
    number = 0
    for count in range(MOST_VARINT_BYTES):
        if position + count >= len(message):
            break
        byte = message[position + count]
        number |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return number & (2**64 - 1), position + count + 1
    raise ValueError("a truncated number")


def varints(value: int | memoryview) -> list[int]:
    """The numbers of a repeated field: one, or several packed ones."""
    if isinstance(value, int):
        return [value]
    found, position = [], 0
    while position < len(value):
        number, position = varint(value, position)
        found.append(number)
    return found


def text(value: int | memoryview) -> str:
    """The text of a string field; raises ValueError if it is not UTF-8."""
    if isinstance(value, int):
        raise ValueError("a number instead of a text")
    return bytes(value).decode("utf-8")


def messages(message: int | memoryview, number: int) -> Iterator[memoryview]:
    """The submessages of one field; raises ValueError if it contains something else."""
    for found, value in fields(message):
        if found == number:
            if isinstance(value, int):
                raise ValueError("a number instead of a message")
            yield value
