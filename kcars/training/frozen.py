"""A run with a frozen backbone: the features of each photo are computed once, and the head is fitted to them."""

import time
from collections.abc import Callable

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


def fit_head(plan: Plan, folds: list[Plan], store: PixelStore, run: Run, changes: Callable[[], None]) -> None:
    """Fit the head of the plan's network, chosen by cross-fitting over the folds, and write checkpoint and history.

    A resumed run is fitted again, from the features in the cache: the same result, unless settings of scoring have changed, by
    which the folds choose. changes: called before the checkpoint changes.
    """
    begun, strategy, task = time.monotonic(), plan.strategy, task_module(plan.strategy.task)
    start(strategy.train, "float32")
    network = task.network(plan)
    begin(network, plan, run.facts().get("weights"))
    features = Features(network.scored, strategy, store, "features")
    chosen = {"epoch": 1, "folds": len(folds), **task.fit_head(plan, folds, network, features.outputs)}
    changes()
    run.note(chosen=chosen)
    save_weights(network.scored, run.best_weights)
    seconds, photos = round(time.monotonic() - begun, 3), len(plan.train)
    costs = {"epoch": 1, "step": 1, "photos": photos, "train_seconds": seconds, "seconds": seconds}
    run.record([{**costs, history_column(task.monitor(strategy)): chosen["score"]}])
    echo(f"head fitted to {photos} photos in {seconds:.1f} s; {_told(chosen)}")


def _told(chosen: dict) -> str:
    """What the folds chose, in a few words."""
    where = f"{chosen['folds']} folds" if chosen["folds"] else "validation"
    names = {"method": "{}", "regularization": "with {:g}", "shrinkage": "shrinkage {:g}"}
    what = [text.format(chosen[name]) for name, text in names.items() if name in chosen]
    return f"{where} chose {' '.join(what)} (score {np.round(chosen['score'], 4)})"
