"""Photo files below a root: which there are, how large they are, and that none lies outside it."""

import os
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.plain_text import warn

PHOTO_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp", ".png", ".webp", ".bmp")
_NO_PHOTOS = {"photos.csv", "pairs.csv", "boxes.csv", "thumbs.db", "desktop.ini"}  # Lists, and what Windows leaves.
_NAMED, _KINDS = 5, 8  # So many folders and endings in a message, no more.


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


@dataclass(frozen=True)
class Walked:
    """What lies below a folder, each path relative to it, sorted.

    photos: by the endings of their names; others: files of other endings, which are not read; linked: links to folders,
    which are not followed; empty: folders that hold nothing, or hidden files alone.
    """

    photos: list[str]
    others: list[str]
    linked: list[str]
    empty: list[str]


def walk(root: Path, also: tuple[str, ...] = ()) -> list[str]:
    """Paths relative to `root` of every photo below it, by the ending of its name, sorted; hidden ones are left out.

    also: more endings that are read. Raises KcarsError for a folder that cannot be read. What is passed over, files of other
    endings and links to folders, is reported once on standard error, and so are empty folders.
    """
    found = walked(root, also)
    if found.linked:
        _warn_once(
            f"warning: {root}: {len(found.linked)} links to folders are not followed, such as {_listed(found.linked)}"
        )
    if found.others:
        _warn_once(f"warning: {root}: {_passed_over(found)}")
    if found.empty:
        holds = "1 folder holds" if len(found.empty) == 1 else f"{len(found.empty)} folders hold"
        _warn_once(f"warning: {root}: {holds} nothing: {_listed(found.empty)}")
    return found.photos


def walked(root: Path, also: tuple[str, ...] = ()) -> Walked:
    """As `walk`, with what is passed over, which is not reported."""
    endings = PHOTO_ENDINGS + also
    found, waiting = Walked([], [], [], []), [""]
    while waiting:
        prefix, holds = waiting.pop(), False
        try:
            with os.scandir(os.path.join(root, prefix)) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    holds = True
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{prefix}{entry.name}/")
                    elif entry.is_symlink() and os.path.isdir(entry.path):
                        found.linked.append(prefix + entry.name)
                    elif entry.name.lower().endswith(endings):
                        found.photos.append(prefix + entry.name)
                    elif entry.name.lower() not in _NO_PHOTOS:
                        found.others.append(prefix + entry.name)
        except OSError as error:
            place = shortened(os.path.join(root, prefix))
            raise KcarsError(f"{place}: cannot be read ({error.strerror}); make it readable, or move it away") from None
        if prefix and not holds:
            found.empty.append(prefix.rstrip("/"))
    for paths in (found.photos, found.others, found.linked, found.empty):
        paths.sort()
    return found


def _passed_over(found: Walked) -> str:
    """Such as `12 files passed over: .avif (10), .gif (2), such as a/1.avif; a holds nothing else`."""
    endings = Counter(ending(path) or "no ending" for path in found.others)
    kinds = ", ".join(
        f"{kind} ({count})" for kind, count in sorted(endings.items(), key=lambda one: (-one[1], one[0]))[:_KINDS]
    )
    more = f" and {len(endings) - _KINDS} more endings" if len(endings) > _KINDS else ""
    count = f"{len(found.others)} file{'s' if len(found.others) > 1 else ''}"
    read = {os.path.dirname(path) for path in found.photos}
    empty = sorted({os.path.dirname(path) for path in found.others} - read - {""})
    lost = f"; no photo is read in {_listed(empty)}" if empty else ""
    return f"{count} passed over: {kinds}{more}, such as {found.others[0]}{lost}"


def ending(path: str) -> str:
    """Of a file's name, in lower case, with its dot."""
    return os.path.splitext(path)[1].lower()


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


_warn_once = lru_cache(maxsize=64)(warn)  # However often a folder is read.


def shortened(text: str, most: int = 300) -> str:
    """A text with its middle left out where it is too long to be read in a message."""
    return text if len(text) <= most else f"{text[: most // 2]}...{text[-most // 2 :]}"


def refuse_undecodable(root: Path | str, paths: Sequence[str]) -> None:
    """Raises KcarsError if a path is not UTF-8: what a run writes, and its tables, could not name the photo."""
    for path in ("", *paths):
        place = os.path.join(root, path) if path else str(root)
        try:
            place.encode()
        except UnicodeEncodeError:
            raise KcarsError(f"{place}: this name is not UTF-8; rename it") from None
