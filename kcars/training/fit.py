"""One training: network, callbacks, and `fit` from the run's current step."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from kcars.core.plain_text import echo, warn
from kcars.input import progressive_resizing
from kcars.models.features import Features
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
    """Train a network by the plan into the run, within the minutes; continue from the run's state if it has one.

    changes: called before the checkpoint changes; not called if no step is left.
    """
    from kcars.input.batches import plain_errors
    from kcars.training.callbacks.basic import FirstChange
    from kcars.training.interrupt import Interruption
    from kcars.training.tensorboard import pictures
    from kcars.training.tensorboard.projector import project

    start(plan.strategy.train)  # The measurement or a fold has used random numbers.
    fitting = _Fitting(plan, store, run)
    with plain_errors(), Interruption() as interruption:
        callbacks = fitting.callbacks(minutes, interruption)
        older = partial(_change_unfinished, fitting.epochs * fitting.steps, changes)
        done = callbacks[-1].restore_newest(partial(fitting.stream.batch, 0), _warn, fitting.epochs, older)
        callbacks.insert(1, FirstChange(changes))  # After the callback that stops at non-finite numbers.
        pictures.begin(fitting.board, run, plan, fitting.stream)
        fitting.go(done, callbacks)
    kept = next(one.best_epoch for one in callbacks if hasattr(one, "best_epoch"))
    project(run, plan, fitting.network, store, kept)


class _Fitting:
    """The parts of one training: network, batches, schedule, callbacks."""

    def __init__(self, plan: Plan, store, run: Run):
        from kcars.objectives.schedules import build_schedule

        self.plan, self.store, self.run = plan, store, run
        strategy, self.task, planned = plan.strategy, task_module(plan.strategy.task), run.facts()["planned"]
        self.epochs, self.steps = planned["epochs"], planned["steps_per_epoch"]
        self.sizes = progressive_resizing.sizes_by_epoch(strategy.data, self.epochs)
        self.network = self.task.network(plan, any_size=strategy.data.first_px is not None)
        if not state_file.exists(run.folder):
            begin(self.network, plan, run.facts().get("weights"))
            if strategy.train.fine_tune and strategy.train.fine_tune.head == "fitted":
                features = Features(self.network.scored, strategy, store, "features")
                self.task.begin_head(plan, self.network, features.outputs)
        self.updates = self.epochs * self.steps // strategy.train.gradient_accumulation
        self.schedule = build_schedule(strategy.train.schedule, strategy.train.learning_rate, self.updates)
        self.tuning = FineTuning(self.network.scored.get_layer(strategy.model.backbone), strategy.train.fine_tune)
        compile_(self.network, plan, self.schedule, self.tuning)
        self.stream = self._stream()
        self.board = board_of(run.files.place("tensorboard"))

    def _stream(self):
        """Return the batches by step; balancing begins in the last epoch at the latest."""
        begin_step = min(round(self.plan.strategy.balance.begin * self.epochs), self.epochs - 1) * self.steps
        sizes = progressive_resizing.sizes_by_step(self.sizes, self.steps)
        return replace(self.task.stream(self.plan, self.store), sizes=sizes, begin_step=begin_step)

    def go(self, done: int, callbacks: list) -> None:
        """Call `fit` from a step on, once for each segment of the training."""
        from kcars.input.batches import training_batches
        from kcars.training.callbacks.save_state import segments

        data, larger = self.plan.strategy.data, progressive_resizing.changes(self.sizes)
        if done:
            echo(
                f"{self.run.folder}: {done} steps, {done / self.steps:.4g} of {self.epochs} epochs, were trained before"
            )
        for first, epoch, end, left in segments(
            done, self.epochs, self.steps, [*self.tuning.changes(self.epochs), *larger]
        ):
            if over := next((one for one in callbacks if getattr(one, "over", False)), None):
                echo(f"{self.run.folder}: ended by {type(over).__name__}; no step is left")
                break
            enter(self.network.trained, self.tuning, epoch, first_of_size=epoch in larger)
            self.network.trained.fit(
                training_batches(self.stream, first, end * self.steps, data.workers, data.prefetch),
                initial_epoch=epoch,
                epochs=end,
                steps_per_epoch=left,
                callbacks=callbacks,
                shuffle=False,
                verbose=0,
            )

    def callbacks(self, minutes: float | None, interruption) -> list:
        """Return the callbacks in order; the last one saves the state of all others."""
        from kcars.objectives.confusion import BalancedMetrics
        from kcars.training.callbacks import basic as all_
        from kcars.training.callbacks.history import History, Progress
        from kcars.training.callbacks.save_state import SaveState

        plan, run, settings = self.plan, self.run, self.plan.strategy.train
        keeping = _keeping(self.network.scored, settings)
        kept = keeping.kept if keeping else self.network.scored
        pairs = 2 if plan.strategy.learns_pairs else 1
        monitor = history_column(self.task.monitor(plan.strategy)) if len(plan.validation) else "loss"
        chosen = [
            all_.StopOnNaN(),
            *([keeping] if keeping else []),
            *self._validating(kept),
            BalancedMetrics(partial(run.record_class_recall, plan.classes), len(plan.classes)),
            all_.OneCycle(self.schedule, self.updates, run.folder / "learning_rate.png"),
            all_.CollapseWatch(_warn),
            self._keeping_weights(kept, monitor),
            History(self._record, settings.batch * pairs // settings.gradient_accumulation),
            Progress(self.epochs, self.steps, monitor),
            *([all_.Plateau(**settings.plateau.model_dump())] if settings.plateau else []),
            *([all_.TimeLimit(minutes, _warn)] if minutes else []),
        ]
        trained, every = self.network.trained, settings.save_minutes
        return [*chosen, SaveState(trained, chosen, run.folder, identity(run), self.steps, every, interruption)]

    def _validating(self, kept) -> list:
        """Return the callbacks that score the checkpointed network and draw its curves; none without validation data."""
        from kcars.models.outputs import network_outputs
        from kcars.training.callbacks.basic import Validate
        from kcars.training.tensorboard.pictures import Curves

        if not len(self.plan.validation):
            return []
        curves = Curves(self.plan, self.run.record_roc, self.board)

        def score(model) -> dict[str, float]:
            outputs = network_outputs(model, self.store, self.plan.strategy.evaluate.batch, mirror=False)
            found = self.task.scores(self.plan, outputs, "validation", self.task.learned_calibration(self.network))
            curves.latest = found.curves
            return {history_column(key): value for key, value in found.scores.items()}

        return [Validate(kept, score), curves]

    def _keeping_weights(self, kept, monitor: str):
        """Return the callback that saves the weights of the best epoch, of the last, or of the one that folds chose."""
        from kcars.training.callbacks.checkpoint import BestCheckpoint, EpochCheckpoint

        settings, run = self.plan.strategy.train, self.run
        if not len(self.plan.validation):
            return EpochCheckpoint(kept, run.facts()["chosen"]["epoch"], run.best_weights)
        return BestCheckpoint(kept, monitor, run.best_weights, settings.early_stopping, settings.keep == "last")

    def _record(self, rows: list[dict]) -> None:
        self.run.record(rows)
        self.board.scalars(rows)


def _change_unfinished(steps: int, changes: Callable[[], None], step: int) -> None:
    """Call `changes` if training continues from an earlier step and will change the weights."""
    if step < steps:
        changes()


def compile_(network: Network, plan: Plan, schedule, tuning: FineTuning) -> None:
    """Compile the trained network, with an optimizer that has the variables of all layers that are ever trained."""
    task, model = task_module(plan.strategy.task), network.trained
    tuning.thaw_all()
    backbone = network.scored.get_layer(plan.strategy.model.backbone)
    optimizer = adamw(plan.strategy.train, schedule, backbone.trainable_variables)
    # No weight decay for scalars (a pooling's exponent, a distance's scale), for which 0 is not neutral.
    decayed = 1 if plan.strategy.train.decay_norms else 2
    optimizer.exclude_from_weight_decay(var_list=[one for one in model.trainable_variables if len(one.shape) < decayed])
    model.compile(optimizer=optimizer, **task.objective(plan))
    model.optimizer.build(model.trainable_variables)


def enter(model, tuning: FineTuning, epoch: int, first_of_size: bool = False) -> None:
    """Unfreeze the layers of this epoch; first_of_size: its photos are larger than before."""
    if tuning.enter(epoch) or first_of_size:  # Trace again, or TensorFlow would make one graph for photos of any size.
        model.make_train_function(force=True)
    if tuning.settings:
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # Wrapped for float16.
        optimizer.begin(model.trainable_variables)


def _keeping(scored, settings):
    """Return the callback that maintains the checkpointed network; None if it is the trained one."""
    from kcars.training.callbacks.average import Averaged, Copied

    if settings.ema:
        return Averaged(scored, settings.ema, settings.gradient_accumulation)
    return None if settings.precision == "float32" else Copied(scored)


def _warn(text: str) -> None:
    warn(f"warning: {text}")
