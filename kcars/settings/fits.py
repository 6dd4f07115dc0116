"""Checks for conflicting settings: each function raises ValueError with the setting and the allowed values."""

from collections.abc import Iterator
from typing import Any, Protocol, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kcars.backbones.catalogue import BACKBONES, those
from kcars.losses.catalogue import LOSSES, those_for, those_of
from kcars.settings.balance import BalanceSettings
from kcars.settings.data import DataSettings
from kcars.settings.evaluate import EvaluateSettings
from kcars.settings.loss import LossSettings, SecondLossSettings
from kcars.settings.model import ModelSettings
from kcars.settings.train import TrainSettings

UNIT_VECTORS = {"cosines", "vectors"}
"""Inputs of the losses of a verifier of photos, from `losses.catalogue.TAKEN`."""


_OF_GRADIENT_DESCENT: dict[str, tuple[str, ...]] = {
    "data": ("augment", "mix", "order", "first_px"),
    "model": ("make_weight", "auxiliary", "dropout", "projection"),
    "balance": (),  # All of them.
    "train": ("gradient_accumulation", "ema", "plateau", "fine_tune", "early_stopping", "max_minutes"),
}
"""Settings that `train.method` frozen_features does not use, by section."""


class Whole(Protocol):
    """The sections and settings of a strategy that are checked."""

    @property
    def task(self) -> str: ...
    @property
    def data(self) -> DataSettings: ...
    @property
    def model(self) -> ModelSettings: ...
    @property
    def loss(self) -> LossSettings: ...
    @property
    def second_loss(self) -> SecondLossSettings | None: ...
    @property
    def balance(self) -> BalanceSettings: ...
    @property
    def train(self) -> TrainSettings: ...
    @property
    def evaluate(self) -> EvaluateSettings: ...
    @property
    def learns_pairs(self) -> bool: ...
    @property
    def learned(self) -> str: ...
    def __iter__(self) -> Iterator[tuple[str, Any]]: ...


def _takes(strategy: Whole) -> set[str]:
    """Inputs that the strategy's loss accepts, from `losses.catalogue.TAKEN`."""
    return set(LOSSES[strategy.loss.name].takes)


def _task_fits(strategy: Whole) -> None:
    """Settings of one task (`of_task`) must keep their default in the other."""
    for section, settings in strategy:
        fields: dict[str, FieldInfo] = getattr(cast("type[Any]", type(settings)), "model_fields", {})
        for name, field in fields.items():
            extra, value = cast("dict[str, Any]", field.json_schema_extra or {}), getattr(settings, name)
            task = extra.get("task", strategy.task)
            if task != strategy.task and value != field.default:
                raise ValueError(f"{section}.{name} {value} belongs to task {task}")


def _model_fits(strategy: Whole) -> None:
    model = strategy.model
    backbone = BACKBONES[model.backbone]
    if not backbone.scalable and (model.width != 1 or model.stem != "standard"):
        raise ValueError(
            f"{model.backbone} has one size: set model.width=1 and model.stem=standard (other values belong to "
            f"{', '.join(those('scalable'))})"
        )
    if model.weights == "imagenet":
        _refuse_other_than_published(model)
    if model.drop_path and not backbone.drops_paths:
        raise ValueError(f"model.drop_path belongs to {', '.join(those('drops_paths'))}")
    if model.make_weight and strategy.learned != "model":
        raise ValueError("model.make_weight belongs to target model, or to data.classes model with order plain or pk")
    if model.make_weight and not _takes(strategy) & {"logits", "scaled_cosines", "cosines"}:
        raise ValueError(f"model.make_weight of task verify belongs to loss {' or '.join(those_of('cosines'))}")
    if model.make_weight and model.auxiliary:
        raise ValueError("model.make_weight and model.auxiliary: choose one")
    if model.auxiliary and not (backbone.auxiliary and _takes(strategy) & {"logits", "scaled_cosines"}):
        raise ValueError(f"model.auxiliary belongs to task classify with backbone {', '.join(those('auxiliary'))}")


def _loss_fits(strategy: Whole) -> None:
    name, task, pairs = strategy.loss.name, strategy.task, strategy.learns_pairs
    loss, allowed = LOSSES[name], those_for(task, pairs)
    if not allowed:
        raise ValueError("data.order pairs belongs to task verify")
    if name not in allowed:
        order = "pairs" if pairs else "plain or pk"
        raise ValueError(
            f"loss {name} does not support task {task} with data.order {order}; choose one of {', '.join(allowed)}"
        )
    if strategy.model.head == "linear" and not pairs and _takes(strategy) & UNIT_VECTORS:
        raise ValueError(
            f"loss {name} with data.order {strategy.data.order} needs unit vectors: set model.head to neck or two_layers"
        )
    if strategy.model.projection and (pairs or strategy.model.head != "features"):
        raise ValueError("model.projection belongs to model.head features with data.order plain or pk")
    if "scaled_cosines" in loss.takes and strategy.model.auxiliary:
        raise ValueError(f"model.auxiliary: the auxiliary head outputs no cosines, which loss {name} needs")
    if pairs and getattr(strategy.loss, "alpha", 1.0) == "inverse_frequency":
        raise ValueError("loss.alpha inverse_frequency: half of all pairs are the same class; set two numbers instead")
    if (strategy.second_loss or "vectors" in loss.takes) and not pairs and strategy.data.order != "pk":
        raise ValueError(
            "a loss over all pairs of a batch needs several photos per class in a batch: set data.order to pk"
        )
    if strategy.second_loss and "cosines" not in loss.takes:
        raise ValueError(f"second_loss belongs to loss {' or '.join(those_of('cosines'))} of task verify")
    if (strategy.second_loss or ("vectors" in loss.takes and not pairs)) and strategy.train.gradient_accumulation > 1:
        raise ValueError(
            "train.gradient_accumulation: a loss over all pairs of a batch needs the whole batch in one step; set it to 1"
        )


def _data_fits(strategy: Whole) -> None:
    data, train = strategy.data, strategy.train
    if data.on_bad_photo == "skip" and data.cache == "off":
        raise ValueError(
            "data.on_bad_photo skip needs data.cache disk or memory: bad photos are found when all photos are decoded"
        )
    if data.classes_per_make > 1 and (data.order != "pk" or strategy.learned != "model"):
        raise ValueError("data.classes_per_make belongs to data.order pk and target model, or data.classes model")
    if data.mix != "none" and (strategy.task, strategy.loss.name) != ("classify", "cross_entropy"):
        raise ValueError("data.mix belongs to task classify with loss cross_entropy")
    if data.order == "pk" and train.batch % data.photos_per_class:
        raise ValueError(
            f"train.batch {train.batch} is not a multiple of data.photos_per_class {data.photos_per_class}"
        )
    if train.batch % train.gradient_accumulation or train.batch < 2 * train.gradient_accumulation:
        raise ValueError(
            f"train.batch {train.batch} cannot be split into {train.gradient_accumulation} equal parts of 2 or more "
            "(train.gradient_accumulation)"
        )


def _size_fits(strategy: Whole) -> None:
    data, backbone = strategy.data, BACKBONES[strategy.model.backbone]
    multiple = backbone.multiple_px
    if data.first_px and strategy.model.auxiliary:
        raise ValueError("data.first_px: progressive resizing does not support model.auxiliary")
    if data.first_px and data.first_px >= data.size_px:
        raise ValueError(f"data.first_px {data.first_px} must be below data.size_px {data.size_px}")
    if data.size_px < backbone.smallest_px:
        raise ValueError(f"data.size_px {data.size_px}: {backbone.name} needs at least {backbone.smallest_px}")
    if data.size_px % multiple:
        below = data.size_px // multiple * multiple
        raise ValueError(
            f"data.size_px {data.size_px}: {backbone.name} needs a multiple of {multiple}, such as {below} or {below + multiple}"
        )
    if data.first_px and multiple > 1:
        raise ValueError(f"data.first_px: {backbone.name} does not support progressive resizing")
    if data.first_px and data.first_px < backbone.smallest_px:
        raise ValueError(f"data.first_px {data.first_px}: {backbone.name} needs at least {backbone.smallest_px}")


def _training_fits(strategy: Whole) -> None:
    train, model = strategy.train, strategy.model
    if train.fine_tune and model.weights == "none":
        raise ValueError(
            "train.fine_tune: there is nothing to fine-tune with model.weights none; choose initial weights"
        )
    stages = len(BACKBONES[model.backbone].stages)
    if train.fine_tune and train.fine_tune.frozen_stages > stages:
        raise ValueError(
            f"train.fine_tune.frozen_stages {train.fine_tune.frozen_stages}: {model.backbone} has {stages} stages"
        )
    if train.fine_tune and train.fine_tune.head == "fitted":
        _refuse_head_without_fit(strategy)
    if train.keep == "last" and train.early_stopping:
        raise ValueError("train.early_stopping monitors a validation score, which train.keep last does not use")
    if not train.plateau:
        return
    if train.plateau.monitor == "val_loss" and not strategy.learns_pairs and _takes(strategy) & UNIT_VECTORS:
        raise ValueError(
            f"loss {strategy.loss.name} has no val_loss on unseen models; set train.plateau.monitor to loss"
        )
    if strategy.evaluate.folds:
        raise ValueError("train.plateau monitors a validation score; training on all photos after the folds has none")
    if train.schedule != "constant":
        raise ValueError("train.plateau changes the learning rate itself: it needs train.schedule constant")


def _refuse_head_without_fit(strategy: Whole) -> None:
    """Only a linear layer on the features, and the head "neck" with class directions, can begin fitted."""
    takes, model = _takes(strategy), strategy.model
    neck = model.head == "neck" or model.projection
    if ("logits" in takes and not model.auxiliary) or ("cosines" in takes and neck):
        return
    raise ValueError(
        f"train.fine_tune.head fitted belongs to loss {' or '.join(those_of('logits'))} without model.auxiliary, or to loss "
        f"{' or '.join(those_of('cosines'))} with model.head neck or model.projection"
    )


def _evaluation_fits(strategy: Whole) -> None:
    shrinkage = strategy.evaluate.shrinkage
    if shrinkage != "chosen" and not 0 <= shrinkage <= 1:
        raise ValueError(f"evaluate.shrinkage {shrinkage}: must be from 0 to 1, or chosen")
    if strategy.evaluate.directions and strategy.evaluate.distance not in ("lda", "weighted_lda"):
        raise ValueError("evaluate.directions belongs to evaluate.distance lda or weighted_lda")
    if strategy.evaluate.adjust == "tau_norm" and "scaled_cosines" in LOSSES[strategy.loss.name].takes:
        raise ValueError(
            f"evaluate.adjust tau_norm: with loss {strategy.loss.name} all class weights have the same norm; choose logits or class_means"
        )


def _frozen_features_fit(strategy: Whole) -> None:
    """Settings of gradient descent must keep their default."""
    if strategy.train.method != "frozen_features":
        return
    if strategy.model.weights == "none":
        raise ValueError("train.method frozen_features: features of random weights are useless; set model.weights")
    if strategy.train.epochs != 1:
        raise ValueError("train.epochs: train.method frozen_features fits the head once; set it to 1")
    if _takes(strategy) & UNIT_VECTORS and strategy.model.head != "features":
        raise ValueError("train.method frozen_features of task verify needs model.head features")
    if strategy.evaluate.adjust != "none":  # Folds choose the temperature of the head that they fitted, not of another.
        raise ValueError(f"evaluate.adjust {strategy.evaluate.adjust} belongs to train.method gradient")
    if strategy.second_loss:
        raise ValueError("second_loss belongs to train.method gradient")
    for section, names in _OF_GRADIENT_DESCENT.items():
        settings = cast("BaseModel", getattr(strategy, section))
        fields = type(settings).model_fields
        for name in names or fields:
            if (value := getattr(settings, name)) != fields[name].default:
                raise ValueError(f"{section}.{name} {value} belongs to train.method gradient")


def _balance_fits(strategy: Whole) -> None:
    balance = strategy.balance
    if balance.sampling != "natural" and strategy.data.order != "plain":
        raise ValueError(f"balance.sampling {balance.sampling} belongs to data.order plain")
    if balance.begin and (balance.sampling, balance.weights) == ("natural", "none"):
        raise ValueError("balance.begin: there is nothing to defer; set balance.sampling or balance.weights")
    if balance.weights != "none" and strategy.learns_pairs:
        raise ValueError("balance.weights: pairs have no class; weight different and same pairs with loss.alpha")
    if balance.logit_adjustment and (strategy.task, strategy.loss.name) != ("classify", "cross_entropy"):
        raise ValueError("balance.logit_adjustment belongs to task classify with loss cross_entropy")
    if balance.augment and strategy.learns_pairs:
        raise ValueError("balance.augment belongs to data.order plain or pk")


def _refuse_other_than_published(model: ModelSettings) -> None:
    wanted = BACKBONES[model.backbone].normalization
    if wanted is None:
        raise ValueError(
            f"model.weights imagenet: {model.backbone} has no ImageNet weights; {', '.join(those('imagenet'))} have"
        )
    if (model.normalization, model.width, model.stem) != (wanted, 1, "standard"):
        raise ValueError(
            f"model.weights imagenet of {model.backbone} needs model.normalization {wanted}, width 1 and stem standard"
        )


FITS = (
    _task_fits,
    _model_fits,
    _loss_fits,
    _data_fits,
    _size_fits,
    _training_fits,
    _evaluation_fits,
    _balance_fits,
    _frozen_features_fit,
)
