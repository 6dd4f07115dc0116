"""Photo files below a root: which there are, how large they are, and that none lies outside it."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kcars.errors import KcarsError

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
    """Paths relative to `root` of every photo below it, by the ending of its name, sorted; hidden ones are left out."""
    found = []
    for folder, below, files in os.walk(root):
        below[:] = [name for name in below if not name.startswith(".")]
        relative = os.path.relpath(folder, root)
        prefix = "" if relative == "." else relative + "/"
        found += [prefix + name for name in files if name.lower().endswith(PHOTO_ENDINGS) and not name.startswith(".")]
    return sorted(found)
