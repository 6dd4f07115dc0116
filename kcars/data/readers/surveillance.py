"""Reads CompCars' surveillance data, `sv_data`: 281 models from the front, with colours, without boxes."""

import os
from pathlib import Path

import numpy as np

from kcars.core.errors import KcarsError
from kcars.data.matlab import read_cells
from kcars.data.photo_files import file_bytes
from kcars.data.photo_table import NO_BOX, Dataset, PhotoTable
from kcars.data.readers.catalogue import READERS, Reader
from kcars.data.readers.compcars import LARGEST_ID, id_of, numbered_lines
from kcars.data.splits import automatic_split, tested_parts
from kcars.settings import DataSettings

TRAIN, TEST, NAMES, COLOURS = (
    "train_surveillance.txt",
    "test_surveillance.txt",
    "sv_make_model_name.mat",
    "color_list.mat",
)
# The colours 0..9 of color_list.mat; -1 is unknown.
COLOUR_NAMES = ("black", "white", "red", "yellow", "blue", "green", "purple", "brown", "champagne", "silver")


def find_root(folder: Path) -> Path | None:
    """The folder that contains image/ and the lists: the given one, or `sv_data/` below it; or None."""
    for candidate in (folder, folder / "sv_data", folder / "sv_data" / "sv_data"):
        if (candidate / "image").is_dir() and (candidate / TRAIN).exists():
            return candidate
    return None


def read(folder: Path, task: str, data: DataSettings) -> Dataset:
    """The Dataset of a task from a surveillance tree; `ids` also contains the colour of each photo, -1 if unknown.

    classify: uses its lists, unless `data.split` is all. verify: there are no pair lists; models are held out with a seed.
    """
    root = find_root(folder)
    if root is None:
        raise KcarsError(f"dataset {folder}: no surveillance data; it needs image/ and {TRAIN}")
    lists = [_read_list(root / name) for name in (TRAIN, TEST)]
    paths = sorted(set(lists[0] + lists[1]))
    sizes = file_bytes(root / "image", paths)
    missing = tuple(path for path, size in zip(paths, sizes, strict=True) if size < 0)
    paths = [path for path, size in zip(paths, sizes, strict=True) if size >= 0]
    if not paths:
        raise KcarsError(f"{root}: none of the {len(missing)} listed photos exists under {root / 'image'}")
    table = _table(root, paths, sizes[sizes >= 0])
    if task == "classify" and data.split == "listed":
        row = {path: number for number, path in enumerate(paths)}
        train, test = (np.array([row[path] for path in dict.fromkeys(given) if path in row], int) for given in lists)
        return Dataset(table, train, test, {}, str(root), missing)
    train, test, split = automatic_split(table, np.arange(len(table)), task, data.test_share, data.split_seed)
    return Dataset(table, train, *tested_parts(task, table, test, data.split_seed), str(root), missing, split)


def _table(root: Path, paths: list[str], sizes: np.ndarray) -> PhotoTable:
    makes, models, make_of = _names(root / NAMES)
    colour = _colours(root / COLOURS)
    model = np.array([int(path.split("/")[0]) for path in paths], np.int32)
    unnamed = np.setdiff1d(model, list(make_of))
    if len(unnamed):
        raise KcarsError(f"{root / NAMES}: has no line for model {unnamed[0]} of the lists")
    count = len(paths)
    return PhotoTable(
        root=root / "image",
        paths=np.array(paths, object),
        ids={
            "make": np.array([make_of[id_] for id_ in model.tolist()], np.int32),
            "model": model,
            "colour": np.array([colour.get(path, -1) for path in paths], np.int32),
        },
        box=np.tile(np.array(NO_BOX, np.int32), (count, 1)),
        viewpoint=np.ones(count, np.int8),  # All photos are from the front.
        year=np.full(count, -1, np.int16),
        bytes=sizes,
        names={"make": makes, "model": models, "colour": dict(enumerate(COLOUR_NAMES))},
    )


def _names(file: Path) -> tuple[dict[int, str], dict[int, str], dict[int, int]]:
    """Names of makes by number, names of models by sv_id, and the make of each model."""
    cells = read_cells(file, "sv_make_model_name")
    if not cells or len(cells[0]) < 2:
        raise KcarsError(f"{file}: sv_make_model_name lacks columns; expected one line per model: make, model, web id")
    rows = [(cell[0], cell[1]) for cell in cells]
    ids = {make: number for number, make in enumerate(sorted({make for make, _ in rows}), 1)}
    models = {number: f"{make} {model}" for number, (make, model) in enumerate(rows, 1)}
    return {id_: make for make, id_ in ids.items()}, models, {n: ids[make] for n, (make, _) in enumerate(rows, 1)}


def _colours(file: Path) -> dict[str, int]:
    """Colour numbers by photo path; empty if the file is missing."""
    if not os.path.lexists(file):
        return {}
    try:
        colours = {path: int(colour) for path, colour in read_cells(file, "color_list")}
        if any(abs(colour) > LARGEST_ID for colour in colours.values()):
            raise ValueError
        return colours
    except ValueError:
        raise KcarsError(f"{file}: color_list is not a list of photo and colour number") from None


def _read_list(file: Path) -> list[str]:
    paths = []
    for number, line in numbered_lines(file):
        parts = line.split("/")
        model = id_of(parts[0])
        if len(parts) != 2 or model is None or parts[1] in ("", ".", ".."):
            raise KcarsError(f"{file}:{number}: {line!r} is not a photo path; expected sv_id/name.jpg")
        paths.append(f"{model}/{parts[1]}")
    return paths


READERS.register(
    Reader(
        "surveillance",
        "its surveillance data",
        matches=lambda path: os.path.isdir(path) and find_root(path) is not None,
        read=read,
    )
)
