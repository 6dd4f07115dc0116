"""Copies of a CompCars tree with other lists: thinned, without some models, or drawn from the training list. Photos are links."""

import os
import shutil
import tempfile
from pathlib import Path

from kcars.core.errors import KcarsError
from kcars.core.files import umask, writable_folder
from kcars.core.rng import generator
from kcars.data.readers.compcars import find_root
from kcars.data.source import load
from kcars.data.splits import share_of_models, share_of_photos, test_pairs
from kcars.settings import DataSettings

LISTS = Path("train_test_split")
TRAINING = {"classify": "classification/train.txt", "verify": "verification/verification_train.txt"}
TESTED = "classification/test.txt"
PAIRS = "verification/verification_pairs_{}.txt"
DRAWS = {"classify": share_of_photos, "verify": share_of_models}


def long_tailed(folder: Path, out: Path, task: str, target: str, ratio: float, seed: int) -> Path:
    """A tree at `out` whose training list of the task is thinned (`thinned`); what is tested on stays."""
    root = _root(folder)
    lists = {TRAINING[task]: thinned(_lines(root, TRAINING[task]), ratio, seed, {"make": 1, "model": 2}[target])}
    return copy(root, out, lists)


def without_models(folder: Path, out: Path, models: set[int]) -> Path:
    """A tree at `out` whose classification lists hold no photo of the models, by id."""
    root = _root(folder)
    lists = {
        name: [path for path in _lines(root, name) if int(path.split("/")[1]) not in models]
        for name in (TRAINING["classify"], TESTED)
    }
    return copy(root, out, lists)


def drawn(folder: Path, out: Path, task: str, share: float, seed: int) -> Path:
    """A tree at `out` that trains on a share of the task's training list and tests on the rest of it: none of what `folder` tests on.

    verify: the share is of the models, and the others' photos form the pairs; classify: of each model's photos.
    """
    root = _root(folder)
    if not 0 < share < 1:
        raise KcarsError(f"share {share:g}: must be between 0 and 1")
    dataset = load(root, task, DataSettings(size_px=32))
    table, rows = dataset.table, dataset.not_tested()
    draw = DRAWS[task](table, rows, 1 - share, seed)
    lists = {TRAINING[task]: [table.paths[row] for row in rows[~draw]]}
    if task == "classify":
        return copy(root, out, lists | {TESTED: [table.paths[row] for row in rows[draw]]})
    for difficulty, pairs in test_pairs(table, rows[draw], seed).items():
        columns = zip(pairs.left, pairs.right, pairs.same, strict=True)
        lists[PAIRS.format(difficulty)] = [
            f"{table.paths[left]} {table.paths[right]} {same}" for left, right, same in columns
        ]
    return copy(root, out, lists)


def thinned(paths: list[str], ratio: float, seed: int, levels: int = 2) -> list[str]:
    """Of photo paths `make/model/...` those that stay: the k-th largest of n classes keeps most x ratio^(-k / (n - 1)).

    At least one photo stays of each, and no more than it has; which ones is the seed's choice. The profile is that of
    Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", 2019. Order is kept.
    levels: how many parts of a path tell its class: 1 the make, 2 the model.
    """
    rows: dict[tuple, list[int]] = {}
    for row, path in enumerate(paths):
        rows.setdefault(tuple(path.split("/")[:levels]), []).append(row)
    largest_first = sorted(rows.values(), key=len, reverse=True)
    kept = []
    for k, own in enumerate(largest_first):
        wanted = round(len(largest_first[0]) * ratio ** (-k / max(1, len(largest_first) - 1)))
        kept += generator(seed, "thinned", k).permutation(own)[: max(1, wanted)].tolist()
    return [paths[row] for row in sorted(kept)]


def copy(root: Path, out: Path, lists: dict[str, list[str]]) -> Path:
    """A tree at `out` that links to the other's photos and labels, with these lists (name -> lines) in their place.

    It appears whole or not at all; one that lies there already must have the same lists (KcarsError).
    """
    if out.exists():
        if any(_lines(out, name) != lines for name, lines in lists.items()):
            raise KcarsError(f"{out}: has other lists than this study makes; choose another --out, or remove it")
        return out
    writable_folder(out.parent, "--out")
    unfinished = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        for entry in root.iterdir():
            if entry.name != LISTS.name:
                (unfinished / entry.name).symlink_to(entry.resolve())
        shutil.copytree(root / LISTS, unfinished / LISTS)
        for name, lines in lists.items():
            (unfinished / LISTS / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        unfinished.chmod(0o777 & ~umask())
        os.replace(unfinished, out)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return out


def _root(folder: Path) -> Path:
    root = find_root(folder)
    if root is None:
        raise KcarsError(f"dataset {folder}: not in CompCars layout; only its lists can be thinned, or lose models")
    return root


def _lines(root: Path, name: str) -> list[str]:
    path = root / LISTS / name
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise KcarsError(f"{path}: cannot be read ({error.strerror}); the CompCars lists are needed") from None
