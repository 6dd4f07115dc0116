"""Statistics of a dataset: photos per make, model, viewpoint and split, imbalance, boxes, pixels, a contact sheet."""

import numpy as np
from PIL import Image, ImageDraw

from kcars.core.errors import KcarsError
from kcars.core.rng import generator
from kcars.data.photo_table import Dataset, PhotoTable, PixelStore
from kcars.images.thumbnail import thumbnail

VIEWPOINTS = {-1: "unknown", 1: "front", 2: "rear", 3: "side", 4: "front-side", 5: "rear-side"}
SHEET_COLUMNS, TILE_PX, CAPTION_PX = 8, (132, 88), 14


def splits(datasets: dict[str, Dataset]) -> dict[str, tuple[PhotoTable, np.ndarray]]:
    """PhotoTable and rows of each split: `classify train`, `classify validation` if given, `classify test`, and for verify, `pairs`."""
    found = {}
    for task, dataset in datasets.items():
        found[f"{task} train"] = dataset.table, dataset.train
        if dataset.validation is not None:
            found[f"{task} validation"] = dataset.table, dataset.validation
        found[f"{task} {'test' if task == 'classify' else 'pairs'}"] = dataset.table, dataset.test_rows()
    return found


def class_counts(datasets: dict[str, Dataset], target: str) -> dict[str, list]:
    """One line per make or model: id, name, photos of each split, and in total (photos in several splits count once)."""
    parts = splits(datasets)
    ids = np.unique(np.concatenate([table.ids[target] for table, _ in parts.values()]))
    names = {id_: name for dataset in datasets.values() for id_, name in dataset.table.names[target].items()}
    columns: dict[str, list] = {"id": ids.tolist(), "name": [names.get(id_, str(id_)) for id_ in ids.tolist()]}
    for split, (table, rows) in parts.items():
        columns[split] = _counts(table.ids[target][rows], ids).tolist()
    whole = {path: id_ for dataset in datasets.values() for path, id_ in _labelled(dataset.table, target)}
    columns["photos"] = _counts(np.array(list(whole.values())), ids).tolist()
    return columns


def _labelled(table: PhotoTable, target: str):
    return zip(table.paths, table.ids[target].tolist(), strict=True)


def _counts(values: np.ndarray, ids: np.ndarray) -> np.ndarray:
    return np.bincount(np.searchsorted(ids, values), minlength=len(ids))


def summary(datasets: dict[str, Dataset]) -> str:
    """The text of `kcars data stats`: one line per split; least, median, most: photos per model."""
    heads = [
        "",
        "photos",
        "makes",
        "models",
        "least, median, most",
        "imbalance",
        *VIEWPOINTS.values(),
        "boxes",
        "median box",
    ]
    rows = [heads, *(_split_row(name, table, rows) for name, (table, rows) in splits(datasets).items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _split_row(name: str, table: PhotoTable, rows: np.ndarray) -> list[str]:
    """least, median, most: photos per model; imbalance: most / least; boxes: photos with a usable box."""
    if not len(rows):
        return [name, "0", *["-"] * (len(VIEWPOINTS) + 6)]
    photos = np.unique(table.ids["model"][rows], return_counts=True)[1]
    boxed = table.box[rows][table.box[rows, 0] >= 0]
    sides = np.median(boxed[:, 2:] - boxed[:, :2], axis=0) if len(boxed) else None
    views = [str(int((table.viewpoint[rows] == number).sum())) for number in VIEWPOINTS]
    return [
        name,
        str(len(rows)),
        str(len(np.unique(table.ids["make"][rows]))),
        str(len(photos)),
        f"{photos.min()}, {np.median(photos):g}, {photos.max()}",
        f"{photos.max() / photos.min():.1f}",
        *views,
        str(len(boxed)),
        "-" if sides is None else f"{sides[0]:.0f} x {sides[1]:.0f}",
    ]


def pixel_statistics(store: PixelStore, rows: np.ndarray, most: int = 2000) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean and standard deviation (3,) of RGB / 255 over up to `most` photos of the rows, and their number."""
    if not len(rows):
        raise KcarsError("pixel statistics: there are no training photos")
    chosen = np.sort(generator(0, "pixel statistics", 0).permutation(rows)[:most])
    total, squares, count = np.zeros(3), np.zeros(3), 0
    for start in range(0, len(chosen), 64):
        pixels = store.read(chosen[start : start + 64]).reshape(-1, 3) / 255
        total, squares, count = total + pixels.sum(0), squares + (pixels**2).sum(0), count + len(pixels)
    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 0)), len(chosen)


def contact_sheet(table: PhotoTable, rows: np.ndarray, models: int = 12) -> Image.Image:
    """Eight photos of each of up to `models` models, with names: one row per model, makes together."""
    draw = generator(0, "contact sheet", 0)
    labels = table.ids["model"][rows]
    chosen = draw.permutation(np.unique(labels))[:models].tolist()
    chosen.sort(key=lambda id_: (table.ids["make"][rows][labels == id_][0], id_))
    sheet = Image.new("RGB", (SHEET_COLUMNS * TILE_PX[0], (TILE_PX[1] + CAPTION_PX) * len(chosen)), "white")
    for line, id_ in enumerate(chosen):
        top = line * (TILE_PX[1] + CAPTION_PX)
        for column, row in enumerate(draw.permutation(rows[labels == id_])[:SHEET_COLUMNS]):
            if photo := thumbnail(table.root / table.paths[row], *TILE_PX):
                sheet.paste(photo, (column * TILE_PX[0], top))
        ImageDraw.Draw(sheet).text((2, top + TILE_PX[1]), _plain(table.name("model", id_)), "black")
    return sheet


def _plain(text: str) -> str:
    """The characters of a text that Pillow's built-in font can draw."""
    return text.encode("latin-1", "replace").decode("latin-1")
