"""Kills runs (SIGKILL) at random moments, resumes them, and compares all they leave with runs that were never killed.

    python tools/bench_resume.py --kills 20               # every case, about an hour on two cores
    python tools/bench_resume.py --kills 2 --only plain/float32

Each case trains once without a stop. Then it trains again and again, killed at a random step and a random moment
within or after it (so in saving and in validation too) and resumed by `kcars train --resume`, until so many kills are
spent and the last run has come to its end. The table tells the largest difference in weights (with optimizer, metrics
and best epoch), in the history (seconds aside) with TensorBoard's scalars and pictures, and in scores. It must be 0 everywhere:
otherwise the exit code is 1.
"""

import argparse
import csv
import functools
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import zlib
from pathlib import Path

import numpy as np

SMALL = ["data.size_px=32", "model.width=0.25", "train.batch=16", "train.save_minutes=0.003"]
SMALL += ["evaluate.resamples=100", "evaluate.validation_pairs=200"]
ENDING = ["train.epochs=6", "train.early_stopping=2", "train.keep=best", "train.schedule=constant"]
CASES = {
    "plain": ["classify", "scratch/classify", "model.dropout=0.3", "train.plateau={monitor: val_loss, patience: 0}", *ENDING],
    "pairs": ["verify", "Vr_SRes18_CT_B128_SCR", "train.plateau={monitor: val_loss, patience: 0}", *ENDING],
    "pk": ["verify", "scratch/verify", "train.plateau={monitor: loss, patience: 0}", *ENDING],
    "fine-tune": ["classify", "scratch/classify", "train.epochs=6", "train.schedule=constant", "train.gradient_accumulation=2",
                  "train.fine_tune={head_epochs: 2, epochs_per_stage: 1, backbone_rate: 0.1, batch_norm: frozen}"],
    "grown": ["verify", "scratch/verify", "train.epochs=5", "data.first_px=48", "data.size_px=64", "data.classes_per_make=2",
              "model.pooling=gem", "model.drop_path=0.2", "train.ema=0.9", "train.decay_norms=false", "train.keep=last",
              "second_loss={weight: 0.5, loss: {name: multi_similarity}}"],
    "balanced": ["classify", "scratch/classify", "data.mix=both", "data.augment=crop(0.5) | rand_augment(0.5)",
                 "balance.sampling=square_root", "balance.augment=rand_augment(0.8)", *ENDING],
    "pk-folds": ["verify", "scratch/verify", "train.epochs=3", "train.schedule=one_cycle"],
}  # fmt: skip
PRECISIONS = ["float32", "mixed_bfloat16"]
EXTRA = ["plain/mixed_float16"]  # With its scaled loss, which skips steps.
TIMED = {"seconds", "train_seconds", "seconds_per_epoch"}


def main() -> None:
    known = [f"{case}/{precision}" for case in CASES for precision in PRECISIONS] + EXTRA
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="in each case")
    parser.add_argument("--only", action="append", choices=known, help="these cases only")
    parser.add_argument("--seed", type=int, default=0, help="of the kills")
    parser.add_argument("--data", type=Path, help="a dataset; without it, a few drawn cars")
    parser.add_argument("--work", type=Path, help="folder to keep the runs in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        data = options.data or drawn(work / "cars")
        cases = options.only or known
        print(
            f"{'case':<22}{'kills':>6}{'in an epoch':>13}{'runs':>6}{'steps':>7}{'weights':>9}{'history':>9}{'scores':>8}"
        )
        different = [case for case in cases if not proved(case, data, work / case, options.kills, options.seed)]
    if different:
        sys.exit(f"different: {', '.join(different)}")


def drawn(folder: Path) -> Path:
    from kcars.drawn.synthetic import DrawnCars, draw

    if not folder.exists():
        draw(folder, DrawnCars(makes=4, models_per_make=6, photos_per_model=16), progress=False)
    return folder


def proved(case: str, data: Path, work: Path, kills: int, seed: int) -> bool:
    """Run a case as told above, print its line, and say whether nothing differs."""
    whole, command = work / "whole", train_command(case, data)
    finish([*command, "--out", whole])
    last = json.loads((whole / "run.json").read_text())["planned"]
    random = np.random.default_rng([seed, zlib.crc32(case.encode())])
    total, spent, within, runs, worst = last["epochs"] * last["steps_per_epoch"], 0, 0, 0, np.zeros(3)
    while spent < kills:
        runs += 1
        run, arguments = work / f"killed-{runs}", [*command, "--out", work / f"killed-{runs}"]
        while spent < kills and killed(arguments, random.integers(1, max(2, total // 3)), random.uniform(0, 0.6)):
            spent += 1
            within += broken_within_epoch(run)
            arguments = ["train", "--resume", run]
        finish(["train", "--resume", run])
        worst = np.maximum(worst, differences(whole, run))
    shown = "".join(f"{value:>{width}.3g}" for value, width in zip(worst, (9, 9, 8), strict=True))
    print(f"{case:<22}{spent:>6}{within:>13}{runs:>6}{total:>7}{shown}", flush=True)
    return not worst.any()


def train_command(case: str, data: Path) -> list:
    name, precision = case.split("/")
    task, strategy, *own = CASES[name]
    settings = [*SMALL, *own, f"train.precision={precision}"]
    if task == "verify":
        settings.append(f"evaluate.folds={2 if name == 'pk-folds' else 0}")
    if name == "fine-tune":
        settings.append(f"model.weights={beginning(data)}")
    changes = [part for setting in settings for part in ("--set", setting)]
    return ["train", "--task", task, "--strategy", strategy, "--data", data, *changes]


@functools.cache
def beginning(data: Path) -> Path:
    """A run to begin fine-tuning with, beside the data."""
    run = data.parent / "beginning"
    changes = [part for setting in [*SMALL, "train.epochs=1"] for part in ("--set", setting)]
    finish(
        [
            "train",
            "--task",
            "classify",
            "--strategy",
            "scratch/classify",
            "--data",
            data,
            "--out",
            run,
            "--force",
            *changes,
        ]
    )
    return run


def finish(arguments: list) -> None:
    done = kcars(arguments, kill_after=0, delay=0)
    if done.returncode:
        sys.exit(f"kcars {' '.join(map(str, arguments))}\nended with {done.returncode}: {done.stderr[-2000:]}")


def killed(arguments: list, kill_after: int, delay: float) -> bool:
    done = kcars(arguments, kill_after, delay)
    if done.returncode not in (0, -signal.SIGKILL):
        sys.exit(f"kcars {' '.join(map(str, arguments))}\nended with {done.returncode}: {done.stderr[-2000:]}")
    return done.returncode == -signal.SIGKILL


def kcars(arguments: list, kill_after: int, delay: float) -> subprocess.CompletedProcess:
    command = [sys.executable, __file__, "--child", str(kill_after), str(delay), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def child(kill_after: int, delay: float, arguments: list[str]) -> None:
    """kcars itself, killed so many seconds after so many steps; 0: never."""
    from kcars.cli import main
    from kcars.training.callbacks import save_state

    seen, unchanged = 0, save_state.SaveState.on_train_batch_begin

    def counted(self, batch, logs=None):
        nonlocal seen
        seen += 1
        if seen == kill_after:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        unchanged(self, batch, logs)

    save_state.SaveState.on_train_batch_begin = counted
    main(arguments)


def broken_within_epoch(run: Path) -> bool:
    """Whether the training that the run stands in goes on in the middle of an epoch."""
    from kcars.runs import state_file

    at_work = [*sorted(run.glob("fold-*"), reverse=True), run]
    found = next((found for folder in reversed(at_work) if (found := state_file.read(folder, print))), None)
    steps = json.loads((run / "run.json").read_text())["planned"]["steps_per_epoch"]
    return found is not None and found.step % steps > 0


def differences(whole: Path, run: Path) -> tuple[float, float, float]:
    """Largest differences of two runs' weights, histories and scores; infinite where they have not the same parts."""
    parts = [folder.relative_to(whole) for folder in [whole, *sorted(whole.glob("fold-*"))]]
    return (
        max(largest(weights(whole / part), weights(run / part)) for part in parts),
        max(largest(history(whole / part), history(run / part)) for part in parts),
        largest(scores(whole), scores(run)),
    )


def largest(one: dict, other: dict) -> float:
    if one.keys() != other.keys():
        return np.inf
    return max(difference(one[key], other[key]) for key in one)


def difference(one, other) -> float:
    if isinstance(one, str) or np.shape(one) != np.shape(other):
        return 0.0 if one == other else np.inf
    one, other = np.asarray(one), np.asarray(other)
    if one.tobytes() == other.tobytes() or not one.size:
        return 0.0
    return float(np.nanmax(np.abs(one.astype(np.float64) - other.astype(np.float64)))) or np.inf


def weights(run: Path) -> dict[str, np.ndarray]:
    """Every array of the last state, and of the best epoch's file."""
    import h5py

    with np.load(run / "state.npz") as file:
        found = {name: file[name] for name in file.files if name != "facts"}
    with h5py.File(run / "best.weights.h5") as file:
        file.visititems(lambda name, part: found.update({name: part[()]}) if isinstance(part, h5py.Dataset) else None)
    return found


def history(run: Path) -> dict:
    """Every number of history.csv, class_recall.csv, roc.csv and TensorBoard's scalars, but seconds, and its pictures."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for name in ("history.csv", "class_recall.csv"):
        if (run / name).exists():
            rows = list(csv.DictReader((run / name).open()))
            found |= {f"{name}/{key}": np.array([row[key] for row in rows], float) for key in rows[0].keys() - TIMED}
    if (run / "roc.csv").exists():
        found["roc.csv"] = (run / "roc.csv").read_text()
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"tensors": 0})
    events.Reload()
    for tag in events.Tags()["tensors"]:
        points, kind = events.Tensors(tag), events.SummaryMetadata(tag).plugin_data.plugin_name
        if kind == "images":
            pictures = [
                (p.step, [hashlib.sha256(part).hexdigest() for part in p.tensor_proto.string_val]) for p in points
            ]
            found[f"tensorboard/{tag}"] = repr(pictures)
        if kind != "scalars" or tag.rpartition("/")[2] in TIMED:
            continue
        found[f"tensorboard/{tag}"] = np.array([(p.step, np.frombuffer(p.tensor_proto.tensor_content, "<f4")[0] if p.tensor_proto.tensor_content else p.tensor_proto.float_val[0]) for p in points])  # fmt: skip
    return found


def scores(run: Path) -> dict:
    """Every number of scores.json, but seconds, and the tables as text."""
    found = {
        name: (run / name).read_text() for name in ("photos.csv", "classes.csv", "pairs.csv") if (run / name).exists()
    }

    def walk(value, at: str) -> None:
        if isinstance(value, dict):
            for key, entry in value.items():
                if key not in TIMED:
                    walk(entry, f"{at}/{key}")
        else:
            found[at] = value if isinstance(value, str) or value is None else np.asarray(value)

    walk(json.loads((run / "scores.json").read_text()), "scores")
    return {key: "none" if value is None else value for key, value in found.items()}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
    else:
        main()
