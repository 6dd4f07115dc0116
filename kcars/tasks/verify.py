"""Verification, whether two photos show the same make or model: network, loss, threshold and scores."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kcars.data.photo_table import Classes, PixelStore
from kcars.losses.catalogue import LOSSES
from kcars.metrics import calibration
from kcars.metrics.baselines import BASELINES, stored_features
from kcars.models.outputs import Outputs
from kcars.posthoc.decision import PairDecision
from kcars.posthoc.pipeline import Pipeline
from kcars.settings import Strategy
from kcars.tasks import verify_split
from kcars.tasks.plan import (
    Network,
    Objective,
    Plan,
    SeenBy,
    backbone,
    history_column,
    learned_outputs,
    training_loss,
    training_stream,
)
from kcars.tasks.verify_begin import begin_embedding
from kcars.tasks.verify_cross_fit import CrossFit, fitted_transforms, shrinkages
from kcars.tasks.verify_scores import distances, positions
from kcars.tasks.verify_scores import scores as scores

if TYPE_CHECKING:
    import keras  # The import takes seconds.

DECISION = ("threshold", "scale", "offset")  # Keys of `PairDecision.record`.


def choose(histories: list[list[dict[str, float]]], strategy: Strategy) -> dict[str, Any]:
    """Return the epoch with the best monitored score averaged over folds (or the last), and the folds' mean threshold and sigmoid at it."""
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
    """Return the name of the validation score that chooses the best epoch."""
    return f"validation_{strategy.monitored_difficulty}/roc_auc"


def scored(strategy: Strategy, classes: Classes, any_size: bool = False) -> "keras.Model":
    """Build the scored embedder with random weights, a Keras model from pixels to vectors (n, d)."""
    from kcars.models.networks import embedder

    model = strategy.model
    return embedder(backbone(strategy, any_size), model.embedding, model.head, model.square_root)


def network(plan: Plan, any_size: bool = False) -> Network:
    """Build the Network with random weights; any_size: with a variable input size, for progressive resizing."""
    from kcars.models.networks import margin_classifier, siamese

    model, outputs = plan.strategy.model, learned_outputs(plan.strategy)
    built = scored(plan.strategy, plan.classes, any_size)
    if plan.strategy.learns_pairs:
        return Network(siamese(built, logit="pair_logit" in LOSSES[plan.strategy.loss.name].takes), built)
    counts = {"make": len(plan.classes.make_numbers()[0])} if model.make_weight else {}
    counts[plan.strategy.learned] = len(plan.classes)
    classes = {name: counts[name] for name in outputs if name != "vectors"}
    return Network(margin_classifier(built, classes, "vectors" in outputs, model.projection), built)


def vectors(plan: Plan, network: Network) -> "keras.Model":
    """Return the model from pixels to the vectors (n, d) whose distances are scored."""
    return network.scored


def objective(plan: Plan) -> Objective:
    """Return the arguments of `compile`: loss and metrics by output."""
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
    found: Objective = {"loss": losses, "loss_weights": weights}
    if outputs[0] != "vectors":
        found["metrics"] = {outputs[0]: balanced_metrics(len(plan.classes))}
    return found


def learned_calibration(network: Network) -> dict[str, float]:
    """Return the learned calibration: scale and offset of the similarity, if the loss has one."""
    layer: Any = next((layer for layer in network.trained.layers if hasattr(layer, "log_scale")), None)
    return {} if layer is None else {"scale": math.exp(float(layer.log_scale)), "offset": float(layer.offset)}


def posthoc(plan: Plan, network: Network, seen_by: SeenBy, chosen: dict[str, Any] | None = None) -> Pipeline:
    """Return the strategy's distance transform, fitted on the training photos, and the decision after it.

    seen_by: model -> Outputs, with the network's preprocessing; chosen: the folds' choice, if there are folds. The threshold
    of folds that trained networks is for untransformed distances, so nothing is fitted.
    """
    outputs, unit = seen_by(network.scored), plan.strategy.model.head != "linear"
    if chosen:
        decision = {name: chosen[name] for name in (*DECISION, "answered") if name in chosen}
        shrinkage = chosen.get("shrinkage")
        transform = None if shrinkage is None else fitted_transforms(plan, outputs, [shrinkage])[0]
        return Pipeline(transform=transform, unit=unit, decision=decision)
    asked = shrinkages(plan.strategy.evaluate)
    shrinkage = asked[0] if len(asked) == 1 else CrossFit.of([plan], outputs).shrinkage
    fitted = Pipeline(transform=fitted_transforms(plan, outputs, [shrinkage])[0], unit=unit)
    return replace(fitted, decision=calibrate(plan, lambda rows: fitted(outputs(rows))))


def fit_head(plan: Plan, folds: Sequence[Plan], network: Network, seen_by: SeenBy) -> dict[str, Any]:
    """Return the choice of the folds for a frozen backbone, without folds of the plan's own validation pairs.

    The head has no weights to fit: the distance transform is fitted when the run is scored.
    """
    fit = CrossFit.of(folds or [plan], seen_by(network.scored))
    score = fit.roc_auc[plan.strategy.monitored_difficulty]
    return {"score": score, "shrinkage": fit.shrinkage, **fit.decision()}


def begin_head(plan: Plan, network: Network, seen_by: SeenBy) -> None:
    """Set neck, projection and class directions by discriminant analysis of the initial features, as a beginning of fine-tuning."""
    from kcars.models.networks import features_of

    model = network.trained if plan.strategy.model.projection else network.scored
    features = seen_by(features_of(network.scored))(plan.train)
    begin_embedding(model, network.trained.get_layer(plan.strategy.learned), features, plan.labels(plan.train))


def scored_by(strategy: Strategy, pipeline: Pipeline) -> dict[str, Any]:
    """Return the record for scores.json: the pairs used for choosing, and the fitted parts."""
    difficulty = strategy.monitored_difficulty
    metric = strategy.evaluate.distance if pipeline.transform else "euclidean"
    return {"difficulty": difficulty, "deciding": difficulty, "metric": metric, "adjusted": None}


def decide(plan: Plan, outputs: Outputs) -> dict[str, Any]:
    """Fit the threshold on the validation pairs of the monitored difficulty."""
    return {"threshold": _decided(plan, outputs)[0].record()["threshold"]}


def calibrate(plan: Plan, outputs: Outputs) -> dict[str, Any]:
    """Fit the pair decision and the error rate by confidence, on the same pairs as `decide`."""
    decision, same, distance = _decided(plan, outputs)
    right = decision.same(distance) == (same > 0)
    return {**decision.record(), "answered": calibration.risk_coverage(decision.confidence(distance), right, 1)}


def _decided(plan: Plan, outputs: Outputs) -> tuple[PairDecision, np.ndarray, np.ndarray]:
    """Return the decision fitted on the validation pairs, their labels (n,) and their distances (n,)."""
    pairs = plan.pairs[f"validation/{plan.strategy.monitored_difficulty}"]
    rows = pairs.rows()
    found = distances(outputs(rows), *positions(rows, pairs))
    return PairDecision.fit(pairs.same, found), pairs.same, found


def baselines(plan: Plan, store: PixelStore) -> dict[str, Outputs]:
    """Compute trivial baselines: colours or raw pixels instead of the embedding."""

    return {name: partial(stored_features, store, features=features) for name, features in BASELINES.items()}
