"""What can be set: every section of a strategy, its ranges, its defaults, and what does not fit together."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

TASKS = ("classify", "verify")
DIFFICULTIES = ("easy", "medium", "hard")
RESIDUAL = ("resnet18", "simple_resnet", "simple_resnet_large")
# What the backbones' ImageNet weights were trained on.
IMAGENET_NORMALIZATION = {
    "resnet18": "imagenet",
    "inception_v3": "half",
    "resnet50": "caffe",
    "efficientnet_b0": "imagenet",
}


# Parts of a backbone that fine-tuning freezes and thaws, from the photo on (`models/stages.py`).
STAGES = dict.fromkeys(RESIDUAL, 5) | {"inception_v3": 4, "resnet50": 5, "efficientnet_b0": 8}


class Settings(BaseModel):
    """Frozen and strict: an unknown key or a value of another type is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DataSettings(Settings):
    size_px: int = Field(ge=32, le=1024, description="side of the square photo that the network sees")
    crop: Literal["box", "whole"] = Field("box", description="cut to the labelled box, or keep the whole photo")
    padding: float = Field(0.10, ge=0, le=1, description="added around the box, as a share of its sides")
    augment: str = Field("", description="text chain, e.g. flip(0.5) | brightness_contrast(0.2)")
    order: Literal["plain", "pairs", "pk"] = Field(
        "plain", description="plain: each photo once an epoch; pairs: random pairs; pk: P classes x K photos"
    )
    photos_per_class: int = Field(4, ge=2, description="K of order pk; P is train.batch / K")
    cache: Literal["disk", "memory", "off"] = Field("disk", description="where decoded photos are kept")
    split: Literal["listed", "all"] = Field(
        "listed",
        description="listed: the dataset's own lists, where it has some; all: every photo, split by split_seed",
    )
    test_list: str = Field(
        "test", pattern="^[a-z_]+$", description="classification list of a CompCars tree that is tested on"
    )
    test_share: float = Field(0.3, gt=0, le=0.5, description="photos (verify: models) that an automatic split tests on")
    split_seed: int = Field(0, ge=0, lt=2**32, description="of an automatic split; train.seed changes no test")
    on_bad_photo: Literal["stop", "skip"] = Field(
        "stop", description="photos that cannot be decoded end a run with their names, or are left out and recorded"
    )
    workers: int = Field(
        0, ge=0, description="threads that read and augment; 0: two, or one a core where photos are decoded anew"
    )
    prefetch: int = Field(4, ge=1, description="batches made ahead of the network")


class ModelSettings(Settings):
    backbone: Literal["resnet18", "simple_resnet", "simple_resnet_large", "inception_v3", "resnet50", "efficientnet_b0"]
    width: float = Field(1.0, gt=0, le=4, description="multiplies the widths of every stage")
    stem: Literal["standard", "compact"] = Field(
        "standard", description="standard: 7x7/2 and 3x3/2 maximum; compact: 5x5/2 and 2x2/2 maximum, for small photos"
    )
    normalization: Literal["compcars", "imagenet", "half", "caffe"] = Field(
        "compcars", description="mean and deviation taken from the pixels inside the model"
    )
    weights: str = Field(
        "none",
        description="what the backbone begins with: none, imagenet, or a .safetensors, .weights.h5 or .keras file",
    )
    auxiliary: float = Field(
        0.0, ge=0, le=1, description="weight of the loss of inception_v3's auxiliary head, in training; 0: no such head"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="before the classifier head")
    embedding: int = Field(512, ge=2, description="dimensions of the vector (verification)")
    head: Literal["neck", "two_layers", "linear"] = Field(
        "neck",
        description="verification: batch normalization, linear layer, unit length; that with a hidden layer before; "
        "or a linear layer alone",
    )


def _refuse_other_than_published(model: ModelSettings) -> None:
    if model.backbone not in IMAGENET_NORMALIZATION:
        raise ValueError(f"model.weights imagenet: {', '.join(IMAGENET_NORMALIZATION)} have them, not {model.backbone}")
    wanted = IMAGENET_NORMALIZATION[model.backbone]
    if (model.normalization, model.width, model.stem) != (wanted, 1, "standard"):
        raise ValueError(
            f"model.weights imagenet of {model.backbone} need model.normalization {wanted}, width 1 and stem standard"
        )


# (task, whether pairs are learned from) -> losses
LOSSES_OF = {
    ("classify", False): ("cross_entropy", "focal", "sigmoid_focal"),
    ("classify", True): (),
    ("verify", False): ("arcface",),
    ("verify", True): ("contrastive", "binary_cross_entropy", "sigmoid_focal"),
}


class CrossEntropySettings(Settings):
    name: Literal["cross_entropy"]
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class BinaryCrossEntropySettings(Settings):
    name: Literal["binary_cross_entropy"]
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class FocalSettings(Settings):
    name: Literal["focal", "sigmoid_focal"]
    gamma: float = Field(2.0, ge=0, description="focusing exponent")
    alpha: Annotated[float, Field(gt=0)] | Literal["inverse_frequency"] | list[Annotated[float, Field(ge=0)]] = Field(
        1.0,
        description="weight of the loss; of each class (of different and same pairs); or inverse_frequency: of each class, "
        "1 over its share of training photos, with mean 1 over the photos",
    )


class ContrastiveSettings(Settings):
    name: Literal["contrastive"]
    margin: float = Field(1.0, gt=0, le=2, description="distance beyond which other classes cost nothing")


class ArcFaceSettings(Settings):
    name: Literal["arcface"]
    margin: float = Field(0.2, ge=0, lt=1.57, description="angle in radians added to the label's")
    scale: float = Field(16.0, gt=0, description="multiplies the cosines")
    label_smoothing: float = Field(0.0, ge=0, lt=1)


LossSettings = Annotated[
    CrossEntropySettings | BinaryCrossEntropySettings | FocalSettings | ContrastiveSettings | ArcFaceSettings,
    Field(discriminator="name"),
]


class PlateauSettings(Settings):
    monitor: str = Field("val_loss", description="history column that must fall")
    factor: float = Field(0.5, gt=0, lt=1)
    patience: int = Field(3, ge=0)
    floor: float = Field(1e-6, ge=0)


class FineTuneSettings(Settings):
    head_epochs: int = Field(0, ge=0, description="epochs in which the head alone learns, before the backbone does")
    epochs_per_stage: int = Field(
        0,
        ge=0,
        description="after those, one more stage of the backbone learns every so many epochs, the last first; 0: all",
    )
    frozen_stages: int = Field(0, ge=0, description="stages of the backbone that never learn, counted from the photo")
    backbone_rate: float = Field(1.0, gt=0, le=1, description="the backbone's learning rate as a share of the head's")
    batch_norm: Literal["train", "frozen"] = Field(
        "train", description="frozen: the backbone's batch normalization keeps the statistics that it came with"
    )


class TrainSettings(Settings):
    epochs: int = Field(ge=1)
    batch: int = Field(ge=2, description="photos a step (pairs a step with order pairs)")
    gradient_accumulation: int = Field(
        1, ge=1, description="parts of a batch that pass one after the other, for less memory, before weights change"
    )
    learning_rate: float = Field(gt=0, description="base rate of AdamW; one_cycle rises to ten times it")
    weight_decay: float = Field(2e-5, ge=0)
    schedule: Literal["one_cycle", "warmup_cosine", "constant"] = "one_cycle"
    plateau: PlateauSettings | None = Field(None, description="needs schedule: constant")
    fine_tune: FineTuneSettings | None = Field(None, description="needs model.weights other than none")
    early_stopping: int | None = Field(None, ge=1, description="epochs without a better score before the end")
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = Field(
        "float32", description="auto: the fastest that the machine has units for, which the run then records"
    )
    seed: int = Field(0, ge=0, lt=2**32)
    max_minutes: float | None = Field(None, gt=0, description="the schedule is fitted to this much training")
    save_minutes: float = Field(
        10.0, gt=0, description="within an epoch, everything is saved this often; at its end always"
    )
    deterministic: Literal["auto", "on", "off"] = Field(
        "auto", description="the same bits in every run on one machine; auto: on a CPU"
    )


class EvaluateSettings(Settings):
    protocol: Literal["honest", "paper"] = Field(
        "honest", description="paper: epoch and threshold are chosen on the test itself, for comparison with the paper"
    )
    metric: Literal["euclidean", "lda"] = Field(
        "euclidean",
        description="verification: distances of embeddings as they are, or after linear discriminant analysis of those of "
        "the training photos; where folds validate, as they are",
    )
    mirror: bool = Field(True, description="average the outputs of each photo and of its mirror image")
    shift: float = Field(
        0.0,
        ge=0,
        le=0.25,
        description="average them also over the photo moved left, right, up and down by this share of its side; 0: not",
    )
    batch: int = Field(128, ge=1)
    validation_share: float = Field(0.1, gt=0, lt=0.5, description="classification: share of the training list")
    validation_models: int = Field(8, ge=4, description="verification: models held out, at least 2 a make")
    folds: int | None = Field(
        None,
        ge=0,
        le=20,
        description="verification: folds by make instead; 4 where fewer than 60 models train; 0: none",
    )
    validation_pairs: int = Field(3000, ge=10, description="pairs drawn for each difficulty")
    resamples: int = Field(1000, ge=100, description="bootstrap resamples behind each 95 % interval")


class Strategy(Settings):
    """Everything that decides a run, but the dataset's place."""

    about: str = Field("", description="one line that `kcars strategies` prints")
    task: Literal["classify", "verify"]
    target: Literal["make", "model"] = "model"
    difficulty: Literal["easy", "medium", "hard"] = Field(
        "hard",
        description="verify: whose validation pairs choose the best epoch; medium when the target is make",
    )
    data: DataSettings
    model: ModelSettings
    loss: LossSettings
    train: TrainSettings
    evaluate: EvaluateSettings = Field(default_factory=EvaluateSettings)

    @model_validator(mode="before")
    @classmethod
    def _difficulty_of_target(cls, settings):
        # Hard pairs are all of one make: labelled by make, nothing is left to tell apart.
        if isinstance(settings, dict) and settings.get("target") == "make" and "difficulty" not in settings:
            return {**settings, "difficulty": "medium"}
        return settings

    @property
    def deciding(self) -> str:
        """The difficulty whose pairs choose epoch and threshold: that of the strategy, where its labels are defined."""
        hard_by_make = self.target == "make" and self.difficulty == "hard" and self.evaluate.protocol == "honest"
        return "medium" if hard_by_make else self.difficulty

    @model_validator(mode="after")
    def _fits_together(self):
        for fits in (_model_fits, _loss_fits, _data_fits, _training_fits, _evaluation_fits):
            fits(self)
        return self


def _model_fits(strategy: Strategy) -> None:
    model = strategy.model
    if model.backbone not in RESIDUAL and (model.width != 1 or model.stem != "standard"):
        raise ValueError(f"model.width and model.stem belong to {', '.join(RESIDUAL)}")
    if model.weights == "imagenet":
        _refuse_other_than_published(model)
    if model.auxiliary and (model.backbone != "inception_v3" or strategy.task != "classify"):
        raise ValueError("model.auxiliary belongs to task classify with backbone inception_v3")


def _loss_fits(strategy: Strategy) -> None:
    name, task, pairs = strategy.loss.name, strategy.task, strategy.data.order == "pairs"
    allowed = LOSSES_OF[task, pairs]
    if not allowed:
        raise ValueError("data.order pairs belongs to task verify")
    if name not in allowed:
        order = "pairs" if pairs else "plain or pk"
        raise ValueError(f"loss {name} does not go with task {task} and data.order {order}; {', '.join(allowed)} do")
    if strategy.model.head == "linear" and name == "arcface":
        raise ValueError("loss arcface takes unit vectors: model.head neck or two_layers")
    if pairs and getattr(strategy.loss, "alpha", 1.0) == "inverse_frequency":
        raise ValueError("loss.alpha inverse_frequency: half of all pairs are the same; give two numbers instead")


def _data_fits(strategy: Strategy) -> None:
    data, train = strategy.data, strategy.train
    if data.on_bad_photo == "skip" and data.cache == "off":
        raise ValueError(
            "data.on_bad_photo skip needs data.cache disk or memory: bad photos are known once all are decoded"
        )
    if data.order == "pk" and train.batch % data.photos_per_class:
        raise ValueError(
            f"train.batch {train.batch} is not a multiple of data.photos_per_class {data.photos_per_class}"
        )
    if train.batch % train.gradient_accumulation or train.batch < 2 * train.gradient_accumulation:
        raise ValueError(
            f"train.batch {train.batch} does not fall into {train.gradient_accumulation} equal parts of 2 or more "
            "(train.gradient_accumulation)"
        )


def _training_fits(strategy: Strategy) -> None:
    train, model = strategy.train, strategy.model
    if train.fine_tune and model.weights == "none":
        raise ValueError("train.fine_tune: model.weights none leaves nothing to tune; name weights to begin with")
    if train.fine_tune and train.fine_tune.frozen_stages > STAGES[model.backbone]:
        raise ValueError(
            f"train.fine_tune.frozen_stages {train.fine_tune.frozen_stages}: {model.backbone} has {STAGES[model.backbone]}"
        )
    if not train.plateau:
        return
    if train.plateau.monitor == "val_loss" and strategy.loss.name == "arcface":
        raise ValueError("loss arcface has no val_loss on unseen models; let train.plateau.monitor be loss")
    if strategy.evaluate.folds:
        raise ValueError("train.plateau follows a validation score, which training on everything after folds has not")
    if train.schedule != "constant":
        raise ValueError("train.plateau changes the rate itself: it needs train.schedule constant")


def _evaluation_fits(strategy: Strategy) -> None:
    if strategy.evaluate.metric == "lda" and strategy.task != "verify":
        raise ValueError("evaluate.metric lda belongs to task verify")
