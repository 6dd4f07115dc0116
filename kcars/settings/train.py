"""How long and how fast a network learns."""

from typing import Literal

from pydantic import Field

from kcars.core.base_settings import Settings, affects


class PlateauSettings(Settings):
    monitor: str = Field(default="val_loss", description="history column that must fall")
    factor: float = Field(
        default=0.5, gt=0, lt=1, description="multiplies the learning rate where the column no longer falls"
    )
    patience: int = Field(default=3, ge=0, description="epochs without a lower value before the rate is multiplied")
    floor: float = Field(default=1e-6, ge=0, description="the smallest learning rate")


class FineTuneSettings(Settings):
    head_epochs: int = Field(
        default=0, ge=0, description="epochs in which the head alone learns, before the backbone does"
    )
    epochs_per_stage: int = Field(
        default=0,
        ge=0,
        description="after those, one more stage of the backbone learns every so many epochs, the last first; 0: all",
    )
    frozen_stages: int = Field(
        default=0, ge=0, description="stages of the backbone that never learn, counted from the photo"
    )
    backbone_rate: float = Field(
        default=1.0, gt=0, le=1, description="the backbone's learning rate as a share of the head's"
    )
    batch_norm: Literal["train", "frozen"] = Field(
        default="train", description="frozen: the backbone's batch normalization keeps the statistics that it came with"
    )


class TrainSettings(Settings):
    epochs: int = Field(
        ge=1, le=1_000_000, description="passes over the training photos", json_schema_extra=affects("length")
    )
    batch: int = Field(ge=2, le=100_000, description="photos a step (pairs a step with order pairs)")
    gradient_accumulation: int = Field(
        default=1,
        ge=1,
        le=100_000,
        description="parts of a batch that pass one after the other, for less memory, before weights change",
    )
    learning_rate: float = Field(gt=0, description="base rate of AdamW; one_cycle rises to ten times it")
    weight_decay: float = Field(
        default=2e-5, ge=0, description="of AdamW, multiplied by the learning rate in each step"
    )
    decay_norms: bool = Field(default=True, description="false: no weight decay on normalizations and biases")
    ema: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="decay of an exponential moving average of the embedder's or classifier's weights, which is then kept; 0: none",
    )
    schedule: Literal["one_cycle", "warmup_cosine", "constant"] = Field(
        default="one_cycle",
        description="how the learning rate changes: up and down once, up and then down along a cosine, or not",
    )
    plateau: PlateauSettings | None = Field(default=None, description="needs schedule: constant")
    fine_tune: FineTuneSettings | None = Field(default=None, description="needs model.weights other than none")
    keep: Literal["best", "last"] = Field(
        default="best", description="the epoch that validation likes best, or the last one"
    )
    early_stopping: int | None = Field(
        default=None,
        ge=1,
        description="epochs without a better score before the end",
        json_schema_extra=affects("length"),
    )
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = Field(
        default="float32", description="auto: the fastest that the machine has units for, which the run then records"
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**32,
        description="of initial weights, batches and augmentation",
        json_schema_extra=affects("conditions"),
    )
    max_minutes: float | None = Field(
        default=None,
        gt=0,
        le=10_000_000,
        description="the schedule is fitted to this much training",
        json_schema_extra=affects("conditions"),
    )
    save_minutes: float = Field(
        default=10.0,
        gt=0,
        le=10_000_000,
        description="within an epoch, everything is saved this often; at its end always",
        json_schema_extra=affects("nothing"),
    )
    deterministic: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="the same bits in every run on one machine; auto: on a CPU",
        json_schema_extra=affects("conditions"),
    )
