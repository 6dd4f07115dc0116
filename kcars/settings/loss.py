"""Losses by name, and which go with which task and order of photos."""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, ValidationError, WrapValidator

from kcars.settings.base import Settings

# Losses of cosines to class directions, and losses of all pairs or triplets of a batch.
MARGIN_LOSSES = ("arcface", "normalised_softmax")
BATCH_LOSSES = ("contrastive", "multi_similarity", "triplet")
# (task, whether pairs are learned from) -> losses
LOSSES_OF = {
    ("classify", False): ("cross_entropy", "focal", "sigmoid_focal", "ldam"),
    ("classify", True): (),
    ("verify", False): ("arcface", "normalised_softmax", "contrastive", "multi_similarity", "triplet"),
    ("verify", True): ("contrastive", "binary_cross_entropy", "sigmoid_focal"),
}


class CrossEntropySettings(Settings):
    name: Literal["cross_entropy"]
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class BinaryCrossEntropySettings(Settings):
    name: Literal["binary_cross_entropy"]
    label_smoothing: float = Field(0.0, ge=0, lt=1)


_ALPHA = "takes a number above 0, inverse_frequency, or a list of numbers from 0 on, one of them above 0"


def _one_message(value, handler):
    """Pydantic tells what is wrong by each of the kinds that could be meant; this says at once what is allowed."""
    try:
        return handler(value)
    except ValidationError:
        raise ValueError(_ALPHA) from None


def _not_all_zero(value: list[float]) -> list[float]:
    if not any(value):  # Nothing would be learned.
        raise ValueError(_ALPHA)
    return value


Alpha = Annotated[
    Annotated[float, Field(gt=0)]
    | Literal["inverse_frequency"]
    | Annotated[list[Annotated[float, Field(ge=0)]], AfterValidator(_not_all_zero)],
    WrapValidator(_one_message),
]


class FocalSettings(Settings):
    name: Literal["focal", "sigmoid_focal"]
    gamma: float = Field(2.0, ge=0, description="focusing exponent")
    alpha: Alpha = Field(
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


class NormalisedSoftmaxSettings(Settings):
    name: Literal["normalised_softmax"]
    scale: float = Field(16.0, gt=0, description="multiplies the cosines")
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class MultiSimilaritySettings(Settings):
    name: Literal["multi_similarity"]
    alpha: float = Field(2.0, gt=0, description="sharpness of same pairs")
    beta: float = Field(50.0, gt=0, description="sharpness of different pairs")
    base: float = Field(0.5, ge=-1, le=1, description="cosine that pairs are pulled above and pushed below")
    mining: float = Field(
        0.1, ge=0, description="pairs count that are harder than the hardest of the other kind by this"
    )


class TripletSettings(Settings):
    name: Literal["triplet"]
    margin: float = Field(0.2, gt=0, le=2, description="by which the other class must be farther")


class LDAMSettings(Settings):
    name: Literal["ldam"]
    margin: float = Field(0.5, gt=0, le=1, description="of the rarest class; of others it falls with photos^(1/4)")
    scale: float = Field(16.0, gt=0, description="multiplies the cosines")


AnyLossSettings = (
    CrossEntropySettings
    | BinaryCrossEntropySettings
    | FocalSettings
    | ContrastiveSettings
    | ArcFaceSettings
    | NormalisedSoftmaxSettings
    | MultiSimilaritySettings
    | TripletSettings
    | LDAMSettings
)
LossSettings = Annotated[AnyLossSettings, Field(discriminator="name")]
BatchLossSettings = Annotated[
    ContrastiveSettings | MultiSimilaritySettings | TripletSettings, Field(discriminator="name")
]
LOSS_SETTINGS = {
    name: settings
    for settings in get_args(AnyLossSettings)
    for name in get_args(settings.model_fields["name"].annotation)
}


class SecondLossSettings(Settings):
    weight: float = Field(0.5, gt=0, description="of the second loss; the first one's is 1")
    loss: BatchLossSettings
