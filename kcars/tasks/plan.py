"""Plan: what a run learns from, validates on and tests on, settled before any pixel is read."""

from dataclasses import dataclass, field

import numpy as np

from kcars.data.index import Classes, Dataset, Pairs
from kcars.images.augment import Augment
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
    """What a task found on a split: scores and 95 % intervals by `split/name`; tables: file name -> columns."""

    scores: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    tables: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)


def history_column(key: str) -> str:
    """Where a validation score stands in the history: validation_hard/roc_auc -> val_hard_roc_auc."""
    return "val_" + key.removeprefix("validation").lstrip("_/").replace("/", "_")


def training_stream(plan: Plan, store) -> Stream:
    """The endless sequence of batches that both tasks learn from; an auxiliary head learns the same labels."""
    settings, labels = plan.strategy, plan.labels(plan.train)
    outputs = [settings.target, "auxiliary"] if settings.model.auxiliary else [settings.target]
    return Stream(
        store=store,
        rows=plan.train,
        labels=dict.fromkeys(outputs, labels),
        key_target=settings.target,
        order=settings.data.order,
        batch_size=settings.train.batch,
        photos_per_class=settings.data.photos_per_class,
        seed=settings.train.seed,
        augment=Augment(settings.data.augment, settings.train.seed),
    )


def backbone(plan: Plan):
    """The strategy's backbone as a Keras model, pixels to features (n, d)."""
    from kcars.models.backbones import build_backbone

    model = plan.strategy.model
    size, grid = plan.strategy.data.size_px, model.auxiliary > 0
    return build_backbone(model.backbone, size, model.width, model.stem, model.normalization, grid)
