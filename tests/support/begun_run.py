"""A run folder of a training that has not begun."""

import numpy as np

from kcars.data.readers import compcars
from kcars.runs.run import Run
from kcars.settings.strategy import load_strategy
from kcars.tasks import classify
from support.strategies import MINIMAL, written


def begun(tree, tmp_path, *overrides) -> Run:
    strategy = load_strategy(written(tmp_path, MINIMAL), overrides)
    plan = classify.plan(compcars.read(tree.root, "classify"), strategy)
    facts = {"planned": {"epochs": strategy.train.epochs, "steps_per_epoch": 5}}
    return Run.create(tmp_path / "run", plan, "mine", checksums=np.arange(3, dtype=np.uint32), **facts)
