"""Normalised softmax: cross entropy of scaled cosines without a margin."""

from typing import Literal

from pydantic import Field

from kcars.core.base_settings import Settings
from kcars.core.number_range import fraction
from kcars.losses import arcface
from kcars.losses.catalogue import LOSSES, Loss


class NormalisedSoftmaxSettings(Settings):
    """Settings of `loss.name: normalised_softmax`."""

    name: Literal["normalised_softmax"]
    scale: float = Field(16.0, gt=0, description="multiplier of the cosines")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the label spread evenly over all classes")


def values(labels, cosines, *, scale: float = 16.0, label_smoothing: float = 0.0):
    """Cross entropy of `scale` times the cosines (n, classes) in [-1, 1], for labels (n,); Wang et al. 2017, arXiv 1704.06369."""
    return arcface.values(labels, cosines, scale=scale, margin=0.0, label_smoothing=label_smoothing)


def check(label_smoothing: float = 0.0, **_) -> None:
    """Raises KcarsError for a smoothing that is not a share."""
    fraction("label_smoothing", label_smoothing)


LOSSES.register(Loss("normalised_softmax", NormalisedSoftmaxSettings, ("cosines",), values, check=check))
