"""Reads the CompCars release: lists, labels, names. For its layout see Yang et al., CVPR 2015, and its README."""

import errno
import os
import re
import stat
from collections import Counter
from pathlib import Path

import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.files import sha256
from kcars.core.limits import limits
from kcars.data.faults import Fault
from kcars.data.matlab import read_cells
from kcars.data.photo_files import file_bytes, refuse_undecodable, walk
from kcars.data.photo_table import NO_BOX, Dataset, Pairs, PhotoTable
from kcars.data.photo_table_cache import cached_table
from kcars.data.readers.catalogue import READERS, Described, Reader
from kcars.data.splits import automatic_split, tested_parts
from kcars.settings import DIFFICULTIES, DataSettings
from kcars.untrusted.reading import MIB, read_bytes

SMALLEST_BOX_PX = (
    32  # The release has 10 degenerate boxes and 6 with a shorter side, for which the whole photo is used.
)

LARGEST_ID = 2**31 - 1  # Maximum of int32.


def find_root(folder: Path) -> Path | None:
    """The folder that contains image/ and train_test_split/: the given one, or one or two `data/` below it; or None."""
    folder = Path(folder)
    for candidate in (folder, folder / "data", folder / "data" / "data"):
        if (candidate / "image").is_dir() and (candidate / "train_test_split").is_dir():
            return candidate
    return None


def _root_of(folder: Path) -> Path:
    """As `find_root`, but raises KcarsError if there is none."""
    root = find_root(folder)
    if root is None:
        raise KcarsError(f"dataset {folder}: not in CompCars layout; it needs image/ and train_test_split/")
    return root


def read(folder: Path, task: str, data: DataSettings | None = None) -> Dataset:
    """The Dataset of a task from a CompCars tree; `missing` lists photos that do not exist.

    `data.split: all` reads all photos of the release, listed or not, and splits them with a seed.
    """
    root = _root_of(folder)
    if data is not None and data.split == "all":
        return _read_all(root, task, data)
    lists = root / "train_test_split"
    if task == "classify":
        train_file, pairs = lists / "classification/train.txt", {}
        train = _read_list(train_file)
        test = _read_list(lists / f"classification/{data.test_list if data else 'test'}.txt")
    else:
        train_file, test = lists / "verification/verification_train.txt", []
        train, pairs = _read_list(train_file), _read_all_pairs(lists / "verification")
    paired = (path for rows in pairs.values() for left, right, _ in rows for path in (left, right))
    table, missing = _table(root, sorted({*train, *test, *paired}))
    row = {path: number for number, path in enumerate(table.paths)}
    dataset = Dataset(
        table=table,
        train=_rows(train, row),
        test=_rows(test, row),
        pairs={name: Pairs.of_paths(rows, row) for name, rows in pairs.items()},
        source=str(root),
        missing=missing,
    )
    if not len(dataset.train):
        raise KcarsError(f"{train_file}: none of its {len(train)} photos exists under {root / 'image'}")
    return dataset


def _read_all(root: Path, task: str, data: DataSettings) -> Dataset:
    """All photos of the release, split with a seed; training photos that are in the test with another model are left out."""
    table = every_photo(root)
    refuse_undecodable(table.root, table.paths.tolist())
    train, test, split = automatic_split(table, np.arange(len(table)), task, data.test_share, data.split_seed)
    twin = _twins(table)
    train = train[~np.isin(twin[train], twin[test])]
    return Dataset(table, train, *tested_parts(task, table, test, data.split_seed), str(root), (), split)


def every_photo(root: Path) -> PhotoTable:
    """The PhotoTable of all photos of a release, listed or not; raises KcarsError if there is none."""
    names = read_names(root / "misc" / "make_model_name.mat")
    return cached_table(root, names, 3, lambda: _table(root, _every_photo(root / "image"))[0])


def _twins(table: PhotoTable) -> np.ndarray:
    """Numbers (n,), equal for photos with the same name and content: the release has 84 that occur with two models.

    Files larger than `photo_mib`, which are never read as photos, are compared by name and size.
    """
    keys = [f"{path.rpartition('/')[2]} {size}" for path, size in zip(table.paths, table.bytes.tolist(), strict=True)]
    _, numbers, counts = np.unique(keys, return_inverse=True, return_counts=True)
    for row in np.flatnonzero((counts[numbers] > 1) & (table.bytes <= limits().photo_mib * MIB)):
        keys[row] += sha256(table.root / table.paths[row])
    return np.unique(keys, return_inverse=True)[1]


def _every_photo(folder: Path) -> list[str]:
    paths = [path for path in walk(folder) if _ids(path) is not None]
    if not paths:
        raise KcarsError(f"{folder}: contains no photo make_id/model_id/year/name.jpg")
    return paths


def listed_faults(folder: Path) -> list[Fault]:
    """The faults in lists and label files that reading skips, for `kcars data check`."""
    root = _root_of(folder)
    lists = root / "train_test_split"
    faults, photos, pairs = [], set(), {}
    for name in ("classification/train", "classification/test", "verification/verification_train"):
        paths = _read_list(lists / f"{name}.txt") if (lists / f"{name}.txt").exists() else []
        faults += [Fault("listed_twice", path, name) for path, count in Counter(paths).items() if count > 1]
        photos.update(paths)
    for difficulty in DIFFICULTIES:
        file = lists / f"verification/verification_pairs_{difficulty}.txt"
        pairs[difficulty] = _read_pairs(file) if file.exists() else []
        photos.update(path for left, right, _ in pairs[difficulty] for path in (left, right))
    listed = sorted(photos)
    there = {path for path, size in zip(listed, file_bytes(root / "image", listed), strict=True) if size >= 0}
    for difficulty, rows in pairs.items():
        gone = [(left, right) for left, right, _ in rows if not {left, right} <= there]
        faults += [Fault("pair_of_missing_photo", left, difficulty, right) for left, right in gone]
    return faults + [fault for path in sorted(there) if (fault := _label_fault(root, path))]


def _label_fault(root: Path, path: str) -> Fault | None:
    try:
        text = _first_bytes(f"{root}/label/{path[: path.rindex('.')]}.txt").decode("ascii", "replace")
        viewpoint, _, box = text.split("\n")[:3]
        numbers = [int(viewpoint), *map(int, box.split())]
    except (OSError, ValueError):
        numbers = []
    if len(numbers) != 5:
        return Fault("unreadable_label", path)
    return Fault("degenerate_box", path, box.strip()) if _read_label(f"{root}/label/{path}")[1] == NO_BOX else None


def _rows(paths: list[str], row: dict[str, int]) -> np.ndarray:
    return np.array(list(dict.fromkeys(row[path] for path in paths if path in row)), np.int64)


def _table(root: Path, paths: list[str]) -> tuple[PhotoTable, tuple[str, ...]]:
    """The PhotoTable of the existing paths, and the missing paths."""
    sizes = file_bytes(root / "image", paths)
    missing = tuple(path for path, size in zip(paths, sizes, strict=True) if size < 0)
    paths = [path for path, size in zip(paths, sizes, strict=True) if size >= 0]
    labels = [_read_label(f"{root}/label/{path}") for path in paths]
    ids = np.array([_ids(path) for path in paths], np.int32).reshape(-1, 2)
    table = PhotoTable(
        root=root / "image",
        paths=np.array(paths, dtype=object),
        ids={"make": ids[:, 0], "model": ids[:, 1]},
        box=np.array([box for _, box in labels], np.int32).reshape(-1, 4),
        viewpoint=np.array([viewpoint for viewpoint, _ in labels], np.int8),
        year=np.array([_year(path) for path in paths], np.int16),
        bytes=sizes[sizes >= 0],
        names=read_names(root / "misc" / "make_model_name.mat"),
    )
    return table, missing


def _year(path: str) -> int:
    """The year in the folder name; -1 for the release's `unknown` and `5008`."""
    year = path.split("/")[2]
    return int(year) if re.fullmatch("(19|20)[0-9]{2}", year) else -1


def _read_list(file: Path) -> list[str]:
    """Image paths, one per line; raises KcarsError `file:line` for anything else."""
    return [_photo_path(text, f"{file}:{number}") for number, text in numbered_lines(file)]


def numbered_lines(file: Path) -> list[tuple[int, str]]:
    """Nonempty lines of a list file, with their numbers."""
    most = limits().list_mib * MIB
    try:
        text = read_bytes(file, most).decode("utf-8-sig", "replace")  # Notepad writes a byte order mark.
    except KcarsError as error:
        raise KcarsError(f"{error}; the CompCars lists are required") from None
    return [(number, line.strip()) for number, line in enumerate(re.split("\r\n|\r|\n", text), 1) if line.strip()]


def _photo_path(text: str, where: str) -> str:
    path = "/".join(part for part in text.split("/") if part not in ("", "."))  # One spelling per photo.
    if text.startswith("/") or _ids(path) is None:
        raise KcarsError(f"{where}: {text!r} is not a photo path; expected make_id/model_id/year/name.jpg")
    return path


def _ids(path: str) -> tuple[int, int] | None:
    """make_id and model_id in a photo's path; None for other paths."""
    parts = path.split("/")
    if len(parts) != 4 or ".." in parts:
        return None
    make, model = id_of(parts[0]), id_of(parts[1])
    return None if make is None or model is None else (make, model)


def id_of(text: str) -> int | None:
    """The id in the folder name of a make or model; None if it is not a number, or too large."""
    if not (text.isascii() and text.isdecimal() and len(text) < 11):
        return None
    return number if (number := int(text)) <= LARGEST_ID else None


def _read_all_pairs(folder: Path) -> dict[str, list[tuple[str, str, int]]]:
    return {name: _read_pairs(folder / f"verification_pairs_{name}.txt") for name in DIFFICULTIES}


def _read_pairs(file: Path) -> list[tuple[str, str, int]]:
    pairs = []
    for number, line in numbered_lines(file):
        words = line.split()
        where = f"{file}:{number}"
        if len(words) != 3 or words[2] not in ("0", "1"):
            raise KcarsError(f"{where}: {line!r} is not a pair; expected two photo paths and 0 or 1")
        pairs.append((_photo_path(words[0], where), _photo_path(words[1], where), int(words[2])))
    return pairs


def _read_label(photo: str) -> tuple[int, tuple[int, int, int, int]]:
    """Viewpoint and box in a photo's label file; unknown and the whole photo if the file is missing or unusable."""
    try:
        lines = _first_bytes(photo[: photo.rindex(".")] + ".txt").split(b"\n")
        viewpoint = int(lines[0])
        left, top, right, bottom = map(int, lines[2].split())
    except (OSError, ValueError, IndexError):
        return -1, NO_BOX
    box = (left - 1, top - 1, right, bottom)  # 1-based inclusive -> 0-based half-open
    usable = min(box[2] - box[0], box[3] - box[1]) >= SMALLEST_BOX_PX and min(box) >= 0 and max(box) <= LARGEST_ID
    return viewpoint if viewpoint in (1, 2, 3, 4, 5) else -1, box if usable else NO_BOX


def _first_bytes(path: str, most: int = 256) -> bytes:
    """The start of a small file by system calls, which is fast for many labels; raises OSError if it is not a regular file."""
    handle = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
    )  # Otherwise opening a pipe would wait for its writer.
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return os.read(handle, most)
    finally:
        os.close(handle)


def read_names(file: Path) -> dict[str, dict[int, str]]:
    """Display names by target and id from make_model_name.mat; empty if the file is missing."""
    if not os.path.lexists(file):
        return {"make": {}, "model": {}}
    return {target: _cell_names(read_cells(file, f"{target}_names")) for target in ("make", "model")}


def _cell_names(cells: list[list[str]]) -> dict[int, str]:
    """Names by id, the number of the cell from 1; empty cells are unused ids."""
    names = enumerate((text for row in cells for text in row), 1)
    return {number: name for number, name in names if name not in ("", "[]")}


def _described_root(folder: Path) -> Path | None:
    """The release at a folder, or of a folder image/; or None."""
    return find_root(folder) or (find_root(folder.parent) if folder.name == "image" else None)


READERS.register(
    Reader(
        "compcars",
        "CompCars' layout",
        matches=lambda path: os.path.isdir(path) and find_root(path) is not None,
        read=read,
        described=lambda folder: Described.of_table(every_photo(_described_root(folder) or folder)),
        describes=lambda folder: _described_root(folder) is not None,
        listed_faults=listed_faults,
    )
)
