"""What chooses an epoch, and how the test is scored."""

from typing import Literal

from pydantic import Field

from kcars.core.base_settings import Settings, affects, of_task


class EvaluateSettings(Settings):
    protocol: Literal["honest", "paper"] = Field(
        default="honest",
        description="paper: epoch and threshold are chosen on the test itself, for comparison with the paper",
    )
    distance: Literal["euclidean", "whitened", "lda", "weighted_lda"] = Field(
        default="euclidean",
        description="verification: distances of embeddings as they are, or after whitening how photos of one class differ, "
        "or after linear discriminant analysis, also with each direction weighted by how well it separates, fitted on the "
        "training photos; where folds validate, as they are",
        json_schema_extra=affects("scoring") | of_task("verify"),
    )
    adjust: Literal["none", "logits", "tau_norm", "class_means"] = Field(
        default="none",
        description="classification, after training: logits less tau times the logarithm of class frequencies, or class "
        "weights divided by their norm to the power of tau, where validation chooses tau; or the class whose training "
        "photos' mean has the smallest angle to a photo",
        json_schema_extra=affects("scoring") | of_task("classify"),
    )
    mirror: bool = Field(default=True, description="average the outputs of each photo and of its mirror image")
    shift: float = Field(
        default=0.0,
        ge=0,
        le=0.25,
        description="average them also over the photo moved left, right, up and down by this share of its side; 0: not",
        json_schema_extra=affects("scoring"),
    )
    batch: int = Field(
        default=128, ge=1, le=100_000, description="photos at a time through the network; scores do not depend on it"
    )
    validation_share: float = Field(default=0.1, gt=0, lt=0.5, description="classification: share of the training list")
    validation_models: int = Field(default=8, ge=4, description="verification: models held out, at least 2 a make")
    folds: int | None = Field(
        default=None,
        ge=0,
        le=20,
        description="verification: folds by make instead; 4 where fewer than 60 models train; 0: none",
    )
    validation_pairs: int = Field(default=3000, ge=10, le=10_000_000, description="pairs drawn for each difficulty")
    resamples: int = Field(
        default=1000,
        ge=100,
        le=1_000_000,
        description="bootstrap resamples behind each 95 % interval",
        json_schema_extra=affects("scoring"),
    )
