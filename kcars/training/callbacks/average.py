"""Callbacks for the checkpointed weights: a float32 copy, or an exponential moving average."""

import keras

from kcars.models.networks import in_float32


class Copied(keras.callbacks.Callback):
    """Maintains `kept`, a float32 copy of a scored network trained in half precision, updated after every epoch."""

    def __init__(self, scored):
        super().__init__()
        self.scored, self.kept = scored, in_float32(scored)

    def on_epoch_end(self, epoch, logs=None):
        self.kept.set_weights(self.scored.get_weights())


class Averaged(keras.callbacks.Callback):
    """Maintains `kept`, a float32 network with the exponential moving average of the trained weights over steps.

    Includes the moving statistics of batch normalization. The decay is at most (1 + updates) / (10 + updates), so that the
    average forgets its initial values (as in TensorFlow's ExponentialMovingAverage).
    """

    def __init__(self, scored, decay: float, parts: int = 1):
        """parts: steps per weight update (gradient accumulation)."""
        super().__init__()
        self.scored, self.kept, self.decay, self.parts = scored, in_float32(scored), decay, parts
        self.steps, self._update = 0, _in_graph(self._move)

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps % self.parts:
            return
        updates = self.steps // self.parts
        share = 1.0 - min(self.decay, (1.0 + updates) / (10.0 + updates))
        self._update(keras.ops.convert_to_tensor(share, "float32"))

    def _move(self, share) -> None:
        if keras.backend.backend() == "torch":
            _move_in_torch(self.kept.weights, self.scored.weights, float(share))
            return
        for average, learning in zip(self.kept.weights, self.scored.weights, strict=True):
            average.assign(average.value + share * (learning.value - average.value))

    def state(self) -> dict:
        return {"steps": self.steps, "arrays": self.kept.get_weights()}

    def restore(self, state: dict) -> None:
        self.steps = state["steps"]
        self.kept.set_weights(state["arrays"])


def _move_in_torch(averages: list, learning: list, share: float) -> None:
    """Update all weights in one call; separate calls would take as long as half a step."""
    import torch  # pyright: ignore[reportMissingImports]  Optional Keras backend.

    with torch.no_grad():
        torch._foreach_lerp_([one.value.data for one in averages], [one.value.data for one in learning], share)


def _in_graph(function):
    """Compile to one graph on TensorFlow; op by op it would take as long as half a step."""
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function)
