"""Settings of training: epochs, optimizer, schedule and checkpoints."""

from typing import Literal

from pydantic import Field

from kcars.core.base_settings import Settings, added_later, affects


class PlateauSettings(Settings):
    monitor: str = Field(default="val_loss", description="history column that should decrease")
    factor: float = Field(
        default=0.5, gt=0, lt=1, description="multiplies the learning rate when the column stops decreasing"
    )
    patience: int = Field(
        default=3, ge=0, description="epochs without a lower value before the learning rate is multiplied"
    )
    floor: float = Field(default=1e-6, ge=0, description="minimum learning rate")


class FineTuneSettings(Settings):
    head_epochs: int = Field(
        default=0, ge=0, description="epochs in which only the head is trained, before the backbone"
    )
    epochs_per_stage: int = Field(
        default=0,
        ge=0,
        description="after those, unfreeze one more stage of the backbone every so many epochs, the last first; 0: all at once",
    )
    frozen_stages: int = Field(
        default=0, ge=0, description="stages of the backbone that stay frozen, counted from the input"
    )
    head: Literal["random", "fitted"] = Field(
        default="random",
        description="initial head: random, or fitted to the features of the initial backbone by linear discriminant analysis",
        json_schema_extra=added_later(),
    )
    backbone_rate: float = Field(
        default=1.0, gt=0, le=100, description="learning rate of the backbone as a multiple of the head's"
    )
    relative_rate: bool = Field(
        default=False,
        description="multiply the learning rate of each filter of the backbone by the root mean square of its initial weights, so "
        "that all change at one relative rate; with frozen batch normalization this allows higher rates",
        json_schema_extra=added_later(),
    )
    batch_norm: Literal["train", "frozen"] = Field(
        default="train", description="frozen: batch normalization of the backbone keeps its initial statistics"
    )


class TrainSettings(Settings):
    epochs: int = Field(
        ge=1, le=1_000_000, description="passes over the training photos", json_schema_extra=affects("length")
    )
    batch: int = Field(ge=2, le=100_000, description="photos per step (with order pairs: pairs per step)")
    gradient_accumulation: int = Field(
        default=1,
        ge=1,
        le=100_000,
        description="parts into which a batch is split to save memory; weights are updated after the last",
    )
    learning_rate: float = Field(
        gt=0, description="base learning rate of AdamW; one_cycle rises to ten times this rate"
    )
    weight_decay: float = Field(
        default=2e-5, ge=0, description="weight decay of AdamW, multiplied by the learning rate in each step"
    )
    decay_norms: bool = Field(default=True, description="false: no weight decay on normalization layers and biases")
    ema: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="decay of an exponential moving average of the embedder's or classifier's weights, which is saved instead; 0: off",
    )
    schedule: Literal["one_cycle", "warmup_cosine", "constant"] = Field(
        default="one_cycle",
        description="learning-rate schedule: one rise and fall, warmup and cosine decay, or constant",
    )
    plateau: PlateauSettings | None = Field(
        default=None, description="reduces the learning rate on a plateau; needs schedule constant"
    )
    fine_tune: FineTuneSettings | None = Field(
        default=None, description="fine-tunes initial weights; needs model.weights other than none"
    )
    keep: Literal["best", "last"] = Field(
        default="best", description="checkpoint to use: the epoch with the best validation score, or the last"
    )
    early_stopping: int | None = Field(
        default=None,
        ge=1,
        description="epochs without a better validation score before training stops",
        json_schema_extra=affects("length"),
    )
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = Field(
        default="float32", description="auto: the fastest that the hardware supports, recorded in the run"
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**32,
        description="seed of initial weights, batches and augmentation",
        json_schema_extra=affects("conditions"),
    )
    max_minutes: float | None = Field(
        default=None,
        gt=0,
        le=10_000_000,
        description="training time to which the schedule is fitted",
        json_schema_extra=affects("conditions"),
    )
    save_minutes: float = Field(
        default=10.0,
        gt=0,
        le=10_000_000,
        description="minutes between saves of the training state within an epoch; it is also saved after each epoch",
        json_schema_extra=affects("nothing"),
    )
    deterministic: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="identical results in every run on one machine; auto: on for CPUs",
        json_schema_extra=affects("conditions"),
    )
    method: Literal["gradient", "frozen_features"] = Field(
        default="gradient",
        description="gradient: train the network by gradient descent; frozen_features: keep the backbone's initial weights, "
        "compute its features of each photo once, and fit only the head to them: a linear classifier, or the distance transform",
        json_schema_extra=added_later(),
    )
