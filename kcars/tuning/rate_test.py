"""Learning-rate range test (Smith 2015, arXiv 1506.01186): a temporary network is trained while the rate rises."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kcars.core.csv_files import csv_text
from kcars.core.errors import KcarsError
from kcars.core.files import writable_folder, write_text, written_whole
from kcars.data.photo_table import Dataset, PixelStore
from kcars.runs.keras_setup import settled, start
from kcars.settings import Strategy
from kcars.tasks import task_module
from kcars.tasks.plan import Network, Plan
from kcars.training.tensorboard.drawings import in_own_style
from kcars.tuning.rate_curve import RateCurve, Suggestion, draw, is_over, suggest

TABLE, PICTURE = "rate_test.csv", "rate_test.png"
FEWEST = 20  # Minimum number of steps for a readable smoothed curve.


def rising_rates(low: float, high: float, steps: int) -> np.ndarray:
    """Return geometrically spaced rates (steps,) from low to high; KcarsError if they are invalid."""
    if low <= 0:
        raise KcarsError(f"--rates: {low:g} is not a valid learning rate; begin above 0")
    if steps < FEWEST:
        raise KcarsError(f"--steps {steps}: are too few for a curve; give {FEWEST} or more")
    return np.geomspace(low, high, steps)


def rate_test(strategy: Strategy, dataset: Dataset, rates: np.ndarray, out: Path, title: str) -> RateCurve:
    """Measure the loss at each rate, and write the table and the figure into the folder `out`.

    Uses only training photos, and discards the network. Raises KcarsError if the first loss is not finite.
    """
    strategy, task = settled(strategy), task_module(strategy.task)
    task.plan(dataset, strategy)  # Fails before photos are decoded.
    writable_folder(out, "--out")
    start(strategy.train)
    from kcars.images.pixel_store import open_store
    from kcars.input.batches import plain_errors

    store = open_store(dataset.table, strategy.data)
    plan = task.plan(dataset.without(store.bad), strategy)
    with plain_errors():
        curve = _until_it_diverges(losses(plan, store, rates), rates)
    _write(curve, out, title)
    return curve


def losses(plan: Plan, store: PixelStore, rates: np.ndarray) -> Iterator[float]:
    """Yield the loss of each batch before the update at its rate; an accumulated batch is one update."""
    from kcars.input.batches import training_batches

    model, data = _model(plan), plan.strategy.data
    parts = plan.strategy.train.gradient_accumulation
    stream = task_module(plan.strategy.task).stream(plan, store)
    if plan.strategy.balance.begin:  # A run begins without deferred balancing.
        stream = replace(stream, begin_step=len(rates) * parts)
    batches = iter(training_batches(stream, 0, len(rates) * parts, data.workers, data.prefetch))
    for rate in rates:
        model.optimizer.learning_rate = float(rate)
        model.reset_metrics()  # Metrics are means over all batches since the last reset.
        for _ in range(parts):
            logs = model.train_on_batch(*next(batches), return_dict=True)
        yield float(logs["loss"])


def _model(plan: Plan):
    """Return the compiled initial network of a run, with all layers that are ever trained unfrozen."""
    from kcars.training.fine_tune import FineTuning
    from kcars.training.fit import compile_
    from kcars.training.initial_weights import begin

    train = plan.strategy.train
    network = task_module(plan.strategy.task).network(plan)
    begin(network, plan)
    compile_(network, plan, train.learning_rate, FineTuning(_backbone(network, plan), train.fine_tune))
    model = network.trained
    if train.fine_tune:
        getattr(model.optimizer, "inner_optimizer", model.optimizer).begin(model.trainable_variables)
    return model


def _backbone(network: Network, plan: Plan) -> Any:
    return network.scored.get_layer(plan.strategy.model.backbone)


def _until_it_diverges(losses: Iterator[float], rates: np.ndarray) -> RateCurve:
    """Collect losses up to the first that is not finite, or until `is_over`."""
    found = []
    for loss in tqdm(losses, total=len(rates), desc="testing rates", unit="step", disable=None):
        if not math.isfinite(loss):
            break
        found.append(loss)
        if is_over(RateCurve(rates[: len(found)], np.array(found), len(rates))):
            break
    if not found:
        raise KcarsError(
            f"rate test: the loss is not finite before the first step at rate {rates[0]:g}; train in float32"
        )
    return RateCurve(rates[: len(found)], np.array(found), len(rates))


def _write(curve: RateCurve, out: Path, title: str) -> None:
    columns = {
        "step": range(len(curve.rates)),
        "rate": curve.rates,
        "loss": curve.losses,
        "smoothed_loss": curve.smoothed,
    }
    write_text(
        out / TABLE, csv_text({name: [float(f"{value:.8g}") for value in column] for name, column in columns.items()})
    )
    with written_whole(out / PICTURE, "wb") as file, in_own_style():
        draw(curve, suggest(curve), title).savefig(file, dpi=150, format="png")


def report(curve: RateCurve, found: Suggestion | None, schedule: str) -> str:
    """Return the final lines of a range test: its extent, the suggestion, and how to use it."""
    went = f"rate test: {len(curve.rates)} of {curve.steps} steps, to rate {curve.rates[-1]:.2g}"
    if len(curve.rates) < curve.steps:
        went += ", where the loss diverged"
    if found is None:
        return f"{went}\nno suggestion: the loss never fell; lower --rates, or give more --steps"
    lines = [
        went,
        f"steepest fall of the loss:          {found.steepest:.2g}",
        f"a tenth of the rate of its minimum: {found.tenth:.2g}",
    ]
    if found.minimum == curve.rates[-1]:
        lines.append("the loss was still falling at the last rate: try higher --rates")
    return "\n".join([*lines, _use(found.rate, schedule)])


def _use(rate: float, schedule: str) -> str:
    """Return the option that makes a run's schedule peak at the rate."""
    from kcars.objectives.schedules import PEAK_FACTOR  # Imports Keras.

    plain, below = f"--set train.learning_rate={rate:.2g}", f"--set train.learning_rate={rate / PEAK_FACTOR:.2g}"
    if schedule == "one_cycle":
        return f"use the higher: {below}  (schedule one_cycle rises to {PEAK_FACTOR:g} times that; with another it is {rate:.2g})"
    return f"use the higher: {plain}  (with schedule one_cycle, which rises to {PEAK_FACTOR:g} times it: {below})"
