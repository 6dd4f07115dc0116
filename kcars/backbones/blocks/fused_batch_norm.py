"""Batch normalization that runs in one TensorFlow kernel; Keras 3 uses eight."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kcars")
class BatchNormalization(keras.layers.BatchNormalization):
    """keras.layers.BatchNormalization over the channels of (n, h, w, c), with the same weights, outputs and moving statistics.

    It has the name of Keras' class, so that weight files are interchangeable. TensorFlow's FusedBatchNormV3 returns the unbiased
    variance, n / (n - 1) times that of the batch, which Keras keeps: it is scaled back. Other shapes and backends use Keras'
    implementation.
    """

    def call(self, inputs, training=None, mask=None):
        if keras.backend.backend() != "tensorflow" or len(inputs.shape) != 4 or mask is not None or not self._usual():
            return super().call(inputs, training=training, mask=mask)
        if training and self.trainable:
            return self._of_batch(inputs)
        return self._kernel(inputs, self.moving_mean, self.moving_variance, training=False)[0]

    def _usual(self) -> bool:
        return self.axis in (-1, 3) and self.center and not self.renorm and self.synchronized is False

    def _of_batch(self, inputs):
        outputs, mean, variance = self._kernel(inputs, [], [], training=True)
        shape = ops.shape(inputs)
        count = ops.cast(shape[0] * shape[1] * shape[2], "float32")
        variance = variance * ((count - 1.0) / count)
        for moving, found in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + found * (1.0 - self.momentum))
        return outputs

    def _kernel(self, inputs, mean, variance, training: bool):
        """(outputs, mean, variance); the kernel computes in float32 whatever the inputs are."""
        import tensorflow as tf

        inputs = ops.cast(inputs, self.compute_dtype)
        scale = self.gamma if self.scale else ops.ones_like(self.beta)
        found = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=ops.convert_to_tensor(scale, "float32"),
            offset=ops.convert_to_tensor(self.beta, "float32"),
            mean=ops.convert_to_tensor(mean, "float32"),
            variance=ops.convert_to_tensor(variance, "float32"),
            epsilon=self.epsilon,
            is_training=training,
        )
        return found[:3]
