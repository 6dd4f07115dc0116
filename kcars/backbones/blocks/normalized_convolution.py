"""A convolution with batch normalization, computed as one convolution wherever the statistics are fixed."""

from typing import Any, Self

import keras
from keras import ops

from kcars.backbones.blocks.fused_batch_norm import BatchNormalization


@keras.saving.register_keras_serializable(package="kcars")
class NormalizedConvolution(keras.layers.Layer):
    """A convolution without a bias, and the batch normalization of its output.

    In inference, and in training while the normalization is not trainable, the normalization is folded into the convolution's
    kernel and a bias: outputs are the same up to rounding, and TensorFlow runs one kernel, activation included, instead of three.
    """

    convolution: Any  # Keras' types lack the attributes of layers.
    norm: Any

    def __init__(self, convolution: keras.layers.Layer, norm: BatchNormalization, **kwargs: Any):
        """convolution: a Conv2D or DepthwiseConv2D without bias and activation, with padding "same"."""
        super().__init__(**kwargs)
        self.convolution, self.norm = convolution, norm

    def build(self, input_shape):
        if not self.convolution.built:  # It is, in a copy.
            self.convolution.build(input_shape)
            self.norm.build(self.convolution.compute_output_shape(input_shape))

    def call(self, inputs, training=None):
        if training and self.norm.trainable:
            return self.norm(self.convolution(inputs), training=True)
        norm, convolution = self.norm, self.convolution
        scale = ops.cast(norm.gamma, "float32") * ops.rsqrt(norm.moving_variance + norm.epsilon)
        offset = ops.cast(norm.beta, "float32") - norm.moving_mean * scale
        by_depth = isinstance(convolution, keras.layers.DepthwiseConv2D)
        kernel = ops.cast(convolution.kernel, "float32") * (scale[:, None] if by_depth else scale)
        convolved = (ops.depthwise_conv if by_depth else ops.conv)(
            inputs, ops.cast(kernel, inputs.dtype), strides=convolution.strides, padding=convolution.padding
        )
        return _with_bias(convolved, ops.cast(offset, inputs.dtype))

    def compute_output_shape(self, input_shape):
        return self.convolution.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        parts = {"convolution": self.convolution, "norm": self.norm}
        return super().get_config() | {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        parts = {name: keras.saving.deserialize_keras_object(config[name]) for name in ("convolution", "norm")}
        return cls(**(config | parts))


def _with_bias(values, bias):
    """The sum, by the operation that TensorFlow fuses with a convolution."""
    if keras.backend.backend() != "tensorflow":
        return values + bias
    import tensorflow as tf

    return tf.nn.bias_add(values, bias)
