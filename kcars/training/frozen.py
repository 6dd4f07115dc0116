"""A run with a frozen backbone: the features of each photo are computed once, and the head is fitted to them."""

import time

import numpy as np

from kcars.core.plain_text import echo
from kcars.data.photo_table import PixelStore
from kcars.models.features import Features
from kcars.runs.keras_setup import start
from kcars.runs.run import Run
from kcars.tasks import task_module
from kcars.tasks.plan import Plan, history_column
from kcars.training.callbacks.checkpoint import save_weights
from kcars.training.initial_weights import begin


class FittedHead:
    """A network whose head is fitted to the features of the plan's photos, in memory until `write`.

    folds: choose the head by cross-fitting; weights: the initial weights, as in run.json. A run that is fitted again takes its
    features from the cache: the same result, unless settings of scoring have changed, by which the folds choose.
    """

    def __init__(self, plan: Plan, folds: list[Plan], store: PixelStore, weights: dict | None):
        begun, strategy, task = time.monotonic(), plan.strategy, task_module(plan.strategy.task)
        start(strategy.train, "float32")
        self._network = task.network(plan)
        begin(self._network, plan, weights)
        features = Features(self._network.scored, strategy, store, "features")
        choice = task.fit_head(plan, folds, self._network, features.outputs)
        self._chosen = {"epoch": 1, "folds": len(folds), **choice}
        self._score = history_column(task.monitor(strategy))
        self._photos, self._seconds = len(plan.train), round(time.monotonic() - begun, 3)

    def write(self, run: Run) -> None:
        """Write checkpoint and history into a run, whose earlier scores are removed."""
        run.unscore()
        run.note(chosen=self._chosen)
        save_weights(self._network.scored, run.best_weights)
        costs = {"photos": self._photos, "train_seconds": self._seconds, "seconds": self._seconds}
        run.record([{"epoch": 1, "step": 1, **costs, self._score: self._chosen["score"]}])
        echo(f"head fitted to {self._photos} photos in {self._seconds:.1f} s; {_told(self._chosen)}")


def _told(chosen: dict) -> str:
    """What the folds chose, in a few words."""
    where = f"{chosen['folds']} folds" if chosen["folds"] else "validation"
    names = {"method": "{}", "regularization": "with {:g}", "shrinkage": "shrinkage {:g}"}
    what = [text.format(chosen[name]) for name, text in names.items() if name in chosen]
    return f"{where} chose {' '.join(what)} (score {np.round(chosen['score'], 4)})"
