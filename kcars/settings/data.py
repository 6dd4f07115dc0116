"""Which photos a run sees, how they are cut, changed and put in order."""

from typing import Literal

from pydantic import Field

from kcars.core.base_settings import Settings, affects, of_task


class DataSettings(Settings):
    size_px: int = Field(ge=32, le=1024, description="side of the square photo that the network sees")
    crop: Literal["box", "whole"] = Field(default="box", description="cut to the labelled box, or keep the whole photo")
    padding: float = Field(default=0.10, ge=0, le=1, description="added around the box, as a share of its sides")
    first_px: int | None = Field(
        default=None,
        ge=32,
        le=1024,
        description="side that photos begin with, in steps of 16 to size_px (progressive resizing)",
    )
    growth: float = Field(
        default=0.6, gt=0, lt=1, description="share of the epochs after which photos have size_px, with first_px"
    )
    augment: str = Field(default="", description="text chain, e.g. flip(0.5) | brightness_contrast(0.2)")
    mix: Literal["none", "mixup", "cutmix", "both"] = Field(
        default="none",
        description="classification: blend two photos of a batch, or paste a part of one; both: in turn, by chance",
    )
    mix_alpha: float = Field(
        default=0.2,
        gt=0,
        le=1_000,
        description="of the beta distribution that the second photo's share is drawn from, of mixup and of cutmix; "
        "1, as cutmix's paper has it: uniform",
    )
    order: Literal["plain", "pairs", "pk"] = Field(
        default="plain", description="plain: each photo once an epoch; pairs: random pairs; pk: P classes x K photos"
    )
    classes: Literal["target", "model"] = Field(
        default="target",
        description="verification, order plain or pk: what losses and batches take for classes, the target's or models; by "
        "models makes are told apart better",
        json_schema_extra=of_task("verify"),
    )
    photos_per_class: int = Field(default=4, ge=2, le=100_000, description="K of order pk; P is train.batch / K")
    classes_per_make: int = Field(
        default=1,
        ge=1,
        description="order pk: models of one make that share a batch, where a make has so many; 1: by chance",
    )
    cache: Literal["disk", "memory", "off"] = Field(
        default="disk", description="where decoded photos are kept", json_schema_extra=affects("conditions")
    )
    split: Literal["listed", "all"] = Field(
        default="listed",
        description="listed: the dataset's own lists, where it has some; all: every photo, split by split_seed",
        json_schema_extra=affects("measurement"),
    )
    test_list: str = Field(
        default="test",
        pattern="^[a-z_]+$",
        description="classification list of a CompCars tree that is tested on",
        json_schema_extra=affects("measurement"),
    )
    test_share: float = Field(
        default=0.3,
        gt=0,
        le=0.5,
        description="photos (verify: models) that an automatic split tests on",
        json_schema_extra=affects("measurement"),
    )
    split_seed: int = Field(
        default=0,
        ge=0,
        lt=2**32,
        description="of an automatic split; train.seed changes no test",
        json_schema_extra=affects("measurement"),
    )
    on_bad_photo: Literal["stop", "skip"] = Field(
        default="stop",
        description="photos that cannot be decoded end a run with their names, or are left out and recorded",
        json_schema_extra=affects("measurement"),
    )
    workers: int = Field(
        default=0,
        ge=0,
        le=256,
        description="threads that read and augment; 0: two, or one a core where photos are decoded anew",
        json_schema_extra=affects("nothing"),
    )
    prefetch: int = Field(
        default=4, ge=1, le=1_000, description="batches made ahead of the network", json_schema_extra=affects("nothing")
    )
