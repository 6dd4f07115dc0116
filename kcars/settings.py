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
    workers: int = Field(0, ge=0, description="threads that read and augment; 0: one a core")
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


class CrossEntropySettings(Settings):
    name: Literal["cross_entropy"]
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class FocalSettings(Settings):
    name: Literal["focal", "sigmoid_focal"]
    gamma: float = Field(2.0, ge=0, description="focusing exponent")
    alpha: float = Field(1.0, gt=0, description="weight of the loss")


class ContrastiveSettings(Settings):
    name: Literal["contrastive"]
    margin: float = Field(1.0, gt=0, le=2, description="distance beyond which other classes cost nothing")


class ArcFaceSettings(Settings):
    name: Literal["arcface"]
    margin: float = Field(0.2, ge=0, lt=1.57, description="angle in radians added to the label's")
    scale: float = Field(16.0, gt=0, description="multiplies the cosines")
    label_smoothing: float = Field(0.0, ge=0, lt=1)


LossSettings = Annotated[
    CrossEntropySettings | FocalSettings | ContrastiveSettings | ArcFaceSettings, Field(discriminator="name")
]


class PlateauSettings(Settings):
    monitor: str = Field("val_loss", description="history column that must fall")
    factor: float = Field(0.5, gt=0, lt=1)
    patience: int = Field(3, ge=0)
    floor: float = Field(1e-6, ge=0)


class TrainSettings(Settings):
    epochs: int = Field(ge=1)
    batch: int = Field(ge=2, description="photos a step (pairs a step with order pairs)")
    learning_rate: float = Field(gt=0, description="base rate of AdamW; one_cycle rises to ten times it")
    weight_decay: float = Field(2e-5, ge=0)
    schedule: Literal["one_cycle", "warmup_cosine", "constant"] = "one_cycle"
    plateau: PlateauSettings | None = Field(None, description="needs schedule: constant")
    early_stopping: int | None = Field(None, ge=1, description="epochs without a better score before the end")
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
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
    mirror: bool = Field(True, description="average the outputs of each photo and of its mirror image")
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

    @model_validator(mode="after")
    def _fits_together(self):
        pairs = self.data.order == "pairs"
        if pairs != (self.loss.name == "contrastive"):
            raise ValueError("loss contrastive and data.order pairs go together, and with no other")
        if pairs and self.task == "classify":
            raise ValueError("data.order pairs belongs to task verify")
        residual = self.model.backbone in RESIDUAL
        if not residual and (self.model.width != 1 or self.model.stem != "standard"):
            raise ValueError(f"model.width and model.stem belong to {', '.join(RESIDUAL)}")
        if self.model.weights == "imagenet":
            _refuse_other_than_published(self.model)
        if self.model.auxiliary and (self.model.backbone != "inception_v3" or self.task != "classify"):
            raise ValueError("model.auxiliary belongs to task classify with backbone inception_v3")
        if self.model.head == "linear" and self.loss.name == "arcface":
            raise ValueError("loss arcface takes unit vectors: model.head neck or two_layers")
        if self.loss.name == "arcface" and self.task == "classify":
            raise ValueError("loss arcface belongs to task verify")
        if self.task == "verify" and self.loss.name not in ("contrastive", "arcface"):
            raise ValueError(f"loss {self.loss.name} belongs to task classify; verify takes contrastive or arcface")
        relabelled = self.target == "make" and self.evaluate.protocol == "honest"
        if self.task == "verify" and relabelled and self.difficulty == "hard":
            raise ValueError("hard pairs are all of one make, so target make is undefined there; take easy or medium")
        if self.data.on_bad_photo == "skip" and self.data.cache == "off":
            raise ValueError(
                "data.on_bad_photo skip needs data.cache disk or memory: bad photos are known once all are decoded"
            )
        if self.data.order == "pk" and self.train.batch % self.data.photos_per_class:
            raise ValueError(
                f"train.batch {self.train.batch} is not a multiple of data.photos_per_class "
                f"{self.data.photos_per_class}"
            )
        if self.train.plateau and self.train.plateau.monitor == "val_loss" and self.loss.name == "arcface":
            raise ValueError("loss arcface has no val_loss on unseen models; let train.plateau.monitor be loss")
        if self.train.plateau and self.evaluate.folds:
            raise ValueError(
                "train.plateau follows a validation score, which training on everything after folds has not"
            )
        if self.train.plateau and self.train.schedule != "constant":
            raise ValueError("train.plateau changes the rate itself: it needs train.schedule constant")
        return self
