"""What kcars has to know of a score, and the catalogue of all: `SCORES`.

A score is one file: it registers a `Score` when it is imported. `scores.json`, tables, pages, model cards and the documentation
read their facts from there. A run that was scored without it is read and reported as before.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kcars.core.catalogue import Catalogue
from kcars.metrics.scored import ScoredPairs, ScoredPhotos


@dataclass(frozen=True)
class Score:
    """One score.

    name: its key in scores.json, behind the split, as in "test/accuracy"; explained: what it is, in a line; head: of its column,
    without which its name stands there. Computed by those of three functions that it has, in NumPy, nan where undefined:
    photos: `ScoredPhotos` -> its value for classification; pairs: `ScoredPairs` -> its value for verification, both (...) for
    weights (..., n); search: hits (q, depth) bool of the nearest others, by rising distance, and how many others (q,) are of the
    label -> values (q,) of photos that ask for others. A score without any is computed by a task itself.

    column: those of a lower number stand further left, and the first leads; in_tables: whether tables and pages have it; interval:
    whether it gets a 95 % interval; higher_is_better; depth: how many others `search` needs at least; required: whether a run that
    lacks it is not reported; probabilities: whether it measures how far probabilities hold.
    """

    name: str
    explained: str
    head: str = ""
    photos: Callable[[ScoredPhotos], np.ndarray] | None = None
    pairs: Callable[[ScoredPairs], np.ndarray] | None = None
    search: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    column: int = 9
    in_tables: bool = True
    interval: bool = True
    higher_is_better: bool = True
    depth: int = 5
    required: bool = False
    probabilities: bool = False


SCORES: Catalogue[Score] = Catalogue(
    "score",
    "kcars.metrics",
    ("roc_area", "accuracies", "classes_found", "pairs_found", "error_rates", "searches", "probabilities"),
    "kcars.scores",
)
_KINDS = {"classify": "photos", "verify": "pairs"}


def computed(kind: str, resampled: bool = False) -> dict[str, Callable]:
    """The functions of a kind, "photos", "pairs" or "search", by score; resampled: of those alone that get an interval."""
    scores = [score for score in SCORES.values() if getattr(score, kind) and (score.interval or not resampled)]
    return {score.name: getattr(score, kind) for score in scores}


def columns(task: str) -> list[str]:
    """Names of a task's scores that tables have, the main one first."""
    found = [score for score in SCORES.values() if score.in_tables and getattr(score, _KINDS[task])]
    return [score.name for score in sorted(found, key=lambda score: score.column)]


def search_columns() -> list[str]:
    """Names of the scores of photos that ask for others, as tables have them."""
    return [score.name for score in SCORES.values() if score.in_tables and score.search]


def head(name: str) -> str:
    """What stands above a score's column."""
    return SCORES[name].head or name


def those(fact: str) -> list[str]:
    """Names of the scores of which a fact is true, such as "required"."""
    return [name for name, score in SCORES.items() if getattr(score, fact)]
