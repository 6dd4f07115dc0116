"""The multi-similarity loss over all pairs of a batch."""

from typing import Literal

from pydantic import Field

from kcars.core.base_settings import Settings
from kcars.losses.catalogue import LOSSES, Loss


class MultiSimilaritySettings(Settings):
    """Settings of `loss.name: multi_similarity`."""

    name: Literal["multi_similarity"]
    alpha: float = Field(2.0, gt=0, description="sharpness for same pairs")
    beta: float = Field(50.0, gt=0, description="sharpness for different pairs")
    base: float = Field(
        0.5,
        ge=-1,
        le=1,
        description="cosine above which same pairs are pulled and below which different pairs are pushed",
    )
    mining: float = Field(
        0.1, ge=0, description="pairs are used if harder than the hardest pair of the other kind less this cosine"
    )


def of_batch(labels, vectors, *, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5, mining: float = 0.1):
    """log(1 + sum exp(-alpha (s - base))) / alpha over same pairs, log(1 + sum exp(beta (s - base))) / beta over different ones.

    s: cosine; labels (n,), unit vectors (n, d). Its miner keeps same pairs with a cosine below that of the photo's most similar
    different pair plus `mining`, and different pairs above that of its least similar same pair less `mining`. Wang et al.
    2019, arXiv 1904.06627.
    """
    from keras import ops

    from kcars.losses.parts import FAR, cosines, log_one_plus_sum, pair_masks

    same, different = pair_masks(labels)
    cosine = cosines(vectors)
    likest_other = ops.max(ops.where(different > 0, cosine, -FAR), axis=1, keepdims=True)
    least_own = ops.min(ops.where(same > 0, cosine, FAR), axis=1, keepdims=True)
    same *= ops.cast(cosine < likest_other + mining, "float32")
    different *= ops.cast(cosine > least_own - mining, "float32")
    pull = log_one_plus_sum(-alpha * (cosine - base), same) / alpha
    return pull + log_one_plus_sum(beta * (cosine - base), different) / beta


LOSSES.register(Loss("multi_similarity", MultiSimilaritySettings, ("vectors",), of_batch=of_batch))
