"""One training: a network, what happens beside its steps, and `fit` from where the run stands."""

import sys
from functools import partial

from kcars import state
from kcars.initial_weights import begin
from kcars.resume import identity
from kcars.run import Run
from kcars.runtime import start
from kcars.tasks import task_module
from kcars.tasks.plan import Plan, history_column


def learn(plan: Plan, store, run: Run, minutes: float | None) -> None:
    """Train a network by the plan into the run, within the minutes; go on from the run's state where it has one."""
    from kcars.interrupt import Interruption
    from kcars.optimizer import adamw
    from kcars.save_state import segments
    from kcars.schedules import build_schedule
    from kcars.tf_data import plain_errors, training_dataset

    strategy, task, planned = plan.strategy, task_module(plan.strategy.task), run.facts()["planned"]
    epochs, steps = planned["epochs"], planned["steps_per_epoch"]
    start(strategy.train)  # Measuring or a fold has drawn random numbers.
    network = task.network(plan)
    if not state.exists(run.folder):
        begin(network, plan, run.facts().get("weights"))
    schedule = build_schedule(strategy.train.schedule, strategy.train.learning_rate, epochs * steps)
    network.trained.compile(optimizer=adamw(strategy.train, schedule), **task.objective(plan))
    stream, data = task.stream(plan, store), strategy.data
    with plain_errors(), Interruption() as interruption:
        callbacks = _callbacks(plan, task, network, store, run, schedule, epochs, steps, minutes, interruption)
        done = callbacks[-1].restore_newest(partial(stream.batch, 0), _warn)
        if done:
            print(f"{run.folder}: {done} steps, {done / steps:.4g} of {epochs} epochs, were learned before")
        for first, epoch, end, left in segments(done, epochs, steps):
            if over := next((one for one in callbacks if getattr(one, "over", False)), None):
                print(f"{run.folder}: ended by {type(over).__name__}; nothing is left to learn")
                break
            network.trained.fit(
                training_dataset(stream, first, end * steps, data.workers, data.prefetch),
                initial_epoch=epoch,
                epochs=end,
                steps_per_epoch=left,
                callbacks=callbacks,
                shuffle=False,
                verbose=0,
            )


def _callbacks(plan, task, network, store, run, schedule, epochs, steps, minutes, interruption) -> list:
    from kcars import callbacks as all_
    from kcars.balanced import BalancedMetrics
    from kcars.embed import network_outputs
    from kcars.history import History, Progress
    from kcars.keep_best import KeepBest, KeepEpoch
    from kcars.save_state import SaveState
    from kcars.tensorboard import Scalars

    settings, evaluate = plan.strategy.train, plan.strategy.evaluate
    leading = history_column(task.leading(plan.strategy))
    scalars = Scalars(run.folder / "tensorboard")

    def score(model) -> dict[str, float]:
        outputs = network_outputs(model, store, evaluate.batch, mirror=False)
        found = task.scores(plan, outputs, "validation", {}).scores
        return {history_column(key): value for key, value in found.items()}

    def record(rows: list[dict]) -> None:
        run.record(rows)
        scalars.write(rows)

    validates = len(plan.validation) > 0
    pairs = 2 if plan.strategy.data.order == "pairs" else 1
    chosen = [
        all_.StopOnNaN(),
        *([all_.Validate(network, score)] if validates else []),
        BalancedMetrics(partial(run.record_class_recall, plan.classes)),
        all_.OneCycle(schedule, epochs * steps, run.folder / "learning_rate.png"),
        all_.CollapseWatch(_warn),
        KeepBest(network.scored, leading, run.best_weights, settings.early_stopping)
        if validates
        else KeepEpoch(network.scored, run.facts()["chosen"]["epoch"], run.best_weights),
        History(record, settings.batch * pairs),
        Progress(epochs, steps, leading if validates else "loss"),
    ]
    if settings.plateau:
        chosen.append(all_.Plateau(**settings.plateau.model_dump()))
    if minutes:
        chosen.append(all_.TimeLimit(minutes, _warn))
    saving = SaveState(network.trained, chosen, run.folder, identity(run), steps, settings.save_minutes, interruption)
    return [*chosen, saving]


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)
