"""Which photos lie below a folder, with what its layout tells of them: CompCars, its surveillance part, a CSV, class folders."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from kcars.core.errors import KcarsError
from kcars.core.files import real_path
from kcars.data.photo_files import file_bytes, walk
from kcars.data.photo_table import NO_BOX, Index
from kcars.data.readers import compcars, folders, manifest, surveillance
from kcars.data.spelling import Disk
from kcars.inference.photo_source import VIDEO_ENDINGS, Photo, read_boxes, shown
from kcars.settings import DataSettings


class Named(NamedTuple):
    """A photo to take in, with the names of its make and model, "" where unknown."""

    photo: Photo
    make: str = ""
    model: str = ""


def described(folder: Path, boxes: bool) -> tuple[list[Named], str]:
    """Every photo below the folder, and why none has a name, "" where they have; `boxes`: with those that the layout gives.

    Raises KcarsError where there is no such folder, it holds no photo, describes itself wrongly, or leads out of itself.
    """
    if not os.path.isdir(folder):
        raise KcarsError(f"{folder}: there is no such folder")
    root = compcars.find_root(folder) or (compcars.find_root(folder.parent) if folder.name == "image" else None)
    if os.path.lexists(folder / manifest.PHOTOS):
        listed = manifest.described(folder / manifest.PHOTOS)
        disk = Disk(folder)
        paths = [disk.path_of(one.path) for one in listed]
        file_bytes(folder, paths)  # It refuses what leads out.
        return [
            _named(folder, path, one.make, one.model, one.box if boxes else None)
            for path, one in zip(paths, listed, strict=True)
        ], ""
    if root:
        return _of_index(compcars.every_photo(root), boxes), ""
    if surveillance.find_root(folder):
        index = surveillance.read(folder, "classify", DataSettings(size_px=32)).index
        return _of_index(index, boxes), ""
    paths = walk(folder)
    if not paths:
        raise KcarsError(f"{folder}: holds no photos; JPEG, PNG, WebP and BMP are known by their endings")
    file_bytes(folder, paths)
    try:
        named = [_named(folder, one.path, one.make, one.model) for one in folders.described(folder, tell=False)]
        return named + [_named(folder, path) for path in folders.without_class(paths)], ""
    except KcarsError as error:
        flat = not any("/" in path for path in paths)
        return [_named(folder, path) for path in paths], "it has no class folders" if flat else str(error)


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


def _of_index(index: Index, boxes: bool) -> list[Named]:
    rows = zip(index.paths, index.ids["make"], index.ids["model"], map(tuple, index.box.tolist()), strict=True)
    return [
        _named(index.root, path, index.name("make", make), index.name("model", model), box if boxes else None)
        for path, make, model, box in rows
    ]


def _named(root: Path, path: str, make: str = "", model: str = "", box=None) -> Named:
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
        for box in boxes.get(real_path(one.photo.source), [one.photo.box])
    ]
