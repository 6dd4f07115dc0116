"""Loads the dataset of a command: a given path in any layout, or drawn cars, which are generated once."""

import os
from pathlib import Path

from filelock import FileLock

from kcars.core.errors import KcarsError
from kcars.core.files import cache_folder, cache_place, real_path
from kcars.data.faults import Fault
from kcars.data.photo_files import refuse_undecodable
from kcars.data.photo_table import Dataset
from kcars.data.readers.catalogue import reader_of
from kcars.drawn.synthetic import draw
from kcars.settings import TASKS, DataSettings

DRAWN_VERSION = 3  # Increase it when the generator draws other photos.


def drawn_folder() -> Path:
    """The folder of the default drawn cars in the user's cache."""
    return cache_place() / f"drawn-cars-{DRAWN_VERSION}"


def load(path: Path | None, task: str, data: DataSettings) -> Dataset:
    """The Dataset at `path`, read by the first matching reader; for None drawn cars, which are generated if missing."""
    drawn = drawn_folder()
    if path is None or real_path(path) == real_path(drawn):
        if not drawn.is_dir():
            with FileLock(cache_folder() / f"{drawn.name}.lock"):  # A second process waits until they are drawn.
                if not drawn.is_dir():
                    draw(drawn)
        path = drawn
    path = Path(path)
    refuse_undecodable(path, ())
    reader = reader_of(path)
    if reader is None:
        raise KcarsError(f"dataset {path}: there is no such folder; give one with --data or KCARS_DATA")
    return reader.read(path, task, data)


def refuse_within(path: Path | None, out: Path) -> None:
    """Raises KcarsError if `out` is in a dataset that would read images written there as photos, such as class folders."""
    reader = reader_of(path) if path is not None and os.path.isdir(path) else None
    if path is None or reader is None or not reader.takes_any_picture:
        return
    root, place = real_path(path), real_path(out)
    if place.is_relative_to(root) and not any(part.startswith(".") for part in place.relative_to(root).parts):
        raise KcarsError(
            f"--out {out}: is in the dataset {path}, where its images would be read as photos; choose a folder outside of it"
        )


def load_every_task(path: Path | None, data: DataSettings | None = None) -> tuple[dict[str, Dataset], list[str]]:
    """The Datasets at `path` by task, and the reasons for tasks without one; raises KcarsError if neither has one."""
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
    """The faults that the reader of a folder finds: in lists, next to class folders, missing in photos.csv."""
    folder = drawn_folder() if path is None else Path(path)
    reader = reader_of(folder) if folder.is_dir() else None
    return reader.listed_faults(folder) if reader else []
