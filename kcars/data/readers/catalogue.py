"""The catalogue of dataset readers, `READERS`, and its records.

Each reader is one file that registers a `Reader` when it is imported. Training, checks, statistics, samples and indexes read
datasets with it.
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
    """Photos of a folder with their names and boxes; paths are relative to `root`; unnamed: the reason if none has a name."""

    root: Path
    photos: Sequence[Photo]
    unnamed: str = ""

    @classmethod
    def of_table(cls, table: PhotoTable) -> "Described":
        """All photos of a PhotoTable, with names and boxes."""
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
    """The record of a layout.

    name: of the reader; layout: description for messages, such as "a CSV"; matches: whether a file or folder has the layout,
    without an exception for a missing path; read: (path, task, data) -> Dataset, raises KcarsError if it cannot be read;
    described: folder -> all its photos, for an index, by default those of the Dataset; describes: whether `described` accepts
    a folder, by default `matches`; listed_faults: folder -> items that reading skips, for `kcars data check`;
    takes_any_picture: whether images written into the folder would be read as photos; last_resort: whether it reads a path
    that no reader matches.
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
        """All photos of a folder, listed or not, with names and boxes; raises KcarsError if it cannot be read."""
        if self.described:
            return self.described(folder)
        return Described.of_table(self.read(folder, "classify", DataSettings(size_px=32)).table)


SHIPPED = ("manifest", "compcars", "surveillance", "folders")
"""Names and modules of the readers of kcars, in the order in which they are tried."""
READERS: Catalogue[Reader] = Catalogue("reader", "kcars.data.readers", SHIPPED, "kcars.readers")


def reader_of(path: Path, describing: bool = False) -> Reader | None:
    """The first reader that matches a path, or reads it as a last resort; None if the path does not exist.

    Readers of kcars are tried first, last resorts after all others. describing: the path is a folder of photos for an index.
    """
    readers = _in_order()
    for reader in readers:
        if (reader.describes or reader.matches if describing else reader.matches)(path):
            return reader
    return next((reader for reader in readers if reader.last_resort(path)), None)


def layouts() -> str:
    """The supported layouts, in words."""
    *others, last = (reader.layout for reader in _in_order())
    return f"{', '.join(others)} or {last}"


def _in_order() -> list[Reader]:
    """The readers in a fixed order, because they may be imported in any order."""
    order = {name: number for number, name in enumerate(SHIPPED)}
    return sorted(READERS.values(), key=lambda reader: order.get(reader.name, len(order)))
