"""Callbacks for `fit`. Their order matters: Validate writes scores into the logs that later callbacks read.

A callback with state across epochs has `state()`, plain values and numpy arrays under "arrays", and `restore(state)` for
resumed runs. A callback with rows of a table has their length in `cells`. A callback that may end training has `over`.
"""

import math
import time
from typing import Any

import keras
import numpy as np

from kcars.core.errors import Diverged, KcarsError
from kcars.core.files import written_whole


class FirstChange(keras.callbacks.Callback):
    """Calls `changes` once, at the end of the first epoch, before which the checkpoint is not written."""

    def __init__(self, changes):
        super().__init__()
        self.changes, self.called = changes, False

    def on_epoch_end(self, epoch, logs=None):
        if not self.called:
            self.called = True
            self.changes()


class Validate(keras.callbacks.Callback):
    """Scores the validation rows after every epoch with the checkpointed float32 network; adds history columns."""

    def __init__(self, kept, score):
        """score: model -> {history column: value}."""
        super().__init__()
        self.kept, self.score = kept, score

    def on_epoch_end(self, epoch, logs: dict[str, Any]):
        logs.update(self.score(self.kept))


class OneCycle(keras.callbacks.Callback):
    """Logs the learning rate of the optimizer's schedule, and draws it when training begins."""

    def __init__(self, schedule: Any, total_steps: int, draw_to=None):
        """schedule: a Keras schedule, or the initial rate."""
        super().__init__()
        self.schedule, self.total_steps, self.draw_to = schedule, total_steps, draw_to

    def on_train_begin(self, logs=None):
        if self.draw_to is not None:
            steps = np.unique(np.linspace(0, self.total_steps - 1, 200).astype(int))
            _draw_rates([self._rate(step) for step in steps], steps, self.draw_to)

    def on_epoch_end(self, epoch, logs: dict[str, Any]):
        logs["learning_rate"] = self._rate(int(self.model.optimizer.iterations))

    def _rate(self, step: int) -> float:
        if callable(self.schedule):
            rate: Any = self.schedule(min(step, self.total_steps - 1))
            return float(rate)
        return float(self.model.optimizer.learning_rate)  # Plateau may have changed it.


def _draw_rates(rates, steps, path) -> None:
    from matplotlib.figure import Figure

    from kcars.training.tensorboard.drawings import in_own_style

    with written_whole(path, "wb") as file, in_own_style():
        figure = Figure(figsize=(6, 2.5), layout="constrained")
        axes = figure.subplots()
        axes.plot(steps, rates, color="#0b5394")
        axes.set(xlabel="step", ylabel="learning rate", title="Learning rate over the run")
        axes.grid(alpha=0.3)
        figure.savefig(file, dpi=120, format="png")


class Plateau(keras.callbacks.Callback):
    """Halves (by `factor`) the rate when a history column has not fallen for `patience` epochs."""

    def __init__(self, monitor: str, factor: float, patience: int, floor: float):
        super().__init__()
        self.monitor, self.factor, self.patience, self.floor = monitor, factor, patience, floor
        self.best, self.waited = math.inf, 0

    def on_epoch_end(self, epoch, logs: dict[str, Any]):
        if self.monitor not in logs:
            raise KcarsError(
                f"train.plateau.monitor: {self.monitor!r} is not a column of the history; known: {sorted(logs)}"
            )
        if logs[self.monitor] < self.best - 1e-4:  # Absolute, unlike PyTorch's relative threshold.
            self.best, self.waited = logs[self.monitor], 0
            return
        self.waited += 1
        if self.waited > self.patience:
            rate = max(float(self.model.optimizer.learning_rate) * self.factor, self.floor)
            self.model.optimizer.learning_rate = rate
            self.waited = 0

    def state(self) -> dict:
        return {"best": self.best, "waited": self.waited}

    def restore(self, state: dict) -> None:
        self.best, self.waited = state["best"], state["waited"]


class StopOnNaN(keras.callbacks.Callback):
    """Ends training with an error at the first loss that is not finite, or at the end of an epoch for weights.

    The loss does not reveal all NaN: TensorFlow's maximum pooling, and its ReLU fused with a normalization, turn NaN into 0.
    """

    def on_train_batch_end(self, batch, logs: dict[str, Any]):
        if not math.isfinite(logs["loss"]):
            self._stop(f"the loss is {logs['loss']}")

    def on_epoch_end(self, epoch, logs=None):
        if name := first_not_finite(self.model):
            self._stop(f"{name} is not finite")

    def _stop(self, what: str) -> None:
        step = int(self.model.optimizer.iterations)
        rate = float(self.model.optimizer.learning_rate)
        raise Diverged(
            f"training: {what} at step {step}, learning rate {rate:.3g}; the checkpoint is kept; lower "
            "train.learning_rate, or train in float32"
        )


def first_not_finite(model) -> str:
    """Return the path of the model's first variable with NaN or infinity, "" if all are finite."""
    for variable in model.variables:
        array = keras.ops.convert_to_numpy(variable)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return variable.path
    return ""


class CollapseWatch(keras.callbacks.Callback):
    """Warns once when the distances of validation pairs no longer differ: the embedding has collapsed."""

    smallest_deviation = 0.01  # On real photos, normal runs stay above 0.1; collapsed ones fall below 0.001.

    def __init__(self, warn):
        super().__init__()
        self.warn, self.warned = warn, False

    def on_epoch_end(self, epoch, logs: dict[str, Any]):
        deviation = logs.get("val_distance_std")
        if deviation is not None and deviation < self.smallest_deviation and not self.warned:
            self.warned = True
            self.warn(
                f"epoch {epoch + 1}: all distances are equal (deviation {deviation:.2g}): the embedding has collapsed; "
                "lower train.learning_rate or loss.margin"
            )

    def state(self) -> dict:
        return {"warned": self.warned}

    def restore(self, state: dict) -> None:
        self.warned = state["warned"]


class TimeLimit(keras.callbacks.Callback):
    """Ends training after the step in which `minutes` have passed; the schedule was fitted to end earlier."""

    def __init__(self, minutes: float, warn):
        super().__init__()
        self.seconds, self.warn = minutes * 60, warn
        self.before, self.begun = 0.0, None

    @property
    def over(self) -> bool:
        return self._elapsed() > self.seconds

    def on_train_begin(self, logs=None):
        self.begun = self.begun or time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if self.over and not self.model.stop_training:
            self.model.stop_training = True
            self.warn("train.max_minutes ended before the schedule: the machine was slower than measured")

    def _elapsed(self) -> float:
        return self.before + (time.monotonic() - self.begun if self.begun else 0.0)

    def state(self) -> dict:
        return {"seconds": self._elapsed()}

    def restore(self, state: dict) -> None:
        self.before = state["seconds"]
