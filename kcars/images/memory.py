"""Memory for decoding: so much at one time over all threads, and a photo is not blamed where it is short."""

import threading
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from kcars.core.limits import limits
from kcars.untrusted.reading import MIB

Read = TypeVar("Read")


class Room:
    """Bytes that may be in use at one time. Who asks first is let in first; one that asks for more than all is let in alone."""

    def __init__(self):
        self._entry, self._changed, self._used = threading.Lock(), threading.Condition(threading.Lock()), 0

    def enter(self, size: int, most: int) -> None:
        """Wait until `size` more bytes stay within `most`, and take them; `leave` gives them back."""
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
    """What `read` returns, which takes about `size` bytes; it waits until they are free.

    Decoders do not tell a damaged photo from memory that ran out. So what fails with a ValueError is read again, while nothing
    else is decoded, and the error counts only where the memory could then be had. Raises MemoryError if it could not.
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
