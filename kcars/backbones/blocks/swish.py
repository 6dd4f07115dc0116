"""The activation of EfficientNet with its gradient in one kernel; TensorFlow uses six."""

from functools import cache

import keras


@keras.saving.register_keras_serializable(package="kcars")
class Swish(keras.layers.Layer):
    """x * sigmoid(x), of any shape (Ramachandran et al. 2017, arXiv 1710.05941)."""

    def call(self, inputs):
        if keras.backend.backend() != "tensorflow":
            return keras.ops.silu(inputs)
        return _swish()(inputs)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)


@cache
def _swish():
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def gradient(upstream, x):
        sigmoid = tf.sigmoid(x)
        return upstream * (sigmoid * (1 + x * (1 - sigmoid)))

    @tf.custom_gradient
    def swish(x):
        return tf.nn.silu(x), lambda upstream: gradient(upstream, x)

    return swish
