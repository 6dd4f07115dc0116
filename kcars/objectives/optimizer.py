"""AdamW (Loshchilov and Hutter 2019) on the strategy's schedule, with learning rates for fine-tuning."""

from collections.abc import Collection

import keras
import numpy as np
from keras import ops

from kcars.objectives.schedules import EveryFew
from kcars.settings import TrainSettings

SMALLEST_FILTER = 1e-3  # Weights that begin at 0, such as biases, would never change.


def adamw(settings: TrainSettings, rate, backbone: Collection = ()) -> keras.optimizers.Optimizer:
    """The optimizer for a learning rate or a schedule (`schedules.build_schedule`).

    backbone: variables trained at `fine_tune.backbone_rate` times the rate.
    """
    parts = settings.gradient_accumulation
    accumulated = {"gradient_accumulation_steps": parts} if parts > 1 else {}
    if parts > 1 and callable(rate):
        rate = EveryFew(rate, parts)  # Keras calls it for every part of a batch.
    if settings.fine_tune is None and keras.backend.backend() == "torch":
        # Only Keras' own class updates all variables in a few calls there.
        return keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, **accumulated)
    if settings.fine_tune is None:
        return FusedAdamW(rate, weight_decay=settings.weight_decay, **accumulated)
    share, relative = settings.fine_tune.backbone_rate, settings.fine_tune.relative_rate
    return FineTuningAdamW(
        rate, weight_decay=settings.weight_decay, backbone=backbone, share=share, relative=relative, **accumulated
    )


class FusedAdamW(keras.optimizers.AdamW):
    """AdamW that, on TensorFlow, updates a variable and its moments in one kernel; Keras uses ten."""

    def _apply_weight_decay(self, variables):
        # Keras evaluates the schedule again for each variable, which takes a quarter of a small run's start.
        rate = self.learning_rate
        for variable in filter(self._use_weight_decay, variables):
            self._decay(variable, rate)

    def _decay(self, variable, rate):
        lost = variable * ops.cast(self.weight_decay, variable.dtype) * ops.cast(rate, variable.dtype)
        self.assign_sub(variable, lost)

    def update_step(self, gradient, variable, learning_rate):
        if keras.backend.backend() != "tensorflow" or self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        import tensorflow as tf

        index, updates = self._get_variable_index(variable), ops.cast(self.iterations + 1, "float32")
        variable, first, second = map(_resource, (variable, self._momentums[index], self._velocities[index]))
        tf.raw_ops.ResourceApplyAdam(
            var=variable,
            m=first,
            v=second,
            beta1_power=self.beta_1**updates,
            beta2_power=self.beta_2**updates,
            lr=ops.cast(learning_rate, "float32"),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=ops.cast(gradient, "float32"),
        )


def _resource(variable):
    """The handle that TensorFlow's kernels use for a variable of Keras or TensorFlow."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle


class FineTuningAdamW(FusedAdamW):
    """AdamW with a separate learning rate for the backbone, and support for variables that are unfrozen later.

    With relative rates, an update changes each filter of the backbone in proportion to its initial weights. Updates of Adam have
    about the same size for all weights, and a frozen batch normalization multiplies those of its filters by up to 75
    (EfficientNet-Lite0): where the input of a filter varies little, its weights or its normalization are extreme.

    Adam's bias correction depends on the number of updates. With the count of the other variables, the first updates
    of a variable after unfreezing would be up to six times too large.
    """

    def __init__(self, *arguments, backbone: Collection, share: float, relative: bool = False, **settings):
        """backbone: variables trained at `share` times the learning rate; relative: and times the size of each filter (`filter_sizes`)."""
        super().__init__(*arguments, **settings)
        self.factors = {self._var_key(variable): share for variable in backbone}
        self.relative, self.sizes = relative, {}

    def build(self, variables):
        super().build(variables)
        self.begun = self.add_variable((len(variables),), initializer=keras.initializers.Constant(-1), dtype="int32")
        for variable in variables if self.relative else ():
            if self._var_key(variable) in self.factors:
                initial = filter_sizes(ops.convert_to_numpy(variable))
                size = self.add_variable(
                    initial.shape, dtype="float32", name="filter_size"
                )  # Kept in the training state.
                size.assign(initial)
                self.sizes[self._var_key(variable)] = size

    def begin(self, variables: Collection) -> None:
        """Declare that these variables are trained from now on; repeated calls have no effect."""
        begun, now = ops.convert_to_numpy(self.begun).copy(), int(self.iterations)
        for variable in variables:
            index = self._get_variable_index(variable)
            begun[index] = now if begun[index] < 0 else begun[index]
        self.begun.assign(begun)

    def update_step(self, gradient, variable, learning_rate):
        done = ops.cast(self.iterations, "float32")
        begun = ops.cast(self.begun[self._get_variable_index(variable)], "float32")
        own = done - ops.maximum(begun, 0.0)
        correction = self._of_moments(own) / self._of_moments(done)
        rate, size = learning_rate * self._factor(variable) * correction, self.sizes.get(self._var_key(variable))
        before = None if size is None else ops.copy(variable)
        super().update_step(gradient, variable, rate)
        if before is not None:
            variable.assign(before + ops.cast(size, before.dtype) * (variable - before))

    def _of_moments(self, updates):
        """Adam's bias correction of the learning rate after `updates` updates (Kingma and Ba 2014, section 2)."""
        return ops.sqrt(1.0 - self.beta_2 ** (updates + 1.0)) / (1.0 - self.beta_1 ** (updates + 1.0))

    def _decay(self, variable, rate):
        lost = self.weight_decay * rate * self._factor(variable)
        variable.assign(variable - variable * ops.cast(lost, variable.dtype))

    def _factor(self, variable) -> float:
        return self.factors.get(self._var_key(variable), 1.0)


def filter_sizes(weights: np.ndarray) -> np.ndarray:
    """The root mean square of the weights of each filter, at least SMALLEST_FILTER: of a kernel (..., inputs, outputs) (1, ..., 1, outputs).

    A depthwise kernel (height, width, inputs, 1) has a filter for each input, a vector is one filter.
    """
    axes = list(range(weights.ndim))
    if weights.ndim > 1:
        axes.pop(-2 if weights.ndim == 4 and weights.shape[-1] == 1 else -1)
    sizes = np.sqrt(np.square(weights, dtype=np.float64).mean(tuple(axes), keepdims=True))
    return np.maximum(sizes, SMALLEST_FILTER).astype(np.float32)
