"""Verification: do two photos show the same make or model? Its network, loss, threshold and scores."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from kcars.data.photo_table import Classes, PixelStore
from kcars.losses.catalogue import LOSSES
from kcars.metrics import calibration
from kcars.metrics.baselines import BASELINES, stored_features
from kcars.models.outputs import Outputs
from kcars.posthoc.decision import PairDecision
from kcars.posthoc.distance_transform import DistanceTransform
from kcars.posthoc.pipeline import Pipeline
from kcars.settings import Strategy
from kcars.tasks import verify_split
from kcars.tasks.plan import (
    Network,
    Plan,
    backbone,
    history_column,
    learned_outputs,
    training_loss,
    training_stream,
)
from kcars.tasks.verify_scores import distances, positions
from kcars.tasks.verify_scores import scores as scores

DECISION = ("threshold", "scale", "offset")  # As `PairDecision.record` has it.


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
    if plan.strategy.learns_pairs:
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

    if plan.strategy.learns_pairs:
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


def posthoc(plan: Plan, network: Network, seen_by: Callable, chosen: dict | None = None) -> Pipeline:
    """The distance transform of the strategy, fitted on the photos that the run learned from, and the decision after it.

    seen_by: model -> Outputs, as photos are shown to the network; chosen: what folds chose, where they validated: they
    chose the threshold on distances as they are, and nothing is fitted.
    """
    outputs = seen_by(network.scored)
    fitted = Pipeline(transform=_transform(plan, outputs), unit=plan.strategy.model.head != "linear")
    if chosen:
        return replace(fitted, decision={name: chosen[name] for name in DECISION if name in chosen})
    return replace(fitted, decision=calibrate(plan, lambda rows: fitted(outputs(rows))))


def _transform(plan: Plan, outputs: Outputs) -> DistanceTransform | None:
    kind = plan.strategy.evaluate.distance
    if kind == "euclidean" or not len(plan.validation):
        return None
    return DistanceTransform.fit(kind, outputs(plan.train), plan.labels(plan.train))


def scored_by(strategy: Strategy, pipeline: Pipeline) -> dict:
    """What scores.json says of whose pairs chose, and of what was fitted."""
    difficulty = strategy.monitored_difficulty
    metric = strategy.evaluate.distance if pipeline.transform else "euclidean"
    return {"difficulty": difficulty, "deciding": difficulty, "metric": metric, "adjusted": None}


def decide(plan: Plan, outputs: Outputs) -> dict:
    """The threshold alone, from the held-out models' pairs of the monitored difficulty."""
    return {"threshold": _decided(plan, outputs)[0].record()["threshold"]}


def calibrate(plan: Plan, outputs: Outputs) -> dict:
    """The decision on pairs, and how often answers err by their confidence, from the same pairs as `decide`."""
    decision, same, distance = _decided(plan, outputs)
    right = decision.same(distance) == (same > 0)
    return {**decision.record(), "answered": calibration.risk_coverage(decision.confidence(distance), right, 1)}


def _decided(plan: Plan, outputs: Outputs) -> tuple[PairDecision, np.ndarray, np.ndarray]:
    """The decision that the validation pairs give, whether they are the same (n,), and their distances (n,)."""
    pairs = plan.pairs[f"validation/{plan.strategy.monitored_difficulty}"]
    rows = pairs.rows()
    found = distances(outputs(rows), *positions(rows, pairs))
    return PairDecision.fit(pairs.same, found), pairs.same, found


def baselines(plan: Plan, store: PixelStore) -> dict[str, Outputs]:
    """Trivial rivals: colours or raw pixels in the embedding's place."""

    return {name: partial(stored_features, store, features=features) for name, features in BASELINES.items()}
