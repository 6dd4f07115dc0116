"""PhotoTable: one row per photo; Pairs: two rows and whether they show the same class; Dataset: both, with splits."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from kcars.core.files import fingerprint, real_path
from kcars.data.spelling import plain

NO_BOX = (-1, -1, -1, -1)


@dataclass(frozen=True)
class PhotoTable:
    """Photos and labels in columns; all arrays have one entry per row.

    paths: text relative to `root`; ids: {"make", "model"} -> int32 ids as in the dataset; box: (n, 4) int32 pixels
    left, top, right, bottom, 0-based and half-open, all -1 for the whole photo; viewpoint: int8,
    -1 unknown; year: int16, -1 unknown; bytes: int64 file sizes; names: target -> {id: name}, for display only; group: int64,
    equal for photos of the same car, camera or clip, which splits keep together; None if there are no groups.
    """

    root: Path
    paths: np.ndarray
    ids: dict[str, np.ndarray]
    box: np.ndarray
    viewpoint: np.ndarray
    year: np.ndarray
    bytes: np.ndarray
    names: dict[str, dict[int, str]]
    group: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def box_at(self, row: int) -> tuple[int, int, int, int] | None:
        """The box of a photo, None for the whole photo."""
        box = tuple(self.box[row].tolist())
        return None if box == NO_BOX else box

    def name(self, target: str, id_: int) -> str:
        """The display name of an id, or its number if the dataset has no name."""
        return self.names[target].get(int(id_), str(int(id_)))


class PixelStore(Protocol):
    """Reads the pixels of photos by PhotoTable row.

    bad: rows (n,) of photos that could not be decoded; decodes: whether every read decodes; checksums: (n,) uint32, one per
    row.
    """

    decodes: bool
    bad: np.ndarray

    @property
    def checksums(self) -> np.ndarray | None: ...

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Pixels (n, size, size, 3) uint8 of PhotoTable rows, in the same order."""
        ...


@dataclass(frozen=True)
class Pairs:
    """left, right: (n,) rows of the PhotoTable; same: (n,) int8, 1 for pairs of one class."""

    left: np.ndarray
    right: np.ndarray
    same: np.ndarray

    def __len__(self) -> int:
        return len(self.same)

    @classmethod
    def of_paths(cls, pairs: list[tuple[str, str, int]], row: dict[str, int]) -> "Pairs":
        """Pairs from (left path, right path, same) and the rows of known paths; pairs with other paths are left out."""
        known = [(row[left], row[right], same) for left, right, same in pairs if left in row and right in row]
        columns = np.array(known, np.int64).reshape(-1, 3)
        return cls(columns[:, 0], columns[:, 1], columns[:, 2].astype(np.int8))

    def rows(self) -> np.ndarray:
        """Sorted distinct rows in the pairs."""
        return np.unique(np.concatenate([self.left, self.right]))


@dataclass(frozen=True)
class Classes:
    """Maps sorted ids to class numbers 0..n-1; stored with every run, because ids are not contiguous.

    names: of the classes, or their ids as text where `named` is False; makes: name of the make of each model.
    """

    target: str
    ids: np.ndarray
    names: list[str]
    makes: list[str] = field(default_factory=list)
    named: bool = True

    @classmethod
    def of(cls, table: PhotoTable, target: str, rows: np.ndarray) -> "Classes":
        ids, first = np.unique(table.ids[target][rows], return_index=True)
        makes = table.ids["make"][rows][first] if target == "model" else []
        return cls(
            target,
            ids,
            [table.name(target, id_) for id_ in ids],
            [table.name("make", make) for make in makes],
            bool(table.names[target]),
        )

    def full_names(self) -> list[str]:
        """Make and model of each class if the classes are models, else their names."""
        if not self.makes:
            return self.names
        return [with_make(make, name) for make, name in zip(self.makes, self.names, strict=True)]

    def make_numbers(self) -> tuple[list[str], np.ndarray]:
        """Sorted names of the models' makes, and the number (n,) int32 of each model's make among them."""
        names, number = np.unique(np.array(self.makes, object), return_inverse=True)
        return names.tolist(), number.astype(np.int32)

    def matched(self, others: "Classes") -> np.ndarray:
        """For each of `others`, the class number here with the same name, -1 if there is none.

        Names are compared without case and spaces: make and model, or only the model if it is unique on both sides.
        """
        numbers_here = np.full(len(others), -1, np.int32)
        for own, other in ((self.names, others.names), (self.full_names(), others.full_names())):
            numbers, found = _once(own), _once(other)
            for name in numbers.keys() & found.keys():
                numbers_here[found[name]] = numbers[name]
        return numbers_here

    def __len__(self) -> int:
        return len(self.ids)

    def labels(self, ids: np.ndarray) -> np.ndarray:
        """Class numbers (int32) of ids; -1 for other ids."""
        position = np.searchsorted(self.ids, ids).clip(0, len(self.ids) - 1)
        return np.where(self.ids[position] == ids, position, -1).astype(np.int32)


def _once(names: list[str]) -> dict[str, int]:
    """Position of each unique name, in the form for comparison."""
    compared = [plain(name) for name in names]
    return {name: number for number, name in enumerate(compared) if compared.count(name) == 1}


def model_names(table: PhotoTable, rows: np.ndarray) -> list[str]:
    """Make and model of each photo as text, comparable across datasets with the same names."""
    makes, models = table.ids["make"][rows].tolist(), table.ids["model"][rows].tolist()
    named = {
        (make, model): plain(with_make(table.name("make", make), table.name("model", model)))
        for make, model in set(zip(makes, models, strict=True))
    }
    return [named[pair] for pair in zip(makes, models, strict=True)]


def is_photo_of(table: PhotoTable, file: Path) -> bool:
    """Whether a file is one of the photos, which writing it would overwrite."""
    root, target = real_path(table.root), real_path(file.parent) / file.name
    return target.is_relative_to(root) and target.relative_to(root).as_posix() in set(table.paths.tolist())


def with_make(make: str, model: str) -> str:
    """Make and model; in some datasets the model's name begins with the make."""
    return model if f"{plain(model)} ".startswith(f"{plain(make)} ") else f"{make} {model}".strip()


@dataclass(frozen=True)
class Dataset:
    """The dataset of one task from a reader: the PhotoTable, training rows, and test rows or pairs.

    test: rows (classify); pairs: difficulty -> Pairs (verify); missing: listed photos that do not exist;
    source: its path, for messages; split: description of the split; bad: photos that cannot be decoded and were removed;
    read_as: the fingerprint before that; validation: given validation rows, None if kcars chooses some of the training rows.
    """

    table: PhotoTable
    train: np.ndarray
    test: np.ndarray
    pairs: dict[str, Pairs]
    source: str
    missing: tuple[str, ...] = field(default=())
    split: str = "as listed"
    bad: tuple[str, ...] = field(default=())
    read_as: str = ""
    validation: np.ndarray | None = None

    @property
    def says_what_to_test(self) -> bool:
        """Whether the dataset's lists or splits specify the test photos."""
        return self.split in ("as listed", "as given") and len(self.test_rows()) > 0

    def test_rows(self) -> np.ndarray:
        """Sorted distinct test rows."""
        parts = [self.test, *(pairs.rows() for pairs in self.pairs.values())]
        return np.unique(np.concatenate(parts)).astype(np.int64)

    def not_tested(self) -> np.ndarray:
        """Training and validation rows."""
        return self.train if self.validation is None else np.concatenate([self.train, self.validation])

    def without(self, rows: np.ndarray) -> "Dataset":
        """The dataset, with the same PhotoTable and fingerprint, without the rows in its lists and pairs."""
        if not len(rows):
            return self
        kept = {name: ~(np.isin(pairs.left, rows) | np.isin(pairs.right, rows)) for name, pairs in self.pairs.items()}
        return replace(
            self,
            train=self.train[~np.isin(self.train, rows)],
            test=self.test[~np.isin(self.test, rows)],
            validation=None if self.validation is None else self.validation[~np.isin(self.validation, rows)],
            pairs={
                name: Pairs(pairs.left[kept[name]], pairs.right[kept[name]], pairs.same[kept[name]])
                for name, pairs in self.pairs.items()
            },
            bad=tuple(self.table.paths[rows]),
            read_as=self.fingerprint(),
        )

    def fingerprint(self) -> str:
        """A fingerprint of lists, labels, boxes and file sizes, independent of the dataset's path."""
        if self.read_as:
            return self.read_as
        table = self.table
        columns = [table.ids["make"], table.ids["model"], table.box, table.viewpoint, table.bytes]
        columns += [] if table.group is None else [table.group]
        lists = [self.train, self.test, *([] if self.validation is None else [self.validation])]
        for pairs in self.pairs.values():
            lists += [pairs.left, pairs.right, pairs.same]
        digests = [fingerprint_array(array) for array in columns + lists]
        return fingerprint("\n".join(table.paths), list(self.pairs), digests)


def fingerprint_array(array: np.ndarray) -> str:
    """Fingerprint of an array's numbers, independent of the integer type."""
    return hashlib.sha256(np.ascontiguousarray(array, dtype="<i8").tobytes()).hexdigest()
