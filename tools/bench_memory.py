"""Whether memory grows with the dataset: a run of 10,000 and one of 100,000 photos, from decoding to the score.

    python tools/bench_memory.py

The photos are links to a few drawn ones in class folders, split by kcars. Each run has a process of its own and a cache
that is thrown away; what is read off is the peak of its anonymous memory (RssAnon, every 20 ms), which leaves the
system's file cache out.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import contest

CLASSES, FILES = 100, 200
SETTINGS = ("data.size_px=64", "model.width=0.125", "train.epochs=1", "train.batch=256", "data.augment=flip(0.5)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", default="10000,100000")
    options = parser.parse_args()
    counts = [int(count) for count in options.photos.split(",")]
    rows, peaks = [], {}
    for task in ("classify", "verify"):
        for count in counts:
            with tempfile.TemporaryDirectory() as place:
                link_photos(Path(place) / "cars", count)
                command = [sys.executable, __file__, "--child", task, place]
                done = subprocess.run(
                    command, capture_output=True, text=True, env={**os.environ, "KCARS_CACHE": f"{place}/cache"}
                )
            if done.returncode:
                sys.exit(done.stderr)
            peaks[task, count] = float(done.stdout.split()[-1])
            rows.append([task, f"{count:,}", f"{peaks[task, count]:.0f}", f"{peaks[task, count] / peaks[task, counts[0]]:.2f}"])  # fmt: skip
    head = ["task", "photos", "peak MiB", f"of that of {counts[0]:,}"]
    print(contest.markdown("Memory", head, rows))


def link_photos(folder: Path, count: int) -> None:
    from kcars.data.source import load
    from kcars.settings import DataSettings

    drawn = load(None, "classify", DataSettings(size_px=64)).table
    kept: list[Path] = []
    for number in range(count):
        place = folder / f"make-{number % CLASSES % 10}" / f"model-{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        file = place / f"{number}.jpg"
        if number < FILES:
            kept.append(Path(shutil.copy(drawn.root / str(drawn.paths[number]), file)))
        else:
            os.symlink(kept[number % FILES], file)


def child(task: str, place: str) -> None:
    peak = [0.0]

    def watch() -> None:
        while True:
            status = Path("/proc/self/status").read_text()
            peak[0] = max(peak[0], int(status.split("RssAnon:")[1].split()[0]) / 1024)
            time.sleep(0.02)

    threading.Thread(target=watch, daemon=True).start()
    from kcars.data.source import load
    from kcars.evaluation.evaluate import evaluate
    from kcars.settings.strategy import load_strategy
    from kcars.training.train import train

    strategy = load_strategy(f"start/{task}", [*SETTINGS, "evaluate.folds=0"])
    dataset = load(Path(place) / "cars", task, strategy.data)
    run = train(strategy, dataset, Path(place) / "run", "bench")
    evaluate(run, dataset, progress=False)
    print(peak[0])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
