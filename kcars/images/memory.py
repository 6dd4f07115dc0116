"""Limits the memory of decoding over all threads, and distinguishes a lack of memory from damaged photos."""

import threading
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from kcars.core.limits import limits
from kcars.untrusted.reading import MIB

Read = TypeVar("Read")


class Room:
    """A limit on the bytes in use at one time, first come, first served; a request above the limit is served alone."""

    def __init__(self):
        self._entry, self._changed, self._used = threading.Lock(), threading.Condition(threading.Lock()), 0

    def enter(self, size: int, most: int) -> None:
        """Wait until `size` more bytes stay within `most`, and reserve them; `leave` releases them."""
        with self._entry, self._changed:
            while self._used and self._used + size > most:
                self._changed.wait()
            self._used += size

    def leave(self, size: int) -> None:
        with self._changed:
            self._used -= size
            self._changed.notify_all()


_ROOM = Room()


def within_memory(read: Callable[[], Read], size: int) -> Read:
    """Returns `read()`, which needs about `size` bytes, after waiting until they are free.

    Decoders do not distinguish a damaged photo from a lack of memory. After a ValueError the photo is read again while nothing
    else is decoded; the error is raised if enough memory was available then, else MemoryError.
    """
    most = limits().decoding_mib * MIB
    _ROOM.enter(size, most)
    try:
        return read()
    except (ValueError, MemoryError):
        pass
    finally:
        _ROOM.leave(size)
    return _alone(read, size, max(size, most))


def _alone(read: Callable[[], Read], size: int, most: int) -> Read:
    _ROOM.enter(most, most)
    try:
        return read()
    except MemoryError:
        raise _short(size) from None
    except ValueError:
        _refuse_short(size)
        raise
    finally:
        _ROOM.leave(most)


def _refuse_short(size: int) -> None:
    try:
        np.empty(size, np.uint8)
    except MemoryError:
        raise _short(size) from None


def _short(size: int) -> MemoryError:
    return MemoryError(f"memory is too short to decode it, which takes about {-(-size // MIB):,} MiB")
