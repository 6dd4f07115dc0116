"""The page's own folder: drawn examples and what visitors send. Nothing else of the machine is read for them.

It lies below kcars-demo-<user> in the folder for temporary files. A page holds a lock on its folder while it lives; the next
page removes the folders of pages that were killed.
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
NAME = re.compile(r"[\w-][\w.-]{0,79}", re.ASCII)  # Of a photo's file; what `_file_name` makes.
BUSY = "This page holds as many photos as it may; please try again in a minute."


class Folder:
    """examples: a folder for drawn cars; photos of visitors lie beside it, each in a folder whose name cannot be guessed."""

    def __init__(self, root: Path):
        self.root = Path(root)
        self.examples, self._sent = self.root / "drawn", self.root / "photos"
        for folder in (self.examples, self._sent):
            folder.mkdir()
        kept = rf"{re.escape(str(self._sent))}/[0-9a-f]{{32}}"
        self._given = re.compile(rf"({re.escape(str(self.examples))}|{kept})/{NAME.pattern}", re.ASCII)
        self._photos: OrderedDict[Path, tuple[int, float]] = OrderedDict()  # Bytes, and when it came; the oldest first.
        self._total = 0  # Bytes, with those of photos that are still being sent.

    def holds(self, path: str) -> bool:
        """Whether a path is that of an example or a visitor's photo, now or formerly, as it stands: without links, "..", "//" and the like."""
        found = self._given.fullmatch(path)
        return found is not None and os.path.realpath(path) == path

    @contextlib.contextmanager
    def incoming(self, name: str) -> Iterator["Incoming"]:
        """A photo that is being sent; it is removed unless it was kept."""
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
        """Room for more bytes: the oldest photos go first. KcarsError where those that are being sent take all of it."""
        bounds = limits()
        most = bounds.uploads_total_mib * MIB
        while self._photos and (self._total + count > most or len(self._photos) >= bounds.uploads):
            self.remove(next(iter(self._photos)))
        if self._total + count > most:
            raise KcarsError(BUSY)
        self._total += count

    def remove(self, photo: Path) -> None:
        """Delete a visitor's photo, if it is still there."""
        if photo in self._photos:
            self._total -= self._photos.pop(photo)[0]
            shutil.rmtree(photo.parent, ignore_errors=True)

    def expire(self) -> float | None:
        """Delete photos that are older than `upload_minutes`; seconds until the next one is, None where none is left."""
        while self._photos:
            photo, (_, came) = next(iter(self._photos.items()))
            if (rest := came + 60 * limits().upload_minutes - time.monotonic()) > 0:
                return rest
            self.remove(photo)
        return None


class Incoming:
    """path: where the photo is written to; kept: whether it stays there."""

    def __init__(self, folder: Folder, path: Path):
        self.path, self.size, self.kept = path, 0, False
        self.file: BinaryIO | None = None
        self._folder = folder

    def write(self, data: bytes) -> None:
        """KcarsError where no room can be made."""
        self._folder.make_room(len(data))
        self.size += len(data)
        assert self.file  # `Folder.incoming` opens it.
        self.file.write(data)

    def flush(self) -> None:
        """OSError where the disk is full."""
        assert self.file
        self.file.flush()


def _file_name(name: str) -> str:
    """A visitor's file name, reduced to letters, digits, "_", "-" and "."; at most 80 of them, none of them leading dots."""
    last = re.split(r"[/\\]", name)[-1]
    return re.sub(r"[^\w.-]", "_", last, flags=re.ASCII)[-80:].lstrip(".") or "photo"


@contextlib.contextmanager
def own_folder() -> Iterator[Folder]:
    """A new Folder, deleted at the end; folders that killed pages left are deleted first. KcarsError where none can be made."""
    base = real_path(tempfile.gettempdir()) / f"kcars-demo-{getattr(os, 'getuid', lambda: 'pages')()}"
    try:
        _make_private(base)
        with FileLock(
            base / ".lock"
        ):  # Else a page could take a folder that another one is just making for a leftover.
            _remove_leftovers(base)
            root = Path(tempfile.mkdtemp(dir=base))
            lock = FileLock(root / LOCK)
            lock.acquire()
        folder = Folder(root)
    except OSError as error:
        raise KcarsError(
            f"{base}: cannot hold the page's photos ({error.strerror}); set TMPDIR to another folder"
        ) from None
    try:
        yield folder
    finally:
        with FileLock(base / LOCK):
            lock.release()
            shutil.rmtree(root, ignore_errors=True)


def _make_private(base: Path) -> None:
    """The folder of this user alone; KcarsError where somebody else made one of that name."""
    base.mkdir(mode=0o700, exist_ok=True)
    status = os.lstat(base)
    own = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o077)
    if not stat.S_ISDIR(status.st_mode) or not own:
        raise KcarsError(f"{base}: is not a folder of this user alone; remove it, or set TMPDIR to another folder")


def _remove_leftovers(base: Path) -> None:
    for root in [one for one in base.iterdir() if one.is_dir() and not one.is_symlink()]:
        lock = FileLock(root / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:  # Its page lives.
            continue
        lock.release()
        shutil.rmtree(root, ignore_errors=True)
