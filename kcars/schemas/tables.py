"""The schemas of the CSV files in a run folder: their columns and values."""

import csv
import io
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from kcars.core.csv_files import restored
from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.schemas import Part, checked

CELL_CHARACTERS = 2**20  # Maximum length of a cell; a map has about 300.


def _number(cell: str) -> float:
    """The number in a cell, nan for an empty one."""
    try:
        return float(cell or "nan")
    except ValueError:
        raise ValueError("expected a number") from None


Number = Annotated[float, BeforeValidator(_number)]
Whole = Annotated[str, Field(pattern=r"^\d{1,9}$")]
YesNo = Literal["0", "1"]


class _Table(Part):
    """Columns of equal length, as text."""

    model_config = ConfigDict(allow_inf_nan=True)


class History(_Table):
    """One row per epoch, numbered from 1; additional columns are numbers too."""

    epoch: list[Whole]


class LearnedPhotos(_Table):
    path: list[str]
    key: list[str]
    make: list[str]
    model: list[str]
    use: list[Literal["train", "validation", "earlier run"]]


class Photos(_Table):
    path: list[str]
    label: list[str]
    predicted: list[str]
    probability: list[Number]
    rank_of_label: list[Whole]


class ClassTable(_Table):
    name: list[str]
    training_photos: list[Whole]
    test_photos: list[Whole]
    recall: list[Number]
    precision: list[Number]


class Pairs(_Table):
    difficulty: list[str]
    left: list[str]
    right: list[str]
    same: list[YesNo]
    distance: list[Annotated[Number, Field(allow_inf_nan=False)]]
    decided_same: list[YesNo]


class TestedPhotos(_Table):
    path: list[str]
    make: list[str]
    model: list[str]


class Maps(_Table):
    photo: list[str]
    beside: list[str]
    map: list[str]


class Reliability(_Table):
    split: list[str]
    confidence: list[Number]
    right: list[Number]


class Coverage(_Table):
    split: list[str]
    coverage: list[Number]
    risk: list[Number]


class Roc(_Table):
    epoch: list[Whole]
    difficulty: list[str]


TABLES = {
    "history.csv": History,
    "learned_photos.csv": LearnedPhotos,
    "photos.csv": Photos,
    "classes.csv": ClassTable,
    "pairs.csv": Pairs,
    "tested_photos.csv": TestedPhotos,
    "maps.csv": Maps,
    "reliability.csv": Reliability,
    "coverage.csv": Coverage,
    "roc.csv": Roc,
}


def columns_in(text: str, path: Path, remedy: str) -> dict[str, list[str]]:
    """Columns of a table by name, checked by its schema; raises KcarsError with the remedy if it is damaged."""
    if text.count(",") + text.count("\n") > limits().table_cells:  # A cell takes 60 bytes of memory and 2 of the file.
        raise KcarsError(f"{path}: has more than {limits().table_cells:,} cells, the limit (table_cells)")
    csv.field_size_limit(CELL_CHARACTERS)
    try:
        head, *rows = ([*map(restored, row)] for row in csv.reader(io.StringIO(text, newline="")))
        if len(set(head)) != len(head):
            raise ValueError("a column is given twice")
        columns = (
            dict(zip(head, map(list, zip(*rows, strict=True)), strict=True)) if rows else {name: [] for name in head}
        )
    except (ValueError, csv.Error) as error:
        raise KcarsError(f"{path}: is damaged ({error}); {remedy}") from None
    return checked(TABLES[path.name], columns, path, remedy) if path.name in TABLES else columns
