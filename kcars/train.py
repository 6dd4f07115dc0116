"""Training: one short path for every task."""

import sys
from functools import partial
from pathlib import Path

from kcars import runtime
from kcars.data.index import Dataset
from kcars.run import Run
from kcars.settings import Strategy
from kcars.tasks import task_module
from kcars.tasks.plan import Plan, history_column


def train(strategy: Strategy, dataset: Dataset, out: Path, name: str, force: bool = False) -> Run:
    """Learn by `strategy` from `dataset` into the run folder `out`; the best epoch's weights stay there.

    Where a task has folds, each is learned into a folder of its own below `out` first; together they choose the epoch
    and the decision, and the run itself then learns from everything.
    """
    task = task_module(strategy.task)
    task.plan(dataset, strategy)  # What cannot be trained is told before photos are decoded.
    Run.check_place(out, force)
    runtime.start(strategy.train.precision, strategy.train.seed)
    from kcars.cost import fit_to_minutes
    from kcars.images.store import open_store

    store = open_store(dataset.index, strategy.data)
    dataset = dataset.without(store.bad)
    folds, plan = task.folds(dataset, strategy), task.plan(dataset, strategy)
    epochs, steps = fit_to_minutes(plan, task.stream(plan, store), runs=len(folds) + 1)
    if strategy.train.max_minutes:
        print(
            f"time: {epochs} of {strategy.train.epochs} epochs fit into {strategy.train.max_minutes:g} minutes of training"
        )
    run = Run.create(out, plan, name, force)  # Not before: what replaces an earlier run must be able to begin.
    run.note(planned={"epochs": epochs, "steps_per_epoch": steps})
    minutes = strategy.train.max_minutes and strategy.train.max_minutes / (len(folds) + 1)
    histories = []
    for number, fold in enumerate(folds, 1):
        print(f"fold {number} of {len(folds)}: {len(fold.train)} photos to learn from, {len(fold.validation)} held out")
        part = Run.create(run.folder / f"fold-{number}", fold, name)
        _learn(fold, store, part, epochs, min(steps, task.stream(fold, store).steps_per_epoch), minutes)
        histories.append(part.history())
    if folds:
        chosen = task.choose(histories, strategy)
        print(f"epoch {chosen['epoch']} was best on average; now learning from all {len(plan.train)} photos")
        run.note(chosen=chosen)
    _learn(plan, store, run, epochs, steps, minutes)
    return run


def _learn(plan: Plan, store, run: Run, epochs: int, steps: int, minutes: float | None) -> None:
    """Train a network by the plan into the run, within the minutes."""
    from kcars.optimizer import adamw
    from kcars.schedules import build_schedule
    from kcars.tf_data import plain_errors, training_dataset

    strategy, task = plan.strategy, task_module(plan.strategy.task)
    runtime.start(strategy.train.precision, strategy.train.seed)  # Measuring or a fold has drawn random numbers.
    network = task.network(plan)
    schedule = build_schedule(strategy.train.schedule, strategy.train.learning_rate, epochs * steps)
    network.trained.compile(optimizer=adamw(strategy.train, schedule), **task.objective(plan))
    stream = task.stream(plan, store)
    with plain_errors():
        network.trained.fit(
            training_dataset(stream, 0, epochs * steps, strategy.data.workers, strategy.data.prefetch),
            epochs=epochs,
            steps_per_epoch=steps,
            callbacks=_callbacks(plan, task, network, store, run, schedule, epochs, steps, minutes),
            shuffle=False,
            verbose=0,
        )


def _callbacks(plan, task, network, store, run: Run, schedule, epochs: int, steps: int, minutes) -> list:
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

    validates = len(plan.validation) > 0
    pairs = 2 if plan.strategy.data.order == "pairs" else 1
    chosen = [
        all_.StopOnNaN(),
        *([all_.Validate(network, score)] if validates else []),
        BalancedMetrics(partial(run.record_class_recall, plan.classes)),
        all_.OneCycle(schedule, epochs * steps, run.folder / "learning_rate.png"),
        all_.CollapseWatch(_warn),
        all_.KeepBest(network.scored, leading, run.best_weights, settings.early_stopping)
        if validates
        else all_.KeepEpoch(network.scored, run.facts()["chosen"]["epoch"], run.best_weights),
        TensorBoardScalars(run.folder / "tensorboard"),
        all_.History(record, settings.batch * pairs),
        all_.Progress(epochs, steps, leading if validates else "loss"),
    ]
    if settings.plateau:
        chosen.append(all_.Plateau(**settings.plateau.model_dump()))
    if minutes:
        chosen.append(all_.TimeLimit(minutes, _warn))
    return chosen


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)
