"""Settings of the data: cropping, augmentation, batch order and splits."""

from typing import Literal

from pydantic import Field

from kcars.core.base_settings import Settings, affects, of_task


class DataSettings(Settings):
    size_px: int = Field(ge=32, le=1024, description="side of the square input photo in pixels")
    crop: Literal["box", "whole"] = Field(
        default="box", description="box: crop to the labelled box; whole: keep the whole photo"
    )
    padding: float = Field(default=0.10, ge=0, le=1, description="margin around the box, as a share of its sides")
    first_px: int | None = Field(
        default=None,
        ge=32,
        le=1024,
        description="progressive resizing: initial side of the photos, raised in steps of 16 to size_px",
    )
    growth: float = Field(
        default=0.6, gt=0, lt=1, description="with first_px: share of the epochs after which photos have size_px"
    )
    augment: str = Field(default="", description="text chain, e.g. flip(0.5) | brightness_contrast(0.2)")
    mix: Literal["none", "mixup", "cutmix", "both"] = Field(
        default="none",
        description="classification: mixup blends two photos of a batch, cutmix pastes a part of one; both: one of them at random",
    )
    mix_alpha: float = Field(
        default=0.2,
        gt=0,
        le=1_000,
        description="alpha of the beta distribution from which mixup and cutmix draw the second photo's share; "
        "1: uniform, as in the CutMix paper",
    )
    order: Literal["plain", "pairs", "pk"] = Field(
        default="plain", description="plain: each photo once an epoch; pairs: random pairs; pk: P classes x K photos"
    )
    classes: Literal["target", "model"] = Field(
        default="target",
        description="verification, order plain or pk: classes used in losses and batches, the target's or models; "
        "models separate makes better",
        json_schema_extra=of_task("verify"),
    )
    photos_per_class: int = Field(default=4, ge=2, le=100_000, description="K of order pk; P is train.batch / K")
    classes_per_make: int = Field(
        default=1,
        ge=1,
        description="order pk: models of one make in a batch, for makes that have so many; 1: models are drawn at random",
    )
    cache: Literal["disk", "memory", "off"] = Field(
        default="disk", description="where decoded photos are kept", json_schema_extra=affects("conditions")
    )
    split: Literal["listed", "all"] = Field(
        default="listed",
        description="listed: the dataset's own lists, if it has any; all: every photo, split with split_seed",
        json_schema_extra=affects("measurement"),
    )
    test_list: str = Field(
        default="test",
        pattern="^[a-z_]+$",
        description="classification list of a CompCars tree used as the test set",
        json_schema_extra=affects("measurement"),
    )
    test_share: float = Field(
        default=0.3,
        gt=0,
        le=0.5,
        description="share of the photos (verify: of the models) in the test set of an automatic split",
        json_schema_extra=affects("measurement"),
    )
    split_seed: int = Field(
        default=0,
        ge=0,
        lt=2**32,
        description="seed of an automatic split; train.seed does not affect the test set",
        json_schema_extra=affects("measurement"),
    )
    on_bad_photo: Literal["stop", "skip"] = Field(
        default="stop",
        description="photos that cannot be decoded; stop: end the run and list them; skip: leave them out and record them",
        json_schema_extra=affects("measurement"),
    )
    workers: int = Field(
        default=0,
        ge=0,
        le=256,
        description="threads that read and augment; 0: two, or one per core with cache off",
        json_schema_extra=affects("nothing"),
    )
    prefetch: int = Field(
        default=4,
        ge=1,
        le=1_000,
        description="batches prepared ahead of the network",
        json_schema_extra=affects("nothing"),
    )
