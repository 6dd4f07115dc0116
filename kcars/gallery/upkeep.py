"""An index and the files that it was made of: which are gone, moved or overwritten, and which it is to forget."""

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
    MOVED: "lies elsewhere; kcars index add INDEX NEW_PLACE follows it",
    GONE: "is not there any more; kcars index remove INDEX --stale forgets it",
    OVERWRITTEN: "is another file than was embedded; kcars index add INDEX PHOTO embeds it anew",
}


@dataclass(frozen=True)
class Stale:
    """A photo of an index whose file is not what was embedded: kind as in MEANING; place: where it lies now, if it moved."""

    path: str
    kind: str
    place: str = ""


def stale_photos(photos: Sequence[Kept], places: Sequence[Path] = ()) -> list[Stale]:
    """Photos whose files are gone, moved or overwritten, one a file, in the order of their paths.

    places: files and folders below which moved ones are looked for, beside the folders that the photos lie in.
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
    """How the file of a photo differs from what was embedded, "" where it does not."""
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
    """Photos that the index does not have, below the places and in the folders of those that it has."""
    folders = dict.fromkeys(os.path.dirname(path) for path in known)
    for folder in [*map(os.path.abspath, places), *folders]:
        if not os.path.isdir(folder):
            continue
        deep = folder not in folders
        names = walk(Path(folder)) if deep else sorted(os.listdir(folder))
        for path in (os.path.join(folder, name) for name in names):
            if path not in known and os.path.isfile(path):
                yield path


def remove(folder: Path, places: Sequence[Path], stale: bool, tell: Callable[[str], None]) -> Gallery:
    """The index without the photos at `places`, files or folders that need not be there any more, and with `stale` without those
    that are gone or overwritten.

    Raises KcarsError where it has no photo at one of them, or none would be left.
    """
    read_facts(folder)
    with locked(folder):
        gallery = Gallery.open(folder)
        rows = _rows_at(gallery, places)
        if stale:
            gone = {one.path for one in stale_photos(gallery.photos)}
            rows |= {row for row, photo in enumerate(gallery.photos) if photo.path in gone}
        tell(f"photos: {len(rows)} removed")
        if not rows:
            return gallery
        if len(rows) == len(gallery.photos):
            raise KcarsError(f"index {folder}: no photo would be left; delete the folder, or build the index anew")
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
