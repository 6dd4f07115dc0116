"""Reads the wire format of protocol buffers field by field, without a schema, to check files before a library loads them."""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MOST_VARINT_BYTES = 10
# A key has 32 bits. Of a longer one some readers take the lowest 32: another field than its number tells.
MOST_KEY = 2**32 - 1


def named(text: str) -> frozenset[str]:
    """The space-separated names in a text, such as those of operations."""
    return frozenset(text.split())


Value = int | bytes | memoryview


def fields(message: Value) -> Iterator[tuple[int, Value]]:
    """(field number, value) in the order of the message: an int for a varint, bytes for 4 or 8 of fixed size, a view of texts and messages.

    Libraries skip a field whose kind differs from the schema; the kinds are distinct so that callers can do the same. Raises
    ValueError if the message is truncated or invalid.
    """
    message = _view(message, "a message")
    position, end = 0, len(message)
    while position < end:
        key, position = varint(message, position)
        number, kind = key >> 3, key & 7
        if not number or key > MOST_KEY:
            raise ValueError("a field without a number" if not number else "a field of a number that is too large")
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
        value = message[position : position + size]
        yield number, value if kind == BYTES else bytes(value)
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


def text(value: Value) -> str:
    """The text of a string field; raises ValueError if it is not UTF-8."""
    return bytes(_view(value, "a text")).decode("utf-8")


def messages(message: Value, number: int) -> Iterator[memoryview]:
    """The submessages of one field; raises ValueError if it contains something else."""
    return (_view(value, "a message") for found, value in fields(message) if found == number)


def _view(value: Value, what: str) -> memoryview:
    if not isinstance(value, memoryview):
        raise ValueError(f"a number instead of {what}")
    return value
