"""What is done for classes of few photos."""

from typing import Literal

from pydantic import Field

from kcars.core.base_settings import Settings


class BalanceSettings(Settings):
    """Nothing of it by default: photos come and count as often as they are."""

    sampling: Literal["natural", "square_root", "balanced"] = Field(
        default="natural",
        description="order plain: how often a class is drawn: by its photos, their square root, or as the others",
    )
    weights: Literal["none", "inverse_frequency", "effective_number"] = Field(
        default="none", description="of classes in the loss, with mean 1 over the photos"
    )
    beta: float = Field(
        default=0.999, ge=0, lt=1, description="of the effective number of photos, (1 - beta^n) / (1 - beta)"
    )
    begin: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of the epochs after which sampling and weights count (deferred re-weighting)",
    )
    logit_adjustment: float = Field(
        default=0.0,
        ge=0,
        description="loss cross_entropy: this times the logarithm of class frequencies is added to the logits",
    )
    augment: str = Field(
        default="",
        description="text chain applied after data.augment, the more often the rarer a photo's class: 1 - n / most",
    )
