"""Callbacks that save the checkpoint, and may end training early."""

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.files import room_for
from kcars.untrusted.run_folder import RunFolder

MARGIN = 2**20  # Bytes of a weights file in addition to the weights.


class BestCheckpoint(keras.callbacks.Callback):
    """Saves the scored network whenever the monitored validation score improves, and after the first epoch.

    With `last`, saves it after every epoch.
    """

    name_in_state = "KeepBest"  # The name in state.npz since version 0.1.

    def __init__(self, scored, monitor: str, path, patience: int | None = None, last: bool = False):
        """patience: end training after this number of epochs without improvement; None for never."""
        super().__init__()
        self.scored, self.monitor, self.path, self.patience, self.last = scored, monitor, path, patience, last
        self.best, self.best_epoch, self.epochs = -math.inf, 0, 0
        self.weights: list[np.ndarray] = []

    @property
    def over(self) -> bool:
        return bool(self.patience) and self.epochs - self.best_epoch >= self.patience

    def on_epoch_end(self, epoch, logs: dict[str, Any]):
        score, self.epochs = logs[self.monitor], epoch + 1
        if self.best_epoch == 0 or score > self.best or self.last:
            self.best, self.best_epoch = (score if score == score else -math.inf), epoch + 1
            self.weights = self.scored.get_weights()
            save_weights(self.scored, self.path)
        self.model.stop_training |= self.over

    def state(self) -> dict:
        # With the weights, because the file may already have those of a later epoch.
        return {"best": self.best, "best_epoch": self.best_epoch, "epochs": self.epochs, "arrays": self.weights}

    def restore(self, state: dict) -> None:
        self.best, self.best_epoch, self.epochs = state["best"], state["best_epoch"], state["epochs"]
        self.weights = state.get("arrays", [])
        _put_back(self.scored, self.weights, self.path)


class EpochCheckpoint(keras.callbacks.Callback):
    """Saves the scored network after a given epoch (or the last, if earlier), and ends training."""

    name_in_state = "KeepEpoch"  # The name in state.npz since version 0.1.

    def __init__(self, scored, epoch: int, path):
        super().__init__()
        self.scored, self.epoch, self.path, self.epochs = scored, epoch, path, 0
        self.weights: list[np.ndarray] = []

    @property
    def over(self) -> bool:
        return self.epochs >= self.epoch

    @property
    def best_epoch(self) -> int:
        return self.epochs

    def on_epoch_end(self, epoch, logs=None):
        self.epochs, self.weights = epoch + 1, self.scored.get_weights()
        save_weights(self.scored, self.path)
        self.model.stop_training |= self.over

    def state(self) -> dict:
        return {"epochs": self.epochs, "arrays": self.weights}

    def restore(self, state: dict) -> None:
        self.epochs, self.weights = state["epochs"], state.get("arrays", [])
        _put_back(self.scored, self.weights, self.path)


def _put_back(model, weights: list[np.ndarray], path) -> None:
    """Write the weights file again from saved weights, through the model; there are none before the first epoch's end."""
    if weights:
        before = model.get_weights()
        model.set_weights(weights)
        save_weights(model, path)
        model.set_weights(before)


def save_weights(model: keras.Model, path: Path) -> None:
    """Write the weights of a network into a run folder, whole or not at all; KcarsError if the disk is full."""
    temporary, files = path.with_name("." + path.name), RunFolder(path.parent)
    try:
        temporary.unlink(missing_ok=True)  # A link of that name would be followed.
        room_for(sum(array.nbytes for array in model.get_weights()) + MARGIN, path.parent)
        model.save_weights(temporary)
        files.put(path.name, temporary)
    except (OSError, RuntimeError) as error:  # HDF5 raises RuntimeError for a full disk.
        temporary.unlink(missing_ok=True)
        raise KcarsError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})") from None
