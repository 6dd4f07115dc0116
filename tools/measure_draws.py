"""How settings do on several random draws of the training models (verification) or training photos (classification).

    python tools/measure_draws.py --data DATA --out FOLDER [--draws 5] [--share 0.6] [--seeds 1] [--target model] \\
        quick/verify start/verify start/verify,train.epochs=12,data.size_px=192

DATA: a tree in CompCars layout. Each strategy, with its `key=value` settings, is trained on `share` of the models of the verification
training list and scored on pairs of the others (classification: on that share of the photos of each model, and scored on the
others); no test photo is ever seen, so that settings may be chosen by the table: for each strategy the mean over the draws and
its worst draw. Runs that FOLDER already holds are not trained again.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import ablation_lists
import numpy as np
from ablation_study import slug
from contest import line

from kcars.core.errors import KcarsError
from kcars.core.files import fingerprint
from kcars.settings.strategy import load_strategy

MEASURES = {
    "verify": ("hard/roc_auc", "medium/roc_auc", "easy/roc_auc", "retrieval/recall@1", "retrieval/map@R"),
    "classify": ("test/balanced_accuracy", "test/top5", "test/nll"),
}
LONGEST_NAME = 100
SMALLER_IS_BETTER = ("test/nll",)


@dataclass(frozen=True)
class Variant:
    """A strategy with settings; text: as given on the command line."""

    text: str
    strategy: str
    settings: tuple[str, ...]
    task: str

    @classmethod
    def of(cls, text: str) -> "Variant":
        strategy, *settings = text.split(",")
        return cls(text, strategy, tuple(settings), load_strategy(strategy, settings).task)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="+", metavar="STRATEGY[,KEY=VALUE...]")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--target", default="model")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--share", type=float, default=0.6, help="of the models, or of the photos, that train")
    options = parser.parse_args()
    try:
        variants = [Variant.of(text) for text in options.variants]
        found = {one.text: [run(one, options, draw) for draw in range(options.draws)] for one in variants}
    except KcarsError as error:
        sys.exit(f"{Path(__file__).name}: {error}")
    for task in dict.fromkeys(one.task for one in variants):
        rows = {one.text: found[one.text] for one in variants if one.task == task}
        print("\n".join(map(line, table(rows, MEASURES[task]))), end="\n\n")


def run(variant: Variant, options: argparse.Namespace, draw: int) -> dict[str, float]:
    """The scores of the variant on a draw, trained unless its run folder has them."""
    place = f"data/{variant.task}-{options.share:g}-{draw}"
    data = ablation_lists.drawn(options.data, options.out / place, variant.task, options.share, draw)
    folder = options.out / f"{name_of(variant.text)}-{draw}"
    if not (folder / "scores.json").exists():
        given = [f"--set={setting}" for setting in (*variant.settings, f"train.seed={draw}")]
        command = ["train", "--task", variant.task, "--strategy", variant.strategy, "--target", options.target, *given]
        again = ["train", "--resume", folder] if folder.exists() else [*command, "--data", data, "--out", folder]
        # The package that runs is the one that this tool imports.
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
        done = subprocess.run([sys.executable, "-m", "kcars.cli", *map(str, again)], env=environment, check=False)
        if done.returncode:
            raise KcarsError(f"{variant.text}, draw {draw}: kcars train ended with exit code {done.returncode}")
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))["scores"]
    return {name: score["value"] for name, score in scores.items()}


def name_of(text: str) -> str:
    """A folder name for a variant; long ones end in a digest, because file systems limit names."""
    name = slug(text)
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}-{fingerprint(text)[:8]}"


def table(found: dict[str, list[dict[str, float]]], measures: tuple[str, ...]) -> list[list[str]]:
    """Rows of texts: a head, a line of rules, then for each variant the mean over the draws and the worst of them."""
    rows = [["mean (worst draw)", *measures], ["---"] * (len(measures) + 1)]
    for text, draws in found.items():
        cells = []
        for measure in measures:
            values = [scores[measure] for scores in draws]
            worst = max(values) if measure in SMALLER_IS_BETTER else min(values)
            cells.append(f"{np.mean(values):.3f} ({worst:.3f})")
        rows.append([f"`{text}`", *cells])
    return rows


if __name__ == "__main__":
    main()
