"""Maintenance of an index: finds missing, moved and overwritten files, and removes photos."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kcars.core.errors import KcarsError
from kcars.data.photo_files import walk
from kcars.gallery.photos import Kept, content_of, digest
from kcars.gallery.store import Gallery, locked, read_facts, rewrite
from kcars.images.decode import photo_bytes

MOVED, GONE, OVERWRITTEN = "moved", "gone", "overwritten"
MEANING = {
    MOVED: "has a new path; kcars index add INDEX NEW_PATH updates it",
    GONE: "is missing; kcars index remove INDEX --stale removes it",
    OVERWRITTEN: "has changed since it was embedded; kcars index add INDEX PHOTO embeds it again",
}


@dataclass(frozen=True)
class Stale:
    """A photo of an index whose file is missing or different: kind as in MEANING; place: the new path of a moved file."""

    path: str
    kind: str
    place: str = ""


def stale_photos(photos: Sequence[Kept], places: Sequence[Path] = ()) -> list[Stale]:
    """Return the missing, moved and overwritten files, sorted by path.

    places: files and folders to search for moved files, in addition to the folders of the photos.
    """
    by_path = {photo.path: photo for photo in photos}
    kinds = {path: kind for path, photo in sorted(by_path.items()) if (kind := _kind(photo))}
    if not kinds:
        return []
    wanted = {by_path[path].digest for path in kinds}
    where = {sum_: path for path in _candidates(by_path, places) if (sum_ := _digest(path)) in wanted}
    found = []
    for path, kind in kinds.items():
        place = where.get(by_path[path].digest, "")
        found.append(Stale(path, MOVED if place else kind, place))
    return found


def _kind(photo: Kept) -> str:
    """Return how the file of a photo differs from the embedded one, "" if it is equal."""
    try:
        content_of(photo)
    except KcarsError:
        return OVERWRITTEN if os.path.lexists(photo.path) else GONE
    return ""


def _digest(path: str) -> str:
    try:
        return digest(photo_bytes(Path(path)))
    except KcarsError:
        return ""


def _candidates(known: dict[str, Kept], places: Sequence[Path]) -> Iterator[str]:
    """Yield photos that are not in the index, from the places and the folders of indexed photos."""
    folders = dict.fromkeys(os.path.dirname(path) for path in known)
    for folder in [*map(os.path.abspath, places), *folders]:
        if not os.path.isdir(folder):
            continue
        deep = folder not in folders
        names = walk(Path(folder)) if deep else sorted(os.listdir(folder))
        for path in (os.path.join(folder, name) for name in names):
            if path not in known and os.path.isfile(path):
                yield path


def remove(folder: Path, places: Sequence[Path], stale: bool, report: Callable[[str], None]) -> Gallery:
    """Remove the photos at `places`, files or folders that need not exist, and with `stale` the missing, moved and overwritten
    ones.

    Raises KcarsError if the index has no photo at one of them, or no photo would be left.
    """
    read_facts(folder)
    with locked(folder):
        gallery = Gallery.open(folder)
        rows = _rows_at(gallery, places)
        if stale:
            gone = {one.path for one in stale_photos(gallery.photos)}
            rows |= {row for row, photo in enumerate(gallery.photos) if photo.path in gone}
        report(f"photos: {len(rows)} removed")
        if not rows:
            return gallery
        if len(rows) == len(gallery.photos):
            raise KcarsError(f"index {folder}: no photo would be left; delete the folder, or build the index again")
        left = [row for row in range(len(gallery.photos)) if row not in rows]
        return rewrite(
            gallery, [gallery.photos[row] for row in left], gallery.vector_index.only(np.array(left, np.int64))
        )


def _rows_at(gallery: Gallery, places: Sequence[Path]) -> set[int]:
    rows: set[int] = set()
    for place in places:
        path = os.path.abspath(place)
        below = path.rstrip(os.sep) + os.sep
        own = {row for row, photo in enumerate(gallery.photos) if photo.path == path or photo.path.startswith(below)}
        if not own:
            raise KcarsError(f"{place}: index {gallery.folder} has no photo there; it has {gallery.photos[0].path}")
        rows |= own
    return rows
