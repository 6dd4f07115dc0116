"""Settings of the network: backbone, initial weights and head."""

from typing import Annotated, Literal

from pydantic import Field

from kcars.backbones.catalogue import BACKBONES, NORMALIZATIONS, those
from kcars.core.base_settings import Settings, added_later, of_task
from kcars.core.catalogue import OneOf


class ModelSettings(Settings):
    backbone: Annotated[str, OneOf(BACKBONES)] = Field(description="network that extracts features from pixels")
    width: float = Field(default=1.0, gt=0, le=4, description="multiplier of the number of channels of every stage")
    stem: Literal["standard", "compact"] = Field(
        default="standard",
        description="standard: 7x7/2 convolution, 3x3/2 max pooling; compact: 5x5/2 and 2x2/2, for small photos",
    )
    normalization: Annotated[str, OneOf(NORMALIZATIONS)] = Field(
        default="compcars", description="mean and standard deviation by which the model normalizes pixels"
    )
    weights: str = Field(
        default="none",
        min_length=1,
        description="initial weights of the backbone: none, imagenet, a .safetensors, .weights.h5 or .keras file, or the "
        "folder of an earlier run",
    )
    pooling: Literal["average", "gem"] = Field(
        default="average",
        description="global pooling of the last feature map; gem: generalized mean with a learned exponent",
    )
    square_root: bool = Field(
        default=False,
        description="signed square root of the features before the head (power normalization), for heads that are fitted to "
        "frozen features",
        json_schema_extra=added_later(),
    )
    drop_path: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="stochastic depth: probability of skipping the last residual block, lower for earlier blocks",
    )
    auxiliary: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description=f"training: loss weight of the auxiliary head of {', '.join(those('auxiliary'))}; 0: no auxiliary head",
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout rate before the classification head")
    make_weight: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="target model, or data.classes model: weight of a second loss on the make; 0: none; verification: needs "
        "a loss of cosines",
    )
    embedding: int = Field(default=512, ge=2, le=65_536, description="verification: dimensions of the embedding")
    head: Literal["neck", "two_layers", "linear", "features"] = Field(
        default="neck",
        description="verification: neck: batch normalization, linear layer, L2 normalization; two_layers: the same after a "
        "hidden layer; linear: a linear layer only; features: L2 normalization of the backbone's features only",
    )
    projection: int | None = Field(
        default=None,
        ge=2,
        le=65_536,
        description="head features: dimensions of a neck (batch normalization, linear layer, L2 normalization) on which the "
        "losses are computed, and which is dropped after training; null: the losses are computed on the embedding",
        json_schema_extra=added_later() | of_task("verify"),
    )
