"""Builds the Dataset of a user's photos from a CSV or folders: ids of labels, and splits if none are given."""

import numbers
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kcars.core.errors import KcarsError
from kcars.data.photo_files import file_bytes, refuse_undecodable
from kcars.data.photo_table import NO_BOX, Dataset, Pairs, PhotoTable, with_make
from kcars.data.spelling import Disk, plain, why_missing
from kcars.data.splits import apart, automatic_split, tested_parts
from kcars.settings import DIFFICULTIES, DataSettings

SPLITS = ("train", "validation", "test")
_SPLIT_NAMES = {"training": "train", "val": "validation", "valid": "validation", "testing": "test"}


def split_of(name: str) -> str:
    """The split with a name, in any case, also `val`, `valid`, `training` and `testing`; "" for other names."""
    found = plain(name)
    return found if found in SPLITS else _SPLIT_NAMES.get(found, "")


@dataclass(frozen=True)
class Photo:
    """One photo as described by its owner: path below the root, names, and optional facts.

    split: one of SPLITS, or "" for an automatic one; box: as in PhotoTable; viewpoint: 1..5 or -1; year: or -1; group: any
    text, "" for none.
    """

    path: str
    make: str
    model: str
    split: str = ""
    box: tuple[int, int, int, int] = NO_BOX
    viewpoint: int = -1
    year: int = -1
    group: str = ""


def dataset(
    root: Path,
    photos: Sequence[Photo],
    task: str,
    data: DataSettings,
    source: str,
    pairs: Sequence[tuple[str, str, int, str]] = (),
) -> Dataset:
    """The Dataset of a task from described photos; missing ones are left out and listed.

    pairs: (left path, right path, same, difficulty or "") if given. Given splits are used; otherwise the test set consists of
    the models in the pairs, or without pairs of a random share of the photos (verify: of the models). Raises KcarsError for a
    split that divides a group.
    """
    for photo in photos:
        _refuse_odd(photo, source)
    refuse_undecodable(root, [photo.path for photo in photos])
    photos, pairs = _as_on_disk(root, photos, pairs, source)
    sizes = file_bytes(root, [photo.path for photo in photos])
    missing = tuple(photo.path for photo, size in zip(photos, sizes, strict=True) if size < 0)
    photos = [photo for photo, size in zip(photos, sizes, strict=True) if size >= 0]
    if not photos:
        why = why_missing(root, missing)
        raise KcarsError(
            f"{source}: none of its {len(missing)} photos exists below {root}" + (f"; {why}" if why else "")
        )
    table = _table(root, photos, sizes[sizes >= 0])
    tested = _given(table, pairs) if pairs and data.split == "listed" else {}
    train, test, split = _split(table, photos, task, data, tested, source)
    given = data.split == "listed" and any(photo.split == "validation" for photo in photos)
    validation = _rows_of(photos, "validation") if given else None
    parts = tested_parts(task, table, test, data.split_seed, tested)
    return Dataset(table, train, *parts, source, missing, split, validation=validation)


def _refuse_odd(photo: Photo, source: str) -> None:
    """Raises KcarsError for facts that a reader got wrong."""
    if not all(isinstance(text, str) for text in (photo.path, photo.make, photo.model, photo.split, photo.group)):
        raise KcarsError(f"{source}: photo {photo.path!r}: path, make, model, split and group are texts")
    if len(photo.box) != 4 or not all(isinstance(edge, numbers.Integral) for edge in photo.box):
        raise KcarsError(
            f"{source}: photo {photo.path!r}: box {photo.box!r}; left, top, right, bottom in whole pixels are expected"
        )


def _as_on_disk(root: Path, photos: Sequence[Photo], pairs: Sequence, source: str) -> tuple[list[Photo], list]:
    """Photos, sorted by path, and pairs; a path without a file is replaced by one with another Unicode form, if unique."""
    disk, found = Disk(root), {}
    for photo, size in zip(photos, file_bytes(root, [photo.path for photo in photos]), strict=True):
        found[photo.path] = photo.path if size >= 0 else disk.spelled(photo.path) or photo.path
    if len(set(found.values())) < len(found):
        twice = Counter(found.values()).most_common(1)[0][0]
        raise KcarsError(f"{source}: contains {twice!r} in two Unicode forms; remove one")
    named = [replace(photo, path=found[photo.path]) for photo in photos]
    pairs = [(found.get(left, left), found.get(right, right), *more) for left, right, *more in pairs]
    return sorted(named, key=lambda photo: photo.path), pairs


def _rows_of(photos: Sequence[Photo], split: str) -> np.ndarray:
    return np.flatnonzero([photo.split == split for photo in photos])


def _split(
    table: PhotoTable, photos: Sequence[Photo], task: str, data: DataSettings, tested: dict[str, Pairs], source: str
):
    """(training rows, test rows, description of the split)."""
    if data.split == "listed" and any(photo.split for photo in photos):
        train, validation, test = (_rows_of(photos, split) for split in SPLITS)
        for one, other, names in (
            (train, test, "training and the test"),
            (train, validation, "training and the validation"),
            (validation, test, "validation and the test"),
        ):
            refuse_parted_groups(table, one, other, source, names)
        return train, test, "as given"
    if tested:
        model = table.ids["model"]
        paired = np.isin(model, model[np.concatenate([pairs.rows() for pairs in tested.values()])])
        test = np.flatnonzero(paired)
        return apart(table, np.flatnonzero(~paired), test), test, "test set: the models of the given pairs"
    return automatic_split(table, np.arange(len(photos)), task, data.test_share, data.split_seed)


def _table(root: Path, photos: Sequence[Photo], sizes: np.ndarray) -> PhotoTable:
    make, makes = _numbered([photo.make or photo.model for photo in photos])
    model, models = _numbered([(photo.make, photo.model or photo.make) for photo in photos])
    group, _ = _numbered([photo.group or (photo.path,) for photo in photos], key=str)
    return PhotoTable(
        root=root,
        paths=np.array([photo.path for photo in photos], object),
        ids={"make": make, "model": model},
        box=np.array([photo.box for photo in photos], np.int32).reshape(-1, 4),
        viewpoint=np.array([photo.viewpoint for photo in photos], np.int8),
        year=np.array([photo.year for photo in photos], np.int16),
        bytes=sizes,
        names={
            "make": makes,
            "model": {id_: with_make(*name) for id_, name in models.items()},
        },
        group=group.astype(np.int64) if any(photo.group for photo in photos) else None,
    )


def _numbered(values: list, key=None) -> tuple[np.ndarray, dict]:
    """Ids from 1 in the sorted order of the values, and the value of each id."""
    ids = {value: number for number, value in enumerate(sorted(set(values), key=key), 1)}
    return np.array([ids[value] for value in values], np.int32), {number: value for value, number in ids.items()}


def refuse_parted_groups(table: PhotoTable, train: np.ndarray, test: np.ndarray, source: str, splits: str) -> None:
    """Raises KcarsError if photos of one group are on both sides of a given split."""
    if table.group is None:
        return
    shared = np.isin(table.group[test], table.group[train])
    if shared.any():
        row = test[shared][0]
        twin = train[table.group[train] == table.group[row]][0]
        raise KcarsError(
            f"{source}: {len(np.unique(table.group[test[shared]]))} groups are in the {splits} split, "
            f"such as that of {table.paths[twin]} and {table.paths[row]}; a group (one car, camera or clip) must be in one"
        )


def _given(table: PhotoTable, pairs: Sequence[tuple[str, str, int, str]]) -> dict[str, Pairs]:
    """Given pairs by difficulty; those without one are medium, and also easy or hard if their labels qualify."""
    row = {path: number for number, path in enumerate(table.paths)}
    chosen: dict[str, list[tuple[str, str, int]]] = {name: [] for name in DIFFICULTIES}
    for left, right, same, difficulty in pairs:
        if left in row and right in row:
            for name in [difficulty] if difficulty else _difficulties(table, row[left], row[right], same):
                chosen[name].append((left, right, same))
    return {name: Pairs.of_paths(given, row) for name, given in chosen.items()}


def _difficulties(table: PhotoTable, left: int, right: int, same: int) -> list[str]:
    """Difficulties as in CompCars: hard negatives have one make; easy ones two makes, and easy pairs one viewpoint."""
    one_make = table.ids["make"][left] == table.ids["make"][right]
    one_view = table.viewpoint[left] == table.viewpoint[right]
    found = {"easy": one_view and (same or not one_make), "medium": True, "hard": same or one_make}
    return [name for name, holds in found.items() if holds]
