"""Losses of all pairs or triplets of a batch, by its vectors: labels (n,), unit vectors (n, d), one value a photo.

A photo without another of its class, or without one of another class, in the batch has no such pairs: they cost nothing.
"""

import keras
from keras import ops

SMALLEST_SQUARE = 1e-12
FAR = 1e9  # Above every distance and cosine, to stand for "none".


@keras.saving.register_keras_serializable(package="kcars")
class BatchContrastive(keras.losses.Loss):
    """Mean of d^2 over a photo's same pairs, plus mean of (margin - d)^2 over its different pairs within the margin.

    Hadsell, Chopra and LeCun 2006, on every pair of the batch. Different pairs beyond the margin would only water the mean down.
    """

    def __init__(self, margin: float = 1.0, name="batch_contrastive", **kwargs):
        super().__init__(name=name, **kwargs)
        self.margin = float(margin)

    def call(self, y_true, y_pred):
        same, different = pair_masks(y_true)
        distance = distances(cosines(y_pred))
        within = ops.maximum(self.margin - distance, 0.0)
        close = different * ops.cast(within > 0.0, "float32")
        return masked_mean(ops.square(distance), same) + masked_mean(ops.square(within), close)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable(package="kcars")
class MultiSimilarity(keras.losses.Loss):
    """log(1 + sum exp(-alpha (s - base))) / alpha over same pairs, log(1 + sum exp(beta (s - base))) / beta over different ones.

    s: cosine. Its miner leaves a same pair out unless it is less alike than the photo's likest different one plus `mining`, and a
    different pair unless it is more alike than the least alike same one less `mining`. Wang et al. 2019, arXiv 1904.06627.
    """

    def __init__(
        self,
        alpha: float = 2.0,
        beta: float = 50.0,
        base: float = 0.5,
        mining: float = 0.1,
        name="multi_similarity",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        self.alpha, self.beta, self.base, self.mining = float(alpha), float(beta), float(base), float(mining)

    def call(self, y_true, y_pred):
        same, different = pair_masks(y_true)
        cosine = cosines(y_pred)
        likest_other = ops.max(ops.where(different > 0, cosine, -FAR), axis=1, keepdims=True)
        least_own = ops.min(ops.where(same > 0, cosine, FAR), axis=1, keepdims=True)
        same *= ops.cast(cosine < likest_other + self.mining, "float32")
        different *= ops.cast(cosine > least_own - self.mining, "float32")
        pull = log_one_plus_sum(-self.alpha * (cosine - self.base), same) / self.alpha
        return pull + log_one_plus_sum(self.beta * (cosine - self.base), different) / self.beta

    def get_config(self):
        own = {name: getattr(self, name) for name in ("alpha", "beta", "base", "mining")}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kcars")
class SemiHardTriplet(keras.losses.Loss):
    """Mean over a photo's same pairs of max(0, d_same^2 - d_other^2 + margin), the other one semi-hard.

    That is the nearest photo of another class that is farther than the same one, or the farthest where none is.
    Schroff, Kalenichenko and Philbin 2015, arXiv 1503.03832.
    """

    def __init__(self, margin: float = 0.2, name="semi_hard_triplet", **kwargs):
        super().__init__(name=name, **kwargs)
        self.margin = float(margin)

    def call(self, y_true, y_pred):
        same, different = pair_masks(y_true)
        squared = 2.0 - 2.0 * cosines(y_pred)
        other = squared[:, None, :]  # anchor, same, other
        farther = ops.logical_and(different[:, None, :] > 0, other > squared[:, :, None])
        nearest = ops.min(ops.where(farther, other, FAR), axis=2)
        farthest = ops.max(ops.where(different > 0, squared, -FAR), axis=1, keepdims=True)
        chosen = ops.where(nearest < FAR, nearest, farthest)
        # Without a photo of another class the farthest is -FAR, and nothing is to be told apart.
        usable = same * ops.max(different, axis=1, keepdims=True)
        return masked_mean(ops.maximum(squared - chosen + self.margin, 0.0), usable)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}


BATCH_LOSSES = {"contrastive": BatchContrastive, "multi_similarity": MultiSimilarity, "triplet": SemiHardTriplet}


def pair_masks(labels):
    """(same, different), each (n, n) float32: 1 where two photos are a pair of that kind; no photo pairs with itself."""
    labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
    equal = ops.cast(labels[:, None] == labels[None, :], "float32")
    return equal - ops.eye(ops.shape(labels)[0]), 1.0 - equal


def cosines(vectors):
    """(n, n) float32 of unit vectors (n, d)."""
    vectors = ops.cast(vectors, "float32")
    return ops.matmul(vectors, ops.transpose(vectors))


def distances(cosine):
    """Euclidean distances of unit vectors by their cosine, squares held above 1e-12: the root's gradient at 0 is infinite."""
    return ops.sqrt(ops.maximum(2.0 - 2.0 * cosine, SMALLEST_SQUARE))


def masked_mean(values, mask):
    """Mean (n,) of the values (n, n) in each row that the mask of 0 and 1 leaves; 0 where it leaves none."""
    return ops.sum(values * mask, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1.0)


def log_one_plus_sum(exponents, mask):
    """log(1 + sum of exp(exponents)) (n,) over what the mask leaves in each row."""
    terms = ops.where(mask > 0, exponents, -FAR)
    return ops.logsumexp(ops.concatenate([ops.zeros_like(terms[:, :1]), terms], axis=1), axis=1)
