"""Reads and writes the CSV that describes a user's photos, and reads the CSV of pairs next to it."""

import csv
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from kcars.core.csv_files import csv_text, delimiter, restored
from kcars.core.errors import KcarsError, one_of
from kcars.core.files import write_text
from kcars.data.faults import Fault
from kcars.data.photo_files import file_bytes, refuse_undecodable, walk, walked
from kcars.data.photo_table import NO_BOX, Dataset
from kcars.data.readers import folders
from kcars.data.readers.catalogue import READERS, Described, Reader
from kcars.data.readers.own import SPLITS, Photo, dataset, split_of
from kcars.data.spelling import Disk, one_spelling
from kcars.settings import DIFFICULTIES, DataSettings
from kcars.untrusted.reading import opened_list
from kcars.untrusted.rows import ROW_CHARACTERS, Lines

PHOTOS, PAIRS = "photos.csv", "pairs.csv"
_BOX = ("left", "top", "right", "bottom")
_COLUMNS = ("path", "make", "model", "split", *_BOX, "viewpoint", "year", "group")
_PAIR_COLUMNS = ("left", "right", "same", "difficulty")
_VIEWPOINTS = {"": -1, "front": 1, "rear": 2, "side": 3, "front-side": 4, "rear-side": 5}
_MOST_PX = 2**24


def read(file: Path, task: str, data: DataSettings) -> Dataset:
    """The Dataset described by a CSV; paths are relative to its folder, and `pairs.csv` next to it contains test pairs.

    Columns: path, make, model (one of the two is enough) and, optionally, split (train, test), the box in pixels
    (left, top, right, bottom; right and bottom exclusive), viewpoint (front, rear, side, front-side, rear-side),
    year, group. Raises KcarsError `file:line` for anything else.
    """
    photos = described(file)
    beside = file.with_name(PAIRS)
    pairs = _pairs(beside, {photo.path for photo in photos}) if task == "verify" and os.path.lexists(beside) else []
    return dataset(file.parent, photos, task, data, str(file), pairs)


def write(folder: Path) -> tuple[Path, list[str]]:
    """Write `photos.csv` with all photos below `folder`; returns the file and the photos without a name.

    Make and model are taken from class folders, or if their layout is inconsistent, from each photo's folders. Raises
    KcarsError if the file exists or there is no photo.
    """
    file = folder / PHOTOS
    if os.path.lexists(file):
        raise KcarsError(f"{file}: exists already; edit it, or remove it first")
    try:
        photos = folders.described(folder)
    except KcarsError:
        photos = [folders.named_alone(path) for path in walk(folder)]
        if not photos:
            raise
    refuse_undecodable(folder, [photo.path for photo in photos])
    columns = {name: [getattr(photo, name) for photo in photos] for name in ("path", "make", "model", "split")}
    write_text(file, csv_text(columns | {name: [""] * len(photos) for name in _COLUMNS if name not in columns}))
    return file, [photo.path for photo in photos if not photo.model]


def described(file: Path) -> list[Photo]:
    """All photos of a CSV; raises KcarsError `file:line` as `read`."""
    photos, lines = [], {}
    for line, row in _rows(file, _COLUMNS, {"path"}):
        where = f"{file}:{line}"
        photo = _photo(row, where)
        if photo.path in lines:
            raise KcarsError(f"{where}: {photo.path!r} is given in line {lines[photo.path]} already")
        lines[photo.path] = line
        photos.append(photo)
    if not photos:
        raise KcarsError(
            f"{file}: contains no photo; expected one line per photo, with the columns {', '.join(_COLUMNS)}"
        )
    for column in ("make", "model", "split"):
        filled = [bool(getattr(photo, column)) for photo in photos]
        if any(filled) and not all(filled):
            line = lines[photos[filled.index(False)].path]
            raise KcarsError(f"{file}:{line}: {column} is empty; give it in every line or in none")
    labels = one_spelling([(photo.make, photo.model) for photo in photos], str(file))
    return [replace(photo, make=make, model=model) for photo, (make, model) in zip(photos, labels, strict=True)]


def listed_faults(folder: Path) -> list[Fault]:
    """A Fault for each photo below a folder that is missing in its `photos.csv`."""
    disk = Disk(folder)
    listed = {disk.path_of(photo.path) for photo in described(folder / PHOTOS)}
    return [Fault("not_listed", path) for path in walked(folder).photos if path not in listed]


def _photo(row: dict[str, str], where: str) -> Photo:
    make, model, given = row.get("make", ""), row.get("model", ""), row.get("split", "")
    split = split_of(given)
    if not make and not model:
        raise KcarsError(f"{where}: make and model are empty; one of them is required")
    if given and not split:
        raise one_of(f"{where}, split", given, SPLITS)
    year = _number(row.get("year", ""), where, "year", 9999)
    return Photo(
        path=_path(row["path"], where),
        make=make,
        model=model,
        split=split,
        box=_box([row.get(edge, "") for edge in _BOX], where),
        viewpoint=_viewpoint(row.get("viewpoint", ""), where),
        year=-1 if year is None else year,
        group=row.get("group", ""),
    )


def _path(text: str, where: str) -> str:
    """A path below the CSV's folder, normalized."""
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts or text.startswith("/") or ".." in parts:
        raise KcarsError(f"{where}: path {text!r}; expected a path below this file's folder, such as audi/a4/1.jpg")
    return "/".join(parts)


def _box(edges: list[str], where: str) -> tuple[int, int, int, int]:
    numbers = [_number(edge, where, name, _MOST_PX) for edge, name in zip(edges, _BOX, strict=True)]
    given = [number for number in numbers if number is not None]
    if not given:
        return NO_BOX
    left, top, right, bottom = (*given, *[0] * (4 - len(given)))
    if len(given) < 4 or right <= left or bottom <= top:
        raise KcarsError(
            f"{where}: box {', '.join(edges)}; expected left, top, right, bottom in pixels, right and bottom larger, "
            "or none of the four for the whole photo"
        )
    return left, top, right, bottom


def _viewpoint(text: str, where: str) -> int:
    if len(text) == 1 and text in "12345":
        return int(text)
    if text not in _VIEWPOINTS:
        raise one_of(f"{where}, viewpoint", text, [name for name in _VIEWPOINTS if name])
    return _VIEWPOINTS[text]


def _number(text: str, where: str, column: str, most: int) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= most):
        raise KcarsError(f"{where}: {column} {text!r}; expected an integer from 0 to {most}, or nothing")
    return int(text)


def _pairs(file: Path, known: set[str]) -> list[tuple[str, str, int, str]]:
    """(left, right, same, difficulty or "") of each line; both photos must be in the other CSV."""
    pairs = []
    for line, row in _rows(file, _PAIR_COLUMNS, {"left", "right", "same"}):
        where = f"{file}:{line}"
        left, right = _path(row["left"], where), _path(row["right"], where)
        for path in (left, right):
            if path not in known:
                raise KcarsError(f"{where}: {path!r} is not in {PHOTOS}")
        if left == right:
            raise KcarsError(f"{where}: pairs {left!r} with itself; expected two photos")
        if row["same"] not in ("0", "1"):
            raise KcarsError(f"{where}: same {row['same']!r}; expected 1 (same model) or 0 (different)")
        difficulty = row.get("difficulty", "")
        if difficulty and difficulty not in DIFFICULTIES:
            raise one_of(f"{where}, difficulty", difficulty, DIFFICULTIES)
        pairs.append((left, right, int(row["same"]), difficulty))
    return pairs


def _rows(file: Path, known: tuple[str, ...], needed: set[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, stripped values by column) of a CSV with a header; raises KcarsError for other files."""
    try:
        with opened_list(file) as text:
            head = text.readline(ROW_CHARACTERS)
            text.seek(0)
            lines = Lines(text)
            reader = csv.DictReader(lines, strict=True, delimiter=delimiter(head))
            columns = reader.fieldnames or []
            for column in columns:
                if column not in known:
                    raise one_of(f"{file}:1, column", column, known)
            if len(set(columns)) < len(columns) or not needed <= set(columns):
                raise KcarsError(
                    f"{file}:1: columns {', '.join(columns)}; expected each once, including {', '.join(sorted(needed))}"
                )
            for row in lines.rows(reader):
                if None in row or None in row.values():
                    raise KcarsError(
                        f"{file}:{reader.line_num}: the number of values differs from the number of columns, {len(columns)}"
                    )
                yield (
                    reader.line_num,
                    {column: _without_blanks(restored(cell), file.parent) for column, cell in row.items()},
                )
    except csv.Error as error:
        raise KcarsError(f"{file}: not a CSV file ({error})") from None
    except UnicodeDecodeError as error:
        raise KcarsError(f"{file}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from None


def _without_blanks(cell: str, folder: Path) -> str:
    """A value without spaces at its ends, unless they are part of the name of a file in the folder."""
    text = cell.strip()
    return cell if text and text != cell and "\0" not in cell and os.path.lexists(folder / cell) else text


def _matches(path: Path) -> bool:
    return path.suffix == ".csv" and not os.path.isdir(path) or os.path.lexists(path / PHOTOS)


def _read(path: Path, task: str, data: DataSettings) -> Dataset:
    return read(path / PHOTOS if os.path.isdir(path) else path, task, data)


def _described(folder: Path) -> Described:
    listed, disk = described(folder / PHOTOS), Disk(folder)
    photos = [replace(one, path=disk.path_of(one.path)) for one in listed]
    file_bytes(folder, [one.path for one in photos])  # It refuses what leads out.
    return Described(folder, photos)


READERS.register(
    Reader(
        "manifest",
        "a CSV",
        _matches,
        _read,
        described=_described,
        describes=lambda folder: os.path.lexists(folder / PHOTOS),
        listed_faults=listed_faults,
        last_resort=os.path.isfile,
    )
)
