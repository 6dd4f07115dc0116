"""Several runs side by side: which differ by more than chance, on the same test photos or pairs."""

import numpy as np

from kcars.intervals import paired_difference, paired_recall_difference
from kcars.report.read import Reported, numbers
from kcars.table import COLUMNS, HEADS

RESAMPLES = 1000


def differences(runs: list[Reported]) -> list[dict]:
    """Each later run less the first: run, score, difference, low, high; or why the two cannot be compared."""
    first, *others = runs
    return [{"run": other.name, "first": first.name, **_difference(first, other)} for other in others]


def _difference(first: Reported, other: Reported) -> dict:
    for what in ("task", "target", "data_fingerprint", "protocol", "difficulty"):
        if first.scores[what] != other.scores[what]:
            name = what.replace("_", " ")
            return {"reason": f"another {name} ({first.scores[what]} and {other.scores[what]})"}
    compared = _by_photo if first.strategy.task == "classify" else _by_pair
    found = compared(first, other)
    if found is None:
        return {"reason": "not the same test photos"}
    split = first.scores["difficulty"] or "test"
    value, low, high = found
    leading = COLUMNS[first.strategy.task][0]
    return {"score": f"{split} {HEADS[leading]}", "difference": value, "low": low, "high": high}


def _by_photo(first: Reported, other: Reported) -> tuple[float, float, float] | None:
    """Difference of balanced accuracy, photos resampled within their class."""
    if first.photos["path"] != other.photos["path"] or first.photos["label"] != other.photos["label"]:
        return None
    labels = np.array(first.photos["label"], object)
    names, numbered = np.unique(labels.astype(str), return_inverse=True)
    right = [np.array(run.photos["predicted"], object) == labels for run in (other, first)]
    return paired_recall_difference(numbered, *right, RESAMPLES)


def _by_pair(first: Reported, other: Reported) -> tuple[float, float, float] | None:
    """Difference of ROC-AUC of the leading difficulty, models (makes for hard pairs) resampled."""
    leading = first.scores["difficulty"]
    ours, theirs = (_leading_pairs(run, leading) for run in (first, other))
    if ours["left"] != theirs["left"] or ours["right"] != theirs["right"] or ours["same"] != theirs["same"]:
        return None
    tested = first.table("tested_photos.csv")
    by_make = leading == "hard" or first.strategy.target == "make"
    group = dict(zip(tested["path"], tested["make" if by_make else "model"], strict=True))
    left, right = ([group[path] for path in ours[side]] for side in ("left", "right"))
    scores = [-numbers(run["distance"]) for run in (theirs, ours)]
    return paired_difference(numbers(ours["same"]).astype(int), *scores, left, right, RESAMPLES)


def _leading_pairs(run: Reported, difficulty: str) -> dict[str, list[str]]:
    kept = [place for place, name in enumerate(run.pairs["difficulty"]) if name == difficulty]
    return {name: [run.pairs[name][place] for place in kept] for name in ("left", "right", "same", "distance")}
