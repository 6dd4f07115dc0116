"""Which dataset a command works on: the one named, whatever its layout, or drawn cars that are made once."""

import os
from pathlib import Path

from filelock import FileLock

from kcars.core.errors import KcarsError
from kcars.core.files import cache_folder, cache_place, real_path
from kcars.data.faults import Fault
from kcars.data.photo_files import refuse_undecodable
from kcars.data.photo_table import Dataset
from kcars.data.readers import compcars, folders, manifest, surveillance
from kcars.drawn.synthetic import draw
from kcars.settings import TASKS, DataSettings

DRAWN_VERSION = 3  # Raise it when the generator draws other photos.


def drawn_folder() -> Path:
    """Where the default drawn cars lie in the user's cache."""
    return cache_place() / f"drawn-cars-{DRAWN_VERSION}"


def load(path: Path | None, task: str, data: DataSettings) -> Dataset:
    """The Dataset at `path`, or for None drawn cars, which are made where they are missing.

    A CSV, or a folder with photos.csv, is a user's own description; else the folder is a CompCars release, its
    surveillance part, or photos in class folders.
    """
    drawn = drawn_folder()
    if path is None or real_path(path) == real_path(drawn):
        if not drawn.is_dir():
            with FileLock(cache_folder() / f"{drawn.name}.lock"):  # A second process waits, and finds them drawn.
                if not drawn.is_dir():
                    draw(drawn)
        path = drawn
    path = Path(path)
    refuse_undecodable(path, ())
    if os.path.isfile(path) or path.suffix == ".csv":
        return manifest.read(path, task, data)
    if not os.path.isdir(path):
        raise KcarsError(f"dataset {path}: there is no such folder; name one with --data or KCARS_DATA")
    if os.path.lexists(path / manifest.PHOTOS):
        return manifest.read(path / manifest.PHOTOS, task, data)
    if compcars.find_root(path):
        return compcars.read(path, task, data)
    if surveillance.find_root(path):
        return surveillance.read(path, task, data)
    return folders.read(path, task, data)


def refuse_within(path: Path | None, out: Path) -> None:
    """KcarsError where `out` lies within class folders: the pictures that a command writes would be read as photos."""
    if path is None or not os.path.isdir(path) or os.path.lexists(path / manifest.PHOTOS):
        return
    if compcars.find_root(path) or surveillance.find_root(path):
        return
    root, place = real_path(path), real_path(out)
    if place.is_relative_to(root) and not any(part.startswith(".") for part in place.relative_to(root).parts):
        raise KcarsError(
            f"--out {out}: lies in the dataset {path}, where its pictures would be read as photos; name a folder outside of it"
        )


def load_every_task(path: Path | None, data: DataSettings | None = None) -> tuple[dict[str, Dataset], list[str]]:
    """The Datasets at `path` by task, and why a task has none; KcarsError where neither has one."""
    found, reasons = {}, []
    for task in TASKS:
        try:
            found[task] = load(path, task, data or DataSettings(size_px=32))
        except KcarsError as error:
            reasons.append(f"{task}: {error}")
    if not found:
        raise KcarsError(reasons[0].partition(": ")[2])
    return found, reasons


def listed_faults(path: Path | None) -> list[Fault]:
    """What reading passes over: in the lists of a CompCars release, beside class folders, and beside photos.csv; other readers refuse it."""
    folder = drawn_folder() if path is None else Path(path)
    if not folder.is_dir():
        return []
    if (folder / manifest.PHOTOS).is_file():
        return manifest.listed_faults(folder)
    if compcars.find_root(folder):
        return compcars.listed_faults(folder)
    return [] if surveillance.find_root(folder) else folders.listed_faults(folder)
