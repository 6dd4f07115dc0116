"""Reads untrusted files: only regular files of bounded size, without following links.

Every function raises KcarsError with the file and the reason, and reads nothing of a file that it refuses.
"""

import contextlib
import io
import json
import lzma
import math
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from kcars.core.errors import KcarsError
from kcars.core.limits import limits

MIB = 2**20
# Errors of `zipfile` for damaged archives: each compression method has its own.
PACKING_ERRORS = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
ZIP_LIST_BYTES = 8 * MIB  # About 100 per entry; a training state has thousands of entries.
# Without O_NONBLOCK, opening a named pipe would wait for a writer.
FOR_READING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def refuse_links(root: Path, path: Path) -> None:
    """Raises KcarsError if `path`, or a folder between `root` and it, is a symbolic link. The root itself may be one."""
    part = Path(root)
    for name in Path(path).relative_to(root).parts:
        part = part / name
        if part.is_symlink():
            raise KcarsError(f"{part}: is a link, which is not followed in this folder; replace it by the file itself")


@contextlib.contextmanager
def opened(path: Path, most_bytes: int | None = None, root: Path | None = None) -> Iterator[io.BufferedReader]:
    """A regular file, open for reading.

    most_bytes: the largest accepted size. root: a folder below which no link is followed.
    """
    path = Path(path)
    try:
        if root is not None:
            refuse_links(root, path)
        with _open_regular(path, most_bytes) as file:
            yield file
    except OSError as error:
        raise unreadable(path, error) from None


def _open_regular(path: Path, most_bytes: int | None) -> io.BufferedReader:
    try:
        handle = os.open(path, FOR_READING)
    except ValueError as error:
        raise unreadable(path, error) from None
    try:
        status = os.fstat(handle)
        refuse_irregular(path, status)
        if most_bytes is not None and status.st_size > most_bytes:
            raise KcarsError(f"{path}: has {status.st_size:,} bytes; at most {most_bytes:,} are read")
        return open(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def unreadable(path: Path, error: OSError | ValueError) -> KcarsError:
    """The error for a file that cannot be opened. ValueError: an invalid name, such as one with a zero byte."""
    if isinstance(error, OSError):
        return KcarsError(f"{path}: cannot be read ({error.strerror})")
    return KcarsError(f"{str(path)!r}: cannot be read ({error})")


def refuse_irregular(path: Path, status: os.stat_result) -> None:
    """Raises KcarsError for anything but a regular file."""
    if not stat.S_ISREG(status.st_mode):
        raise KcarsError(f"{path}: is {_kind(status.st_mode)}; expected a regular file")


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def read_bytes(path: Path, most_bytes: int, root: Path | None = None) -> bytes:
    """A file's content, of at most `most_bytes` bytes."""
    with opened(path, most_bytes, root) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(size + 1)  # Memory is allocated for the requested number of bytes.
        while (
            len(content) > size and len(content) <= most_bytes and (more := file.read(MIB))
        ):  # The file grows meanwhile.
            content += more
    if len(content) > most_bytes:
        raise KcarsError(f"{path}: has more than {most_bytes:,} bytes, the limit")
    return content


@contextlib.contextmanager
def opened_list(path: Path) -> Iterator[TextIO]:
    """A list, such as a CSV file, in UTF-8 and of at most `list_mib`, open for reading, with its line ends unchanged."""
    with opened(path, limits().list_mib * MIB) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
        yield text


def read_text(path: Path, root: Path | None = None) -> str:
    """A text file in UTF-8, with or without a byte order mark, of at most `json_mib`."""
    content = read_bytes(path, limits().json_mib * MIB, root)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KcarsError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from None


def read_json(path: Path, root: Path | None = None) -> Any:
    """The value in a JSON file; NaN and Infinity, which are not JSON, are refused."""
    return json_in(read_text(path, root), path)


def json_in(text: str, path: Path) -> Any:
    """The value in a JSON text: at most `json_values` values, nested at most `json_depth` deep; `path` is for messages."""
    # Each value except the outermost follows one of these characters.
    if sum(map(text.count, "[{,:")) >= limits().json_values:
        raise KcarsError(f"{path}: contains too much; at most {limits().json_values:,} values are read (json_values)")
    try:
        found = json.loads(text, parse_constant=_no_constant)
        _refuse_deep(found, path)
        return found
    except RecursionError:
        raise KcarsError(f"{path}: is nested too deeply") from None
    except ValueError as error:
        raise KcarsError(f"{path}: is not valid JSON ({str(error).splitlines()[0]})") from None


def _refuse_deep(value: Any, path: Path) -> None:
    """Raises KcarsError for deep nesting, with which most later operations would fail."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > limits().json_depth:
            raise KcarsError(
                f"{path}: is nested too deeply; at most {limits().json_depth} levels are read (json_depth)"
            )
        inner: list = []
        for one in level:
            if isinstance(one, dict):
                inner += [*one.keys(), *one.values()]
            elif isinstance(one, list):
                inner += one
        level = inner


def _no_constant(name: str):
    raise ValueError(f"{name} is not a JSON number")


def read_arrays(path: Path, names=None, root: Path | None = None) -> dict:
    """Arrays of an .npz file by name, all or those in `names`: no pickles, at most `arrays_mib` unpacked."""
    most = limits().arrays_mib * MIB
    with opened(path, most, root) as file:
        return arrays_in(file, path, names)


def arrays_in(file: BinaryIO, path: Path, names=None) -> dict:
    """As `read_arrays`, from an open file; `path` is for messages."""
    import numpy as np

    most = limits().arrays_mib * MIB
    try:
        with opened_zip(file) as archive:
            entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
            if (total := sum(entry.file_size for entry in entries.values())) > most:
                raise KcarsError(f"{path}: unpacks to {total:,} bytes; at most {most:,} are read (arrays_mib)")
            if total > (size := file.seek(0, io.SEEK_END)):  # kcars stores arrays uncompressed.
                raise KcarsError(f"{path}: unpacks to {total:,} bytes from {size:,}; kcars does not write such files")
            if packed := [name for name, entry in entries.items() if entry.compress_type != zipfile.ZIP_STORED]:
                raise KcarsError(f"{path}: {packed[0][:80]!r} is compressed; kcars does not write such files")
            wanted = entries if names is None else names
            if missing := [name for name in wanted if name not in entries]:
                raise KcarsError(f"{path}: has no array {missing[0]}")
            found = {}
            for name in wanted:
                found[name] = _array(np, archive.read(entries[name]))
            return found
    except PACKING_ERRORS as error:
        message = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
        raise KcarsError(f"{path}: cannot be read ({message})") from None


@contextlib.contextmanager
def opened_zip(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    """An archive, open for reading; raises ValueError if its list of entries is too large for memory."""
    bounded = _ListBounded(file)
    with zipfile.ZipFile(cast(BinaryIO, bounded)) as archive:
        bounded.most = None
        yield archive


class _ListBounded:
    """A file with reads of at most `most` bytes at a time: `zipfile` reads the whole list of entries at once."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.most: int | None = ZIP_LIST_BYTES

    def read(self, size: int = -1) -> bytes:
        if self.most is not None and size > self.most:
            raise ValueError(f"its list of entries has {size:,} bytes; at most {self.most:,} are read")
        return self._file.read(size)

    def __getattr__(self, name: str):
        return getattr(self._file, name)


def array_in(content: bytes, path: Path):
    """The array in the content of an .npy file; `path` is for messages."""
    import numpy as np

    try:
        return _array(np, content)
    except ValueError as error:
        raise KcarsError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from None


def _array(np, content: bytes):
    """The array in an .npy file written by `np.save`; raises ValueError for any other content.

    NumPy evaluates the header as a Python literal, and allocates memory for the claimed shape; this function reads only plain
    types, and shapes that match the size of the file.
    """
    found = _HEADER.match(content)
    if not found:
        raise ValueError("not an array written by kcars")
    begin = found.end("before") + int.from_bytes(found["size"], "little")
    if not found.end() <= begin <= len(content) or content[found.end() : begin].strip():
        raise ValueError("not an array written by kcars")
    try:
        dtype = np.dtype(found["type"].decode())
    except TypeError:
        raise ValueError(f"an array of unknown type, {found['type'].decode()}") from None
    shape = tuple(map(int, re.findall(rb"\d+", found["shape"])))
    if math.prod(shape) * dtype.itemsize != len(content) - begin or not dtype.itemsize:
        raise ValueError("the size of an array differs from its header")
    order = "F" if found["columns"] == b"True" else "C"
    return np.frombuffer(content, dtype, offset=begin).reshape(shape, order=order).copy(order)


# Version 1.0: two bytes of size, then a dictionary. Types are numbers, booleans (b), and plain bytes (V), used for bfloat16.
_HEADER = re.compile(
    rb"(?P<before>\x93NUMPY\x01\x00(?P<size>..))\{'descr': '(?P<type>[<>|][bifuV]\d{1,2})', "
    rb"'fortran_order': (?P<columns>True|False), 'shape': \((?P<shape>(?:\d{1,12}, )*(?:\d{1,12},?)?)\), \}",
    re.DOTALL,
)
