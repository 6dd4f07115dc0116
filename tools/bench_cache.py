"""How much keeping decoded photos saves: an epoch of training with data.cache off, disk and memory, in turn.

    python tools/bench_cache.py --data CompCars --rounds 5

Each figure comes from a process of its own, A B C A B C, after one that is thrown away and builds the store: the median
of its epochs, but for the first, which traces the graph, as the run's history tells them. Printed are the medians, and
how many times as fast as `off` the others are: the median of the rounds' ratios, with the smallest and the largest.
`input alone` does without the network: an epoch's batches are made and thrown away, which is what an accelerator waits
for. A store on disk is read from the system's file cache where memory holds it.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

CACHES = ("off", "disk", "memory")
STRATEGY = "scratch/classify"
SMALL = ("train.epochs=4", "model.width=0.25")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a dataset as `kcars train` takes it; drawn cars without")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--strategy", default=STRATEGY)
    parser.add_argument("--set", action="append", default=[], dest="changes", help="more settings, key=value")
    options = parser.parse_args()
    common = [options.strategy, str(options.data or ""), *SMALL, *options.changes]
    print(f"{options.strategy}, {', '.join(common[2:])}; data {options.data or 'drawn cars'}; {options.rounds} rounds")
    for what in ("epoch", "input"):
        child_seconds(what, "disk", common)
        rounds = [{cache: child_seconds(what, cache, common) for cache in CACHES} for _ in range(options.rounds)]
        tell("an epoch" if what == "epoch" else "input alone", rounds)


def tell(what: str, rounds: list[dict[str, float]]) -> None:
    print(f"\n{what:<14}{'median s':>9}{'x off':>8}{'least':>8}{'most':>8}")
    for cache in CACHES:
        ratios = [took["off"] / took[cache] for took in rounds]
        seconds = median(took[cache] for took in rounds)
        print(f"{cache:<14}{seconds:>9.2f}{median(ratios):>8.2f}{min(ratios):>8.2f}{max(ratios):>8.2f}", flush=True)


def child_seconds(what: str, cache: str, common: list[str]) -> float:
    command = [sys.executable, __file__, "--child", what, *common, f"data.cache={cache}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return float(done.stdout.split()[-1])


def child(what: str, name: str, folder: str, *changes: str) -> None:
    """Print the seconds of an epoch, of training or of its input alone."""
    from kcars.data.source import load
    from kcars.settings.strategy import load_strategy

    strategy = load_strategy(name, changes)
    dataset = load(Path(folder) if folder else None, strategy.task, strategy.data)
    print((trained if what == "epoch" else fed)(strategy, dataset))


def trained(strategy, dataset) -> float:
    from kcars.training.train import train

    with tempfile.TemporaryDirectory() as folder:
        history = train(strategy, dataset, Path(folder) / "run", "bench").history()
    return median(epoch["train_seconds"] for epoch in history[1:])


def fed(strategy, dataset) -> float:
    """Seconds of an epoch's batches, from the second batch on: the first starts the threads."""
    from kcars.images.pixel_store import open_store
    from kcars.input.tf_data import training_dataset
    from kcars.runs.keras_setup import start
    from kcars.tasks import task_module

    start(strategy.train)
    task = task_module(strategy.task)
    store = open_store(dataset.table, strategy.data, progress=False)
    stream = task.stream(task.plan(dataset, strategy), store)
    steps, data = stream.steps_per_epoch, strategy.data
    batches = iter(training_dataset(stream, 0, steps + 1, data.workers, data.prefetch))
    next(batches)
    begun = time.monotonic()
    for _ in batches:
        pass
    return time.monotonic() - begun


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
