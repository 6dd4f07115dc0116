"""The network: its backbone, what that begins with, and its head."""

from typing import Annotated, Literal

from pydantic import Field

from kcars.backbones.catalogue import BACKBONES, NORMALIZATIONS, those
from kcars.core.base_settings import Settings
from kcars.core.catalogue import OneOf


class ModelSettings(Settings):
    backbone: Annotated[str, OneOf(BACKBONES)] = Field(description="the network from pixels to features")
    width: float = Field(default=1.0, gt=0, le=4, description="multiplies the widths of every stage")
    stem: Literal["standard", "compact"] = Field(
        default="standard",
        description="standard: 7x7/2 and 3x3/2 maximum; compact: 5x5/2 and 2x2/2 maximum, for small photos",
    )
    normalization: Annotated[str, OneOf(NORMALIZATIONS)] = Field(
        default="compcars", description="mean and deviation taken from the pixels inside the model"
    )
    weights: str = Field(
        default="none",
        min_length=1,
        description="what the backbone begins with: none, imagenet, a .safetensors, .weights.h5 or .keras file, or the "
        "folder of an earlier run",
    )
    pooling: Literal["average", "gem"] = Field(
        default="average", description="of the last grid; gem: a generalized mean whose exponent is learned"
    )
    drop_path: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="stochastic depth: chance to skip the last residual block; earlier ones less",
    )
    auxiliary: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description=f"weight of the loss of {', '.join(those('auxiliary'))}'s auxiliary head, in training; 0: no such head",
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="before the classifier head")
    make_weight: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="target model, or data.classes model: weight of the loss of its make, learned beside it; 0: not learned; verification: with "
        "a loss of cosines",
    )
    embedding: int = Field(default=512, ge=2, le=65_536, description="dimensions of the vector (verification)")
    head: Literal["neck", "two_layers", "linear"] = Field(
        default="neck",
        description="verification: batch normalization, linear layer, unit length; that with a hidden layer before; "
        "or a linear layer alone",
    )
