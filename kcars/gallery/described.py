"""Lists the photos of folders, with names and boxes from their layout."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

from kcars.core.errors import KcarsError
from kcars.core.files import real_path
from kcars.data.photo_table import NO_BOX
from kcars.data.readers.catalogue import reader_of
from kcars.inference.photo_source import VIDEO_ENDINGS, Photo, read_boxes, shown


class Named(NamedTuple):
    """A photo to add, with the names of its make and model, "" if unknown."""

    photo: Photo
    make: str = ""
    model: str = ""


def described(folder: Path, boxes: bool) -> tuple[list[Named], str]:
    """Return all photos in the folder, and the reason why none has a name, or ""; boxes: whether to use the layout's boxes.

    Raises KcarsError if the folder is missing, has no photos or an invalid layout, or links outside of it.
    """
    reader = reader_of(folder, describing=True) if os.path.isdir(folder) else None
    if reader is None:
        raise KcarsError(f"{folder}: folder not found")
    found = reader.every_photo(folder)
    named = [_named(found.root, one.path, one.make, one.model, one.box if boxes else None) for one in found.photos]
    return named, found.unnamed


def given(places: Iterable[Path], boxes: bool, names: bool) -> tuple[list[Named], list[str]]:
    """Return the photos of files and folders in the given order, and warnings; names: whether to use the layouts' names.

    A video becomes a photo with a fault.
    """
    found, warnings = [], []
    for place in places:
        if os.path.isdir(place):
            photos, unnamed = described(place, boxes)
            warnings += [f"{place}: gives no names: {unnamed}"] if unnamed and names else []
            found += photos if names else [Named(one.photo) for one in photos]
        elif place.suffix.lower() in VIDEO_ENDINGS:
            fault = KcarsError(f"{place}: is a video; save its frames as photos to add them to an index")
            found.append(Named(Photo(shown(place), place, fault=fault)))
        else:
            found.append(Named(Photo(shown(place), place)))
    return found, warnings


def _named(root: Path, path: str, make: str, model: str, box: tuple | None) -> Named:
    box = None if box is None or box == NO_BOX else tuple(map(float, box))
    return Named(Photo(shown(root / path), root / path, box), make, model)


def whole(photos: Iterable[Named]) -> list[Named]:
    """Return photos without their boxes."""
    return [one._replace(photo=replace(one.photo, box=None)) for one in photos]


def in_boxes(photos: Iterable[Named], file: Path) -> list[Named]:
    """Return photos once per box in a CSV; photos without a box there are unchanged."""
    boxes = read_boxes(file)
    return [
        one._replace(photo=replace(one.photo, box=box))
        for one in photos
        for box in boxes.get(real_path(cast(Path, one.photo.source)), [one.photo.box])
    ]
