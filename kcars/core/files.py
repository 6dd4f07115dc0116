"""Write whole files or none; fingerprints; where the cache lies."""

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
    """Open a file beside `path` that takes its place only when the block ends well; KcarsError where it cannot.

    Text is UTF-8. What has no UTF-8, as bytes of file names, becomes an escape such as `\\udcff`, which JSON reads back.
    """
    path = Path(path)
    temporary = lock = None
    try:
        forget_leftovers(path)
        handle, temporary = file_beside(path)
        lock = os.dup(handle)  # Held until the file has its name.
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
    """A folder beside `folder` to fill, which takes its place, new or empty, only when the block ends well.

    KcarsError, which begins with `what`, where it cannot be written, or holds something.
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
    """KcarsError where a folder that is to be written is there, and not an empty folder; or cannot be there."""
    try:
        os.lstat(folder)
        filled = not folder.is_dir() or any(folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise KcarsError(f"{what} {folder}: cannot be written ({error.strerror})") from None
    if filled:
        raise KcarsError(f"{what} {folder}: holds something already; name another folder")


def room_for(size: int, folder: Path) -> None:
    """OSError where the folder's disk, or a limit on file sizes, does not take a file of `size` bytes now."""
    with tempfile.TemporaryFile(dir=folder) as file:
        reserve(file, size)


def reserve(file: IO[bytes], size: int) -> None:
    """Take `size` bytes of the disk for an open file, so that writing them cannot fail later; OSError where there are fewer."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)


def _sync_folder(folder: Path) -> None:
    """So that a name given before a power cut is still there after it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def real_path(path: Path | str) -> Path:
    """The absolute path with its links followed, as far as they lead; `Path.resolve` fails at links that go in a circle."""
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
    """Indented JSON; NaN, which JSON lacks, is written as null."""
    write_text(path, json_text(value))


def json_text(value: object) -> str:
    """As `write_json` writes it."""
    return json.dumps(_without_nan(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def sha256(path: Path) -> str:
    """Of a file's content, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_sha256(place: Path) -> str:
    """Of a file; or of a folder's files, by name and content, in the order of their names."""
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
    """Sixteen hexadecimal digits of the SHA-256 of the parts' text; equal parts, equal digits, on any machine."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(json.dumps(part, sort_keys=True).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def cache_place() -> Path:
    """The user's cache folder for kcars, or KCARS_CACHE, whether it exists or not; ~ is the user's home, as no shell may have seen it."""
    import platformdirs

    return Path(os.path.expanduser(os.environ.get("KCARS_CACHE") or platformdirs.user_cache_dir("kcars")))


def cache_folder() -> Path:
    """The cache folder; made where it is missing, KcarsError where it cannot be written."""
    return writable_folder(cache_place(), "cache folder (KCARS_CACHE)")


def kept_in_cache(file: Path, save: Callable[[Path], None]) -> None:
    """Write a file of the cache folder by `save`, to spare work the next time; where that fails, a line says so once."""
    try:
        writable_folder(file.parent, "cache folder (KCARS_CACHE)")
        save(file)
    except (KcarsError, OSError) as error:
        _warn_once(f"warning: nothing is kept for the next time: {error}")


_warn_once = lru_cache(maxsize=64)(warn)


def writable_folder(folder: Path, what: str) -> Path:
    """Make the folder, parents too; KcarsError where that is not allowed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise KcarsError(f"{what}: {folder} cannot be written ({error.strerror}); name a folder that can") from None
    return folder
