"""Reads the files of a scored run for reports."""

import hashlib
from functools import cached_property
from pathlib import Path

import numpy as np

from kcars.core.errors import KcarsError
from kcars.evaluation.heat_maps import MAPS, read_maps
from kcars.evaluation.score_table import lacking
from kcars.runs.run import Run
from kcars.schemas.tables import columns_in
from kcars.settings import Strategy


class Reported:
    """A run folder's content. Tables are dicts of columns as text; `numbers` makes one a float array."""

    def __init__(self, folder: Path):
        """Raise KcarsError if the folder is not a run, or has no scores or those of an earlier kcars."""
        self.run = Run.open(folder)
        self.folder, self.name = self.run.folder, self.run.folder.name
        self.facts, self.scores = self.run.facts(), self.run.scores()
        if missing := lacking(self.scores):
            raise KcarsError(
                f"{self.folder / 'scores.json'}: has no {missing}, because an earlier kcars wrote it; kcars evaluate {folder} "
                "writes it again"
            )

    @cached_property
    def strategy(self) -> Strategy:
        return self.run.strategy()

    @cached_property
    def history(self) -> dict[str, np.ndarray]:
        """Columns of history.csv, one value per epoch."""
        rows = self.run.history()
        if not rows:
            raise KcarsError(f"{self.folder / 'history.csv'}: has no epoch; {self.run.files.remedy('history.csv')}")
        return {name: np.array([row.get(name, np.nan) for row in rows]) for name in rows[0]}

    def table(self, name: str) -> dict[str, list[str]]:
        """Return the columns of a CSV file of the run; empty if it has none. KcarsError if it does not belong to the scores."""
        files = self.run.files
        if not files.has(name):
            return {}
        text, recorded = files.read_text(name), self.scores.get("tables", {})
        found = hashlib.sha256(text.encode()).hexdigest()
        if recorded.get(name, found) != found:
            problem = "has changed since the run was scored, or a new scoring was stopped"
            raise KcarsError(f"{self.folder / name}: {problem}; {files.remedy(name)}")
        return columns_in(text, self.folder / name, files.remedy(name))

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
        """path, key, model, use of every training and validation photo."""
        return self.table("learned_photos.csv")

    @cached_property
    def tested(self) -> dict[str, tuple[str, str]]:
        """Make and model of every test photo; KcarsError if a pair has another photo."""
        name = "tested_photos.csv"
        table = self.table(name)
        found = dict(
            zip(table.get("path", []), zip(table.get("make", []), table.get("model", []), strict=True), strict=True)
        )
        for path in (*self.pairs.get("left", []), *self.pairs.get("right", [])):
            if path not in found:
                raise KcarsError(f"{self.folder / name}: lacks {path!r}; {self.run.files.remedy(name)}")
        return found

    @cached_property
    def maps(self) -> dict[tuple[str, str], np.ndarray]:
        """Heat maps (h, w) of shown photos, by photo and other photo of the pair, "" for a single photo."""
        return read_maps(self.table(MAPS), self.folder / MAPS)


def numbers(column: list[str]) -> np.ndarray:
    """Convert a text column to float64; empty cells are nan."""
    return np.array([float(cell) if cell else np.nan for cell in column])
