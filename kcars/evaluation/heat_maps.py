"""Heat maps of the photos and pairs that a report shows, stored as a table in the run folder."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from kcars.core.errors import KcarsError
from kcars.data.photo_table import PhotoTable, PixelStore
from kcars.evaluation.examples import Table, shown_alone, shown_pairs
from kcars.images.heat import as_text, from_text
from kcars.models.grad_cam import GradCam
from kcars.runs.run import Run

MAPS = "maps.csv"
MOST_PLACES = 512  # Per side; networks have feature maps of 2 to 16.
Maps = dict[tuple[str, str], np.ndarray]


def write_maps(
    run: Run, tables: Mapping[str, Table], table: PhotoTable, store: PixelStore, outputs: Callable, cam: GradCam
) -> None:
    """Write photo, other photo of the pair ("" for a single photo) and map for each that a report on the tables shows.

    A classifier's map explains the predicted class, from `outputs`, rows to logits; a verifier's that both are the same.
    """
    row = {path: number for number, path in enumerate(table.paths)}
    maps = _alone(shown_alone(tables), row, store, outputs, cam) | _paired(shown_pairs(tables), row, store, cam)
    columns = {"photo": [], "beside": [], "map": []}
    for (photo, other), heat in maps.items():
        for name, cell in zip(columns, (photo, other, as_text(heat)), strict=True):
            columns[name].append(cell)
    run.write_table(MAPS, {name: np.array(cells, object) for name, cells in columns.items()})


def read_maps(table: Table, place: Path) -> Maps:
    """Read maps (h, w) written by `write_maps`, by photo and other photo of the pair; empty for an empty table."""
    if not table:
        return {}
    try:
        keys = zip(table["photo"], table["beside"], strict=True)
        return {key: _map(text) for key, text in zip(keys, table["map"], strict=True)}
    except (KeyError, ValueError) as error:
        raise KcarsError(f"{place}: is damaged ({error}); kcars evaluate {place.parent} writes it again") from None


def _map(text: str) -> np.ndarray:
    heat = from_text(text)
    if max(heat.shape) > MOST_PLACES or not np.isfinite(heat).all():
        raise ValueError("a map is too large, or has numbers that are not finite")
    return heat


def _alone(paths: list[str], row: dict[str, int], store: PixelStore, outputs: Callable, cam: GradCam) -> Maps:
    if not paths:
        return {}
    rows = np.array([row[path] for path in paths])
    heats = cam.of_classes(store.read(rows), outputs(rows).argmax(1))
    return {(path, ""): heat for path, heat in zip(paths, heats, strict=True)}


def _paired(pairs: list[tuple[str, str]], row: dict[str, int], store: PixelStore, cam: GradCam) -> Maps:
    if not pairs:
        return {}
    left, right = (store.read(np.array([row[path] for path in side])) for side in zip(*pairs, strict=True))
    maps: Maps = {}
    for (one, other), first, second in zip(pairs, *cam.of_pairs(left, right), strict=True):
        maps |= {(one, other): first, (other, one): second}
    return maps
