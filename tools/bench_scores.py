"""What a precision costs in scores and gives in time: scratch/verify and scratch/classify trained from several seeds in each.

    python tools/bench_scores.py --data CompCars

Seconds are of one epoch, of one run after another on the same machine. With --runs the runs stay there, and what stands there
already is not trained again, so that seeds can be added. --picture draws score against seconds, as the paper's Figure 6 does.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean, median, stdev

sys.path.insert(0, str(Path(__file__).parent))
import contest

PRECISIONS = ("float32", "auto")
LEADING = {"verify": ("hard/roc_auc", "medium/roc_auc", "easy/roc_auc"), "classify": ("test/balanced_accuracy",)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a dataset as `kcars train` takes it; drawn cars without")
    parser.add_argument("--runs", type=Path, help="where the runs stay; without it they are thrown away")
    parser.add_argument("--picture", type=Path, help="where score against seconds is drawn, PNG")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=3, help="2 or more")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error(f"--seeds {options.seeds}: a deviation takes 2 or more")
    with tempfile.TemporaryDirectory() as away:
        options.runs = options.runs or Path(away)
        rows = compared(options)
        if options.picture:
            draw(options, Path(away))
    head = ["strategy", "score", "precision", "by seed", "mean ± standard deviation", "s an epoch"]
    print(contest.markdown("Scores in half precision", head, rows))


def draw(options, place: Path) -> None:
    runs = [str(folder(options, *one)) for one in every(options)]
    command = [sys.executable, "-m", "kcars.cli", "figures", *runs, "--out", str(place / "figures")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    shutil.copy(place / "figures/figure-6-cost.png", options.picture)


def every(options) -> list[tuple[str, str, int]]:
    return [(task, precision, seed) for task in LEADING for seed in range(options.seeds) for precision in PRECISIONS]


def folder(options, task: str, precision: str, seed: int) -> Path:
    return options.runs / f"{task}-{precision}-{seed}"


def compared(options) -> list[list[str]]:
    rows, runs = [], {}
    for one in every(options):  # Precisions in turn, so that a drift of the machine meets both.
        runs[one] = trained(options, *one)
    for task, scores in LEADING.items():
        found = {p: [runs[task, p, seed] for seed in range(options.seeds)] for p in PRECISIONS}
        seconds = {p: [run["cost"]["seconds_per_epoch"] for run in each] for p, each in found.items()}
        for score in scores:
            values = {p: [run["scores"][score]["value"] for run in each] for p, each in found.items()}
            for precision in PRECISIONS:
                each = ", ".join(f"{value:.3f}" for value in values[precision])
                told = f"{mean(values[precision]):.3f} ± {stdev(values[precision]):.3f}"
                rows.append([f"start/{task}", score, precision, each, told, f"{median(seconds[precision]):.1f}"])
            apart = [half - full for half, full in zip(values["auto"], values["float32"], strict=True)]
            rows.append([f"start/{task}", score, "auto less float32", ", ".join(f"{a:+.3f}" for a in apart),
                         f"{mean(apart):+.3f} ± {stdev(apart):.3f}", ""])  # fmt: skip
    return rows


def trained(options, task: str, precision: str, seed: int) -> dict:
    from kcars.runs.run import Run

    place = folder(options, task, precision, seed)
    if not (place / "scores.json").is_file():
        sets = {"train.precision": precision, "train.seed": seed, "train.epochs": options.epochs}
        command = [sys.executable, "-m", "kcars.cli", "train", "--strategy", f"start/{task}", "--task", task]
        command += ["--force", "--out", str(place), "--data", str(options.data or "drawn")]
        command += [part for name, value in sets.items() for part in ("--set", f"{name}={value}")]
        print(f"{place.name} ...", file=sys.stderr, flush=True)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Run.open(place).scores()


if __name__ == "__main__":
    main()
