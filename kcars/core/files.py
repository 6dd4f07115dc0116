"""Writes files atomically; computes fingerprints; finds the cache folder."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast

from kcars.core.errors import KcarsError
from kcars.core.plain_text import warn
from kcars.core.unfinished import file_beside, folder_beside, forget_leftovers


@contextlib.contextmanager
def written_whole(path: Path, mode: str = "w"):
    """Open a temporary file that replaces `path` when the block ends without an error; raises KcarsError if it cannot.

    Text is UTF-8. Other bytes of file names become escapes such as `\\udcff`, which JSON reads back.
    """
    path = Path(path)
    temporary = lock = None
    try:
        forget_leftovers(path)
        handle, temporary = file_beside(path)
        lock = os.dup(handle)  # Held until the file is renamed.
        encoding, errors = (None, None) if "b" in mode else ("utf-8", "backslashreplace")
        with os.fdopen(handle, mode, encoding=encoding, errors=errors, newline=None if "b" in mode else "") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~umask())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException as error:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        if isinstance(error, OSError):
            raise KcarsError(f"{path}: cannot be written ({error.strerror})") from None
        raise
    finally:
        if lock is not None:
            os.close(lock)


@contextlib.contextmanager
def folder_written_whole(folder: Path, what: str = "--out"):
    """A temporary folder that replaces `folder`, missing or empty, when the block ends without an error.

    Raises KcarsError, beginning with `what`, if it cannot be written or is not empty.
    """
    refuse_filled(folder, what)
    writable_folder(folder.absolute().parent, what)
    try:
        with folder_beside(folder.absolute()) as place:
            yield place
            place.chmod(0o777 & ~umask())
            os.replace(place, folder)
    except OSError as error:
        raise KcarsError(f"{what} {folder}: cannot be written ({error.strerror})") from None


def refuse_filled(folder: Path, what: str = "--out") -> None:
    """Raises KcarsError if an output folder exists and is not an empty folder, or cannot exist."""
    try:
        os.lstat(folder)
        filled = not folder.is_dir() or any(folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise KcarsError(f"{what} {folder}: cannot be written ({error.strerror})") from None
    if filled:
        raise KcarsError(f"{what} {folder}: is not empty; choose another folder")


def room_for(size: int, folder: Path) -> None:
    """Raises OSError if the disk of the folder or a limit on file sizes has no room for a file of `size` bytes."""
    with tempfile.TemporaryFile(dir=folder) as file:
        reserve(file, size)


def reserve(file: IO[bytes], size: int) -> None:
    """Allocate `size` bytes for an open file, so that writing cannot fail later; raises OSError if the disk has fewer."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)


def _sync_folder(folder: Path) -> None:
    """Flush a folder to disk, so that a new name survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def real_path(path: Path | str) -> Path:
    """The absolute path with links resolved as far as possible; `Path.resolve` fails for circular links."""
    return Path(os.path.realpath(path))


def umask() -> int:
    """The process' file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    with written_whole(path) as file:
        file.write(text)


def write_json(path: Path, value: object) -> None:
    """Write indented JSON; NaN, which JSON lacks, becomes null."""
    write_text(path, json_text(value))


def json_text(value: object) -> str:
    """The JSON text that `write_json` writes."""
    return json.dumps(_without_nan(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_sha256(place: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files, sorted by name."""
    if place.is_file():
        return sha256(place)
    digest = hashlib.sha256()
    for file in sorted(file for file in place.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(place).as_posix()} {sha256(file)}\n".encode())
    return digest.hexdigest()


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _without_nan(entry) for key, entry in cast("dict[Any, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(entry) for entry in cast("list[Any]", value)]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def fingerprint(*parts: Any) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of the parts' text; the same on every machine."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(json.dumps(part, sort_keys=True).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def cache_place() -> Path:
    """KCARS_CACHE with ~ expanded, or the user's cache folder for kcars, whether it exists or not."""
    import platformdirs

    return Path(os.path.expanduser(os.environ.get("KCARS_CACHE") or platformdirs.user_cache_dir("kcars")))


def cache_folder() -> Path:
    """The cache folder, created if missing; raises KcarsError if it cannot be written."""
    return writable_folder(cache_place(), "cache folder (KCARS_CACHE)")


def kept_in_cache(file: Path, save: Callable[[Path], None]) -> None:
    """Write a file of the cache folder with `save`; if that fails, warn once."""
    try:
        writable_folder(file.parent, "cache folder (KCARS_CACHE)")
        save(file)
    except (KcarsError, OSError) as error:
        _warn_once(f"warning: nothing is cached: {error}")


_warn_once = lru_cache(maxsize=64)(warn)


def writable_folder(folder: Path, what: str) -> Path:
    """Create the folder and its parents; raises KcarsError if that is not allowed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise KcarsError(f"{what}: {folder} cannot be written ({error.strerror}); choose another folder") from None
    return folder
