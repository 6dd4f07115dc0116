"""Softmax cross entropy."""

from typing import Literal

from pydantic import Field

from kcars.core.base_settings import Settings
from kcars.core.number_range import fraction
from kcars.losses.catalogue import LOSSES, Loss


class CrossEntropySettings(Settings):
    """Settings of `loss.name: cross_entropy`."""

    name: Literal["cross_entropy"]
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the label spread evenly over all classes")


def values(labels, logits, *, label_smoothing: float = 0.0, offsets: list[float] | None = None):
    """Cross entropy of logits (n, classes), with integer labels (n,) or rows of class shares (n, classes).

    Label smoothing: Szegedy et al. 2015, arXiv 1512.00567. offsets: one number per class, added to the logits: with tau times
    the logarithm of class frequencies, the logits themselves are those of equally frequent classes (Menon et al. 2020, arXiv
    2007.07314).
    """
    from keras import ops

    from kcars.losses.parts import one_hot, smoothed_cross_entropy, weights

    shifted = ops.cast(logits, "float32")
    if offsets is not None:
        shifted = shifted + weights(offsets)
    return smoothed_cross_entropy(one_hot(labels, logits), shifted, label_smoothing)


def check(label_smoothing: float = 0.0, **_) -> None:
    """Raises KcarsError for a smoothing that is not a share."""
    fraction("label_smoothing", label_smoothing)


LOSSES.register(Loss("cross_entropy", CrossEntropySettings, ("logits",), values, check=check, plain=True, short="CE"))
