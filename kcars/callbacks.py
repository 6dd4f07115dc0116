"""What happens beside the steps of `fit`. Order matters: Validate writes its scores into the logs that others read."""

import math
import time

import keras
import numpy as np
from tqdm import tqdm

from kcars.errors import KcarsError
from kcars.files import written_whole


class Validate(keras.callbacks.Callback):
    """Scores the held-out rows after every epoch with a float32 copy of the network; adds history columns."""

    def __init__(self, network, score):
        """score: model -> {history column: value}; network.scored may train in mixed precision."""
        super().__init__()
        from kcars.models.networks import in_float32

        self.network, self.score = network, score
        mixed = keras.config.dtype_policy().name != "float32"
        self.copy = in_float32(network.scored) if mixed else network.scored

    def on_epoch_end(self, epoch, logs=None):
        if self.copy is not self.network.scored:
            self.copy.set_weights(self.network.scored.get_weights())
        logs.update(self.score(self.copy))


class OneCycle(keras.callbacks.Callback):
    """Logs the rate of the schedule that the optimizer follows, and draws it when training begins."""

    def __init__(self, schedule, total_steps: int, draw_to=None):
        """schedule: a Keras schedule, or the number at which the rate begins."""
        super().__init__()
        self.schedule, self.total_steps, self.draw_to = schedule, total_steps, draw_to

    def on_train_begin(self, logs=None):
        if self.draw_to is not None:
            steps = np.unique(np.linspace(0, self.total_steps - 1, 200).astype(int))
            _draw_rates([self._rate(step) for step in steps], steps, self.draw_to)

    def on_epoch_end(self, epoch, logs=None):
        logs["learning_rate"] = self._rate(int(self.model.optimizer.iterations))

    def _rate(self, step: int) -> float:
        if callable(self.schedule):
            return float(self.schedule(min(step, self.total_steps - 1)))
        return float(self.model.optimizer.learning_rate)  # Plateau may have changed it.


def _draw_rates(rates, steps, path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(steps, rates, color="#0b5394")
    axes.set(xlabel="step", ylabel="learning rate", title="Learning rate over the run")
    axes.grid(alpha=0.3)
    with written_whole(path, "wb") as file:
        figure.savefig(file, dpi=120, format="png")


class Plateau(keras.callbacks.Callback):
    """Halves (by `factor`) the rate when a history column has not fallen for `patience` epochs."""

    def __init__(self, monitor: str, factor: float, patience: int, floor: float):
        super().__init__()
        self.monitor, self.factor, self.patience, self.floor = monitor, factor, patience, floor
        self.best, self.waited = math.inf, 0

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor not in logs:
            raise KcarsError(
                f"train.plateau.monitor: {self.monitor!r} is no column of the history; known: {sorted(logs)}"
            )
        if logs[self.monitor] < self.best - 1e-4:  # PyTorch's is relative; an absolute step is clearer.
            self.best, self.waited = logs[self.monitor], 0
            return
        self.waited += 1
        if self.waited > self.patience:
            rate = max(float(self.model.optimizer.learning_rate) * self.factor, self.floor)
            self.model.optimizer.learning_rate = rate
            self.waited = 0


class KeepBest(keras.callbacks.Callback):
    """Saves the scored network whenever the leading validation score rises; the first epoch always counts."""

    def __init__(self, scored, leading: str, path, patience: int | None = None):
        """patience: end training after so many epochs without a better score; None never ends it."""
        super().__init__()
        self.scored, self.leading, self.path, self.patience = scored, leading, path, patience
        self.best, self.best_epoch = -math.inf, 0

    def on_epoch_end(self, epoch, logs=None):
        score = logs[self.leading]
        if self.best_epoch == 0 or score > self.best:
            self.best, self.best_epoch = (score if score == score else -math.inf), epoch + 1
            _save_weights(self.scored, self.path)
        elif self.patience and epoch + 1 - self.best_epoch >= self.patience:
            self.model.stop_training = True


class KeepEpoch(keras.callbacks.Callback):
    """Saves the scored network after a given epoch and ends training there; or after the last, where it ends before."""

    def __init__(self, scored, epoch: int, path):
        super().__init__()
        self.scored, self.epoch, self.path = scored, epoch, path

    def on_epoch_end(self, epoch, logs=None):
        _save_weights(self.scored, self.path)
        if epoch + 1 >= self.epoch:
            self.model.stop_training = True


def _save_weights(model, path) -> None:
    temporary = path.with_name("." + path.name)
    model.save_weights(temporary)
    temporary.replace(path)


class StopOnNaN(keras.callbacks.Callback):
    """Ends training with an error at the first loss that is not finite."""

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            step = int(self.model.optimizer.iterations)
            rate = float(self.model.optimizer.learning_rate)
            raise KcarsError(
                f"training: the loss is {logs['loss']} at step {step}, learning rate {rate:.3g}; the best weights "
                "so far are kept; lower train.learning_rate, or train in float32"
            )


class CollapseWatch(keras.callbacks.Callback):
    """Warns once when the distances of validation pairs no longer differ: the embedding has collapsed."""

    smallest_deviation = 0.01  # Healthy runs on real photos stay above 0.1; a collapsed one falls under 0.001.

    def __init__(self, warn):
        super().__init__()
        self.warn, self.warned = warn, False

    def on_epoch_end(self, epoch, logs=None):
        deviation = logs.get("val_distance_std")
        if deviation is not None and deviation < self.smallest_deviation and not self.warned:
            self.warned = True
            self.warn(
                f"epoch {epoch + 1}: all distances are alike (deviation {deviation:.2g}): the embedding has collapsed; "
                "lower train.learning_rate or loss.margin"
            )


class TimeLimit(keras.callbacks.Callback):
    """Ends training at the end of the step in which `minutes` have passed; the schedule was fitted to end before."""

    def __init__(self, minutes: float, warn):
        super().__init__()
        self.seconds, self.warn = minutes * 60, warn

    def on_train_begin(self, logs=None):
        self.begun = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() - self.begun > self.seconds and not self.model.stop_training:
            self.model.stop_training = True
            self.warn("train.max_minutes is over before the schedule's end: the machine ran slower than measured")


class History(keras.callbacks.Callback):
    """Hands every epoch's numbers to the run: epoch, steps, photos, seconds, then the logs."""

    def __init__(self, record, photos_per_step: int):
        super().__init__()
        self.record, self.photos_per_step = record, photos_per_step
        self.step = (
            0  # Not optimizer.iterations: a float16 overflow skips an update, and its photos are seen all the same.
        )

    def on_epoch_begin(self, epoch, logs=None):
        self.begun, self.steps_before = time.monotonic(), self.step

    def on_train_batch_end(self, batch, logs=None):
        self.step, self.trained = self.steps_before + batch + 1, time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.record(
            {
                "epoch": epoch + 1,
                "step": self.step,
                "photos": self.step * self.photos_per_step,
                "train_seconds": round(self.trained - self.begun, 3),
                "seconds": round(time.monotonic() - self.begun, 3),
                **{name: float(logs[name]) for name in sorted(logs, key=_history_order)},
            }
        )


def _history_order(name: str) -> tuple[bool, bool]:
    """The loss first, then training, then validation."""
    return name.startswith("val_"), name != "loss"


class Progress(keras.callbacks.Callback):
    """One bar over all steps, and a line an epoch with the loss and the score that leads."""

    def __init__(self, epochs: int, steps_per_epoch: int, leading: str):
        super().__init__()
        self.epochs, self.steps_per_epoch, self.leading = epochs, steps_per_epoch, leading

    def on_train_begin(self, logs=None):
        self.bar = tqdm(total=self.epochs * self.steps_per_epoch, desc="training", unit="step", disable=None)

    def on_train_batch_end(self, batch, logs=None):
        self.bar.set_postfix(loss=f"{logs['loss']:.3f}", refresh=False)
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        shown = {"loss": f"{logs['loss']:.4f}", self.leading: f"{logs[self.leading]:.4f}"}
        told = "  ".join(f"{name} {value}" for name, value in shown.items())
        tqdm.write(f"epoch {epoch + 1:>3}/{self.epochs}  {told}  rate {logs['learning_rate']:.2e}")

    def on_train_end(self, logs=None):
        self.bar.close()
