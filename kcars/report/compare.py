"""Compares runs on the same test photos or pairs, with intervals of the differences."""

import numpy as np

from kcars.metrics.bootstrap import paired_difference, paired_recall_difference
from kcars.metrics.catalogue import columns, head
from kcars.report.read import Reported, numbers

RESAMPLES = 1000


def differences(runs: list[Reported]) -> list[dict]:
    """Return for each later run its difference from the first: run, score, difference, low, high; or a reason for none."""
    first, *others = runs
    return [{"run": other.name, "first": first.name, **difference([first], [other])} for other in others]


def difference(first: list[Reported], other: list[Reported]) -> dict:
    """Return the other runs' mean score minus that of the first ones: score, difference, low, high; or a reason for none.

    Runs of one list differ only in their seed.
    """
    one = first[0]
    for what in ("task", "target", "data_fingerprint", "protocol", "difficulty"):
        for run in (*first, *other):
            if one.scores[what] != run.scores[what]:
                name = what.replace("_", " ")
                return {"reason": f"different {name} ({one.scores[what]} and {run.scores[what]})"}
    found = _COMPARED[one.strategy.task](first, other)
    if found is None:
        return {"reason": "different test photos"}
    split = one.scores["difficulty"] or "test"
    value, low, high = found
    monitor = columns(one.strategy.task)[0]
    return {"score": f"{split} {head(monitor)}", "difference": value, "low": low, "high": high}


def _by_photo(first: list[Reported], other: list[Reported]) -> tuple[float, float, float] | None:
    """Return the difference of balanced accuracy; photos are resampled within classes."""
    photos = first[0].photos
    if any(run.photos[name] != photos[name] for run in (*first, *other) for name in ("path", "label")):
        return None
    labels = np.array(photos["label"], object)
    names, numbered = np.unique(labels.astype(str), return_inverse=True)
    others, firsts = ([np.array(run.photos["predicted"], object) == labels for run in runs] for runs in (other, first))
    difference, low, high = paired_recall_difference(numbered, others, firsts, RESAMPLES)
    return difference, low, high


def _by_pair(first: list[Reported], other: list[Reported]) -> tuple[float, float, float] | None:
    """Return the difference of ROC-AUC at the monitored difficulty; models (makes for hard pairs) are resampled."""
    one, monitor = first[0], first[0].scores["difficulty"]
    pairs = [[_monitored_pairs(run, monitor) for run in runs] for runs in (other, first)]
    ours = pairs[1][0]
    if any(run[name] != ours[name] for runs in pairs for run in runs for name in ("left", "right", "same")):
        return None
    by_make = monitor == "hard" or one.strategy.target == "make"
    group = {path: make if by_make else model for path, (make, model) in one.tested.items()}
    left, right = ([group[path] for path in ours[side]] for side in ("left", "right"))
    others, firsts = ([-numbers(run["distance"]) for run in runs] for runs in pairs)
    return paired_difference(numbers(ours["same"]).astype(int), others, firsts, (left, right), RESAMPLES)


def _monitored_pairs(run: Reported, difficulty: str) -> dict[str, list[str]]:
    kept = [place for place, name in enumerate(run.pairs["difficulty"]) if name == difficulty]
    return {name: [run.pairs[name][place] for place in kept] for name in ("left", "right", "same", "distance")}


_COMPARED = {"classify": _by_photo, "verify": _by_pair}
