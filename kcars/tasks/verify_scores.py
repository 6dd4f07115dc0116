"""Scores of a verification: of the pairs of each difficulty and of retrieval, with intervals."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from kcars.data.photo_table import Pairs
from kcars.metrics import bootstrap, calibration, curves
from kcars.metrics import scores as metrics
from kcars.metrics.retrieval import mean_score, query_scores
from kcars.models.outputs import Outputs
from kcars.posthoc.decision import PairDecision
from kcars.tasks.plan import Curve, Plan, Result, curve_table, training_loss


def scores(plan: Plan, outputs: Outputs, split: str, decision: dict[str, Any], resamples: int = 0) -> Result:
    """Compute the scores of all pairs of a split ("validation" or "test") from one pass over its distinct photos.

    If `decision` has a sigmoid, test scores include the calibration error. Keys are `easy/roc_auc` for the test, with
    retrieval (`retrieval/recall@1`), and `validation_easy/roc_auc` for validation, with its loss (if the strategy trains on
    pairs; `decision` is then the result of `learned_calibration`) and the spread of distances.
    """
    chosen = {name.partition("/")[2]: pairs for name, pairs in plan.pairs.items() if name.startswith(split + "/")}
    rows = np.unique(np.concatenate([pairs.rows() for pairs in chosen.values()]))
    vectors = outputs(rows)
    measured = {name: (pairs, distances(vectors, *positions(rows, pairs))) for name, pairs in chosen.items()}
    if split == "validation":
        return _validation_scores(plan, measured, decision)
    result = _test_scores(plan, measured, decision, resamples)
    _add_retrieval(result, plan, vectors, rows, resamples)
    return result


def distances(vectors: np.ndarray, left: np.ndarray, right: np.ndarray, chunk: int = 8192) -> np.ndarray:
    """Return the Euclidean distances (n,) float64 between vectors[left] and vectors[right]."""
    found = np.empty(len(left))
    for start in range(0, len(left), chunk):
        part = slice(start, start + chunk)
        found[part] = np.linalg.norm(vectors[left[part]] - vectors[right[part]], axis=1)
    return found


def positions(rows: np.ndarray, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the pairs' photos in sorted rows."""
    return np.searchsorted(rows, pairs.left), np.searchsorted(rows, pairs.right)


def _validation_scores(plan: Plan, measured: dict[str, tuple[Pairs, np.ndarray]], learned: dict[str, float]) -> Result:
    result = Result()
    for difficulty, (pairs, distance) in measured.items():
        found = metrics.pair_scores(pairs.same, -distance, np.nan)
        result.scores[f"validation_{difficulty}/roc_auc"] = float(found["roc_auc"])
        if difficulty == plan.strategy.monitored_difficulty:
            result.scores |= _spread_and_loss(plan, pairs, distance, learned)
        if len(np.unique(pairs.same)) == 2:
            result.curves[f"roc/{difficulty}"] = curves.roc(pairs.same, -distance)
            longest = None if plan.strategy.model.head == "linear" else 2.0
            result.curves[f"distances/{difficulty}"] = curves.distances(pairs.same, distance, longest)
    return result


def _spread_and_loss(plan: Plan, pairs: Pairs, distance: np.ndarray, learned: dict[str, float]) -> dict[str, float]:
    """Return mean and standard deviation of distances (which reveal a collapse), the decision, and the pair loss."""
    found = {
        "validation/distance_mean": float(distance.mean()),
        "validation/distance_std": float(distance.std()),
        **{f"validation/{name}": value for name, value in PairDecision.fit(pairs.same, distance).record().items()},
    }
    if plan.strategy.learns_pairs:
        output = learned["scale"] * (learned["offset"] - distance) if "scale" in learned else distance
        found["validation/loss"] = float(training_loss(plan)(pairs.same.astype(np.float32), output.astype(np.float32)))
    return found


def _test_scores(
    plan: Plan, measured: dict[str, tuple[Pairs, np.ndarray]], decision: dict[str, Any], resamples: int
) -> Result:
    result = Result()
    tables: list[dict[str, np.ndarray]] = []
    intervals: dict[str, Callable[[], dict[str, bootstrap.Interval]]] = {}
    shown: dict[str, dict[str, Curve]] = {"reliability.csv": {}, "coverage.csv": {}}
    decided = PairDecision.of(decision)
    for difficulty, (pairs, distance) in measured.items():
        found = metrics.pair_scores(pairs.same, -distance, -decided.threshold)
        result.scores |= {f"{difficulty}/{name}": float(value) for name, value in found.items()}
        more: bootstrap.Measured | None = None
        if "scale" in decision and len(np.unique(pairs.same)) == 2:  # The curves need both kinds of pairs.
            more = _add_calibration(result, shown, difficulty, pairs.same, distance, decided)
        if resamples:
            intervals[difficulty] = partial(_intervals, plan, (pairs, distance), difficulty, decided, resamples, more)
        tables.append(_pair_table(plan, pairs, difficulty, distance, decided))
    with ThreadPoolExecutor() as pool:  # NumPy's sums use one core.
        for difficulty, bounds in zip(intervals, pool.map(_bounds, intervals.values()), strict=True):
            result.intervals |= {f"{difficulty}/{name}": value for name, value in bounds.items()}
    result.tables["pairs.csv"] = {key: np.concatenate([table[key] for table in tables]) for key in tables[0]}
    result.tables |= {name: curve_table(each) for name, each in shown.items() if each}
    return result


def _bounds(intervals: Callable[[], dict[str, bootstrap.Interval]]) -> dict[str, bootstrap.Interval]:
    return intervals()


def _add_calibration(
    result: Result,
    shown: dict[str, dict[str, Curve]],
    difficulty: str,
    same: np.ndarray,
    distance: np.ndarray,
    decision: PairDecision,
) -> bootstrap.Measured:
    """Add calibration scores and tables of pairs; return a function of pair weights that computes the same scores."""
    confidence, right = decision.confidence(distance), decision.same(distance) == (same > 0)
    shown["reliability.csv"][difficulty] = calibration.reliability(confidence, right)
    shown["coverage.csv"][difficulty] = calibration.risk_coverage(confidence, right)
    loss, error = decision.losses(same, distance), calibration.CalibrationError(confidence, right)

    def weighted(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"nll": metrics.ratio(weights @ loss, weights.sum(-1)), "calibration_error": error(weights)}

    found = weighted(np.ones(len(same)))
    result.scores |= {f"{difficulty}/{name}": float(value) for name, value in found.items()}
    return weighted


def _add_retrieval(result: Result, plan: Plan, vectors: np.ndarray, rows: np.ndarray, resamples: int) -> None:
    """Add retrieval scores, each photo of the rows searching among all others; intervals resample classes."""
    ids = plan.dataset.table.ids[plan.strategy.target][rows]
    for key, values in query_scores(vectors, ids).items():
        result.scores[f"retrieval/{key}"] = mean_score(values)
        if resamples:
            bounds = bootstrap.query_intervals(values, ids, resamples, plan.strategy.train.seed)
            result.intervals[f"retrieval/{key}"] = bounds


def _intervals(
    plan: Plan,
    measured: tuple[Pairs, np.ndarray],
    difficulty: str,
    decision: PairDecision,
    resamples: int,
    more: bootstrap.Measured | None,
) -> dict[str, bootstrap.Interval]:
    """Return intervals from resampled models, or makes for hard pairs, because pairs that share photos are dependent."""
    pairs, distance = measured
    group = plan.dataset.table.ids["make" if difficulty == "hard" or plan.strategy.target == "make" else "model"]
    groups, seed = (group[pairs.left], group[pairs.right]), plan.strategy.train.seed
    return bootstrap.pair_intervals(pairs.same, -distance, groups, -decision.threshold, resamples, seed, more)


def _pair_table(
    plan: Plan, pairs: Pairs, difficulty: str, distance: np.ndarray, decision: PairDecision
) -> dict[str, np.ndarray]:
    paths = plan.dataset.table.paths
    return {
        "difficulty": np.full(len(pairs), difficulty, object),
        "left": paths[pairs.left],
        "right": paths[pairs.right],
        "same": pairs.same,
        "distance": distance.round(6),
        "decided_same": decision.same(distance).astype(np.int8),
    }
