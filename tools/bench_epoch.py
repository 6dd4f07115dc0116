"""What training costs beside the network: an epoch of `fit` with its input and callbacks, against its bare steps.

    python tools/bench_epoch.py --data CompCars

Both train the strategy's network; the bare steps see one batch, in memory, again and again. Validation is left out.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import contest

RIVALS = {"epoch": "an epoch as `kcars train` runs it", "steps": "its steps alone, on one batch in memory"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a dataset as `kcars train` takes it; drawn cars without")
    parser.add_argument("--rounds", type=int, default=contest.ROUNDS)
    parser.add_argument("--strategies", default="start/verify,start/classify")
    options = parser.parse_args()
    rows = []
    for strategy in options.strategies.split(","):
        command = [sys.executable, __file__, "--rival", strategy, str(options.data or "")]
        figures = contest.contest({name: [*command, name] for name in RIVALS}, options.rounds)
        for name, seconds in figures.items():
            ratio = contest.told(contest.times_as_fast(figures["steps"], seconds))
            rows.append([strategy, RIVALS[name], f"{contest.median(seconds):.2f}", ratio])
    command = f"python tools/bench_epoch.py {' '.join(sys.argv[1:])}".strip()
    print(contest.markdown("Epoch", command, ["strategy", "what", "s", "takes times as long as its steps"], rows))


def rival(name: str, folder: str, what: str) -> None:
    from kcars.data.source import load
    from kcars.runtime import settled, start
    from kcars.strategy import load_strategy

    strategy = settled(load_strategy(name, ["train.precision=auto"]))
    dataset = load(Path(folder) if folder else None, strategy.task, strategy.data)
    start(strategy.train)
    from kcars.fine_tune import FineTuning
    from kcars.images.store import open_store
    from kcars.learn import compile_
    from kcars.schedules import build_schedule
    from kcars.tasks import task_module

    task = task_module(strategy.task)
    plan = task.plan(dataset, strategy)
    stream = task.stream(plan, open_store(dataset.index, strategy.data, progress=False))
    network, steps = task.network(plan), stream.steps_per_epoch
    settings = strategy.train
    schedule = build_schedule(settings.schedule, settings.learning_rate, settings.epochs * steps)
    tuning = FineTuning(network.scored.get_layer(strategy.model.backbone), None)
    compile_(network, plan, schedule, tuning)
    work = (whole_epoch if what == "epoch" else bare_steps)(network.trained, strategy, schedule, stream, steps)
    contest.serve(work)


def whole_epoch(model, strategy, schedule, stream, steps: int):
    from kcars import callbacks
    from kcars.balanced import BalancedMetrics
    from kcars.history import History, Progress
    from kcars.tf_data import training_dataset

    data, rows = strategy.data, []
    batches = training_dataset(stream, 0, 1000 * steps, data.workers, data.prefetch)
    beside = [
        callbacks.StopOnNaN(),
        BalancedMetrics(lambda _: None),
        callbacks.OneCycle(schedule, 1000 * steps),
        History(rows.append, strategy.train.batch),
        Progress(1000, steps, "loss"),
    ]
    epochs = Paused(beside)
    return epochs.over(lambda every: model.fit(batches, epochs=1000, steps_per_epoch=steps, callbacks=every, verbose=0))


class Paused:
    """`fit` in a thread of its own that waits after every epoch until the next one is asked for."""

    def __init__(self, callbacks: list):
        import threading

        import keras

        self.go, self.done, self.callbacks = threading.Semaphore(0), threading.Semaphore(0), callbacks
        outer = self

        class Wait(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                outer.go.acquire()
                outer.begun = time.perf_counter()

            def on_train_batch_end(self, batch, logs=None):
                outer.ended = time.perf_counter()

            def on_epoch_end(self, epoch, logs=None):
                outer.done.release()

        self.wait = Wait()

    def over(self, fit):
        import threading

        threading.Thread(target=fit, args=([self.wait, *self.callbacks],), daemon=True).start()

        def measure() -> float:
            self.go.release()
            self.done.acquire()
            return self.ended - self.begun

        return measure


def bare_steps(model, strategy, schedule, stream, steps: int):
    import tensorflow as tf

    inputs, labels = stream.batch(0)
    batches = tf.data.Dataset.from_tensors(tf.nest.map_structure(tf.constant, (inputs, labels))).repeat()
    options = tf.data.Options()
    options.autotune.enabled = False
    iterator = iter(batches.with_options(options))
    model.make_train_function()
    model.train_function(iterator)

    def measure() -> float:
        begun = time.perf_counter()
        for _ in range(steps):
            logs = model.train_function(iterator)
        float(logs["loss"])
        return time.perf_counter() - begun

    return measure


if __name__ == "__main__":
    if sys.argv[1:2] == ["--rival"]:
        rival(*sys.argv[2:])
    else:
        main()
