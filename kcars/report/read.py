"""A scored run as the report reads it: its files, column by column."""

import csv
from functools import cached_property
from pathlib import Path

import numpy as np

from kcars.errors import KcarsError
from kcars.run import Run
from kcars.settings import Strategy
from kcars.shown_maps import MAPS, read_maps

NEEDED = ("task", "target", "protocol", "deciding", "data_fingerprint", "best_epoch", "counts", "cost", "scores")


class Reported:
    """A run folder's content. Tables are dicts of columns as text; `numbers` makes one a float array."""

    def __init__(self, folder: Path):
        """KcarsError where the folder is no run or has no scores, or those of an earlier kcars."""
        self.run = Run.open(folder)
        self.folder, self.name = self.run.folder, self.run.folder.name
        self.facts, self.scores = self.run.facts(), self.run.scores()
        if missing := [key for key in NEEDED if key not in self.scores]:
            raise KcarsError(
                f"{self.folder / 'scores.json'}: has no {missing[0]}, an earlier kcars wrote it; kcars evaluate {folder} "
                "writes it anew"
            )

    @cached_property
    def strategy(self) -> Strategy:
        return self.run.strategy()

    @cached_property
    def history(self) -> dict[str, np.ndarray]:
        """Columns of history.csv, a value an epoch."""
        rows = self.run.history()
        return {name: np.array([row.get(name, np.nan) for row in rows]) for name in rows[0]}

    def table(self, name: str) -> dict[str, list[str]]:
        """Columns of a CSV file of the run; empty where it has none."""
        path = self.folder / name
        if not path.is_file():
            return {}
        try:
            with path.open(encoding="utf-8", newline="") as file:
                head, *rows = csv.reader(file)
        except (OSError, ValueError) as error:
            raise KcarsError(f"{path}: cannot be read ({error}); kcars evaluate {self.folder} writes it anew") from None
        columns = zip(*rows, strict=True) if rows else ([] for _ in head)
        return {name: list(column) for name, column in zip(head, columns, strict=True)}

    @cached_property
    def photos(self) -> dict[str, list[str]]:
        """Classification: path, label, predicted, probability, rank_of_label of every test photo."""
        return self.table("photos.csv")

    @cached_property
    def classes(self) -> dict[str, list[str]]:
        """Classification: id, name, training_photos, test_photos, recall, precision of every class."""
        return self.table("classes.csv")

    @cached_property
    def pairs(self) -> dict[str, list[str]]:
        """Verification: difficulty, left, right, same, distance, decided_same of every test pair."""
        return self.table("pairs.csv")

    @cached_property
    def learned(self) -> dict[str, list[str]]:
        """path, key, model, use of every photo that the run learned from or chose on."""
        return self.table("learned_photos.csv")

    @cached_property
    def maps(self) -> dict[tuple[str, str], np.ndarray]:
        """Where it looked (h, w) in photos that are shown, by photo and the one beside it, "" where it stands alone."""
        return read_maps(self.table(MAPS), self.folder / MAPS)


def numbers(column: list[str]) -> np.ndarray:
    """A text column as float64; nan where a cell is empty."""
    return np.array([float(cell) if cell else np.nan for cell in column])
