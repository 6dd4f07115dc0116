"""Plan: the training, validation and test data of a run, fixed before any pixel is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

import numpy as np

from kcars.core.errors import KcarsError
from kcars.data.photo_table import Classes, Dataset, Pairs, PixelStore
from kcars.input.augment.chain import Augment
from kcars.input.augment.mix import Mix
from kcars.input.stream import Stream
from kcars.losses.catalogue import LOSSES
from kcars.metrics.class_weights import effective_number, inverse_frequency, log_frequencies, rare_margins
from kcars.models.outputs import Outputs
from kcars.posthoc.pipeline import Pipeline
from kcars.settings import Strategy

if TYPE_CHECKING:
    import keras  # The import takes seconds.

    from kcars.objectives.losses import CatalogueLoss

SeenBy = Callable[["keras.Model"], Outputs]
"""A function from a model to its outputs on photos, with the network's preprocessing."""
Curve = Mapping[str, np.ndarray | list[float]]
"""Columns of equal length by name."""


@dataclass(frozen=True)
class Plan:
    """Rows and labels of a run.

    train, validation: PhotoTable rows; classes: the training classes, from all listed training photos; pairs: split ->
    Pairs with labels of the target, "validation/<difficulty>" and "test/<difficulty>" (verify only).
    """

    dataset: Dataset
    strategy: Strategy
    train: np.ndarray
    validation: np.ndarray
    classes: Classes
    pairs: dict[str, Pairs] = field(default_factory=dict[str, Pairs])

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Return the class numbers (n,) int32 of PhotoTable rows; -1 for a class not in training."""
        return self.classes.labels(self.dataset.table.ids[self.strategy.learned][rows])

    def class_photos(self) -> np.ndarray:
        """Return the number of training photos (classes,) of each class."""
        return np.bincount(self.labels(self.train), minlength=len(self.classes))


@dataclass(frozen=True)
class Network:
    """The network of a run. trained: the Keras model passed to `fit`; scored: its part whose outputs are scored and saved."""

    trained: "keras.Model"
    scored: "keras.Model"


@dataclass
class Result:
    """Results on a split: scores and 95 % intervals by `split/name`; tables: file name -> columns.

    curves (validation only): `roc/<difficulty>` and `distances/<difficulty>` from `kcars.metrics.curves`, for each
    difficulty with same and different pairs; or `confusion`, counts (classes, classes), row = label.
    """

    scores: dict[str, float] = field(default_factory=dict[str, float])
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    tables: dict[str, dict[str, np.ndarray]] = field(default_factory=dict[str, dict[str, np.ndarray]])
    curves: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])


class Objective(TypedDict, total=False):
    """The arguments of `compile`: loss and metrics by output."""

    loss: "dict[str, CatalogueLoss]"
    loss_weights: dict[str, float]
    metrics: "dict[str, list[keras.metrics.Metric]]"


class Task(Protocol):
    """The interface of a task's module, see `kcars.tasks.task_module`."""

    def plan(self, dataset: Dataset, strategy: Strategy) -> Plan: ...
    def cross_dataset(
        self, dataset: Dataset, strategy: Strategy, classes: Classes, known: frozenset[str]
    ) -> tuple[Plan, dict[str, Any]]: ...
    def folds(self, dataset: Dataset, strategy: Strategy) -> list[Plan]: ...
    def stream(self, plan: Plan, store: PixelStore) -> Stream: ...
    def monitor(self, strategy: Strategy) -> str: ...
    def scored(self, strategy: Strategy, classes: Classes, any_size: bool = False) -> "keras.Model": ...
    def network(self, plan: Plan, any_size: bool = False) -> Network: ...
    def vectors(self, plan: Plan, network: Network) -> "keras.Model": ...
    def objective(self, plan: Plan) -> Objective: ...
    def fit_head(self, plan: Plan, folds: Sequence[Plan], network: Network, seen_by: SeenBy) -> dict[str, Any]: ...
    def begin_head(self, plan: Plan, network: Network, seen_by: SeenBy) -> None: ...
    def learned_calibration(self, network: Network) -> dict[str, float]: ...
    def posthoc(self, plan: Plan, network: Network, seen_by: SeenBy, chosen: dict[str, Any] | None) -> Pipeline: ...
    def scored_by(self, strategy: Strategy, pipeline: Pipeline) -> dict[str, Any]: ...
    def decide(self, plan: Plan, outputs: Outputs) -> dict[str, Any]: ...
    def scores(
        self, plan: Plan, outputs: Outputs, split: str, decision: dict[str, Any], resamples: int = 0
    ) -> Result: ...

    def choose(self, histories: list[list[dict[str, float]]], strategy: Strategy) -> dict[str, Any]:
        """Choose from the folds' histories; classification has no folds."""
        ...

    def baselines(self, plan: Plan, store: PixelStore) -> dict[str, Outputs]: ...


def refuse_no_test(dataset: Dataset, tested: np.ndarray) -> None:
    """Raise KcarsError if the dataset has given splits but no test photo."""
    if dataset.split == "as given" and not len(tested):
        raise KcarsError(
            f"{dataset.source}: no photo is in the test split; add a folder test/ (or split test in photos.csv) to score; "
            "without val/ a share of train/ is used for validation"
        )


def history_column(key: str) -> str:
    """Return the history column of a validation score: validation_hard/roc_auc -> val_hard_roc_auc."""
    return "val_" + key.removeprefix("validation").lstrip("_/").replace("/", "_")


def curve_table(curves: Mapping[str, Curve]) -> dict[str, np.ndarray]:
    """Join curves by name, each with columns of equal length, into a table whose first column is the name."""
    names = np.repeat(list(curves), [len(next(iter(curve.values()))) for curve in curves.values()]).astype(object)
    empty: Curve = {}
    first = next(iter(curves.values()), empty)
    return {
        "split": names,
        **{key: np.concatenate([curve[key] for curve in curves.values()]).round(6) for key in first},
    }


def training_stream(plan: Plan, store: PixelStore) -> Stream:
    """Return the infinite sequence of training batches for both tasks."""
    settings, labels, seed = plan.strategy, _stream_labels(plan), plan.strategy.train.seed
    data, balance = settings.data, settings.balance
    return Stream(
        store=store,
        rows=plan.train,
        labels=labels,
        key_target=next(iter(labels)),
        order=data.order,
        batch_size=settings.train.batch,
        photos_per_class=data.photos_per_class,
        seed=seed,
        augment=Augment(data.augment, seed),
        parts=settings.train.gradient_accumulation,
        makes=plan.dataset.table.ids["make"][plan.train],
        classes_per_make=data.classes_per_make,
        rare_augment=Augment(balance.augment, seed, "balance.augment") if balance.augment else None,
        mix=_mix(plan),
        sampling=balance.sampling,
        class_weights=_stream_weights(plan),
    )


def learned_outputs(strategy: Strategy) -> list[str]:
    """Return the outputs of the trained network that have labels; the labels of the first determine the batches.

    "vectors" is for losses on all pairs of a batch; "auxiliary" is the auxiliary head.
    """
    make = ["make"] if strategy.model.make_weight else []
    if strategy.task == "classify":
        return [strategy.target, *(["auxiliary"] if strategy.model.auxiliary else []), *make]
    of_classes = strategy.learns_pairs or "cosines" in LOSSES[strategy.loss.name].takes
    of_batch = strategy.second_loss or not of_classes
    return [*([strategy.learned] if of_classes else []), *(["vectors"] if of_batch else []), *make]


def _stream_labels(plan: Plan) -> dict[str, np.ndarray]:
    """Return the class numbers by output: the training classes, or for a make head the make of each model."""
    labels = plan.labels(plan.train)
    found = dict.fromkeys(learned_outputs(plan.strategy), labels)
    if "make" in found and plan.strategy.learned != "make":
        found["make"] = plan.classes.make_numbers()[1][labels]
    return found


def _stream_weights(plan: Plan) -> np.ndarray | None:
    """Return the class weights (classes,) of the loss; None if all are equal."""
    balance = plan.strategy.balance
    if balance.weights == "none":
        return None
    by_count = balance.weights == "effective_number"
    weights = (
        effective_number(plan.class_photos(), balance.beta) if by_count else inverse_frequency(plan.class_photos())
    )
    return weights.astype(np.float32)


def _mix(plan: Plan) -> Mix | None:
    data = plan.strategy.data
    if data.mix == "none":
        return None
    classes = dict.fromkeys(learned_outputs(plan.strategy), len(plan.classes))
    if plan.strategy.model.make_weight:
        classes["make"] = len(plan.classes.make_numbers()[0])
    return Mix(data.mix, data.mix_alpha, classes, plan.strategy.train.seed)


def training_loss(plan: Plan) -> "CatalogueLoss":
    """Return the strategy's loss for Keras; KcarsError if its number of weights is not that of the classes."""
    from kcars.objectives.losses import build_loss

    settings = plan.strategy.loss.model_dump()
    if "alpha" in settings:
        settings["alpha"] = _class_weights(plan, settings["alpha"])
    if "scaled_cosines" in LOSSES[settings["name"]].takes:
        settings["margin"] = rare_margins(plan.class_photos(), settings["margin"]).tolist()
    if offsets := class_offsets(plan):
        settings["offsets"] = offsets
    return build_loss(**settings, of_batch=learned_outputs(plan.strategy)[0] == "vectors")


def class_offsets(plan: Plan) -> list[float] | None:
    """Return the training offset of each class's logit: `balance.logit_adjustment` times the log of its frequency."""
    tau = plan.strategy.balance.logit_adjustment
    return (tau * log_frequencies(plan.class_photos())).tolist() if tau else None


def _class_weights(plan: Plan, alpha: float | str | list[float]) -> float | list[float]:
    if alpha == "inverse_frequency":
        return inverse_frequency(plan.class_photos()).tolist()
    classes = 2 if plan.strategy.learns_pairs else len(plan.classes)
    if isinstance(alpha, list) and len(alpha) != classes:
        what = "kinds of pairs, different and same" if plan.strategy.learns_pairs else "classes"
        raise KcarsError(
            f"loss.alpha: {len(alpha)} numbers for {classes} {what}; give one number for each, or a single one"
        )
    assert not isinstance(alpha, str)  # `inverse_frequency` is the only text.
    return alpha


def backbone(strategy: Strategy, any_size: bool = False) -> "keras.Model":
    """Build the strategy's backbone, a Keras model from pixels to features (n, d); any_size: for progressive resizing."""
    from kcars.backbones.build import build_backbone
    from kcars.backbones.catalogue import Scale

    model, data = strategy.model, strategy.data
    return build_backbone(
        model.backbone,
        (any_size and data.first_px) or data.size_px,
        Scale(model.width, model.stem, model.drop_path),
        model.normalization,
        grid=model.auxiliary > 0,
        pooling=model.pooling,
        any_size=any_size,
    )
