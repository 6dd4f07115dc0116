"""What training costs beside the network: an epoch of `fit` with its input and callbacks, against its bare steps.

    python tools/bench_epoch.py --data CompCars

Both train the strategy's network; the bare steps find the first epoch's batches in memory. Validation is left out.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import contest

RIVALS = {"epoch": "an epoch as `kcars train` runs it", "steps": "its steps alone, on batches in memory"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a dataset as `kcars train` takes it; drawn cars without")
    parser.add_argument("--rounds", type=int, default=contest.ROUNDS)
    parser.add_argument("--strategies", default="Md_Res18_CE_B256,scratch/verify,scratch/classify")
    options = parser.parse_args()
    rows = []
    for strategy in options.strategies.split(","):
        command = [sys.executable, __file__, "--rival", strategy, str(options.data or "")]
        figures = contest.contest({name: [*command, name] for name in RIVALS}, options.rounds)
        for name, seconds in figures.items():
            ratio = contest.told(contest.times_as_fast(figures["steps"], seconds))
            rows.append([strategy, RIVALS[name], f"{contest.median(seconds):.2f}", ratio])
    print(contest.markdown("Epoch", ["strategy", "what", "s", "takes times as long as its steps"], rows))


def rival(name: str, folder: str, what: str) -> None:
    from kcars.data.source import load
    from kcars.runs.keras_setup import settled, start
    from kcars.settings.strategy import load_strategy

    strategy = settled(load_strategy(name, ["train.precision=auto", "model.weights=none"]))
    dataset = load(Path(folder) if folder else None, strategy.task, strategy.data)
    start(strategy.train)
    from kcars.images.pixel_store import open_store
    from kcars.objectives.schedules import build_schedule
    from kcars.tasks import task_module
    from kcars.training.fine_tune import FineTuning
    from kcars.training.fit import compile_

    task = task_module(strategy.task)
    plan = task.plan(dataset, strategy)
    stream = task.stream(plan, open_store(dataset.table, strategy.data, progress=False))
    network, steps = task.network(plan), stream.steps_per_epoch
    settings = strategy.train
    schedule = build_schedule(settings.schedule, settings.learning_rate, settings.epochs * steps)
    tuning = FineTuning(network.scored.get_layer(strategy.model.backbone), None)
    compile_(network, plan, schedule, tuning)
    given = network.trained, strategy, schedule, stream, steps
    if what == "epoch":
        whole_epochs(*given, len(plan.classes))
    else:
        bare_steps(*given)


def whole_epochs(model, strategy, schedule, stream, steps: int, classes: int) -> None:
    import keras

    from kcars.input.tf_data import training_dataset
    from kcars.objectives.confusion import BalancedMetrics
    from kcars.training.callbacks import basic
    from kcars.training.callbacks.history import History, Progress

    class Serve(keras.callbacks.Callback):
        """An epoch each time that one is asked for; its seconds are those of its steps, as the run's history counts them."""

        def on_train_begin(self, logs=None):
            contest.tell(None)

        def on_epoch_begin(self, epoch, logs=None):
            contest.asked()
            self.begun = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            self.ended = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            contest.tell(self.ended - self.begun)

    data, epochs = strategy.data, 1000
    batches = training_dataset(stream, 0, epochs * steps, data.workers, data.prefetch)
    beside = [
        basic.StopOnNaN(),
        BalancedMetrics(lambda _: None, classes),
        basic.OneCycle(schedule, epochs * steps),
        History(lambda _: None, strategy.train.batch),
        Progress(epochs, steps, "loss"),
    ]
    model.fit(batches, epochs=epochs, steps_per_epoch=steps, callbacks=[*beside, Serve()], verbose=0)


def bare_steps(model, strategy, schedule, stream, steps: int) -> None:
    from kcars.input.tf_data import training_dataset

    class Made:
        """The stream's first epoch, again and again."""

        store = stream.store

        def __init__(self):
            self.batches = [stream.batch(step) for step in range(steps)]

        def batch(self, step: int) -> tuple:
            return self.batches[step % steps]

    model.make_train_function()  # What `fit` calls for every step.
    endless = iter(training_dataset(Made(), 0, 1000 * steps))
    model.train_function(endless)

    def work() -> None:
        for _ in range(steps):
            logs = model.train_function(endless)
        float(logs["loss"])

    contest.serve(work)


if __name__ == "__main__":
    contest.main_or_rival(main, rival)
