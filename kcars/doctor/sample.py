"""Copies a few cropped test photos of each model, to try a trained model on photos outside its training set."""

from pathlib import Path

import numpy as np
from PIL import Image

from kcars.core.files import folder_written_whole
from kcars.core.rng import generator
from kcars.data.photo_table import Dataset, PhotoTable
from kcars.images.decode import cut, full_size, named, photo_bytes

PADDING = 0.1  # Share of the box's sides, as the default in training.


def write_sample(dataset: Dataset, photos: int, out: Path) -> int:
    """Write up to `photos` random test photos of each model into the new folder out/make/model; returns their number.

    Each is cropped to its box with a margin, or whole if it has no box. Raises KcarsError if a photo cannot be read.
    """
    table, rows = dataset.table, dataset.test_rows()
    models = table.ids["model"][rows]
    written = 0
    with folder_written_whole(out, "OUT") as place:
        for model in np.unique(models):
            own = np.sort(generator(0, "sample", int(model)).permutation(rows[models == model])[:photos])
            folder = place / _folder(table, "make", own[0]) / _folder(table, "model", own[0])
            folder.mkdir(parents=True, exist_ok=True)
            for row in own:
                written += 1
                Image.fromarray(_pixels(table, row)).save(folder / f"{written:04}.jpg", quality=95)
    return written


def _pixels(table: PhotoTable, row: int) -> np.ndarray:
    path = table.root / table.paths[row]
    with named(path):
        return cut(full_size(photo_bytes(path)), table.box_at(row), PADDING)


def _folder(table: PhotoTable, target: str, row: int) -> str:
    """A folder name that is valid on every file system."""
    name = table.name(target, table.ids[target][row])
    return (
        "".join("_" if letter in '/\\:*?"<>|' or not letter.isprintable() else letter for letter in name).strip(" .")
        or "_"
    )
