"""Small layers: pixel scaling, pooling, unit vectors, distances, cosines to class directions.

All but stochastic depth compute in float32 under every dtype policy, because half precision would make distances imprecise.
"""

import math

import keras
from keras import ops

SMALLEST_SQUARE = 1e-12
SMALLEST_ROOTED = 1e-8  # The gradient of a square root at 0 is infinite.
SMALLEST_GRID, LARGEST_POWER = 1e-6, 100.0
NOTHING = -1e9  # A logit with probability 0 and gradient 0 next to any other.


@keras.saving.register_keras_serializable(package="kcars")
class PixelScaling(keras.layers.Layer):
    """(x / 255 - mean) / std per channel: RGB pixels 0..255 (n, h, w, 3), uint8 or float, to float32.

    blue_first: channels are first reordered to BGR, the order of mean and std.
    """

    def __init__(self, mean, std, blue_first=False, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.blue_first = bool(blue_first)
        self.mean = [float(value) for value in mean]
        self.std = [float(value) for value in std]

    def call(self, pixels):
        pixels = ops.cast(pixels, "float32") / 255.0
        if self.blue_first:
            pixels = ops.flip(pixels, axis=-1)
        return (pixels - ops.array(self.mean, "float32")) / ops.array(self.std, "float32")

    def compute_output_spec(self, pixels):
        return keras.KerasTensor(pixels.shape, dtype="float32")

    def get_config(self):
        return {**super().get_config(), "mean": self.mean, "std": self.std, "blue_first": self.blue_first}


@keras.saving.register_keras_serializable(package="kcars")
class L2Normalize(keras.layers.Layer):
    """L2-normalizes vectors (n, d), float32; a zero vector stays zero, with a finite gradient."""

    def __init__(self, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)

    def call(self, vectors):
        return to_unit_length(vectors, axis=-1)


@keras.saving.register_keras_serializable(package="kcars")
class SignedSquareRoot(keras.layers.Layer):
    """sign(x) * sqrt(|x|) of features (n, d), float32, with finite gradients (Perronnin et al. 2010, Improving the Fisher Kernel)."""

    def __init__(self, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)

    def call(self, features):
        root = ops.sqrt(ops.abs(features) + SMALLEST_ROOTED)
        return ops.sign(features) * (root - SMALLEST_ROOTED**0.5)


@keras.saving.register_keras_serializable(package="kcars")
class GeneralizedMean(keras.layers.Layer):
    """(mean of x^p over h and w)^(1 / p), with learned p from 1 to 100: (n, h, w, c) to (n, c) float32; p = 1 is the mean.

    GeM pooling of Radenovic et al. 2018, arXiv 1711.02512. Values below 1e-6 are raised to it: powers of 0 have no gradient.
    """

    def __init__(self, power=3.0, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.first = float(power)

    def build(self, input_shape):
        self.power = self.add_weight(shape=(), initializer=keras.initializers.Constant(self.first), name="power")

    def call(self, grid):
        # In logarithms: in float32 powers of 1e-6 underflow to 0, whose root has no gradient.
        logarithms = ops.log(ops.maximum(ops.cast(grid, "float32"), SMALLEST_GRID))
        power, places = ops.clip(self.power, 1.0, LARGEST_POWER), ops.cast(ops.prod(ops.shape(grid)[1:3]), "float32")
        return ops.exp((ops.logsumexp(power * logarithms, axis=(1, 2)) - ops.log(places)) / power)

    def get_config(self):
        return {**super().get_config(), "power": self.first}


@keras.saving.register_keras_serializable(package="kcars")
class LayerScale(keras.layers.Layer):
    """Each channel (..., c) times a learned factor, initially `first` (Touvron et al. 2021, arXiv 2103.17239)."""

    def __init__(self, first, **kwargs):
        super().__init__(**kwargs)
        self.first = float(first)

    def build(self, input_shape):
        begin = keras.initializers.Constant(self.first)
        self.gamma = self.add_weight(shape=(input_shape[-1],), initializer=begin, name="gamma")

    def call(self, branch):
        return branch * ops.cast(self.gamma, branch.dtype)

    def get_config(self):
        return {**super().get_config(), "first": self.first}


@keras.saving.register_keras_serializable(package="kcars")
class StochasticDepth(keras.layers.Layer):
    """In training, drops the residual branch (n, ..., c) of a photo with probability `rate`, and scales the others up.

    Huang et al. 2016, arXiv 1603.09382.
    """

    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        self.rate, self.seed_generator = float(rate), keras.random.SeedGenerator()

    def call(self, branch, training=None):
        if not training:
            return branch
        shape = (ops.shape(branch)[0], *(1 for _ in branch.shape[1:]))
        kept = keras.random.uniform(shape, seed=self.seed_generator, dtype="float32") >= self.rate
        return branch * ops.cast(ops.cast(kept, "float32") / (1.0 - self.rate), branch.dtype)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}


@keras.saving.register_keras_serializable(package="kcars")
class EuclideanDistance(keras.layers.Layer):
    """Euclidean distance (n,) float32 between the rows of two inputs (n, d).

    Squares are kept above 1e-12, because the gradient of a plain square root at 0 is NaN.
    """

    def __init__(self, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)

    def call(self, left, right):
        difference = ops.cast(left, "float32") - ops.cast(right, "float32")
        squared = ops.sum(ops.square(difference), axis=-1)
        return ops.sqrt(ops.maximum(squared, SMALLEST_SQUARE))


@keras.saving.register_keras_serializable(package="kcars")
class DistanceLogit(keras.layers.Layer):
    """Logit (n,) of a same pair from its distance d (n,): scale * (offset - d), with both learned and scale above 0.

    Its sigmoid is the similarity to which the paper's text applies binary cross entropy. Initially the odds are even at
    distance 1; orthogonal unit vectors have distance 1.41.
    """

    def __init__(self, scale=4.0, offset=1.0, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.first = {"scale": float(scale), "offset": float(offset)}

    def build(self, input_shape):
        begin = keras.initializers.Constant
        # The logarithm is learned, so that the scale stays above 0.
        self.log_scale = self.add_weight(shape=(), initializer=begin(math.log(self.first["scale"])), name="log_scale")
        self.offset = self.add_weight(shape=(), initializer=begin(self.first["offset"]), name="offset")

    def call(self, distance):
        return ops.exp(self.log_scale) * (self.offset - ops.cast(distance, "float32"))

    def get_config(self):
        return {**super().get_config(), **self.first}


@keras.saving.register_keras_serializable(package="kcars")
class CosineLogits(keras.layers.Layer):
    """Cosines (n, classes) in [-1, 1] between unit vectors (n, d) and one learned direction per class, times `scale`.

    The loss, which has the labels, adds the margin of ArcFace (Deng et al. 2019, arXiv 1801.07698).
    """

    def __init__(self, classes, scale=1.0, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.classes, self.scale = int(classes), float(scale)

    def build(self, input_shape):
        shape = (input_shape[-1], self.classes)
        self.directions = self.add_weight(shape=shape, initializer="glorot_uniform", name="directions")

    def call(self, vectors):
        cosines = ops.matmul(ops.cast(vectors, "float32"), to_unit_length(self.directions, axis=0))
        return self.scale * ops.clip(cosines, -1.0, 1.0)

    def get_config(self):
        return {**super().get_config(), "classes": self.classes, "scale": self.scale}


@keras.saving.register_keras_serializable(package="kcars")
class MakeLogits(keras.layers.Layer):
    """Logits (n, makes) from models' logits (n, models): log-sum-exp over the models of each make.

    Their softmax is the sum of the models' probabilities of each make. makes: the make number of each model, from 0;
    offsets: one per model, added to its logit first.
    """

    def __init__(self, makes, offsets=None, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.offsets = offsets and [float(offset) for offset in offsets]
        self.makes = [int(make) for make in makes]
        members = [
            [model for model, own in enumerate(self.makes) if own == make] for make in range(max(self.makes) + 1)
        ]
        longest = max(map(len, members))
        # Rows are padded to equal length with an additional model of probability 0.
        self.members = [own + [len(self.makes)] * (longest - len(own)) for own in members]

    def call(self, logits):
        logits = ops.cast(logits, "float32")
        if self.offsets:
            logits = logits + ops.array(self.offsets, "float32")
        logits = ops.pad(logits, [[0, 0], [0, 1]], constant_values=NOTHING)
        return ops.logsumexp(ops.take(logits, ops.array(self.members, "int32"), axis=-1), axis=-1)

    def compute_output_spec(self, logits):
        return keras.KerasTensor((logits.shape[0], len(self.members)), dtype="float32")

    def get_config(self):
        return {**super().get_config(), "makes": self.makes, "offsets": self.offsets}


def to_unit_length(vectors, axis: int):
    """`vectors` in float32, divided by their norm along `axis`."""
    vectors = ops.cast(vectors, "float32")
    squared = ops.sum(ops.square(vectors), axis=axis, keepdims=True)
    return vectors * ops.rsqrt(ops.maximum(squared, SMALLEST_SQUARE))
