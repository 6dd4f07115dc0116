"""The page's folder with drawn examples and uploads; visitors have access to no other files.

It is in kcars-demo-<user> in the folder for temporary files. A page locks its folder while it runs; the next page removes
the folders of killed pages.
"""

import contextlib
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from kcars.core.errors import KcarsError
from kcars.core.files import real_path
from kcars.core.limits import limits
from kcars.untrusted.reading import MIB

LOCK = ".lock"
NAME = re.compile(r"[\w-][\w.-]{0,79}", re.ASCII)  # File names from `_file_name`.
BUSY = "The page has reached its limit of photos; please try again in a minute."


class Folder:
    """examples: folder of drawn cars; uploads are next to it, each in a folder with an unguessable name."""

    def __init__(self, root: Path):
        self.root = Path(root)
        self.examples, self._sent = self.root / "drawn", self.root / "photos"
        for folder in (self.examples, self._sent):
            folder.mkdir()
        kept = rf"{re.escape(str(self._sent))}/[0-9a-f]{{32}}"
        self._given = re.compile(rf"({re.escape(str(self.examples))}|{kept})/{NAME.pattern}", re.ASCII)
        self._photos: OrderedDict[Path, tuple[int, float]] = (
            OrderedDict()
        )  # Size in bytes and time of arrival; the oldest first.
        self._total = 0  # Bytes, including photos that are being uploaded.

    def holds(self, path: str) -> bool:
        """Return whether a path is that of a present or former example or upload, literally: without links, "..", "//" and the like."""
        found = self._given.fullmatch(path)
        return found is not None and os.path.realpath(path) == path

    @contextlib.contextmanager
    def incoming(self, name: str) -> Iterator["Incoming"]:
        """Create a file for an upload; it is removed unless kept."""
        self.make_room(0)
        place = self._sent / secrets.token_hex(16)
        place.mkdir()
        photo = Incoming(self, place / _file_name(name))
        try:
            with photo.path.open("xb") as photo.file:
                yield photo
        finally:
            self._photos[photo.path] = photo.size, time.monotonic()
            if not photo.kept:
                self.remove(photo.path)

    def make_room(self, count: int) -> None:
        """Make room for more bytes by deleting the oldest photos; KcarsError if current uploads take all of it."""
        bounds = limits()
        most = bounds.uploads_total_mib * MIB
        while self._photos and (self._total + count > most or len(self._photos) >= bounds.uploads):
            self.remove(next(iter(self._photos)))
        if self._total + count > most:
            raise KcarsError(BUSY)
        self._total += count

    def remove(self, photo: Path) -> None:
        """Delete an upload, if it exists."""
        if photo in self._photos:
            self._total -= self._photos.pop(photo)[0]
            shutil.rmtree(photo.parent, ignore_errors=True)

    def expire(self) -> float | None:
        """Delete photos older than `upload_minutes`; return the seconds until the next expires, None if none is left."""
        while self._photos:
            photo, (_, came) = next(iter(self._photos.items()))
            if (rest := came + 60 * limits().upload_minutes - time.monotonic()) > 0:
                return rest
            self.remove(photo)
        return None


class Incoming:
    """An upload in progress. path: of its file; kept: whether the file is kept."""

    def __init__(self, folder: Folder, path: Path):
        self.path, self.size, self.kept = path, 0, False
        self.file: BinaryIO | None = None
        self._folder = folder

    def write(self, data: bytes) -> None:
        """Write data; KcarsError if no room can be made."""
        self._folder.make_room(len(data))
        self.size += len(data)
        assert self.file  # `Folder.incoming` opens it.
        self.file.write(data)

    def flush(self) -> None:
        """Flush to disk; OSError if it is full."""
        assert self.file
        self.file.flush()


def _file_name(name: str) -> str:
    """Reduce a visitor's file name to at most 80 letters, digits, "_", "-" and ".", without leading dots."""
    last = re.split(r"[/\\]", name)[-1]
    return re.sub(r"[^\w.-]", "_", last, flags=re.ASCII)[-80:].lstrip(".") or "photo"


@contextlib.contextmanager
def own_folder() -> Iterator[Folder]:
    """Create a Folder that is deleted at the end; delete folders of killed pages first. KcarsError if it cannot be created."""
    base = real_path(tempfile.gettempdir()) / f"kcars-demo-{getattr(os, 'getuid', lambda: 'pages')()}"
    try:
        _make_private(base)
        with FileLock(
            base / ".lock"
        ):  # Otherwise a page could mistake a folder that another page is creating for a leftover.
            _remove_leftovers(base)
            root = Path(tempfile.mkdtemp(dir=base))
            lock = FileLock(root / LOCK)
            lock.acquire()
        folder = Folder(root)
    except OSError as error:
        raise KcarsError(
            f"{base}: cannot store the page's photos ({error.strerror}); set TMPDIR to another folder"
        ) from None
    try:
        yield folder
    finally:
        with FileLock(base / LOCK):
            lock.release()
            shutil.rmtree(root, ignore_errors=True)


def _make_private(base: Path) -> None:
    """Create a folder for this user only; KcarsError if another user created one of that name."""
    base.mkdir(mode=0o700, exist_ok=True)
    status = os.lstat(base)
    own = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o077)
    if not stat.S_ISDIR(status.st_mode) or not own:
        raise KcarsError(f"{base}: is not private to this user; remove it, or set TMPDIR to another folder")


def _remove_leftovers(base: Path) -> None:
    for root in [one for one in base.iterdir() if one.is_dir() and not one.is_symlink()]:
        lock = FileLock(root / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:  # Its page is running.
            continue
        lock.release()
        shutil.rmtree(root, ignore_errors=True)
