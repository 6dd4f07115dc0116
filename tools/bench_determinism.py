"""What equal bits cost: a training step with and without deterministic kernels, in turn, and one saving of the state.

    python tools/bench_determinism.py --rounds 7

Each figure comes from processes of its own, A B A B. The ratio is the median of the rounds' ratios (deterministic over
not), with the smallest and the largest. The state is written, safe on disk, beside this file's temporary folder.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

STRATEGIES = ["demo/verify", "demo/classify", "Vr_SRes18_CT_B128_SCR"]
STEPS = 12
SMALLER = ("train.batch=32",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--strategy", action="append", help="others than ours")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cars = Path(folder) / "cars"
        draw(cars)
        print(f"{'strategy':<24}{'ratio':>7}{'least':>7}{'most':>7}")
        for strategy in options.strategy or STRATEGIES:
            ratios = [seconds("on", strategy, cars) / seconds("off", strategy, cars) for _ in range(options.rounds)]
            print(f"{strategy:<24}{median(ratios):>7.3f}{min(ratios):>7.3f}{max(ratios):>7.3f}", flush=True)
        size, took = saving(Path(folder), options.rounds)
    print(f"a state of {size >> 20} MiB (ResNet18, its optimizer and its best epoch): {took:.2f} s")


def draw(folder: Path) -> None:
    from kcars.drawn.synthetic import DrawnCars
    from kcars.drawn.synthetic import draw as draw_cars

    draw_cars(folder, DrawnCars(makes=4, models_per_make=6, photos_per_model=12), progress=False)


def seconds(deterministic: str, strategy: str, cars: Path) -> float:
    command = [sys.executable, __file__, "--child", deterministic, strategy, str(cars)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def child(deterministic: str, name: str, cars: str) -> None:
    """Print the seconds of a step."""
    from kcars.data.source import load
    from kcars.images.pixel_store import open_store
    from kcars.runs.keras_setup import start
    from kcars.settings.strategy import load_strategy
    from kcars.tasks import task_module
    from kcars.training import cost

    strategy = load_strategy(name, (f"train.deterministic={deterministic}", "evaluate.folds=0", *SMALLER))
    start(strategy.train)
    task = task_module(strategy.task)
    plan = task.plan(load(Path(cars), strategy.task, strategy.data), strategy)
    cost.TIMED_STEPS = STEPS
    print(cost.measure(plan, task.stream(plan, open_store(plan.dataset.table, strategy.data))).step_seconds)


def saving(folder: Path, rounds: int) -> tuple[int, float]:
    """(bytes, seconds) of writing a state of four times ResNet18's weights."""
    from kcars.runs import state_file

    arrays = {f"model/{number}": np.ones(11_200_000, np.float32) for number in range(4)}
    took = []
    for _ in range(rounds):
        begun = time.monotonic()
        state_file.write(folder, state_file.State(1, {}, arrays))
        took.append(time.monotonic() - begun)
    return (folder / state_file.NEWEST).stat().st_size, median(took)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
