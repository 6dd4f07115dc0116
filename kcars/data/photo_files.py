"""Finds photo files below a root and their sizes, and refuses paths outside it."""

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
_NO_PHOTOS = {"photos.csv", "pairs.csv", "boxes.csv", "thumbs.db", "desktop.ini"}  # Lists, and system files of Windows.
_NAMED, _KINDS = 5, 8  # Maximum number of folders and extensions in a message.


def file_bytes(root: Path, paths: Sequence[str]) -> np.ndarray:
    """Sizes (n,) int64 of the files at `paths` below `root`; -1 for missing files.

    Raises KcarsError for a path that leads out of the root, through a link or `..`, because an untrusted dataset must not
    reach other files. The root itself may be a link.
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
    except (OSError, ValueError):  # ValueError: an invalid name, such as one with a zero byte.
        return -1
    return status.st_size if stat.S_ISREG(status.st_mode) else -1


def _is_inside(path: str, base: str) -> bool:
    try:
        real = os.path.realpath(path)
    except (OSError, ValueError):
        return True  # The path does not exist, so it is not outside but missing.
    return real == base or real.startswith(base.rstrip("/") + "/")


def _outside(root: Path, path: str) -> KcarsError:
    return KcarsError(f"{root}: {path!r} leads out of this folder; photos must be below it, also through links")


@dataclass(frozen=True)
class Walked:
    """The contents of a folder, as sorted paths relative to it.

    photos: by file extension; others: files with other extensions, which are not read; linked: links to folders, which are not
    followed; empty: folders without files, or with hidden files only.
    """

    photos: list[str]
    others: list[str]
    linked: list[str]
    empty: list[str]


def walk(root: Path, also: tuple[str, ...] = ()) -> list[str]:
    """Sorted paths, relative to `root`, of all photos below it, by file extension, without hidden ones.

    also: additional extensions. Raises KcarsError for a folder that cannot be read. Files with other extensions, links to
    folders and empty folders are skipped, with one warning.
    """
    found = walked(root, also)
    if found.linked:
        _warn_once(
            f"warning: {root}: {len(found.linked)} links to folders are not followed, such as {_listed(found.linked)}"
        )
    if found.others:
        _warn_once(f"warning: {root}: {_passed_over(found)}")
    if found.empty:
        folders = "1 empty folder" if len(found.empty) == 1 else f"{len(found.empty)} empty folders"
        _warn_once(f"warning: {root}: {folders}: {_listed(found.empty)}")
    return found.photos


def walked(root: Path, also: tuple[str, ...] = ()) -> Walked:
    """As `walk`, but with the skipped files in the result instead of a warning."""
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
            raise KcarsError(
                f"{place}: cannot be read ({error.strerror}); make it readable, or move it elsewhere"
            ) from None
        if prefix and not holds:
            found.empty.append(prefix.rstrip("/"))
    for paths in (found.photos, found.others, found.linked, found.empty):
        paths.sort()
    return found


def _passed_over(found: Walked) -> str:
    """A message such as `12 files skipped: .avif (10), .gif (2), such as a/1.avif; no photo is read in a`."""
    endings = Counter(ending(path) or "no ending" for path in found.others)
    kinds = ", ".join(
        f"{kind} ({count})" for kind, count in sorted(endings.items(), key=lambda one: (-one[1], one[0]))[:_KINDS]
    )
    more = f" and {len(endings) - _KINDS} more extensions" if len(endings) > _KINDS else ""
    count = f"{len(found.others)} file{'s' if len(found.others) > 1 else ''}"
    read = {os.path.dirname(path) for path in found.photos}
    empty = sorted({os.path.dirname(path) for path in found.others} - read - {""})
    lost = f"; no photo is read in {_listed(empty)}" if empty else ""
    return f"{count} skipped: {kinds}{more}, such as {found.others[0]}{lost}"


def ending(path: str) -> str:
    """The extension of a file name, in lower case, with its dot."""
    return os.path.splitext(path)[1].lower()


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


_warn_once = lru_cache(maxsize=64)(warn)  # Once, even if a folder is read repeatedly.


def shortened(text: str, most: int = 300) -> str:
    """A text, shortened in the middle if it is too long for a message."""
    return text if len(text) <= most else f"{text[: most // 2]}...{text[-most // 2 :]}"


def refuse_undecodable(root: Path | str, paths: Sequence[str]) -> None:
    """Raises KcarsError if a path is not UTF-8, because files of a run could not contain its name."""
    for path in ("", *paths):
        place = os.path.join(root, path) if path else str(root)
        try:
            place.encode()
        except UnicodeEncodeError:
            raise KcarsError(f"{place}: this name is not UTF-8; rename it") from None
