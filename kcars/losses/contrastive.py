"""The contrastive loss over random pairs or all pairs of a batch."""

from typing import Literal

from pydantic import Field

from kcars.core.base_settings import Settings
from kcars.losses.catalogue import LOSSES, Loss


class ContrastiveSettings(Settings):
    """Settings of `loss.name: contrastive`."""

    name: Literal["contrastive"]
    margin: float = Field(1.0, gt=0, le=2, description="distance beyond which different pairs have no loss")


def values(labels, distances, *, margin: float = 1.0):
    """y d^2 + (1 - y) max(0, margin - d)^2, from labels y (n,), 1 for same pairs, and distances d (n,).

    Hadsell, Chopra and LeCun 2006, without their factor 1/2, as in the paper. Shapes (n, 1) are accepted too.
    """
    from keras import ops

    same = ops.reshape(ops.cast(labels, "float32"), (-1,))
    distance = ops.reshape(ops.cast(distances, "float32"), (-1,))
    apart = ops.square(ops.maximum(margin - distance, 0.0))
    return same * ops.square(distance) + (1.0 - same) * apart


def of_batch(labels, vectors, *, margin: float = 1.0):
    """Mean of d^2 over a photo's same pairs, plus mean of (margin - d)^2 over its different pairs within the margin.

    Labels (n,), unit vectors (n, d), every pair of the batch. Different pairs beyond the margin are left out of the mean.
    """
    from keras import ops

    from kcars.losses.parts import cosines, distances, masked_mean, pair_masks

    same, different = pair_masks(labels)
    distance = distances(cosines(vectors))
    within = ops.maximum(margin - distance, 0.0)
    close = different * ops.cast(within > 0.0, "float32")
    return masked_mean(ops.square(distance), same) + masked_mean(ops.square(within), close)


LOSSES.register(
    Loss("contrastive", ContrastiveSettings, ("distance", "vectors"), values, of_batch=of_batch, short="CT")
)
