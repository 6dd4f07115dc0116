"""Which dataset a command works on: the one named, or drawn cars that are made once."""

from pathlib import Path

from filelock import FileLock

from kcars.data import compcars
from kcars.data.index import Dataset
from kcars.data.synthetic import draw
from kcars.files import cache_folder

DRAWN_VERSION = 2  # Raise it when the generator draws other photos.


def drawn_folder() -> Path:
    """Where the default drawn cars lie in the user's cache."""
    return cache_folder() / f"drawn-cars-{DRAWN_VERSION}"


def load(data: Path | None, task: str) -> Dataset:
    """The Dataset at `data`, or for None drawn cars, which are made where they are missing."""
    drawn = drawn_folder()
    if data is None or Path(data) == drawn:
        with FileLock(f"{drawn}.lock"):  # A second process waits here, and then finds them drawn.
            if not drawn.is_dir():
                draw(drawn)
    return compcars.read(drawn if data is None else data, task)
