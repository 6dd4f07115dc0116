"""The triplet loss over a batch, with semi-hard negatives."""

from typing import Literal

from pydantic import Field

from kcars.core.base_settings import Settings
from kcars.losses.catalogue import LOSSES, Loss


class TripletSettings(Settings):
    """Settings of `loss.name: triplet`."""

    name: Literal["triplet"]
    margin: float = Field(
        0.2, gt=0, le=2, description="margin between the squared distances to the negative and the positive"
    )


def of_batch(labels, vectors, *, margin: float = 0.2):
    """Mean over a photo's same pairs of max(0, d_same^2 - d_other^2 + margin), with a semi-hard negative.

    The negative is the nearest photo of another class that is farther than the positive, or the farthest one if none is.
    Labels (n,), unit vectors (n, d). Schroff, Kalenichenko and Philbin 2015, arXiv 1503.03832.
    """
    from keras import ops

    from kcars.losses.parts import FAR, cosines, masked_mean, pair_masks

    same, different = pair_masks(labels)
    squared = 2.0 - 2.0 * cosines(vectors)
    other = squared[:, None, :]  # anchor, same, other
    farther = ops.logical_and(different[:, None, :] > 0, other > squared[:, :, None])
    nearest = ops.min(ops.where(farther, other, FAR), axis=2)
    farthest = ops.max(ops.where(different > 0, squared, -FAR), axis=1, keepdims=True)
    chosen = ops.where(nearest < FAR, nearest, farthest)
    # Without a photo of another class the farthest is -FAR, and the loss is 0.
    usable = same * ops.max(different, axis=1, keepdims=True)
    return masked_mean(ops.maximum(squared - chosen + margin, 0.0), usable)


LOSSES.register(Loss("triplet", TripletSettings, ("vectors",), of_batch=of_batch))
