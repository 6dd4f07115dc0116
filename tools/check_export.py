"""Whether exports answer as their runs do where nothing else is installed: an environment a runtime, each made new.

    python tools/check_export.py runs/demo-classify runs/demo-verify

Each run is exported in every format, and each format put to its test photos in a virtual environment that holds only
tensorflow, only onnxruntime, or only ai-edge-litert (with what these bring).
"""

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import contest

ALONE = {"saved_model": "tensorflow-cpu", "onnx": "onnxruntime", "litert": "ai-edge-litert"}
CONSTRAINTS = Path(__file__).parent.parent / "constraints.txt"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, help="new location of the runs' dataset, if it moved")
    parser.add_argument("--photos", type=int, default=100_000, help="maximum number of test photos for the comparison")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as place:
        pythons = {kind: fresh(Path(place) / kind, package) for kind, package in ALONE.items()}
        for run in options.runs:
            rows += compared(run, Path(place) / "exports" / run.name, pythons, options)
    head = ["run", "format", "alone with", "answers of", "photos", "largest difference", "decisions equal", "too near to tell", "changed"]  # fmt: skip
    print(contest.markdown("Exports, each in an environment of its own", head, rows))


def fresh(folder: Path, package: str) -> Path:
    """The interpreter of a new environment that holds one package."""
    print(f"{package} alone ...", file=sys.stderr, flush=True)
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    subprocess.run(
        [python, "-I", "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", CONSTRAINTS, package],
        check=True,
    )
    assert subprocess.run([python, "-I", "-c", "import kcars"], capture_output=True, cwd="/").returncode, (
        "kcars is there"
    )
    return python


def compared(run: Path, out: Path, pythons: dict[str, Path], options) -> list[list[str]]:
    from kcars.export import FILES, export
    from kcars.export.check_photos import test_photos
    from kcars.export.checks import Check
    from kcars.export.checks import compared as compare
    from kcars.runs import model_card as cards
    from kcars.runs.checkpoint import answering_network
    from kcars.runs.fitted import pipeline_of
    from kcars.runs.run import Run

    opened = Run.open(run)
    photos = test_photos(opened, options.data, options.photos)
    card = export(
        opened, list(FILES), out, lambda: photos, say=lambda line: print(f"{run.name}: {line}", file=sys.stderr)
    )
    check, rows = Check.of(answering_network(opened), pipeline_of(opened), cards.of_run(opened), *photos), []
    for kind, python in pythons.items():
        for signature, found in compare(kind, out / card["files"][kind]["path"], check, str(python)).items():
            counts = [str(found[name]) for name in ("photos", "decisions", "near", "changed")]
            rows.append(
                [run.name, kind, ALONE[kind], signature, counts[0], f"{found['largest_difference']:.1e}", *counts[1:]]
            )
    return rows


if __name__ == "__main__":
    main()
