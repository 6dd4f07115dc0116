"""Checks FAISS files field by field before FAISS reads them, because other kinds may map files or allocate any memory.

Numbers are little-endian, as FAISS writes them (`faiss/impl/index_write.cpp`).
"""

import os
import struct
from typing import BinaryIO

import numpy as np

FLAT, IVF_FLAT, LISTS_IN_MEMORY = b"IxF2", b"IwFl", b"ilar"
EUCLIDEAN, FLOAT, ID = 1, 4, 8
_MAP_NONE, _MAP_ARRAY = 0, 1


class Reader:
    """Reads fields of an open file; ValueError at an early end."""

    def __init__(self, file: BinaryIO):
        self._file, self._size = file, os.fstat(file.fileno()).st_size

    def take(self, size: int) -> bytes:
        self._need(size)
        return self._file.read(size)

    def skip(self, size: int) -> None:
        self._need(size)
        self._file.seek(size, os.SEEK_CUR)

    def number(self, kind: str) -> int:
        (found,) = struct.unpack(f"<{kind}", self.take(struct.calcsize(f"<{kind}")))
        return found

    def count(self, expected: int, what: str) -> None:
        """Read a count; ValueError if it is not the expected one."""
        if (found := self.number("Q")) != expected:
            raise ValueError(f"has {found} {what}, not {expected}")

    def numbers(self, count: int) -> np.ndarray:
        """Read (count,) int64."""
        return np.frombuffer(self.take(count * ID), "<i8")

    def ends(self) -> None:
        if self._file.tell() != self._size:
            raise ValueError("has data after the index")

    def _need(self, size: int) -> None:
        if size < 0 or self._file.tell() + size > self._size:
            raise ValueError("is truncated")


def check(file: BinaryIO, count: int, width: int) -> int:
    """Return the number of lists, 0 for an exact index, of a file of `count` vectors of `width` numbers; rewind the file.

    Raises ValueError, with the reason, for another kind, unexpected sizes, or rows other than 0 to count - 1.
    """
    read = Reader(file)
    kind, lists = read.take(4), 0
    if kind == FLAT:
        _flat(read, count, width)
    elif kind == IVF_FLAT:
        lists = _inverted(read, count, width)
    else:
        raise ValueError(f"is of kind {_shown(kind)}; an index of kcars is {_shown(FLAT)} or {_shown(IVF_FLAT)}")
    read.ends()
    file.seek(0)
    return lists


def _flat(read: Reader, count: int, width: int) -> None:
    _header(read, count, width)
    read.count(count * width, "numbers")
    read.skip(count * width * FLOAT)


def _header(read: Reader, count: int, width: int) -> None:
    if (found := read.number("i")) != width:
        raise ValueError(f"has vectors of {found} numbers, not {width}")
    read.count(count, "vectors")
    read.skip(2 * ID)  # Unused.
    trained, metric = read.number("B"), read.number("i")
    if trained != 1 or metric != EUCLIDEAN:
        raise ValueError("does not use Euclidean distances")


def _inverted(read: Reader, count: int, width: int) -> int:
    _header(read, count, width)
    lists, _probes = read.number("Q"), read.number("Q")
    if not 0 < lists <= count:
        raise ValueError(f"has {lists} lists for {count} vectors")
    if (kind := read.take(4)) != FLAT:
        raise ValueError(f"has centres of kind {_shown(kind)}, not {_shown(FLAT)}")
    _flat(read, lists, width)
    if (kind := read.number("B")) not in (_MAP_NONE, _MAP_ARRAY):
        raise ValueError(f"has a map of kind {kind}")
    mapped = count if kind == _MAP_ARRAY else 0
    read.count(mapped, "places")
    read.skip(mapped * ID)
    if (kind := read.take(4)) != LISTS_IN_MEMORY:
        raise ValueError(f"has lists of kind {_shown(kind)}; kcars stores them in the file, {_shown(LISTS_IN_MEMORY)}")
    read.count(lists, "lists")
    read.count(width * FLOAT, "bytes per vector")
    _rows(read, _list_sizes(read, lists, count), count, width)
    return lists


def _list_sizes(read: Reader, lists: int, count: int) -> np.ndarray:
    """Return the number of vectors in each list, (lists,)."""
    kind, stored = read.take(4), read.number("Q")
    if kind == b"full" and stored == lists:
        sizes = read.numbers(lists)
    elif kind == b"sprs" and stored % 2 == 0 and stored <= 2 * lists:
        places, held = read.numbers(stored).reshape(-1, 2).T
        if ((places < 0) | (places >= lists)).any() or len(np.unique(places)) != len(places):
            raise ValueError("has uncounted lists")
        sizes = np.zeros(lists, np.int64)
        sizes[places] = held
    else:
        raise ValueError("has an unknown encoding of list sizes")
    if (sizes < 0).any() or (sizes > count).any() or sizes.sum() != count:
        raise ValueError(f"has lists that do not have {count} vectors in total")
    return sizes


def _rows(read: Reader, sizes: np.ndarray, count: int, width: int) -> None:
    seen = np.zeros(count, bool)
    for size in sizes.tolist():
        read.skip(size * width * FLOAT)
        rows = read.numbers(size)
        if ((rows < 0) | (rows >= count)).any():
            raise ValueError("has row numbers out of range")
        seen[rows] = True
    if not seen.all():
        raise ValueError("has duplicate row numbers")


def _shown(kind: bytes) -> str:
    return repr(kind.decode("latin-1"))
