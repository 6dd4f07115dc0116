"""Reads the wire format of protocol buffers, field by field and without a schema, so that a file can be looked at before a library loads it."""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MOST_VARINT_BYTES = 10
# A key has 32 bits. Of a longer one some readers take the lowest 32: another field than its number tells.
MOST_KEY = 2**32 - 1


def named(text: str) -> frozenset[str]:
    """Names in a text, such as those of operations."""
    return frozenset(text.split())


Value = int | bytes | memoryview


def fields(message: Value) -> Iterator[tuple[int, Value]]:
    """(field number, value) in the order of the message: an int for a varint, bytes for 4 or 8 of fixed size, a view of texts and messages.

    A library passes over a field whose kind is not that of its schema; kinds are told apart so that its reader can. ValueError where the
    message is cut off or is none.
    """
    message = _view(message, "a message")
    place, end = 0, len(message)
    while place < end:
        key, place = varint(message, place)
        number, kind = key >> 3, key & 7
        if not number or key > MOST_KEY:
            raise ValueError("a field without a number" if not number else "a field of a number that is too large")
        if kind == VARINT:
            value, place = varint(message, place)
            yield number, value
            continue
        if kind == BYTES:
            size, place = varint(message, place)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"a field of wire type {kind}")
        if size > end - place:
            raise ValueError("a field that is cut off")
        value = message[place : place + size]
        yield number, value if kind == BYTES else bytes(value)
        place += size


def varint(message: memoryview, place: int) -> tuple[int, int]:
    """(the number that begins at a place, the place behind it)."""
    number = 0
    for count in range(MOST_VARINT_BYTES):
        if place + count >= len(message):
            break
        byte = message[place + count]
        number |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return number & (2**64 - 1), place + count + 1
    raise ValueError("a number that is cut off")


def text(value: Value) -> str:
    """A string field; ValueError where it is no text."""
    return bytes(_view(value, "a text")).decode("utf-8")


def messages(message: Value, number: int) -> Iterator[memoryview]:
    """The submessages of one field; ValueError where it holds something else."""
    return (_view(value, "a message") for found, value in fields(message) if found == number)


def _view(value: Value, what: str) -> memoryview:
    if not isinstance(value, memoryview):
        raise ValueError(f"a number in the place of {what}")
    return value
