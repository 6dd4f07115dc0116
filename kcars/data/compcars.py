"""Reader of the CompCars release: lists, labels, names. Layout and quirks: Yang et al., CVPR 2015, its README."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np

from kcars.data.index import Dataset, Index, Pairs
from kcars.errors import KcarsError
from kcars.strategy import DIFFICULTIES

SMALLEST_BOX_PX = 32  # The release has 10 degenerate boxes and 6 with a shorter side: the whole photo counts.

LARGEST_ID = 2**31 - 1  # What int32 holds.


def find_root(folder: Path) -> Path:
    """The folder that holds image/ and train_test_split/: the one named, or one or two `data/` below it."""
    folder = Path(folder)
    for candidate in (folder, folder / "data", folder / "data" / "data"):
        if (candidate / "image").is_dir() and (candidate / "train_test_split").is_dir():
            return candidate
    if not folder.is_dir():
        raise KcarsError(f"dataset {folder}: there is no such folder; name one with --data or KCARS_DATA")
    raise KcarsError(f"dataset {folder}: not in CompCars layout; it needs image/ and train_test_split/")


def read(folder: Path, task: str) -> Dataset:
    """The Dataset of a task from a CompCars tree; photos that are listed and missing are named in `missing`."""
    root = find_root(folder)
    lists = root / "train_test_split"
    train_file, test_file = (
        (lists / "classification/train.txt", lists / "classification/test.txt")
        if task == "classify"
        else (lists / "verification/verification_train.txt", None)
    )
    train = _read_list(train_file)
    test = _read_list(test_file) if test_file else []
    pairs = _read_all_pairs(lists / "verification") if task == "verify" else {}
    listed = [
        *train,
        *test,
        *(path for rows in pairs.values() for left, right, _ in rows for path in (left, right)),
    ]
    paths = sorted(set(listed))
    sizes = _in_parallel(lambda path: _file_bytes(root / "image" / path), paths)
    missing = tuple(path for path, size in zip(paths, sizes, strict=True) if size < 0)
    index = _index(root, [path for path, size in zip(paths, sizes, strict=True) if size >= 0], sizes)
    row = {path: number for number, path in enumerate(index.paths)}
    dataset = Dataset(
        index=index,
        train=_rows(train, row),
        test=_rows(test, row),
        pairs={name: _pair_rows(rows, row) for name, rows in pairs.items()},
        source=str(root),
        missing=missing,
    )
    if not len(dataset.train):
        raise KcarsError(f"{train_file}: none of its {len(train)} photos exists under {root / 'image'}")
    return dataset


def _rows(paths: list[str], row: dict[str, int]) -> np.ndarray:
    return np.array(list(dict.fromkeys(row[path] for path in paths if path in row)), np.int64)


def _pair_rows(rows: list[tuple[str, str, int]], row: dict[str, int]) -> Pairs:
    known = [(row[left], row[right], same) for left, right, same in rows if left in row and right in row]
    columns = np.array(known, np.int64).reshape(-1, 3)
    return Pairs(columns[:, 0], columns[:, 1], columns[:, 2].astype(np.int8))


def _index(root: Path, paths: list[str], sizes: list[int]) -> Index:
    labels = _in_parallel(lambda path: _read_label(root / "label" / path), paths)
    ids = np.array([[int(part) for part in PurePosixPath(path).parts[:2]] for path in paths], np.int32).reshape(-1, 2)
    return Index(
        root=root / "image",
        paths=np.array(paths, dtype=object),
        ids={"make": ids[:, 0], "model": ids[:, 1]},
        box=np.array([box for _, box in labels], np.int32).reshape(-1, 4),
        viewpoint=np.array([viewpoint for viewpoint, _ in labels], np.int8),
        bytes=np.array([size for size in sizes if size >= 0], np.int64),
        names=read_names(root / "misc" / "make_model_name.mat"),
    )


def _in_parallel(function, items: list) -> list:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(function, items))


def _file_bytes(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def _read_list(file: Path) -> list[str]:
    """Image paths, one a line; KcarsError `file:line` on anything else."""
    return [_photo_path(text, f"{file}:{number}") for number, text in _lines(file)]


def _lines(file: Path):
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise KcarsError(f"{file}: cannot be read ({error.strerror}); the CompCars lists are needed") from None
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _photo_path(text: str, where: str) -> str:
    parts = PurePosixPath(text).parts
    ids = [int(part) if part.isdecimal() else LARGEST_ID + 1 for part in parts[:2]]
    if len(parts) != 4 or ".." in parts or max(ids) > LARGEST_ID:
        raise KcarsError(f"{where}: {text!r} is no photo path; expected make_id/model_id/year/name.jpg")
    return "/".join(parts)  # One spelling: 1//2/2010/a.jpg is no other photo.


def _read_all_pairs(folder: Path) -> dict[str, list[tuple[str, str, int]]]:
    return {name: _read_pairs(folder / f"verification_pairs_{name}.txt") for name in DIFFICULTIES}


def _read_pairs(file: Path) -> list[tuple[str, str, int]]:
    pairs = []
    for number, line in _lines(file):
        words = line.split()
        where = f"{file}:{number}"
        if len(words) != 3 or words[2] not in ("0", "1"):
            raise KcarsError(f"{where}: {line!r} is no pair; expected two photo paths and 0 or 1")
        pairs.append((_photo_path(words[0], where), _photo_path(words[1], where), int(words[2])))
    return pairs


NO_BOX = (-1, -1, -1, -1)


def _read_label(photo: Path) -> tuple[int, tuple[int, int, int, int]]:
    """Viewpoint and box of a photo's label file; unknown and whole photo where the file is missing or unusable."""
    try:
        lines = photo.with_suffix(".txt").read_text(encoding="ascii", errors="replace").split("\n")
        viewpoint = int(lines[0])
        left, top, right, bottom = (int(number) for number in lines[2].split())
    except (OSError, ValueError, IndexError):
        return -1, NO_BOX
    box = (left - 1, top - 1, right, bottom)  # 1-based inclusive -> 0-based half-open
    usable = min(box[2] - box[0], box[3] - box[1]) >= SMALLEST_BOX_PX and min(box) >= 0 and max(box) <= LARGEST_ID
    return viewpoint if viewpoint in (1, 2, 3, 4, 5) else -1, box if usable else NO_BOX


def read_names(file: Path) -> dict[str, dict[int, str]]:
    """Display names by target and id from make_model_name.mat; empty where the file is missing."""
    import scipy.io
    from scipy.io.matlab import MatReadError

    if not file.is_file():
        return {"make": {}, "model": {}}
    try:
        cells = scipy.io.loadmat(file)
        return {target: _cell_names(cells[f"{target}_names"]) for target in ("make", "model")}
    except (KeyError, ValueError, OSError, TypeError, NotImplementedError, MatReadError) as error:
        raise KcarsError(f"{file}: cannot be read as the release's names ({error})") from None


def _cell_names(cells: np.ndarray) -> dict[int, str]:
    names = {number: str(np.squeeze(cell)) if np.size(cell) else "" for number, cell in enumerate(cells.ravel(), 1)}
    return {number: name.strip() for number, name in names.items() if name.strip() not in ("", "[]")}
