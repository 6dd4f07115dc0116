"""Which photos lie below a folder, with the names and boxes that its layout gives them."""

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
    """A photo to take in, with the names of its make and model, "" where unknown."""

    photo: Photo
    make: str = ""
    model: str = ""


def described(folder: Path, boxes: bool) -> tuple[list[Named], str]:
    """Every photo below the folder, and why none has a name, "" where they have; `boxes`: with those that the layout gives.

    Raises KcarsError where there is no such folder, it holds no photo, describes itself wrongly, or leads out of itself.
    """
    reader = reader_of(folder, describing=True) if os.path.isdir(folder) else None
    if reader is None:
        raise KcarsError(f"{folder}: there is no such folder")
    found = reader.every_photo(folder)
    named = [_named(found.root, one.path, one.make, one.model, one.box if boxes else None) for one in found.photos]
    return named, found.unnamed


def given(places: Iterable[Path], boxes: bool, names: bool) -> tuple[list[Named], list[str]]:
    """Photos of files and folders in the order named, and what there is to tell; names: those of layouts, or none.

    A video gives a photo whose fault says that it is none.
    """
    found, told = [], []
    for place in places:
        if os.path.isdir(place):
            photos, unnamed = described(place, boxes)
            told += [f"no names are read off {place}: {unnamed}"] if unnamed and names else []
            found += photos if names else [Named(one.photo) for one in photos]
        elif place.suffix.lower() in VIDEO_ENDINGS:
            fault = KcarsError(f"{place}: is a video; an index holds photos, such as frames saved as files")
            found.append(Named(Photo(shown(place), place, fault=fault)))
        else:
            found.append(Named(Photo(shown(place), place)))
    return found, told


def _named(root: Path, path: str, make: str, model: str, box: tuple | None) -> Named:
    box = None if box is None or box == NO_BOX else tuple(map(float, box))
    return Named(Photo(shown(root / path), root / path, box), make, model)


def whole(photos: Iterable[Named]) -> list[Named]:
    """Photos without their boxes."""
    return [one._replace(photo=replace(one.photo, box=None)) for one in photos]


def in_boxes(photos: Iterable[Named], file: Path) -> list[Named]:
    """Photos once for each of their boxes in a CSV; those that have none there stay as they are."""
    boxes = read_boxes(file)
    return [
        one._replace(photo=replace(one.photo, box=box))
        for one in photos
        for box in boxes.get(real_path(cast(Path, one.photo.source)), [one.photo.box])
    ]
