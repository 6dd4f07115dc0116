"""A few test photos of each model as files of their own, cut out: to try a model with what it never learned from."""

from pathlib import Path

import numpy as np
from PIL import Image

from kcars.core.files import folder_written_whole
from kcars.core.rng import generator
from kcars.data.photo_table import Dataset, PhotoTable
from kcars.images.decode import cut, full_size, named, photo_bytes

PADDING = 0.1  # Of the box's sides, as training's default has it.


def write_sample(dataset: Dataset, photos: int, out: Path) -> int:
    """Up to so many photos that are tested on of each model, drawn, in the new folder out/make/model; how many.

    Each is cut to its box, with a margin, and whole where it has none. Raises KcarsError if a photo cannot be read.
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
    """A name that any file system takes as one folder's."""
    name = table.name(target, table.ids[target][row])
    return (
        "".join("_" if letter in '/\\:*?"<>|' or not letter.isprintable() else letter for letter in name).strip(" .")
        or "_"
    )
