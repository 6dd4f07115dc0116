"""Which dataset a command works on: the one named, or drawn cars that are made once."""

from pathlib import Path

from kcars.data import compcars
from kcars.data.index import Dataset
from kcars.files import cache_folder

DRAWN_VERSION = 1  # Raise it when the generator draws other photos.


def drawn_cars() -> Path:
    """The folder of the default drawn cars in the user's cache, drawn first where it is missing."""
    folder = cache_folder() / f"drawn-cars-{DRAWN_VERSION}"
    if not folder.is_dir():
        from kcars.data.synthetic import draw

        draw(folder)
    return folder


def load(data: Path | None, task: str) -> Dataset:
    """The Dataset at `data`, or drawn cars for None."""
    return compcars.read(data if data is not None else drawn_cars(), task)
