"""The catalogue of scores, `SCORES`, and its records.

Files register a `Score` when they are imported. `scores.json`, tables, pages, model cards and the documentation use these
records. Runs that were scored without a new score can still be read and reported.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kcars.core.catalogue import Catalogue
from kcars.metrics.scored import ScoredPairs, ScoredPhotos


@dataclass(frozen=True)
class Score:
    """The record of a score.

    name: its key in scores.json after the split, as in "test/accuracy"; explained: one-line explanation; head: column heading,
    by default the name. Up to three functions compute it in NumPy, nan if undefined:
    photos: `ScoredPhotos` -> value for classification; pairs: `ScoredPairs` -> value for verification, both (...) for
    weights (..., n); search: hits (q, depth) bool of the nearest others, by increasing distance, and the number of others (q,)
    with the label -> values (q,) of query photos. A score without any is computed by a task.

    column: position in tables, from the left; the first is the main score; in_tables: whether tables and pages show it;
    interval: whether it has a 95 % interval; higher_is_better; depth: number of nearest others that `search` needs; required:
    whether runs without it are not reported; probabilities: whether it measures the calibration of probabilities.
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


def computed(kind: str, resampled: bool = False) -> dict[str, Callable[..., np.ndarray]]:
    """The functions of a kind, "photos", "pairs" or "search", by score; resampled: only of scores with an interval."""
    scores = [score for score in SCORES.values() if getattr(score, kind) and (score.interval or not resampled)]
    return {score.name: getattr(score, kind) for score in scores}


def columns(task: str) -> list[str]:
    """Names of a task's scores in tables, the main one first."""
    found = [score for score in SCORES.values() if score.in_tables and getattr(score, _KINDS[task])]
    return [score.name for score in sorted(found, key=lambda score: score.column)]


def search_columns() -> list[str]:
    """Names of the retrieval scores in tables."""
    return [score.name for score in SCORES.values() if score.in_tables and score.search]


def head(name: str) -> str:
    """The column heading of a score."""
    return SCORES[name].head or name


def those(fact: str) -> list[str]:
    """Names of the scores for which a field is true, such as "required"."""
    return [name for name, score in SCORES.items() if getattr(score, fact)]
