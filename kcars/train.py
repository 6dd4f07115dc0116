"""Training: one short path for every task."""

import sys
from functools import partial
from pathlib import Path

from kcars import runtime
from kcars.data.index import Dataset
from kcars.run import Run
from kcars.strategy import Strategy
from kcars.tasks import task_module
from kcars.tasks.plan import history_column


def train(strategy: Strategy, dataset: Dataset, out: Path, name: str, force: bool = False) -> Run:
    """Learn by `strategy` from `dataset` into the run folder `out`; the best epoch's weights stay there."""
    task = task_module(strategy.task)
    plan = task.plan(dataset, strategy)
    Run.check_place(out, force)
    runtime.start(strategy.train.precision, strategy.train.seed)
    from kcars.cost import fit_to_minutes
    from kcars.images.store import open_store
    from kcars.optimizer import adamw
    from kcars.schedules import build_schedule
    from kcars.tf_data import plain_errors, training_dataset

    store = open_store(dataset.index, strategy.data)
    if len(store.bad):
        plan = task.plan(dataset.without(store.bad), strategy)
    stream = task.stream(plan, store)
    epochs, steps = fit_to_minutes(plan, stream)
    run = Run.create(out, plan, name, force)  # Not before: what replaces an earlier run must be able to begin.
    run.note(planned={"epochs": epochs, "steps_per_epoch": steps})
    runtime.start(strategy.train.precision, strategy.train.seed)  # Measuring has drawn random numbers.
    network = task.network(plan)
    schedule = build_schedule(strategy.train.schedule, strategy.train.learning_rate, epochs * steps)
    network.trained.compile(optimizer=adamw(strategy.train, schedule), **task.objective(plan))
    with plain_errors():
        network.trained.fit(
            training_dataset(stream, 0, epochs * steps, strategy.data.workers, strategy.data.prefetch),
            epochs=epochs,
            steps_per_epoch=steps,
            callbacks=_callbacks(plan, task, network, store, run, schedule, epochs, steps),
            shuffle=False,
            verbose=0,
        )
    return run


def _callbacks(plan, task, network, store, run: Run, schedule, epochs: int, steps: int) -> list:
    from kcars import callbacks as all_
    from kcars.balanced import BalancedMetrics
    from kcars.embed import network_outputs
    from kcars.tensorboard import TensorBoardScalars

    settings, evaluate = plan.strategy.train, plan.strategy.evaluate
    leading = history_column(task.leading(plan.strategy))
    history: list[dict] = []

    def score(model) -> dict[str, float]:
        outputs = network_outputs(model, store, evaluate.batch, mirror=False)
        found = task.scores(plan, outputs, "validation", {}).scores
        return {history_column(key): value for key, value in found.items()}

    def record(row: dict) -> None:
        history.append(row)
        run.record(history)

    pairs = 2 if plan.strategy.data.order == "pairs" else 1
    chosen = [
        all_.StopOnNaN(),
        all_.Validate(network, score),
        BalancedMetrics(partial(run.record_class_recall, plan.classes)),
        all_.OneCycle(schedule, epochs * steps, run.folder / "learning_rate.png"),
        all_.CollapseWatch(_warn),
        all_.KeepBest(network.scored, leading, run.best_weights, settings.early_stopping),
        TensorBoardScalars(run.folder / "tensorboard"),
        all_.History(record, settings.batch * pairs),
        all_.Progress(epochs, steps, leading),
    ]
    if settings.plateau:
        chosen.append(all_.Plateau(**settings.plateau.model_dump()))
    if settings.max_minutes:
        chosen.append(all_.TimeLimit(settings.max_minutes, _warn))
    return chosen


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)
