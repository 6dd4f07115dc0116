"""Verification: do two photos show the same make or model? Its network, loss, threshold and scores."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from kcars.data.photo_table import Classes, Pairs, PixelStore
from kcars.losses.catalogue import LOSSES
from kcars.metrics import bootstrap, calibration, curves
from kcars.metrics import scores as metrics
from kcars.metrics.baselines import BASELINES, stored_features
from kcars.metrics.retrieval import mean_score, query_scores
from kcars.models.outputs import Outputs
from kcars.posthoc.distance_transform import DistanceTransform, unit_length
from kcars.settings import Strategy
from kcars.tasks import verify_split
from kcars.tasks.plan import (
    Network,
    Plan,
    Result,
    backbone,
    curve_table,
    history_column,
    learned_outputs,
    training_loss,
    training_stream,
)

# The threshold on the score, and the sigmoid of the distance, as `calibration.fit_pairs` has it.
DECISION = ("threshold", "scale", "offset")


def choose(histories: list[list[dict[str, float]]], strategy: Strategy) -> dict:
    """The epoch whose main score is best on average over the folds, or the last; there the means of their thresholds and sigmoids."""
    column = history_column(monitor(strategy))
    epochs = min(map(len, histories))  # A fold may have stopped early.
    score = np.mean([[row[column] for row in history[:epochs]] for history in histories], axis=0)
    best = epochs - 1 if strategy.train.keep == "last" else int(score.argmax())
    columns = {name: history_column(f"validation/{name}") for name in DECISION}
    decision = {
        name: float(np.mean([history[best][column] for history in histories]))
        for name, column in columns.items()
        if column in histories[0][best]
    }
    return {"epoch": best + 1, "folds": len(histories), "score": float(score[best]), **decision}


def decision_of(chosen: dict) -> dict:
    """What `choose` has found that decides."""
    return {name: chosen[name] for name in DECISION if name in chosen}


plan, folds, cross_dataset, stream = verify_split.plan, verify_split.folds, verify_split.cross_dataset, training_stream


def monitor(strategy: Strategy) -> str:
    """The validation score that chooses the best epoch."""
    return f"validation_{strategy.monitored_difficulty}/roc_auc"


def scored(strategy: Strategy, classes: Classes, any_size: bool = False):
    """The embedder of random weights whose outputs are scored, a Keras model of pixels to vectors (n, d)."""
    from kcars.models.networks import embedder

    return embedder(backbone(strategy, any_size), strategy.model.embedding, strategy.model.head)


def network(plan: Plan, any_size: bool = False) -> Network:
    """Of random weights; any_size: for photos that grow, of the same weights."""
    from kcars.models.networks import margin_classifier, siamese

    model, outputs = plan.strategy.model, learned_outputs(plan.strategy)
    built = scored(plan.strategy, plan.classes, any_size)
    if plan.strategy.data.order == "pairs":
        return Network(siamese(built, logit="pair_logit" in LOSSES[plan.strategy.loss.name].takes), built)
    counts = {"make": len(plan.classes.make_numbers()[0])} if model.make_weight else {}
    counts[plan.strategy.learned] = len(plan.classes)
    classes = {name: counts[name] for name in outputs if name != "vectors"}
    return Network(margin_classifier(built, classes, "vectors" in outputs), built)


def vectors(plan: Plan, network: Network):
    """The model of pixels to vectors (n, d) whose distances are taken."""
    return network.scored


def objective(plan: Plan) -> dict:
    """Arguments of `compile`: loss and metrics by output."""
    from kcars.objectives.confusion import balanced_metrics
    from kcars.objectives.losses import build_loss

    if plan.strategy.data.order == "pairs":
        return {"loss": {"same": training_loss(plan)}}
    outputs, second = learned_outputs(plan.strategy), plan.strategy.second_loss
    weights = dict.fromkeys(outputs, 1.0)
    losses = {output: training_loss(plan) for output in outputs}
    if second:
        losses["vectors"], weights["vectors"] = build_loss(**second.loss.model_dump(), of_batch=True), second.weight
    if "make" in weights and plan.strategy.model.make_weight:
        weights["make"] = plan.strategy.model.make_weight
    found = {"loss": losses, "loss_weights": weights}
    if outputs[0] != "vectors":
        found["metrics"] = {outputs[0]: balanced_metrics(len(plan.classes))}
    return found


def learned_calibration(network: Network) -> dict[str, float]:
    """What training has learned beside the scored network: scale and offset of a similarity, where its loss has one."""
    layer: Any = next((layer for layer in network.trained.layers if hasattr(layer, "log_scale")), None)
    return {} if layer is None else {"scale": math.exp(float(layer.log_scale)), "offset": float(layer.offset)}


def with_metric(
    plan: Plan, outputs: Outputs, known: DistanceTransform | None = None
) -> tuple[Outputs, DistanceTransform | None]:
    """Outputs after the metric of the strategy, and that: `known`, or fitted on the photos that the run learned from.

    None where folds validated: they chose the threshold on distances as they are. Without a metric outputs are brought
    to the unit length that the head gave them, which the mean over a photo's views has lost.
    """
    if known is None and (plan.strategy.evaluate.distance == "euclidean" or not len(plan.validation)):
        return outputs if plan.strategy.model.head == "linear" else lambda rows: unit_length(outputs(rows)), None
    metric = known or DistanceTransform.fit(
        plan.strategy.evaluate.distance, outputs(plan.train), plan.labels(plan.train)
    )
    return (lambda rows: metric(outputs(rows))), metric


def adjusted_head(plan: Plan, network: Network, seen_by: Callable) -> None:
    """None: an embedder has no classes whose head could be changed."""


def decide(plan: Plan, outputs: Outputs) -> dict:
    """The threshold on the score (minus the distance), from the held-out models' pairs of the chosen difficulty."""
    return {"threshold": _decided(plan, outputs)["threshold"]}


def calibrate(plan: Plan, outputs: Outputs) -> dict:
    """`decide`, with the probability that a distance tells, and how answers err by their confidence, of the same pairs."""
    found = _decided(plan, outputs)
    confidence, right = _confidence(found.pop("same"), found.pop("distance"), found)
    return {**found, "answered": calibration.risk_coverage(confidence, right, 1)}


def _decided(plan: Plan, outputs: Outputs) -> dict:
    """Of the pairs that decide: `same`, `distance`, and what they give of DECISION."""
    pairs = plan.pairs[f"validation/{plan.strategy.monitored_difficulty}"]
    rows = pairs.rows()
    distance = -similarity(outputs(rows), *_places(rows, pairs))
    return {"same": pairs.same, "distance": distance, **_decision(pairs.same, distance)}


def _decision(same: np.ndarray, distance: np.ndarray) -> dict[str, float]:
    return {"threshold": float(metrics.best_threshold(same, -distance)), **calibration.fit_pairs(same, distance)}


def _confidence(same: np.ndarray, distance: np.ndarray, decision: dict) -> tuple[np.ndarray, np.ndarray]:
    """Probability of each answer, which the threshold gives, and whether it is right."""
    probability, called = calibration.same_probability(distance, decision), -distance >= decision["threshold"]
    return np.where(called, probability, 1 - probability), called == (same > 0)


def scores(plan: Plan, outputs: Outputs, split: str, decision: dict, resamples: int = 0) -> Result:
    """Scores of all difficulties' pairs of a split ("validation" or "test") from one pass over its distinct photos.

    Where `decision` has a sigmoid, the test's also tell how far probabilities hold. Keys are `easy/roc_auc` for the test split,
    which also tells how photos find those of their class (`retrieval/recall@1`), and `validation_easy/roc_auc` for validation,
    which also tells its loss (where pairs are trained on; `decision` is then what `beside` gives) and how distances spread.
    """
    chosen = {name: pairs for name, pairs in plan.pairs.items() if name.startswith(split + "/")}
    rows = np.unique(np.concatenate([pairs.rows() for pairs in chosen.values()]))
    vectors = outputs(rows)
    result, tables, later = Result(), [], {}
    shown: dict[str, dict] = {"reliability.csv": {}, "coverage.csv": {}}
    for name, pairs in chosen.items():
        difficulty = name.partition("/")[2]
        key = difficulty if split == "test" else f"validation_{difficulty}"
        found = similarity(vectors, *_places(rows, pairs))
        threshold = decision.get("threshold", 0.0)
        for metric, value in metrics.pair_scores(pairs.same, found, threshold).items():
            if split == "test" or metric == "roc_auc":
                result.scores[f"{key}/{metric}"] = float(value)
        more = None
        if split == "test" and "scale" in decision and len(np.unique(pairs.same)) == 2:  # One kind alone is no trial.
            more = _add_trust(result, shown, key, pairs.same, -found, decision)
        if resamples:
            later[key] = partial(_intervals, plan, pairs, found, difficulty, threshold, resamples, more)
        if split == "validation" and difficulty == plan.strategy.monitored_difficulty:
            result.scores |= _distances(plan, pairs, -found, decision)
        if split == "validation" and len(np.unique(pairs.same)) == 2:
            result.curves[f"roc/{difficulty}"] = curves.roc(pairs.same, found)
            longest = None if plan.strategy.model.head == "linear" else 2.0
            result.curves[f"distances/{difficulty}"] = curves.distances(pairs.same, -found, longest)
        tables.append(_pair_table(plan, pairs, difficulty, found, threshold))
    with ThreadPoolExecutor() as pool:  # NumPy's sums leave the other cores free.
        for key, bounds in zip(later, pool.map(lambda given: given(), later.values()), strict=True):
            result.intervals |= {f"{key}/{metric}": value for metric, value in bounds.items()}
    if split == "test":
        _add_retrieval(result, plan, vectors, rows, resamples)
        result.tables["pairs.csv"] = {key: np.concatenate([table[key] for table in tables]) for key in tables[0]}
        result.tables |= {name: curve_table(each) for name, each in shown.items() if each}
    return result


def _add_trust(result: Result, shown: dict, key: str, same, distance, decision: dict) -> Callable[[np.ndarray], dict]:
    """How far probabilities of pairs hold, in scores and in the tables shown; the same scores for any weights of the pairs."""
    confidence, right = _confidence(same, distance, decision)
    shown["reliability.csv"][key] = calibration.reliability(confidence, right)
    shown["coverage.csv"][key] = calibration.risk_coverage(confidence, right)
    weighted = _calibration(same, distance, decision)
    result.scores |= {f"{key}/{metric}": float(value) for metric, value in weighted(np.ones(len(same))).items()}
    return weighted


def _add_retrieval(result: Result, plan: Plan, vectors: np.ndarray, rows: np.ndarray, resamples: int) -> None:
    """How each photo of the rows finds the others of its class among all of them; intervals resample classes."""
    ids = plan.dataset.table.ids[plan.strategy.target][rows]
    for key, values in query_scores(vectors, ids).items():
        result.scores[f"retrieval/{key}"] = mean_score(values)
        if resamples:
            bounds = bootstrap.query_intervals(values, ids, resamples, plan.strategy.train.seed)
            result.intervals[f"retrieval/{key}"] = bounds


def _calibration(same: np.ndarray, distance: np.ndarray, decision: dict) -> Callable[[np.ndarray], dict]:
    """Loss and calibration error of pair probabilities, for any weights (..., n) of the pairs."""
    loss = calibration.pair_losses(same, distance, decision)
    error = calibration.CalibrationError(*_confidence(same, distance, decision))

    def measured(weights: np.ndarray) -> dict:
        return {"nll": metrics.ratio(weights @ loss, weights.sum(-1)), "calibration_error": error(weights)}

    return measured


def similarity(vectors: np.ndarray, left: np.ndarray, right: np.ndarray, chunk: int = 8192) -> np.ndarray:
    """Minus the Euclidean distance (n,) float64 between vectors[left] and vectors[right]."""
    found = np.empty(len(left))
    for start in range(0, len(left), chunk):
        part = slice(start, start + chunk)
        found[part] = -np.linalg.norm(vectors[left[part]] - vectors[right[part]], axis=1)
    return found


def _places(rows: np.ndarray, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Where the photos of pairs stand in sorted rows."""
    return np.searchsorted(rows, pairs.left), np.searchsorted(rows, pairs.right)


def _intervals(plan: Plan, pairs: Pairs, found, difficulty: str, threshold: float, resamples: int, more=None) -> dict:
    """Intervals that resample models, or makes for hard pairs: pairs share photos, and are not independent."""
    group = plan.dataset.table.ids["make" if difficulty == "hard" or plan.strategy.target == "make" else "model"]
    return bootstrap.pair_intervals(
        pairs.same,
        found,
        group[pairs.left],
        group[pairs.right],
        threshold,
        resamples,
        plan.strategy.train.seed,
        more,
    )


def _distances(plan: Plan, pairs: Pairs, distance: np.ndarray, learned: dict) -> dict[str, float]:
    """Mean and standard deviation of pair distances, which tell a collapse, and the loss where pairs are trained on."""
    found = {
        "validation/distance_mean": float(distance.mean()),
        "validation/distance_std": float(distance.std()),
        **{f"validation/{name}": value for name, value in _decision(pairs.same, distance).items()},
    }
    if plan.strategy.data.order == "pairs":
        output = learned["scale"] * (learned["offset"] - distance) if "scale" in learned else distance
        found["validation/loss"] = float(training_loss(plan)(pairs.same.astype(np.float32), output.astype(np.float32)))
    return found


def _pair_table(plan: Plan, pairs: Pairs, difficulty: str, found: np.ndarray, threshold: float) -> dict:
    paths = plan.dataset.table.paths
    return {
        "difficulty": np.full(len(pairs), difficulty, object),
        "left": paths[pairs.left],
        "right": paths[pairs.right],
        "same": pairs.same,
        "distance": (-found).round(6),
        "decided_same": (found >= threshold).astype(np.int8),
    }


def baselines(plan: Plan, store: PixelStore) -> dict[str, Outputs]:
    """Trivial rivals: colours or raw pixels in the embedding's place."""

    return {name: partial(stored_features, store, features=features) for name, features in BASELINES.items()}
