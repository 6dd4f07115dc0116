"""Reads photos in class folders: `make/model/*.jpg`, or one level for one target; optionally in `train/`, `val/` and `test/`."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from kcars.core.errors import KcarsError
from kcars.core.plain_text import warn
from kcars.data.faults import Fault
from kcars.data.photo_files import file_bytes, walk, walked
from kcars.data.photo_table import Dataset
from kcars.data.readers.catalogue import READERS, Described, Reader, layouts
from kcars.data.readers.own import Photo, dataset, split_of
from kcars.data.spelling import one_spelling
from kcars.settings import DataSettings


def read(root: Path, task: str, data: DataSettings) -> Dataset:
    """The Dataset of a folder of class folders; raises KcarsError if photos are too high, too deep or missing."""
    return dataset(root, described(root), task, data, str(root))


def described(root: Path, warn_of_loose: bool = True) -> list[Photo]:
    """All photos below `root`, with make and model from their folders; those next to class folders are left out, with a warning."""
    if not os.path.isdir(root):
        raise KcarsError(f"dataset {root}: there is no such folder")
    paths = walk(root)
    if not paths:
        raise KcarsError(f"dataset {root}: contains no photo; expected {layouts()}")
    if loose := without_class(paths):
        if warn_of_loose:
            _warn_of_loose(str(root), len(loose), loose[0])
        paths = sorted(set(paths) - set(loose))
    _refuse_ambiguous(paths, root)
    split = _is_split(paths)
    photos = [_photo(path, split, root) for path in paths]
    if len({photo.make != "" for photo in photos}) > 1:
        one = next(photo.path for photo in photos if not photo.make)
        two = next(photo.path for photo in photos if photo.make)
        raise KcarsError(
            f"dataset {root}: {one} is one folder deep and {two} two; use make/model/photo or class/photo, not both"
        )
    labels = one_spelling([(photo.make, photo.model) for photo in photos], str(root))
    return [replace(photo, make=make, model=model) for photo, (make, model) in zip(photos, labels, strict=True)]


def without_class(paths: Sequence[str]) -> list[str]:
    """The photos below a folder that are next to its class folders, and so have no class; none without class folders."""
    in_folders = [path for path in paths if "/" in path]
    depth = 2 if _is_split(in_folders) else 1
    loose = [path for path in paths if path.count("/") < depth]
    return loose if len(loose) < len(paths) else []


def listed_faults(root: Path) -> list[Fault]:
    """A Fault for each photo, other file and linked folder that reading skips."""
    found = walked(root)
    kinds = {"no_class": without_class(found.photos), "not_read": found.others, "linked_folder": found.linked}
    return [Fault(kind, path) for kind, paths in kinds.items() for path in paths]


@lru_cache(maxsize=64)
def _warn_of_loose(root: str, count: int, first: str) -> None:
    """Warn once per folder."""
    what = (
        "1 photo is next to the class folders and is"
        if count == 1
        else f"{count} photos are next to the class folders and are"
    )
    warn(f"warning: {root}: {what} left out, such as {first}")


def _is_split(paths: Sequence[str]) -> bool:
    return bool(paths) and all(split_of(path.split("/")[0]) for path in paths)


def _refuse_ambiguous(paths: Sequence[str], root: Path) -> None:
    """Raises KcarsError if folders such as train/ and test/ are next to class folders, or below them."""
    parts = [PurePosixPath(path).parts[:-1] for path in paths]
    top = {folders[0] for folders in parts if folders}
    splits = sorted(name for name in top if split_of(name))
    if splits and len(splits) < len(top):
        raise KcarsError(
            f"dataset {root}: {splits[0]} looks like a split and is next to class folders such as "
            f"{min(top - set(splits))}; put all class folders below train/, val/ and test/, or write a photos.csv "
            "(kcars data init) if it is the name of a class"
        )
    below = {split_of(name): name for folders in parts for name in folders[1:] if split_of(name)}
    if "train" in below or len(below) > 1:
        raise KcarsError(
            f"dataset {root}: {min(below.values())} looks like a split and is below a class folder; put train/, val/ and "
            "test/ on top, class folders below them, or write a photos.csv (kcars data init) if it is the name of a class"
        )


def named_alone(path: str) -> Photo:
    """A photo with names from its own path, independent of others: folders make/model/ or class/, optionally in a split."""
    folders = PurePosixPath(path).parts[:-1]
    split = split_of(folders[0]) if folders else ""
    labels = folders[1:] if split else folders
    if len(labels) not in (1, 2):
        return Photo(path, "", "", split)
    *make, model = labels
    return Photo(path, "".join(make), model, split)


def _photo(path: str, split: bool, root: Path) -> Photo:
    first, *labels = PurePosixPath(path).parts[:-1] if split else ("", *PurePosixPath(path).parts[:-1])
    if len(labels) not in (1, 2):
        raise KcarsError(
            f"dataset {root}: {path} is {len(labels)} class folders deep; expected make/model/photo or class/photo"
        )
    *make, model = labels
    return Photo(path, "".join(make), model, split_of(first))


def described_with_rest(folder: Path) -> Described:
    """All photos below a folder; those next to class folders have no name, and none has if the folders are not classes."""
    paths = walk(folder)
    if not paths:
        raise KcarsError(f"{folder}: contains no photos; JPEG, PNG, WebP and BMP are recognized by file extension")
    file_bytes(folder, paths)  # Refuses paths that lead out.
    try:
        return Described(folder, described(folder, warn_of_loose=False) + _without_names(without_class(paths)))
    except KcarsError as error:
        flat = not any("/" in path for path in paths)
        return Described(folder, _without_names(paths), "it has no class folders" if flat else str(error))


def _without_names(paths: Sequence[str]) -> list[Photo]:
    return [Photo(path, "", "") for path in paths]


READERS.register(
    Reader(
        "folders",
        "class folders make/model/",
        matches=lambda path: False,
        read=read,
        described=described_with_rest,
        listed_faults=listed_faults,
        takes_any_picture=True,
        last_resort=os.path.isdir,
    )
)
