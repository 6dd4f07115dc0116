"""Settings of validation and of scoring on the test set."""

from typing import Literal

from pydantic import Field

from kcars.core.base_settings import Settings, added_later, affects, of_task


class EvaluateSettings(Settings):
    protocol: Literal["honest", "paper"] = Field(
        default="honest",
        description="honest: choose epoch and threshold on validation data; paper: on the test set itself, for comparison with the paper",
    )
    distance: Literal["euclidean", "whitened", "lda", "weighted_lda"] = Field(
        default="euclidean",
        description="verification: Euclidean distance of the embeddings, either unchanged, after within-class whitening, or "
        "after linear discriminant analysis, in weighted_lda with each direction weighted by how well it separates classes; "
        "fitted on the training photos; with folds the embeddings are used unchanged",
        json_schema_extra=affects("scoring") | of_task("verify"),
    )
    shrinkage: float | Literal["chosen"] = Field(
        default=1 / 3,
        description="verification: 0 to 1, by which the covariances of the distance are shrunk towards a multiple of the "
        "identity; chosen: validation chooses",
        json_schema_extra=affects("scoring") | of_task("verify"),
    )
    directions: int | None = Field(
        default=None,
        ge=1,
        le=65_536,
        description="verification, lda and weighted_lda: directions in which distances are measured; null: one fewer than the "
        "training classes, at most 50; beyond their number, directions with little variance within classes are added",
        json_schema_extra=affects("scoring") | of_task("verify") | added_later(),
    )
    adjust: Literal["none", "logits", "tau_norm", "class_means"] = Field(
        default="none",
        description="classification, after training: logits: subtract tau times the logarithm of the class frequencies; "
        "tau_norm: divide the class weights by their norm to the power of tau; validation chooses tau; class_means: choose "
        "the class with the smallest angle between the photo and the mean of its training photos",
        json_schema_extra=affects("scoring") | of_task("classify"),
    )
    mirror: bool = Field(default=True, description="average the outputs over each photo and its mirror image")
    shift: float = Field(
        default=0.0,
        ge=0,
        le=0.25,
        description="average the outputs also over the photo shifted left, right, up and down by this share of its side; 0: off",
        json_schema_extra=affects("scoring"),
    )
    batch: int = Field(default=128, ge=1, le=100_000, description="photos per forward pass; scores do not depend on it")
    validation_share: float = Field(default=0.1, gt=0, lt=0.5, description="classification: share of the training list")
    validation_models: int = Field(default=8, ge=4, description="verification: models held out, at least 2 per make")
    folds: int | None = Field(
        default=None,
        ge=0,
        le=20,
        description="verification: cross-validation folds by make instead; 4 if fewer than 60 models train; 0: none; "
        "train.method frozen_features: cross-fitting folds, by default 4, of classification 5",
    )
    validation_pairs: int = Field(default=3000, ge=10, le=10_000_000, description="pairs drawn for each difficulty")
    resamples: int = Field(
        default=1000,
        ge=100,
        le=1_000_000,
        description="bootstrap resamples behind each 95 % interval",
        json_schema_extra=affects("scoring"),
    )
