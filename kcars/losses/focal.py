"""The focal loss in its softmax form, as used in the paper."""

from typing import Literal

from kcars.losses.alpha import AlphaSettings
from kcars.losses.catalogue import LOSSES, Loss


class FocalSettings(AlphaSettings):
    """Settings of `loss.name: focal`."""

    name: Literal["focal"]


def values(labels, logits, *, gamma: float = 2.0, alpha: float | list[float] = 1.0):
    """-alpha (1 - p)^gamma log p, with p the softmax probability of the label (n,), from logits (n, classes).

    Lin et al. 2017, arXiv 1708.02002 (gamma 2, alpha 1). alpha: one weight, or one per class.
    """
    from keras import ops

    from kcars.losses.parts import focus, one_hot, weights

    target = one_hot(labels, logits)
    logarithm = ops.sum(target * ops.log_softmax(ops.cast(logits, "float32")), axis=-1)
    weight = ops.sum(target * weights(alpha), axis=-1)
    return weight * focus(-ops.expm1(logarithm), gamma) * -logarithm


LOSSES.register(Loss("focal", FocalSettings, ("logits",), values, short="FO"))
