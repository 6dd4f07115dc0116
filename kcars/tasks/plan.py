"""Plan: what a run learns from, validates on and tests on, settled before any pixel is read."""

from dataclasses import dataclass, field

import numpy as np

from kcars.data.index import Classes, Dataset, Pairs
from kcars.errors import KcarsError
from kcars.images.augment import Augment
from kcars.images.mix import Mix
from kcars.settings import Strategy
from kcars.stream import Stream


@dataclass(frozen=True)
class Plan:
    """Rows and labels of a run.

    train, validation: Index rows; classes: of the strategy's target, from all listed training photos; pairs: split ->
    Pairs with labels of the target, "validation/<difficulty>" and "test/<difficulty>" (verify only).
    """

    dataset: Dataset
    strategy: Strategy
    train: np.ndarray
    validation: np.ndarray
    classes: Classes
    pairs: dict[str, Pairs] = field(default_factory=dict)

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Class numbers (n,) int32 of Index rows; -1 for a class that training does not know."""
        return self.classes.labels(self.dataset.index.ids[self.strategy.target][rows])


@dataclass(frozen=True)
class Network:
    """trained: the Keras model that `fit` sees; scored: the part of it whose outputs are scored and kept."""

    trained: object
    scored: object


@dataclass
class Result:
    """What a task found on a split: scores and 95 % intervals by `split/name`; tables: file name -> columns.

    curves, of validation: `roc/<difficulty>` and `distances/<difficulty>`, as `kcars.curves` gives them, of each
    difficulty with same and different pairs; or `confusion`, counts (classes, classes), row = label.
    """

    scores: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    tables: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    curves: dict[str, np.ndarray] = field(default_factory=dict)


def history_column(key: str) -> str:
    """Where a validation score stands in the history: validation_hard/roc_auc -> val_hard_roc_auc."""
    return "val_" + key.removeprefix("validation").lstrip("_/").replace("/", "_")


def curve_table(curves: dict[str, dict]) -> dict[str, np.ndarray]:
    """Curves by name, columns of equal length each, as one table whose first column is the name."""
    names = np.repeat(list(curves), [len(next(iter(curve.values()))) for curve in curves.values()]).astype(object)
    first = next(iter(curves.values()), {})
    return {
        "split": names,
        **{key: np.concatenate([curve[key] for curve in curves.values()]).round(6) for key in first},
    }


def training_stream(plan: Plan, store) -> Stream:
    """The endless sequence of batches that both tasks learn from; an auxiliary head learns the same labels."""
    settings, labels, seed = plan.strategy, plan.labels(plan.train), plan.strategy.train.seed
    data, balance = settings.data, settings.balance
    outputs = [settings.target, "auxiliary"] if settings.model.auxiliary else [settings.target]
    return Stream(
        store=store,
        rows=plan.train,
        labels=dict.fromkeys(outputs, labels),
        key_target=settings.target,
        order=data.order,
        batch_size=settings.train.batch,
        photos_per_class=data.photos_per_class,
        seed=seed,
        augment=Augment(data.augment, seed),
        parts=settings.train.gradient_accumulation,
        rare_augment=Augment(balance.augment, seed, "balance.augment") if balance.augment else None,
        sampling=balance.sampling,
        mix=_mix(plan, outputs),
    )


def _mix(plan: Plan, outputs: list[str]) -> Mix | None:
    data = plan.strategy.data
    if data.mix == "none":
        return None
    return Mix(data.mix, data.mix_alpha, dict.fromkeys(outputs, len(plan.classes)), plan.strategy.train.seed)


def training_loss(plan: Plan):
    """The strategy's loss as Keras takes it; KcarsError where it weighs another number of classes than there are."""
    from kcars.losses import build_loss

    settings = plan.strategy.loss.model_dump()
    if "alpha" in settings:
        settings["alpha"] = _class_weights(plan, settings["alpha"])
    return build_loss(**settings)


def _class_weights(plan: Plan, alpha: float | str | list[float]) -> float | list[float]:
    if alpha == "inverse_frequency":
        photos = np.bincount(plan.labels(plan.train), minlength=len(plan.classes))
        return (len(plan.train) / (np.maximum(photos, 1) * np.count_nonzero(photos))).tolist()
    classes = 2 if plan.strategy.data.order == "pairs" else len(plan.classes)
    if isinstance(alpha, list) and len(alpha) != classes:
        raise KcarsError(f"loss.alpha: {len(alpha)} numbers for {classes} classes; give one of each, or one for all")
    return alpha


def backbone(plan: Plan):
    """The strategy's backbone as a Keras model, pixels to features (n, d)."""
    from kcars.models.backbones import build_backbone

    model = plan.strategy.model
    size, grid = plan.strategy.data.size_px, model.auxiliary > 0
    return build_backbone(model.backbone, size, model.width, model.stem, model.normalization, grid)
