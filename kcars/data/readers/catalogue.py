"""What kcars has to know of a layout of datasets, and the catalogue of all: `READERS`.

A reader is one file: it registers a `Reader` when it is imported. Training, checks, statistics, samples and indexes read
datasets through it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kcars.core.catalogue import Catalogue
from kcars.data.faults import Fault
from kcars.data.photo_table import Dataset, PhotoTable
from kcars.data.readers.own import Photo
from kcars.settings import DataSettings


@dataclass(frozen=True)
class Described:
    """Photos of a folder with what its layout says of them: their paths count from `root`; unnamed: why none has a name."""

    root: Path
    photos: Sequence[Photo]
    unnamed: str = ""

    @classmethod
    def of_table(cls, table: PhotoTable) -> "Described":
        """Every photo of a PhotoTable, with its names and box."""
        rows = zip(table.paths, table.ids["make"], table.ids["model"], map(tuple, table.box.tolist()), strict=True)
        photos = [
            Photo(path, table.name("make", make), table.name("model", model), box=box)
            for path, make, model, box in rows
        ]
        return cls(table.root, photos)


def _never(path: Path) -> bool:
    return False


def _nothing(folder: Path) -> list[Fault]:
    return []


@dataclass(frozen=True)
class Reader:
    """One layout.

    name: its own; layout: what a message says is expected, such as "a CSV"; matches: whether a file or folder has the layout,
    without an exception where there is no such path; read: (path, task, data) -> Dataset, raises KcarsError for what it cannot read;
    described: folder -> every photo of it, for an index, without which those of the Dataset count; describes: whether
    `described` takes a folder, where that is not `matches`; listed_faults: folder -> what reading passes over, for
    `kcars data check`; takes_any_picture: whether pictures that are written into the folder would be read as photos of it;
    last_resort: whether it takes a path that no reader matches.
    """

    name: str
    layout: str
    matches: Callable[[Path], bool]
    read: Callable[[Path, str, DataSettings], Dataset]
    described: Callable[[Path], Described] | None = None
    describes: Callable[[Path], bool] | None = None
    listed_faults: Callable[[Path], list[Fault]] = _nothing
    takes_any_picture: bool = False
    last_resort: Callable[[Path], bool] = _never

    def every_photo(self, folder: Path) -> Described:
        """Every photo of a folder, listed or not, with its names and box; raises KcarsError if it cannot be read."""
        if self.described:
            return self.described(folder)
        return Described.of_table(self.read(folder, "classify", DataSettings(size_px=32)).table)


SHIPPED = ("manifest", "compcars", "surveillance", "folders")
"""Names and modules of the readers of kcars, in the order in which they are asked."""
READERS: Catalogue[Reader] = Catalogue("reader", "kcars.data.readers", SHIPPED, "kcars.readers")


def reader_of(path: Path, describing: bool = False) -> Reader | None:
    """The first reader that has the layout of a path, or takes it as a last resort; None where there is no such path.

    Those of kcars are asked first, as a last resort after all others. describing: the path is a folder whose photos an index
    takes in.
    """
    readers = _in_order()
    for reader in readers:
        if (reader.describes or reader.matches if describing else reader.matches)(path):
            return reader
    return next((reader for reader in readers if reader.last_resort(path)), None)


def layouts() -> str:
    """What a dataset may be, in words."""
    *others, last = (reader.layout for reader in _in_order())
    return f"{', '.join(others)} or {last}"


def _in_order() -> list[Reader]:
    """Readers register when they are imported, in whatever order that happens."""
    place = {name: number for number, name in enumerate(SHIPPED)}
    return sorted(READERS.values(), key=lambda reader: place.get(reader.name, len(place)))
