"""Callbacks that record the history and show progress."""

import time
from typing import Any

import keras
from tqdm import tqdm

from kcars.core.plain_text import printable


class Counting(keras.callbacks.Callback):
    """Counts the completed steps of the run.

    Does not use optimizer.iterations, because a float16 overflow skips an update but consumes its photos.
    """

    def __init__(self):
        super().__init__()
        self.step = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._before = self.step

    def on_train_batch_end(self, batch, logs=None):
        self.step = self._before + batch + 1

    def state(self) -> dict:
        return {"step": self.step}

    def restore(self, state: dict) -> None:
        self.step = state["step"]


class History(Counting):
    """Records the history after each epoch: epoch, steps, photos, seconds, then the logs."""

    def __init__(self, record, photos_per_step: int):
        """record: called with a list of one dict per epoch."""
        super().__init__()
        self.record, self.photos_per_step, self.rows = record, photos_per_step, []
        self.elapsed = 0.0  # Seconds of this epoch before a stop.

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self.begun = self.trained = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        self.trained = time.monotonic()

    def on_epoch_end(self, epoch, logs: dict[str, Any]):
        row = {
            "epoch": epoch + 1,
            "step": self.step,
            "photos": self.step * self.photos_per_step,
            "train_seconds": round(self.elapsed + self.trained - self.begun, 3),
            "seconds": round(self.elapsed + time.monotonic() - self.begun, 3),
            **{name: float(logs[name]) for name in sorted(logs, key=_history_order)},
        }
        self.rows.append(row)
        self.record(self.rows)
        self.elapsed, self.begun = 0.0, self.trained

    def state(self) -> dict:
        elapsed = self.elapsed + self.trained - self.begun
        return {**super().state(), "rows": self.rows, "elapsed": elapsed}

    def restore(self, state: dict) -> None:
        super().restore(state)
        self.rows, self.elapsed = state["rows"], state["elapsed"]
        if self.rows:
            self.record(self.rows)


def _history_order(name: str) -> tuple[bool, bool]:
    """Sort key: the loss first, then training, then validation."""
    return name.startswith("val_"), name != "loss"


class Progress(Counting):
    """Shows a progress bar over all steps, and a line per epoch with the loss and the monitored score."""

    def __init__(self, epochs: int, steps_per_epoch: int, monitor: str):
        super().__init__()
        self.epochs, self.steps_per_epoch, self.monitor = epochs, steps_per_epoch, monitor

    def on_train_begin(self, logs=None):
        total = self.epochs * self.steps_per_epoch
        self.bar = tqdm(total=total, initial=self.step, desc="training", unit="step", disable=None)

    def on_train_batch_end(self, batch, logs: dict[str, Any]):
        before = self.step
        super().on_train_batch_end(batch, logs)
        self.bar.set_postfix(loss=f"{logs['loss']:.3f}", refresh=False)
        self.bar.update(self.step - before)

    def on_epoch_end(self, epoch, logs: dict[str, Any]):
        shown = {"loss": f"{logs['loss']:.4f}", self.monitor: f"{logs[self.monitor]:.4f}"}
        text = "  ".join(f"{name} {value}" for name, value in shown.items())
        tqdm.write(printable(f"epoch {epoch + 1:>3}/{self.epochs}  {text}  rate {logs['learning_rate']:.2e}"))

    def on_train_end(self, logs=None):
        self.bar.close()
