"""Estimates the cost of a run (steps, time, memory, disk) from a few measured steps."""

import resource
import time
from dataclasses import dataclass

import numpy as np

from kcars.core.errors import KcarsError
from kcars.data.photo_table import Dataset
from kcars.input.progressive_resizing import changes, sizes_by_epoch, work_share
from kcars.input.stream import Stream
from kcars.models.outputs import views
from kcars.runs.keras_setup import settled, start
from kcars.settings import Strategy
from kcars.tasks import task_module
from kcars.tasks.plan import Plan

TIMED_STEPS = 4
STATE_COPIES = 4  # A state has the weights, two moments, and the checkpoint's weights; two states are kept.
SHARE_OF_BUDGET = 0.9  # Share of train.max_minutes for steps; the rest is for start-up and slower periods.


@dataclass(frozen=True)
class Cost:
    """Measured on a network like the run's: seconds for start-up, per training step, per scored photo; parameters."""

    start_seconds: float
    step_seconds: float
    photo_seconds: float
    parameters: int

    def epoch_seconds(self, steps: int, validation_photos: int) -> float:
        return steps * self.step_seconds + validation_photos * self.photo_seconds


def measure(plan: Plan, stream: Stream) -> Cost:
    """Train a temporary network for a few steps of the stream, and score some photos with it.

    With progressive resizing, the time of a step is that of the mean epoch.
    """
    from kcars.input.batches import training_batches
    from kcars.objectives.optimizer import adamw

    task = task_module(plan.strategy.task)
    network = task.network(plan)
    network.trained.compile(
        optimizer=adamw(plan.strategy.train, plan.strategy.train.learning_rate), **task.objective(plan)
    )
    data = plan.strategy.data
    batches = iter(training_batches(stream, 0, 1 + TIMED_STEPS, data.workers, prefetch=1))
    begun = time.monotonic()
    network.trained.train_on_batch(*next(batches))  # traces the graph
    start_seconds = time.monotonic() - begun
    begun = time.monotonic()
    for batch in batches:
        network.trained.train_on_batch(*batch)
    share = work_share(sizes_by_epoch(plan.strategy.data, plan.strategy.train.epochs))
    step_seconds = (time.monotonic() - begun) / TIMED_STEPS * share
    size, count = data.size_px, plan.strategy.evaluate.batch
    photos = np.zeros((count, size, size, 3), np.uint8)
    network.scored.predict_on_batch(photos)
    begun = time.monotonic()
    network.scored.predict_on_batch(photos)
    photo_seconds = (time.monotonic() - begun) / count
    return Cost(start_seconds, step_seconds, photo_seconds, network.trained.count_params())


def fit_to_minutes(plan: Plan, stream: Stream, cost: Cost | None = None, runs: int = 1) -> tuple[int, int]:
    """Return epochs and steps per epoch, reduced to fit train.max_minutes if given, so that the schedule ends in time.

    runs: number of trainings of this length that share the minutes.
    """
    settings, steps = plan.strategy.train, stream.steps_per_epoch
    if settings.max_minutes is None:
        return settings.epochs, steps
    cost = cost or measure(plan, stream)
    # Each photo size of progressive resizing is traced again.
    starts = 1 + len(changes(sizes_by_epoch(plan.strategy.data, settings.epochs)))
    budget = settings.max_minutes * 60 * SHARE_OF_BUDGET / runs - cost.start_seconds * starts
    epochs = int(budget // cost.epoch_seconds(steps, len(plan.validation)))
    if epochs >= 1:
        return min(epochs, settings.epochs), steps
    steps = int((budget - len(plan.validation) * cost.photo_seconds) // cost.step_seconds)
    if steps < 1:
        raise KcarsError(
            f"train.max_minutes {settings.max_minutes:g}: too short for one step: start-up takes {cost.start_seconds:.1f} s, "
            f"a step {cost.step_seconds:.2f} s, validation {len(plan.validation) * cost.photo_seconds:.1f} s; give more "
            "minutes, or smaller batches or photos"
        )
    return 1, steps


def describe(strategy: Strategy, dataset: Dataset) -> str:
    """Return the text of `--dry-run`: photos, steps, time, memory and disk, with the time measured now."""
    strategy, task = settled(strategy), task_module(strategy.task)
    plan = task.plan(dataset, strategy)
    start(strategy.train)
    from kcars.images.pixel_store import Decoded, store_bytes, store_file

    stream = task.stream(plan, Decoded(dataset.table, strategy.data))
    cost = measure(plan, stream)
    runs = len(task.folds(dataset, strategy)) + 1
    work, seconds = _features(plan, cost) if strategy.frozen else _steps(plan, stream, cost, runs)
    built = strategy.data.cache != "off" and store_file(dataset.table, strategy.data).is_file()
    pixels = 0 if strategy.data.cache == "off" else store_bytes(len(dataset.table), strategy.data)
    held = pixels if strategy.data.cache == "memory" else 0
    return "\n".join(
        [
            f"photos:     {len(plan.train)} training, {len(plan.validation)} validation, "
            f"{len(dataset.test_rows())} test; {len(plan.classes)} {plan.strategy.learned}s as classes",
            f"parameters: {cost.parameters:,}",
            work,
            f"time:       about {seconds / 60:.1f} minutes of training ({_rate(strategy, cost)}, measured now)",
            f"memory:     about {(peak_memory_bytes() + held) / 2**30:.1f} GiB",
            f"disk:       {pixels / 2**20:.0f} MiB of pixel store{' (already built)' if built else ''}, "
            f"about {cost.parameters * (1 + 2 * STATE_COPIES) * 4 / 2**20:.0f} MiB of run folder",
        ]
    )


def _steps(plan: Plan, stream: Stream, cost: Cost, runs: int) -> tuple[str, float]:
    """Return a line about the steps of gradient descent, and their seconds."""
    epochs, steps = fit_to_minutes(plan, stream, cost, runs)
    folds = f", {runs - 1} folds and a final training on all photos" if runs > 1 else ""
    seconds = runs * epochs * cost.epoch_seconds(steps, len(plan.validation))
    return f"steps:      {epochs} epochs x {steps} steps of {plan.strategy.train.batch}{folds}", seconds


def _features(plan: Plan, cost: Cost) -> tuple[str, float]:
    """Return a line about the features of a frozen backbone, and the seconds to compute them for the training photos."""
    asked, photos = plan.strategy.evaluate, len(plan.train) + len(plan.validation)
    seen = len(views(plan.strategy.data.size_px, asked.mirror, asked.shift))
    text = f"features:   of {photos} photos, {seen} views each, without those in the cache; then the head is fitted"
    return text, photos * seen * cost.photo_seconds


def _rate(strategy: Strategy, cost: Cost) -> str:
    if strategy.frozen:
        return f"{1 / cost.photo_seconds:.0f} views per second"
    return f"{cost.step_seconds:.2f} s per step"


def peak_memory_bytes() -> int:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
