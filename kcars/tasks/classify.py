"""Classification of photos by make or model: network, loss, temperature and scores."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kcars.data.photo_table import Classes, PixelStore
from kcars.losses.catalogue import LOSSES
from kcars.metrics import bootstrap, calibration
from kcars.metrics import scores as metrics
from kcars.metrics.baselines import BASELINES, Features, class_similarity, stored_features
from kcars.models.outputs import Outputs
from kcars.posthoc.adjusted_head import AdjustedHead
from kcars.posthoc.pipeline import Pipeline
from kcars.settings import Strategy
from kcars.tasks.classify_head import calibrated_head, fitted_head, fitted_temperature
from kcars.tasks.classify_losses import plain_loss, validation_loss
from kcars.tasks.classify_split import cross_dataset as cross_dataset
from kcars.tasks.classify_split import folds as folds
from kcars.tasks.classify_split import plan as plan
from kcars.tasks.plan import (
    Network,
    Objective,
    Plan,
    Result,
    SeenBy,
    backbone,
    class_offsets,
    curve_table,
    training_loss,
    training_stream,
)

if TYPE_CHECKING:
    import keras  # The import takes seconds.

stream = training_stream


def monitor(strategy: Strategy) -> str:
    """Return the name of the validation score that chooses the best epoch."""
    return "validation/balanced_accuracy"


def scored(strategy: Strategy, classes: Classes, any_size: bool = False) -> "keras.Model":
    """Build the scored classifier with random weights, a Keras model from pixels to {target: logits}."""
    from kcars.models.networks import classifier, with_auxiliary

    model, own = strategy.model, backbone(strategy, any_size)
    if model.auxiliary:
        return with_auxiliary(own, len(classes), strategy.target, model.dropout)[1]
    scale = strategy.loss.scale if "scaled_cosines" in LOSSES[strategy.loss.name].takes else None
    return classifier(own, {strategy.target: len(classes)}, model.dropout, scale, model.square_root)


def network(plan: Plan, any_size: bool = False) -> Network:
    """Build the Network with random weights; any_size: with a variable input size, for progressive resizing."""
    from kcars.models.networks import uncompiled_stays, with_auxiliary, with_makes

    target, model = plan.strategy.target, plan.strategy.model
    if model.auxiliary:
        own = backbone(plan.strategy, any_size)
        return Network(*with_auxiliary(own, len(plan.classes), target, model.dropout))
    built = scored(plan.strategy, plan.classes, any_size)
    if model.make_weight:
        return Network(with_makes(built, target, plan.classes.make_numbers()[1], class_offsets(plan)), built)
    return Network(uncompiled_stays(built), built)


def vectors(plan: Plan, network: Network) -> "keras.Model":
    """Return the model from pixels to the features (n, d) before the head, which are close for similar photos."""
    import keras

    return keras.Model(network.scored.input, network.scored.get_layer(plan.strategy.target).input)


def objective(plan: Plan) -> Objective:
    """Return the arguments of `compile`: loss and metrics by output."""
    from kcars.objectives.confusion import balanced_metrics

    target, model = plan.strategy.target, plan.strategy.model
    losses, weights = {target: training_loss(plan)}, {target: 1.0}
    if model.auxiliary:
        losses["auxiliary"], weights["auxiliary"] = training_loss(plan), model.auxiliary
    if model.make_weight:
        losses["make"], weights["make"] = plain_loss(plan), model.make_weight
    metrics_of = {target: balanced_metrics(len(plan.classes))}
    return {"loss": losses, "loss_weights": weights, "metrics": metrics_of}


def learned_calibration(network: Network) -> dict[str, float]:
    """Return an empty dict: classification learns no calibration."""
    return {}


def decide(plan: Plan, outputs: Outputs) -> dict[str, Any]:
    """Return an empty dict: validation chooses only the epoch."""
    return {}


def posthoc(plan: Plan, network: Network, seen_by: SeenBy, chosen: dict[str, Any] | None = None) -> Pipeline:
    """Return the head selected by `evaluate.adjust`, fitted on validation or training photos, and the temperature after it.

    seen_by: model -> Outputs, with the network's preprocessing; chosen: the folds' choice, which includes the temperature.
    """
    if chosen:
        return Pipeline(decision={name: chosen[name] for name in ("temperature", "answered")})
    fitted = Pipeline(head=_adjusted_head(plan, network, seen_by))
    outputs = seen_by(fitted.network(network.scored, plan.strategy.target))
    return replace(fitted, decision=calibrate(plan, outputs))


def fit_head(plan: Plan, folds: Sequence[Plan], network: Network, seen_by: SeenBy) -> dict[str, Any]:
    """Fit the head to the features of a frozen backbone; return the choice of the folds, see `fitted_head`."""
    head, chosen = fitted_head(plan, folds, seen_by(vectors(plan, network)))
    network.scored.get_layer(plan.strategy.target).set_weights([head.kernel, head.bias])
    return chosen


def begin_head(plan: Plan, network: Network, seen_by: SeenBy) -> None:
    """Set the head to one fitted to the features of the initial backbone, as a beginning of fine-tuning."""
    features, labels = seen_by(vectors(plan, network))(plan.train), plan.labels(plan.train)
    head = calibrated_head((features, labels), len(plan.classes), plan.strategy.train.seed)
    network.scored.get_layer(plan.strategy.target).set_weights([head.kernel, head.bias])


def scored_by(strategy: Strategy, pipeline: Pipeline) -> dict[str, Any]:
    """Return the record of the fitted parts for scores.json."""
    adjusted = pipeline.head.facts() if pipeline.head else None
    return {"difficulty": None, "deciding": None, "metric": None, "adjusted": adjusted}


def calibrate(plan: Plan, outputs: Outputs) -> dict[str, Any]:
    """Fit the temperature and the error rate by confidence on the validation photos."""
    rows, labels = _known(plan, plan.validation)
    return fitted_temperature(outputs(rows), labels)


def _adjusted_head(plan: Plan, network: Network, seen_by: SeenBy) -> AdjustedHead | None:
    kind = plan.strategy.evaluate.adjust
    if kind == "none":
        return None
    from kcars.models.networks import linear_head

    features = seen_by(vectors(plan, network))
    if kind == "class_means":
        return AdjustedHead.of_class_means(features(plan.train), plan.labels(plan.train), len(plan.classes))
    rows, labels = _known(plan, plan.validation)
    head = linear_head(network.scored, plan.strategy.target)
    return AdjustedHead.choose(kind, head, plan.class_photos(), features(rows), labels)


def _known(plan: Plan, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows whose class is among the training classes, and their labels."""
    labels = plan.labels(rows)
    return rows[labels >= 0], labels[labels >= 0]


def scores(plan: Plan, outputs: Outputs, split: str, decision: dict[str, Any], resamples: int = 0) -> Result:
    """Compute the scores of a split ("validation" or "test"), with the loss for validation.

    If `decision` has a temperature, the calibration error is computed with and without it.
    """
    rows, labels = _known(plan, plan.validation if split == "validation" else plan.dataset.test)
    logits = outputs(rows)
    classes = len(plan.classes)
    found = metrics.classification_scores(logits, labels, classes)
    result = Result({f"{split}/{name}": value for name, value in found.items()})
    if split == "validation":
        result.scores["validation/loss"] = float(validation_loss(plan)(labels, logits))
        result.curves["confusion"] = metrics.confusion_matrix(labels, logits.argmax(1), classes)
        return result
    if resamples:
        bounds = bootstrap.photo_intervals(logits, labels, classes, resamples, plan.strategy.train.seed)
        result.intervals = {f"{split}/{name}": value for name, value in bounds.items()}
    temperature = decision.get("temperature", 1.0)
    result.tables["photos.csv"] = _photo_table(plan, rows, labels, logits, temperature)
    result.tables["classes.csv"] = _class_table(plan, labels, logits)
    if "temperature" in decision:
        _add_calibration(result, plan, split, logits, labels, temperature, resamples)
        if plan.strategy.model.make_weight:
            _add_makes(result, plan, split, logits, labels, temperature, resamples)
    return result


def _add_makes(
    result: Result, plan: Plan, split: str, logits: np.ndarray, labels: np.ndarray, temperature: float, resamples: int
) -> None:
    """Add scores of makes, each predicted from the sum of its models' probabilities, as in `predict`."""
    make = plan.classes.make_numbers()[1]
    member = np.eye(make.max() + 1)[make]
    right = (calibration.probabilities(logits, temperature) @ member).argmax(1) == make[labels]
    shown = member[labels]

    def measured(weights: np.ndarray) -> dict[str, np.ndarray]:
        recall = metrics.ratio((weights * right) @ shown, weights @ shown)
        return {
            "make_accuracy": metrics.ratio(weights @ right, weights.sum(-1)),
            "make_balanced_accuracy": metrics.ratio(np.nansum(recall, -1), np.isfinite(recall).sum(-1)),
        }

    _add_measured(result, plan, split, measured, labels, resamples)


def _add_measured(
    result: Result, plan: Plan, split: str, measured: bootstrap.Measured, labels: np.ndarray, resamples: int
) -> None:
    """Add the scores that `measured` returns for weights of the photos, with intervals if there are resamples."""
    result.scores |= {f"{split}/{name}": float(value) for name, value in measured(np.ones(len(labels))).items()}
    if resamples:
        bounds = bootstrap.weighted_photo_intervals(measured, labels, resamples, plan.strategy.train.seed)
        result.intervals |= {f"{split}/{name}": value for name, value in bounds.items()}


def _add_calibration(
    result: Result, plan: Plan, split: str, logits: np.ndarray, labels: np.ndarray, temperature: float, resamples: int
) -> None:
    """Add loss and calibration error, scaled and unscaled, their change, and tables of both reliability curves."""
    error: dict[str, calibration.CalibrationError] = {}
    loss: dict[str, np.ndarray] = {}
    tables: dict[str, dict[str, np.ndarray]] = {}
    for name, warmth in (("", temperature), ("_unscaled", 1.0)):
        probability = calibration.probabilities(logits, warmth)
        confidence, right = probability.max(1), probability.argmax(1) == labels
        error[name] = calibration.CalibrationError(confidence, right)
        loss[name] = calibration.photo_losses(logits, labels, warmth)
        tables[f"{split}{name}"] = calibration.reliability(confidence, right)
        if not name:
            result.tables["coverage.csv"] = curve_table({split: calibration.risk_coverage(confidence, right)})
    result.tables["reliability.csv"] = curve_table(tables)

    def measured(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = {f"nll{name}": metrics.ratio(weights @ each, weights.sum(-1)) for name, each in loss.items()}
        found |= {f"calibration_error{name}": each(weights) for name, each in error.items()}
        return found | {
            f"{what}_change": found[what] - found[f"{what}_unscaled"] for what in ("nll", "calibration_error")
        }

    _add_measured(result, plan, split, measured, labels, resamples)


def _photo_table(
    plan: Plan, rows: np.ndarray, labels: np.ndarray, logits: np.ndarray, temperature: float
) -> dict[str, np.ndarray]:
    names = np.array(plan.classes.names, object)
    best = logits.argmax(1)
    probability = calibration.probabilities(logits, temperature)
    return {
        "path": plan.dataset.table.paths[rows],
        "label": names[labels],
        "predicted": names[best],
        "probability": probability.max(1).round(6),
        "rank_of_label": metrics.label_ranks(logits, labels) + 1,
    }


def _class_table(plan: Plan, labels: np.ndarray, logits: np.ndarray) -> dict[str, np.ndarray]:
    classes = len(plan.classes)
    confusion = metrics.confusion_matrix(labels, logits.argmax(1), classes)
    return {
        "id": plan.classes.ids,
        "name": np.array(plan.classes.names, object),
        "training_photos": plan.class_photos(),
        "test_photos": confusion.sum(1),
        "recall": metrics.class_recall(confusion).round(6),
        "precision": metrics.ratio(np.diag(confusion), confusion.sum(0)).round(6),
    }


def baselines(plan: Plan, store: PixelStore) -> dict[str, Outputs]:
    """Compute trivial baselines: the nearest training photo by colours or raw pixels."""
    return {name: _nearest(plan, store, features) for name, features in BASELINES.items()}


def _nearest(plan: Plan, store: PixelStore, features: Features) -> Outputs:
    gallery_rows = np.concatenate([plan.train, plan.validation])
    gallery_rows = gallery_rows[np.argsort(plan.labels(gallery_rows), kind="stable")]

    def outputs(rows: np.ndarray) -> np.ndarray:
        gallery, queries = stored_features(store, gallery_rows, features), stored_features(store, rows, features)
        return class_similarity(gallery, plan.labels(gallery_rows), queries, len(plan.classes))

    return outputs
