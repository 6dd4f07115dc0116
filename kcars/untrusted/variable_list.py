"""The list of a SavedModel's variables, looked at before TensorFlow reads it: a shape that cannot be would end the process, or fill the memory.

The file `variables.index` is a table as of LevelDB (tensorflow/core/lib/io/format.h): blocks of keys and values, a block that tells their
places, and a footer that tells the place of that one.
"""

import math
from collections.abc import Iterator

from kcars.untrusted.protobuf import varint

LIST_BYTES = 4 * 2**20  # That of an export of the smallest network has 6,000.
FOOTER_BYTES, MAGIC = 48, 0xDB4775248B80FB57
PACKING_BYTES = 5  # Behind a block: how it is packed, and a checksum.
MOST_KEY_BYTES, MOST_RANK, NUMBER = 1024, 8, 4  # NUMBER: of a place that a block tells.
TEXT = 7  # TensorFlow's DT_STRING: the graph of objects is one.


def refuse_impossible(content: bytes, data_bytes: int) -> None:
    """ValueError where a variable cannot lie in a file of so many bytes, or the list is none."""
    from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto

    for key, value in _entries(memoryview(content)):
        if not key:  # The head of the list.
            continue
        entry = BundleEntryProto.FromString(bytes(value))
        sizes = [one.size for one in entry.shape.dim]
        possible = len(sizes) <= MOST_RANK and min(sizes, default=1) > 0 and not entry.shape.unknown_rank
        if not possible or entry.slices or (entry.dtype == TEXT and sizes):
            raise ValueError("a variable of a shape that none has")
        if not math.prod(sizes) <= entry.size <= data_bytes:
            raise ValueError("its variables are larger than their file")


def _entries(table: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    if int.from_bytes(table[-8:], "little") != MAGIC:
        raise ValueError("no list of variables")
    footer, left = table[-FOOTER_BYTES:], len(table)
    _, place = _numbers(footer, 0, 2)  # Of what TensorFlow does not read.
    (start, size), _ = _numbers(footer, place, 2)
    for _, where in _block(table, start, size):
        (start, size), _ = _numbers(where, 0, 2)
        left -= size
        if left < 0:
            raise ValueError("a list that is read twice")
        yield from _block(table, start, size)


def _block(table: memoryview, start: int, size: int) -> Iterator[tuple[bytes, memoryview]]:
    """Its keys and values. A key tells how many bytes it has of the one before; some have none, and TensorFlow begins to look at those."""
    if start + size + PACKING_BYTES > len(table) or table[start + size]:
        raise ValueError("a list of variables that is packed or cut off")
    block = table[start : start + size]
    count = int.from_bytes(block[-NUMBER:], "little")
    end = size - NUMBER * (count + 1)
    if end < 0:
        raise ValueError("a list of variables that is cut off")
    beginnings, place, key = {0}, 0, b""
    while place < end:
        begin = place
        (shared, own, length), place = _numbers(block, place, 3)
        if shared > len(key) or shared + own > MOST_KEY_BYTES or place + own + length > end:
            raise ValueError("a list of variables that is damaged")
        if not shared:
            beginnings.add(begin)
        key = key[:shared] + bytes(block[place : place + own])
        place += own + length
        yield key, block[place - length : place]
    told = (int.from_bytes(block[at : at + NUMBER], "little") for at in range(end, size - NUMBER, NUMBER))
    if any(one not in beginnings for one in told):
        raise ValueError("a list of variables that is damaged")


def _numbers(message: memoryview, place: int, count: int) -> tuple[list[int], int]:
    """So many numbers, and the place behind them."""
    found = []
    for _ in range(count):
        number, place = varint(message, place)
        found.append(number)
    return found, place
