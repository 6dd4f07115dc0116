"""PhotoTable: one row a photo. Pairs: two rows and whether they show the same class. Dataset: both, with splits."""

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
    """Photos and labels, column by column; all arrays have one entry a row.

    paths: text relative to `root`; ids: {"make", "model"} -> int32 ids as in the dataset; box: (n, 4) int32 pixels
    left, top, right, bottom, 0-based and half-open, all -1 where the whole photo counts; viewpoint: int8,
    -1 unknown; year: int16, -1 unknown; bytes: int64 file sizes; names: target -> {id: name}, for display only; group: int64, equal for photos
    of the same car, camera or clip, which no split parts; None where each photo stands for itself.
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
        """A photo's box, None for the whole photo."""
        box = tuple(self.box[row].tolist())
        return None if box == NO_BOX else box

    def name(self, target: str, id_: int) -> str:
        """The display name of an id; its number where the dataset gives none."""
        return self.names[target].get(int(id_), str(int(id_)))


class PixelStore(Protocol):
    """What gives photos' pixels by PhotoTable row.

    bad: rows (n,) of photos that could not be decoded; decodes: whether every read decodes anew; checksums: (n,) uint32, one a row.
    """

    decodes: bool
    bad: np.ndarray

    @property
    def checksums(self) -> np.ndarray | None: ...

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(n, size, size, 3) uint8 pixels of PhotoTable rows, in their order."""
        ...


@dataclass(frozen=True)
class Pairs:
    """left, right: (n,) rows of the PhotoTable; same: (n,) int8, 1 where the pair is labelled as one class."""

    left: np.ndarray
    right: np.ndarray
    same: np.ndarray

    def __len__(self) -> int:
        return len(self.same)

    @classmethod
    def of_paths(cls, pairs: list[tuple[str, str, int]], row: dict[str, int]) -> "Pairs":
        """Pairs from (left path, right path, same) and the rows of known paths; pairs of others are left out."""
        known = [(row[left], row[right], same) for left, right, same in pairs if left in row and right in row]
        columns = np.array(known, np.int64).reshape(-1, 3)
        return cls(columns[:, 0], columns[:, 1], columns[:, 2].astype(np.int8))

    def rows(self) -> np.ndarray:
        """Distinct rows that stand in the pairs, sorted."""
        return np.unique(np.concatenate([self.left, self.right]))


@dataclass(frozen=True)
class Classes:
    """Class numbers 0..n-1 of sorted ids; stored with every run, because ids are not contiguous.

    names: of each, its number where the dataset gives none, which `named` tells; makes: of each model, by name.
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
        """Make and model of each, where the classes are models."""
        if not self.makes:
            return self.names
        return [with_make(make, name) for make, name in zip(self.makes, self.names, strict=True)]

    def make_numbers(self) -> tuple[list[str], np.ndarray]:
        """Names of the models' makes, sorted, and the place of each model's among them, (n,) int32."""
        names, number = np.unique(np.array(self.makes, object), return_inverse=True)
        return names.tolist(), number.astype(np.int32)

    def matched(self, others: "Classes") -> np.ndarray:
        """For each of `others`, the class number here of the same name, -1 where there is none.

        Names are equal whatever their case and spaces: make and model, or the model alone where it stands once on
        either side.
        """
        place = np.full(len(others), -1, np.int32)
        for own, other in ((self.names, others.names), (self.full_names(), others.full_names())):
            numbers, found = _once(own), _once(other)
            for name in numbers.keys() & found.keys():
                place[found[name]] = numbers[name]
        return place

    def __len__(self) -> int:
        return len(self.ids)

    def labels(self, ids: np.ndarray) -> np.ndarray:
        """Class numbers (int32) of ids; -1 where the id is none of these classes."""
        place = np.searchsorted(self.ids, ids).clip(0, len(self.ids) - 1)
        return np.where(self.ids[place] == ids, place, -1).astype(np.int32)


def _once(names: list[str]) -> dict[str, int]:
    """Place of each name, as compared, that stands once."""
    compared = [plain(name) for name in names]
    return {name: number for number, name in enumerate(compared) if compared.count(name) == 1}


def model_names(table: PhotoTable, rows: np.ndarray) -> list[str]:
    """Make and model of each photo as text that is equal in every dataset that names them alike."""
    makes, models = table.ids["make"][rows].tolist(), table.ids["model"][rows].tolist()
    named = {
        (make, model): plain(with_make(table.name("make", make), table.name("model", model)))
        for make, model in set(zip(makes, models, strict=True))
    }
    return [named[pair] for pair in zip(makes, models, strict=True)]


def is_photo_of(table: PhotoTable, file: Path) -> bool:
    """Whether a file is one of the photos: what writing it would destroy."""
    root, place = real_path(table.root), real_path(file.parent) / file.name
    return place.is_relative_to(root) and place.relative_to(root).as_posix() in set(table.paths.tolist())


def with_make(make: str, model: str) -> str:
    """Make and model; some datasets' names of models begin with the make, others' do not."""
    return model if f"{plain(model)} ".startswith(f"{plain(make)} ") else f"{make} {model}".strip()


@dataclass(frozen=True)
class Dataset:
    """What a reader gives for one task: the PhotoTable, rows to learn from, and what to test on.

    test: rows (classify); pairs: difficulty -> Pairs (verify); missing: listed photos that do not exist;
    source: where it was read from, for messages; split: how photos came to train or to test, in words; bad: photos
    that cannot be decoded and were taken out; read_as: the fingerprint before that; validation: rows that are given to
    validate on, None where kcars takes some of the training rows.
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
        """Whether lists, or splits of the owner, name photos to test on."""
        return self.split in ("as listed", "as given") and len(self.test_rows()) > 0

    def test_rows(self) -> np.ndarray:
        """Distinct rows that are tested on, sorted."""
        parts = [self.test, *(pairs.rows() for pairs in self.pairs.values())]
        return np.unique(np.concatenate(parts)).astype(np.int64)

    def not_tested(self) -> np.ndarray:
        """Rows to learn from and to validate on."""
        return self.train if self.validation is None else np.concatenate([self.train, self.validation])

    def without(self, rows: np.ndarray) -> "Dataset":
        """The same dataset, PhotoTable and fingerprint, with the rows taken out of its lists and pairs."""
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
        """Equal for equal lists, labels, boxes and file sizes, wherever the dataset lies."""
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
    """Fingerprint of an array's numbers, whatever its integer type."""
    return hashlib.sha256(np.ascontiguousarray(array, dtype="<i8").tobytes()).hexdigest()
