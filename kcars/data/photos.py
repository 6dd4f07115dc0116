"""Photo files below a root: which there are, how large they are, and that none lies outside it."""

import os
import stat
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from kcars.errors import KcarsError
from kcars.plain_text import warn

PHOTO_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def file_bytes(root: Path, paths: Sequence[str]) -> np.ndarray:
    """Sizes (n,) int64 of the files at `paths` below `root`; -1 where there is no such file.

    Raises KcarsError for a path that leads out of the root, through a link or by `..`: what a stranger's dataset
    names must not reach the rest of the disk. The root itself may be a link.
    """
    base = os.path.realpath(root)
    inside: dict[str, bool] = {}
    sizes = np.full(len(paths), -1, np.int64)
    for row, path in enumerate(paths):
        folder = os.path.dirname(path)
        if folder not in inside:
            inside[folder] = _is_inside(f"{base}/{folder}", base)
        if not inside[folder]:
            raise _outside(root, path)
        sizes[row] = _size(root, base, path)
    return sizes


def _size(root: Path, base: str, path: str) -> int:
    try:
        status = os.lstat(f"{base}/{path}")
        if stat.S_ISLNK(status.st_mode):
            if not _is_inside(f"{base}/{path}", base):
                raise _outside(root, path)
            status = os.stat(f"{base}/{path}")
    except PermissionError as error:
        raise KcarsError(f"{root}/{path}: cannot be reached ({error.strerror}); make its folder readable") from None
    except (OSError, ValueError):  # ValueError: a name that no file can have, such as one with a zero byte.
        return -1
    return status.st_size if stat.S_ISREG(status.st_mode) else -1


def _is_inside(path: str, base: str) -> bool:
    try:
        real = os.path.realpath(path)
    except (OSError, ValueError):
        return True  # There is no such place, so that nothing lies outside: it counts as missing.
    return real == base or real.startswith(base.rstrip("/") + "/")


def _outside(root: Path, path: str) -> KcarsError:
    return KcarsError(f"{root}: {path!r} leads out of this folder; photos must lie below it, also behind links")


def walk(root: Path) -> list[str]:
    """Paths relative to `root` of every photo below it, by the ending of its name, sorted; hidden ones are left out.

    Raises KcarsError for a folder that cannot be read. Links to folders are not followed, which a line on standard error
    says.
    """
    found, linked, waiting = [], [], [""]
    while waiting:
        prefix = waiting.pop()
        try:
            with os.scandir(os.path.join(root, prefix)) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{prefix}{entry.name}/")
                    elif entry.is_symlink() and os.path.isdir(entry.path):
                        linked.append(prefix + entry.name)
                    elif entry.name.lower().endswith(PHOTO_ENDINGS):
                        found.append(prefix + entry.name)
        except OSError as error:
            place = shortened(os.path.join(root, prefix))
            raise KcarsError(f"{place}: cannot be read ({error.strerror}); make it readable, or move it away") from None
    if linked:
        _warn_of_links(str(root), len(linked), min(linked))
    return sorted(found)


@lru_cache(maxsize=64)
def _warn_of_links(root: str, count: int, first: str) -> None:
    """Once for a folder, however often it is read."""
    warn(f"warning: {root}: {count} links to folders are not followed, such as {first}")


def shortened(text: str, most: int = 300) -> str:
    """A text with its middle left out where it is too long to be read in a message."""
    return text if len(text) <= most else f"{text[: most // 2]}...{text[-most // 2 :]}"


def refuse_undecodable(root: Path | str, paths: Sequence[str]) -> None:
    """KcarsError where a path is not UTF-8: what a run writes, and its tables, could not name the photo."""
    for path in ("", *paths):
        place = os.path.join(root, path) if path else str(root)
        try:
            place.encode()
        except UnicodeEncodeError:
            raise KcarsError(f"{place}: this name is not UTF-8; rename it") from None
