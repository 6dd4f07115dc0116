"""One training: a network, what happens beside its steps, and `fit` from where the run stands."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from kcars.core.plain_text import echo, warn
from kcars.input import progressive_resizing
from kcars.objectives.optimizer import adamw
from kcars.runs import state_file
from kcars.runs.keras_setup import start
from kcars.runs.resume import identity
from kcars.runs.run import Run
from kcars.tasks import task_module
from kcars.tasks.plan import Network, Plan, history_column
from kcars.training.fine_tune import FineTuning
from kcars.training.initial_weights import begin
from kcars.training.tensorboard.board import board_of


def learn(plan: Plan, store, run: Run, minutes: float | None, changes: Callable[[], None] = lambda: None) -> None:
    """Train a network by the plan into the run, within the minutes; go on from the run's state where it has one.

    changes: called before what the run keeps becomes other weights than it has; never where nothing is left to learn.
    """
    from kcars.input.batches import plain_errors, training_batches
    from kcars.objectives.schedules import build_schedule
    from kcars.training.callbacks.basic import FirstChange
    from kcars.training.callbacks.save_state import segments
    from kcars.training.interrupt import Interruption
    from kcars.training.tensorboard import pictures
    from kcars.training.tensorboard.projector import project

    strategy, task, planned = plan.strategy, task_module(plan.strategy.task), run.facts()["planned"]
    epochs, steps = planned["epochs"], planned["steps_per_epoch"]
    start(strategy.train)  # Measuring or a fold has drawn random numbers.
    sizes = progressive_resizing.sizes_by_epoch(strategy.data, epochs)
    network = task.network(plan, any_size=strategy.data.first_px is not None)
    if not state_file.exists(run.folder):
        begin(network, plan, run.facts().get("weights"))
    updates = epochs * steps // strategy.train.gradient_accumulation
    schedule = build_schedule(strategy.train.schedule, strategy.train.learning_rate, updates)
    tuning = FineTuning(network.scored.get_layer(strategy.model.backbone), strategy.train.fine_tune)
    compile_(network, plan, schedule, tuning)
    begin_step = min(round(strategy.balance.begin * epochs), epochs - 1) * steps  # In the last epoch at the latest.
    stream = replace(
        task.stream(plan, store), sizes=progressive_resizing.sizes_by_step(sizes, steps), begin_step=begin_step
    )
    data, board = strategy.data, board_of(run.files.place("tensorboard"))
    with plain_errors(), Interruption() as interruption:
        callbacks = _callbacks(plan, task, network, store, run, board, schedule, updates, minutes, interruption)
        older = partial(_change_unfinished, epochs * steps, changes)
        done = callbacks[-1].restore_newest(partial(stream.batch, 0), _warn, epochs, older)
        callbacks.insert(1, FirstChange(changes))  # Behind what stops at numbers that are not finite.
        pictures.begin(board, run, plan, stream)
        if done:
            echo(f"{run.folder}: {done} steps, {done / steps:.4g} of {epochs} epochs, were learned before")
        for first, epoch, end, left in segments(
            done, epochs, steps, [*tuning.changes(epochs), *progressive_resizing.changes(sizes)]
        ):
            if over := next((one for one in callbacks if getattr(one, "over", False)), None):
                echo(f"{run.folder}: ended by {type(over).__name__}; nothing is left to learn")
                break
            enter(network.trained, tuning, epoch, first_of_size=epoch in progressive_resizing.changes(sizes))
            network.trained.fit(
                training_batches(stream, first, end * steps, data.workers, data.prefetch),
                initial_epoch=epoch,
                epochs=end,
                steps_per_epoch=left,
                callbacks=callbacks,
                shuffle=False,
                verbose=0,
            )
    kept = next(one.best_epoch for one in callbacks if hasattr(one, "best_epoch"))
    project(run, plan, network, store, kept)


def _change_unfinished(steps: int, changes: Callable[[], None], step: int) -> None:
    """Before the weights of an earlier state come back: what is left to learn from there makes others."""
    if step < steps:
        changes()


def compile_(network: Network, plan: Plan, schedule, tuning: FineTuning) -> None:
    """Compile what is trained, with an optimizer that knows of all that will ever learn."""
    task, model = task_module(plan.strategy.task), network.trained
    tuning.thaw_all()
    backbone = network.scored.get_layer(plan.strategy.model.backbone)
    optimizer = adamw(plan.strategy.train, schedule, backbone.trainable_variables)
    # Single numbers (a pooling's exponent, a distance's scale) have a meaning of their own, and 0 is none of it.
    decayed = 1 if plan.strategy.train.decay_norms else 2
    optimizer.exclude_from_weight_decay(var_list=[one for one in model.trainable_variables if len(one.shape) < decayed])
    model.compile(optimizer=optimizer, **task.objective(plan))
    model.optimizer.build(model.trainable_variables)


def enter(model, tuning: FineTuning, epoch: int, first_of_size: bool = False) -> None:
    """Let the part of the network learn that this epoch is for; first_of_size: its photos are larger than before."""
    if tuning.enter(epoch) or first_of_size:  # Traced anew, or TensorFlow would make one graph for photos of any size.
        model.make_train_function(force=True)
    if tuning.settings:
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # As it is wrapped for float16.
        optimizer.begin(model.trainable_variables)


def _callbacks(plan, task, network, store, run, board, schedule, updates, minutes, interruption) -> list:
    from kcars.models.outputs import network_outputs
    from kcars.objectives.confusion import BalancedMetrics
    from kcars.training.callbacks import basic as all_
    from kcars.training.callbacks.checkpoint import KeepBest, KeepEpoch
    from kcars.training.callbacks.history import History, Progress
    from kcars.training.callbacks.save_state import SaveState
    from kcars.training.tensorboard.pictures import Curves

    settings, evaluate, planned = plan.strategy.train, plan.strategy.evaluate, run.facts()["planned"]
    epochs, steps = planned["epochs"], planned["steps_per_epoch"]
    leading = history_column(task.leading(plan.strategy))
    curves = Curves(plan, run.record_roc, board)

    def score(model) -> dict[str, float]:
        outputs = network_outputs(model, store, evaluate.batch, mirror=False)
        found = task.scores(plan, outputs, "validation", task.beside(network))
        curves.latest = found.curves
        return {history_column(key): value for key, value in found.scores.items()}

    def record(rows: list[dict]) -> None:
        run.record(rows)
        board.scalars(rows)

    validates, keeping = len(plan.validation) > 0, _keeping(network.scored, settings)
    kept = keeping.kept if keeping else network.scored
    pairs = 2 if plan.strategy.data.order == "pairs" else 1
    chosen = [
        all_.StopOnNaN(),
        *([keeping] if keeping else []),
        *([all_.Validate(kept, score), curves] if validates else []),
        BalancedMetrics(partial(run.record_class_recall, plan.classes), len(plan.classes)),
        all_.OneCycle(schedule, updates, run.folder / "learning_rate.png"),
        all_.CollapseWatch(_warn),
        KeepBest(kept, leading, run.best_weights, settings.early_stopping, settings.keep == "last")
        if validates
        else KeepEpoch(kept, run.facts()["chosen"]["epoch"], run.best_weights),
        History(record, settings.batch * pairs // settings.gradient_accumulation),
        Progress(epochs, steps, leading if validates else "loss"),
        *([all_.Plateau(**settings.plateau.model_dump())] if settings.plateau else []),
        *([all_.TimeLimit(minutes, _warn)] if minutes else []),
    ]
    saving = SaveState(network.trained, chosen, run.folder, identity(run), steps, settings.save_minutes, interruption)
    return [*chosen, saving]


def _keeping(scored, settings):
    """The callback that makes the network which is kept; None where that is the one that learns."""
    from kcars.training.callbacks.average import Averaged, Copied

    if settings.ema:
        return Averaged(scored, settings.ema, settings.gradient_accumulation)
    return None if settings.precision == "float32" else Copied(scored)


def _warn(text: str) -> None:
    warn(f"warning: {text}")
