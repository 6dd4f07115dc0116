"""Saves and restores the full training state, so that a resumed run equals an uninterrupted one."""

import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kcars.core.errors import Diverged, Interrupted, NoWayOn
from kcars.runs import state_file
from kcars.runs.state_checks import refuse_misfit
from kcars.training.callbacks.basic import first_not_finite
from kcars.training.callbacks.history import Counting
from kcars.training.interrupt import Interruption
from kcars.untrusted.run_folder import RunFolder


class SaveState(Counting):
    """Writes the state after every epoch, at intervals in minutes, and on Ctrl-C or SIGTERM, which then ends training.

    It is the last callback, because the state includes what the others do at the end of an epoch. Keras'
    BackupAndRestore saves neither callbacks nor dropout seeds nor the position within an epoch.
    """

    def __init__(
        self,
        model,
        callbacks: list,
        folder: Path,
        identity: str,
        steps_per_epoch: int,
        minutes: float,
        interruption: Interruption,
    ):
        """callbacks: those with `state()` and `restore()` are saved; identity: fingerprint that a fitting state must have."""
        super().__init__()
        self.trained, self.folder, self.identity = model, Path(folder), identity
        self.remembering = {_name(one): one for one in [*callbacks, self] if hasattr(one, "restore")}
        self.steps_per_epoch, self.seconds, self.interruption = steps_per_epoch, minutes * 60, interruption
        self._metrics: list[np.ndarray] = []
        self._saved_at = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        if self._metrics:  # Within an epoch; `fit` has reset the metrics.
            _assign(self.trained.metrics_variables, self._metrics, self.folder)
            self._metrics = []

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self.step % self.steps_per_epoch == 0 or self.trained.stop_training:
            return  # The end of the epoch follows and saves.
        if self.interruption.signal or time.monotonic() - self._saved_at > self.seconds:
            self._save()

    def on_epoch_end(self, epoch, logs=None):
        self._save()

    def _save(self) -> None:
        if name := first_not_finite(self.trained):  # Keep the last good state.
            raise Diverged(f"training: {name} is not finite at step {self.step}; lower train.learning_rate")
        facts: dict[str, Any] = {"identity": self.identity}
        arrays: dict[str, np.ndarray] = {}
        for name, callback in self.remembering.items():
            facts[name] = callback.state()
            for number, array in enumerate(facts[name].pop("arrays", [])):
                arrays[f"{name}/{number}"] = array
        for group, variables in self._variables().items():
            arrays |= {f"{group}/{number}": np.asarray(variable) for number, variable in enumerate(variables)}
        state_file.write(self.folder, state_file.State(self.step, facts, arrays))
        self._saved_at = time.monotonic()
        if self.interruption.signal:
            epochs = self.step / self.steps_per_epoch
            raise Interrupted(
                self.interruption.signal, f"stopped after step {self.step}, {epochs:.2f} epochs, all saved"
            )

    def _refuse_to_forget(self) -> None:
        """Raise NoWayOn if the state was deleted: at most one epoch may end before its state is written."""
        files = RunFolder(self.folder)
        epochs = len(files.read_text("history.csv").splitlines()) - 1 if files.has("history.csv") else 0
        if epochs > 1:
            raise NoWayOn(
                f"{self.folder / state_file.NEWEST}: is missing, but the run has {epochs} epochs; restore it, or train again"
            )

    def _kept(self, found: state_file.State) -> dict[str, list]:
        """Return for each callback with weights the corresponding variables; none before the first epoch's end."""
        nets = {}
        for name, one in self.remembering.items():
            network = getattr(one, "kept", None) or getattr(one, "scored", None)
            begun = found.facts[name].get("best_epoch", found.facts[name].get("epochs", 1))
            if network is not None:
                nets[name] = network.weights if begun else []
        return nets

    def tables(self) -> dict[str, int]:
        """Return the row length of each callback with a table."""
        return {name: one.cells for name, one in self.remembering.items() if hasattr(one, "cells")}

    def _variables(self) -> dict[str, list]:
        model = self.trained
        return {
            "model": model.variables,  # Including dropout seeds, which weight files lack.
            "optimizer": model.optimizer.variables,
            "metrics": model.metrics_variables,
        }

    def restore_newest(
        self, example: Callable, warn: Callable, epochs: int, older: Callable[[int], None] = lambda step: None
    ) -> int:
        """Restore model, optimizer, metrics and callbacks from the newest state on disk, if any; return the completed steps.

        example: returns a batch, from which metrics are built; epochs: planned epochs of the run; older: called with the
        step, before any change, if the run can continue but not from the newest state. Raises NoWayOn if there should be a
        state and none is usable.
        """
        if not state_file.exists(self.folder):
            self._refuse_to_forget()
            return 0
        _build(self.trained, *example())

        def fits(found: state_file.State) -> None:
            refuse_misfit(found, self.remembering, self.steps_per_epoch, epochs, self.tables())
            for group, variables in self._variables().items():
                _refuse_others(variables, _group(found, group), self.folder)
            for name, wanted in self._kept(found).items():
                _refuse_others(wanted, _group(found, name), self.folder)

        found = state_file.read(self.folder, warn, self.identity, fits, older)
        assert found  # A state exists.
        for (
            name,
            callback,
        ) in self.remembering.items():  # Before the model, because BestCheckpoint writes its weights through it.
            kept = _group(found, name)
            callback.restore({**found.facts[name], **({"arrays": kept} if kept else {})})
        for group, variables in self._variables().items():
            if group == "metrics":  # Metrics of a finished epoch are not used in the next.
                self._metrics = _group(found, group) if self.step % self.steps_per_epoch else []
            else:
                _assign(variables, _group(found, group), self.folder)
        return self.step


def _group(found: state_file.State, name: str) -> list[np.ndarray]:
    count = sum(key.startswith(f"{name}/") for key in found.arrays)
    return [found.arrays[f"{name}/{number}"] for number in range(count) if f"{name}/{number}" in found.arrays]


def _build(model, inputs, labels, weights=None) -> None:
    """Create the variables of optimizer, loss and metrics, which Keras creates in the first step."""
    outputs = model(inputs)
    model.compute_loss(inputs, labels, outputs, weights)
    model.compute_metrics(inputs, labels, outputs, weights)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def _refuse_others(variables: list, arrays: list[np.ndarray], folder: Path) -> None:
    """Raise NoWayOn if arrays differ from the variables in number, shapes or kinds."""
    wanted = [(tuple(variable.shape), _kind(variable.dtype)) for variable in variables]
    if wanted != [(array.shape, _kind(array.dtype)) for array in arrays]:
        raise NoWayOn(f"{folder / state_file.NEWEST}: does not fit this network; restore its own, or train again")


def _kind(dtype) -> str:
    """Return the kind of a variable's or stored array's dtype; types that NumPy lacks are bytes ("V")."""
    name = str(dtype)
    return "float" if "float" in name or "V" in name else name.rstrip("0123456789")


def _assign(variables: list, arrays: list[np.ndarray], folder: Path) -> None:
    _refuse_others(variables, arrays, folder)
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def segments(done: int, epochs: int, steps: int, cuts: Collection[int] = ()) -> Iterator[tuple[int, int, int, int]]:
    """Yield (first step, first epoch, epoch to stop before, steps per epoch) of each `fit` after `done` steps.

    `fit` can only begin at the start of an epoch, so the rest of an interrupted epoch is a separate `fit`, as are the epochs
    up to each of `cuts`.
    """
    epoch, within = divmod(done, steps)
    if within:
        yield done, epoch, epoch + 1, steps - within
        epoch += 1
    for end in sorted({cut for cut in cuts if epoch < cut < epochs} | ({epochs} if epoch < epochs else set())):
        yield epoch * steps, epoch, end, steps
        epoch = end


def _name(callback) -> str:
    return getattr(callback, "name_in_state", type(callback).__name__)
