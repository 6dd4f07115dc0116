"""ArcFace: cross entropy of scaled cosines with an additive angular margin."""

import math
from typing import Literal

from pydantic import Field

from kcars.core.base_settings import Settings
from kcars.core.errors import KcarsError
from kcars.core.number_range import fraction
from kcars.losses.catalogue import LOSSES, Loss


class ArcFaceSettings(Settings):
    """Settings of `loss.name: arcface`."""

    name: Literal["arcface"]
    margin: float = Field(0.2, ge=0, lt=1.57, description="angle in radians added to that of the true class")
    scale: float = Field(16.0, gt=0, description="multiplier of the cosines")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the label spread evenly over all classes")


def values(labels, cosines, *, scale: float = 64.0, margin: float = 0.5, label_smoothing: float = 0.0):
    """Cross entropy of scaled cosines, with `margin` radians added to the angle of the true class.

    Labels (n,), cosines (n, classes) in [-1, 1]; Deng et al. 2019, arXiv 1801.07698.
    """
    from keras import ops

    from kcars.losses.parts import one_hot, smoothed_cross_entropy

    plain, target = ops.cast(cosines, "float32"), one_hot(labels, cosines)
    logits = scale * ops.where(target > 0.5, with_margin(plain, margin), plain)
    return smoothed_cross_entropy(target, logits, label_smoothing)


def with_margin(cosines, margin: float):
    """cos(angle + margin), computed without acos, which has infinite gradients at -1 and 1.

    Beyond angle = pi - margin, where that cosine would rise again, a decreasing straight line replaces it.
    """
    from keras import ops

    from kcars.losses.parts import SMALLEST

    sines = ops.sqrt(ops.maximum(1.0 - ops.square(cosines), SMALLEST))
    widened = cosines * math.cos(margin) - sines * math.sin(margin)
    beyond = cosines - margin * math.sin(margin)
    return ops.where(cosines > -math.cos(margin), widened, beyond)


def check(margin: float = 0.5, label_smoothing: float = 0.0, **_) -> None:
    """Raises KcarsError for a margin outside 0 to pi / 2, where the logit would not decrease with the angle, or a wrong smoothing."""
    if not 0.0 <= margin <= math.pi / 2:
        raise KcarsError(f"arcface margin: {margin} is not allowed; choose radians from 0 to pi / 2")
    fraction("label_smoothing", label_smoothing)


LOSSES.register(Loss("arcface", ArcFaceSettings, ("cosines",), values, check=check))
