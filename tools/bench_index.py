"""How long reading a whole CompCars takes: python tools/bench_index.py LABELS.csv.gz FOLDER

LABELS has a line a photo: make_id, model_id, year, image, view, x1, y1, x2, y2. The tree is written into FOLDER once
(label files as in the release, empty photos: their bytes are never read here). Prints the warm times of the listed
photos (as many as in CompCars' lists), of all photos, and of all photos from the cached index.
"""

import contextlib
import csv
import gzip
import os
import sys
import tempfile
import time
from pathlib import Path

from kcars.data.readers import compcars
from kcars.settings import DataSettings

LISTED = 31_000


def write_tree(labels: Path, root: Path) -> None:
    """The release's files of every line: `image/` (empty), `label/`, and classification lists of LISTED photos."""
    paths = []
    with gzip.open(labels, "rt") as file:
        for row in csv.DictReader(file):
            path = f"{row['make_id']}/{row['model_id']}/{row['year']}/{row['image']}"
            for kind in ("image", "label"):
                (root / kind / path).parent.mkdir(parents=True, exist_ok=True)
            (root / "image" / path).touch()
            box = " ".join(row[edge] for edge in ("x1", "y1", "x2", "y2"))
            (root / "label" / path).with_suffix(".txt").write_text(f"{row['view']}\n1\n{box}\n")
            paths.append(path)
    lists = root / "train_test_split" / "classification"
    lists.mkdir(parents=True)
    listed = paths[:: max(1, len(paths) // LISTED)][:LISTED]
    for name, part in (("train", listed[::2]), ("test", listed[1::2])):
        (lists / f"{name}.txt").write_text("\n".join(part) + "\n")


def timed(what: str, read) -> None:
    read()  # warm
    begun = time.monotonic()
    dataset = read()
    print(f"{what:<36} {len(dataset.table):>8} photos {time.monotonic() - begun:8.2f} s")


@contextlib.contextmanager
def kept_in(folder: str):
    """Inside the block the cache lies in the folder."""
    before, os.environ["KCARS_CACHE"] = os.environ["KCARS_CACHE"], folder
    try:
        yield
    finally:
        os.environ["KCARS_CACHE"] = before


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    root = Path(sys.argv[2])
    if not (root / "train_test_split").is_dir():
        write_tree(Path(sys.argv[1]), root)
    os.environ.setdefault("KCARS_CACHE", str(root / "cache"))
    every = DataSettings(size_px=32, split="all")
    timed("lists and their labels", lambda: compcars.read(root, "classify"))
    with tempfile.TemporaryDirectory() as empty, kept_in(empty):
        begun = time.monotonic()
        photos = len(compcars.read(root, "classify", every).table)
        print(f"{'every photo, files read':<36} {photos:>8} photos {time.monotonic() - begun:8.2f} s")
    timed("every photo, from the cached index", lambda: compcars.read(root, "classify", every))


if __name__ == "__main__":
    main()
