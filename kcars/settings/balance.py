"""Settings for imbalanced classes: sampling, class weights, logit adjustment and augmentation."""

from typing import Literal

from pydantic import Field

from kcars.core.base_settings import Settings


class BalanceSettings(Settings):
    """Off by default: every photo is drawn once an epoch and has weight 1."""

    sampling: Literal["natural", "square_root", "balanced"] = Field(
        default="natural",
        description="order plain: how often a class is drawn: in proportion to its photos, to their square root, or equally",
    )
    weights: Literal["none", "inverse_frequency", "effective_number"] = Field(
        default="none", description="class weights in the loss, with mean 1 over the photos"
    )
    beta: float = Field(
        default=0.999, ge=0, lt=1, description="beta of the effective number of photos, (1 - beta^n) / (1 - beta)"
    )
    begin: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of the epochs after which sampling and weights apply (deferred re-weighting)",
    )
    logit_adjustment: float = Field(
        default=0.0,
        ge=0,
        description="loss cross_entropy: adds this times the logarithm of the class frequencies to the logits",
    )
    augment: str = Field(
        default="",
        description="text chain applied after data.augment, with probability 1 - n / n_max for a class of n photos",
    )
