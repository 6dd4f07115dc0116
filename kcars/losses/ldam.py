"""LDAM, label-distribution-aware margins: rarer classes have larger margins."""

from typing import Literal

from pydantic import Field

from kcars.core.base_settings import Settings
from kcars.losses.catalogue import LOSSES, Loss


class LDAMSettings(Settings):
    """Settings of `loss.name: ldam`."""

    name: Literal["ldam"]
    margin: float = Field(
        0.5, gt=0, le=1, description="margin of the rarest class; others are in proportion to photos^(-1/4)"
    )
    scale: float = Field(16.0, gt=0, description="multiplier of the cosines")


def values(labels, scaled, *, scale: float = 30.0, margin: float | list[float] = 0.5):
    """Cross entropy of labels (n,) and scaled cosines (n, classes), after subtracting the margin from the true class's cosine.

    Cao et al. 2019, arXiv 1906.07413. scale: factor of the scaled cosines; margin: one number in units of the cosine, or one
    per class, larger for rarer classes (`class_weights.rare_margins`).
    """
    from keras import ops

    from kcars.losses.parts import one_hot, smoothed_cross_entropy, weights

    target = one_hot(labels, scaled)
    logits = ops.cast(scaled, "float32") - target * (scale * weights(margin))
    return smoothed_cross_entropy(target, logits, 0.0)


LOSSES.register(Loss("ldam", LDAMSettings, ("scaled_cosines",), values, plain=True))
