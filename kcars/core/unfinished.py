"""Temporary files and folders for atomic writes, hidden and locked, and the removal of those left by killed processes.

`out.json` is written as `.out.json.1f3a5b7c`. Its writer holds a lock on it, so that another process can distinguish a file
that is being written from one left by a killed writer, which it removes.
"""

import contextlib
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Generator
from functools import lru_cache
from pathlib import Path

from kcars.core.errors import KcarsError

try:
    import fcntl
except ImportError:  # Not a POSIX system.
    fcntl = None

FORSAKEN_SECONDS = 24 * 3600  # On file systems without locks.
_NAME = re.compile(r"\.(.+)\.(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8}")
_LONGEST = 240  # Bytes of a name, which leaves room for the suffix.


def file_beside(path: Path) -> tuple[int, str]:
    """A new hidden file next to `path`, open for reading and writing, and its path; raises OSError if it cannot be created."""

    def make(place: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        return os.open(place, flags, 0o600)

    return _made(path, make)


@contextlib.contextmanager
def folder_beside(path: Path) -> Generator[Path, None, None]:
    """A new hidden folder next to `path`, accessible only to its owner; removed at the end if it still exists."""

    def make(place: str) -> int:
        os.mkdir(place, 0o700)
        return os.open(place, os.O_RDONLY)

    forget_leftovers(path)
    handle, place = _made(path, make)
    try:
        yield Path(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(handle)


def _made(path: Path, make: Callable[[str], int]) -> tuple[int, str]:
    name = os.fsdecode(os.fsencode(path.name)[:_LONGEST])
    while True:
        place = str(path.parent / f".{name}.{_token()}")
        try:
            handle = make(place)
        except FileExistsError:
            continue
        if fcntl is not None:
            with contextlib.suppress(OSError):  # The file system may have no locks.
                fcntl.flock(handle, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(place), os.fstat(handle)):
                return handle, place
        os.close(handle)  # Another process removed it before it was locked.


def _token() -> str:
    """Eight hexadecimal digits with at least one digit and one letter, so neither a date nor a word."""
    while True:
        token = secrets.token_hex(4)
        if _NAME.fullmatch(f".a.{token}"):
            return token


def forget_leftovers(path: Path) -> None:
    """Remove the temporary files of `path` that killed processes left. The folder is searched once per process."""
    name = os.fsdecode(os.fsencode(path.name)[:_LONGEST])
    for left in _leftovers(str(path.parent.absolute())).get(name, ()):
        _remove_unless_held(str(path.parent / left))


def forget_all_leftovers(folder: Path) -> None:
    """As `forget_leftovers`, for every name in a folder that only kcars writes to."""
    for names in _leftovers(str(folder.absolute())).values():
        for left in names:
            _remove_unless_held(str(folder / left))


@lru_cache(maxsize=256)
def _leftovers(folder: str) -> dict[str, list[str]]:
    """Names of possibly unfinished files and folders in a folder, by final name."""
    found: dict[str, list[str]] = {}
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if match := _NAME.fullmatch(entry.name):
                found.setdefault(match[1], []).append(entry.name)
    return found


def _remove_unless_held(place: str) -> None:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with contextlib.suppress(OSError, RecursionError):  # RecursionError for a tree that is too deep.
        handle = os.open(place, flags)
        try:
            status = os.fstat(handle)
            own = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
            if own and _is_forsaken(handle, status):
                shutil.rmtree(place) if stat.S_ISDIR(status.st_mode) else os.unlink(place)
        finally:
            os.close(handle)


def _is_forsaken(handle: int, status: os.stat_result) -> bool:
    """Whether no process holds a lock on it, or without locks, whether it was not written to for a day."""
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return False
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except OSError:
        pass
    return time.time() - status.st_mtime > FORSAKEN_SECONDS


@contextlib.contextmanager
def temporary_folder() -> Generator[Path, None, None]:
    """A temporary folder in TMPDIR for this block; raises KcarsError with its path if it cannot be written."""
    place = "(TMPDIR)"
    try:
        place = f"{tempfile.gettempdir()} (TMPDIR)"
        with tempfile.TemporaryDirectory(prefix="kcars-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except OSError as error:
        message = f"temporary folder {place}: cannot be written ({error.strerror})"
        raise KcarsError(f"{message}; free some space, or set TMPDIR to another folder") from None
