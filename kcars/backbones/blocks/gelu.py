"""The activation of transformers in a form that every export format has."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kcars")
class Gelu(keras.layers.Layer):
    """x times the probability that a standard normal variable is below x (Hendrycks and Gimpel 2016, arXiv 1606.08415), of any shape.

    Keras computes it by the complementary error function, which ONNX and LiteRT lack.
    """

    def call(self, inputs):
        return 0.5 * inputs * (1.0 + ops.erf(inputs * math.sqrt(0.5)))
