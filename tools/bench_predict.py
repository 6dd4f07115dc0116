"""`kcars predict` over a folder of photos: whether memory stays flat, and its rate beside that of decoding alone.

    python tools/bench_predict.py runs/demo-classify

The photos are links to the photos that the run was tested on. Memory is the process' anonymous memory (RssAnon) when it
has answered about the 1,000th photo and about the last one; the first thousand, with the start, count for no rate. Bare
decoding reads the same files to the same size in the same threads, and does nothing else.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))
import contest

WARM = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a run of task classify, or its export")
    parser.add_argument(
        "--data", type=Path, help="a folder of photos, which an export needs; the run's test photos without"
    )
    parser.add_argument("--photos", type=int, default=5000, help=f"more than {WARM}, of which none counts")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.photos <= WARM:
        parser.error(f"--photos {options.photos}: more than {WARM} are needed")
    if not options.data and not (options.model / "run.json").is_file():
        parser.error(f"{options.model}: is no run, and only a run knows its test photos; --data names a folder of some")
    figures: dict[str, list] = {"first": [], "last": [], "rate": [], "bare": []}
    with tempfile.TemporaryDirectory() as place:
        files = link(options, Path(place))
        for _ in range(options.rounds):
            for name, value in predicting(options.model, place, options.photos).items():
                figures[name].append(value)
            figures["bare"].append(decoding(options.model, files[WARM:]))
    first, last, rate, bare = (median(figures[name]) for name in ("first", "last", "rate", "bare"))
    growth = max(b - a for a, b in zip(figures["first"], figures["last"], strict=True))
    head = [
        "photos",
        f"MiB at photo {WARM:,}",
        f"at photo {options.photos:,}",
        "largest growth",
        "photos/s",
        "bare decoding",
        "share",
    ]
    row = [
        f"{options.photos:,}",
        f"{first:.0f}",
        f"{last:.0f}",
        f"{growth:.0f}",
        f"{rate:.0f}",
        f"{bare:.0f}",
        f"{rate / bare:.2f}",
    ]
    print(contest.markdown("Predict", head, [row]))


def link(options, place: Path) -> list[Path]:
    """Links to the photos, over and over, in a folder."""
    if options.data:
        files = [file for file in sorted(options.data.rglob("*")) if file.suffix.lower() in (".jpg", ".jpeg", ".png")]
    else:
        from kcars.data.source import load
        from kcars.runs.run import Run

        run = Run.open(options.model)
        dataset = load(Path(run.facts()["data"]["source"]), "classify", run.strategy().data)
        files = [dataset.table.root / str(path) for path in dataset.table.paths[dataset.test_rows()]]
    links = []
    for number, file in enumerate(islice(cycle(files), options.photos)):
        links.append(place / f"{number:06d}{file.suffix}")
        links[-1].symlink_to(file.resolve())
    return links


def predicting(model: Path, folder: str, photos: int) -> dict[str, float]:
    command = [sys.executable, "-m", "kcars.cli", "predict", folder, "--model", str(model), "--top", "1", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    found, answered = {}, 0
    for answered, _ in enumerate(process.stdout, 1):
        if answered == WARM:
            found["first"], begin = anonymous_mib(process.pid), time.perf_counter()
        if answered == photos:
            found["last"] = anonymous_mib(process.pid)
            found["rate"] = (photos - WARM) / (time.perf_counter() - begin)
    if process.wait() or answered != photos:
        sys.exit(f"kcars predict: ended with {process.returncode} after {answered} photos")
    return found


def anonymous_mib(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


def decoding(model: Path, files: list[Path]) -> float:
    from kcars.images.decode import read_photo
    from kcars.inference.predictor import load

    size_px = load(model).card["input"]["size_px"]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        begin = time.perf_counter()
        for _ in pool.map(lambda file: read_photo(file, None, size_px, "whole", 0.0), files):
            pass
        return len(files) / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
