"""`make bench`: every benchmark of `tools/` in turn, written into docs/performance.md between its markers.

    python tools/bench.py                  # all: about an hour and a half on two cores
    python tools/bench.py --only resnet18  # one; the other sections stay as they are

KCARS_REAL_CARS names real photos in CompCars' layout; without it the benchmarks take drawn cars.
"""

import argparse
import os
import re
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import contest

PAGE = Path(__file__).parent.parent / "docs/performance.md"
# name -> tool and its options; which of them take --data; which have rounds
BENCHES = {
    "resnet18": ["bench_step.py", "--backbones", "resnet18"],
    "efficientnet_b0": ["bench_step.py", "--backbones", "efficientnet_b0"],
    "resnet50": ["bench_step.py", "--backbones", "resnet50"],
    "inception_v3": ["bench_step.py", "--backbones", "inception_v3"],
    "inference": ["bench_inference.py"],
    "input": ["bench_input.py"],
    "epoch": ["bench_epoch.py"],
    "evaluate": ["bench_evaluate.py"],
    "memory": ["bench_memory.py"],
    "startup": ["bench_startup.py"],
    "search": ["bench_search.py"],
    "scores": ["bench_scores.py", "--picture", "docs/time_and_score.png"],
}
WITH_DATA, WITHOUT_ROUNDS = {"input", "epoch", "evaluate", "scores"}, {"memory", "startup", "search", "scores"}
LIBRARIES = (
    "tensorflow-cpu",
    "keras",
    "torch",
    "torchvision",
    "onnxruntime",
    "openvino",
    "albumentations",
    "simplejpeg",
    "faiss-cpu",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=BENCHES, action="append")
    parser.add_argument("--rounds", type=int, help="in place of each benchmark's own")
    options = parser.parse_args()
    for name in options.only or BENCHES:
        tool, *more = BENCHES[name]
        command = [sys.executable, f"tools/{tool}", *more]
        photos = os.environ.get("KCARS_REAL_CARS", "")
        command += ["--data", photos] if name in WITH_DATA and photos else []
        command += ["--rounds", str(options.rounds)] if options.rounds and name not in WITHOUT_ROUNDS else []
        print(f"{name} ...", file=sys.stderr, flush=True)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"{tool}: ended with {done.returncode}; {PAGE.name} keeps its former figures")
        write(name, done.stdout.replace(photos, "REAL_CARS") if photos else done.stdout)


def write(name: str, section: str) -> None:
    """Put the section between its markers, with the machine and the day."""
    versions = ", ".join(f"{library} {version(library)}" for library in LIBRARIES)
    told = f"{section.strip()}\n\n{contest.machine()}; {versions}; {date.today():%Y-%m-%d}.\n"
    page = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    if begin not in page:
        sys.exit(f"{PAGE}: has no marker {begin.strip()}")
    page = re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: begin + told + end, page, flags=re.DOTALL)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
