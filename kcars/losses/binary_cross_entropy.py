"""Binary cross entropy of same and different pairs."""

from typing import Literal

from pydantic import Field

from kcars.core.base_settings import Settings
from kcars.core.number_range import fraction
from kcars.losses.catalogue import LOSSES, Loss


class BinaryCrossEntropySettings(Settings):
    """Settings of `loss.name: binary_cross_entropy`."""

    name: Literal["binary_cross_entropy"]
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share by which labels are moved towards 1/2")


def values(labels, logits, *, label_smoothing: float = 0.0):
    """-log p of the label, p = sigmoid(z), from labels y (n,), 1 for same pairs, and logits z (n,).

    According to its text, the paper trains verification with this loss.
    """
    from keras import ops

    same, logit = (ops.reshape(ops.cast(one, "float32"), (-1,)) for one in (labels, logits))
    target = same * (1.0 - label_smoothing) + label_smoothing / 2
    return target * ops.softplus(-logit) + (1.0 - target) * ops.softplus(logit)


def check(label_smoothing: float = 0.0) -> None:
    """Raises KcarsError for a smoothing that is not a share."""
    fraction("label_smoothing", label_smoothing)


LOSSES.register(Loss("binary_cross_entropy", BinaryCrossEntropySettings, ("pair_logit",), values, check=check))
