"""Photos for comparing an export with its run: test photos, or thumbnails in the run folder."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.images.boxes import Box
from kcars.images.decode import photo_bytes
from kcars.runs.contents import THUMBNAIL
from kcars.runs.run import Run


class CheckPhoto(NamedTuple):
    """name: for messages; data: encoded bytes; box: None for the whole photo."""

    name: str
    data: bytes
    box: Box | None = None


def test_photos(run: Run, data: Path | None, most: int) -> tuple[str, list[CheckPhoto]]:
    """Return (description, photos), at most `most`, spread over the test list.

    data: location of the dataset, by default that of training; if it is missing, the run's thumbnails are used. Raises
    KcarsError if `data` is not the run's dataset, or neither exists.
    """
    from kcars.data.source import load

    strategy = run.strategy()
    try:
        dataset = load(data or Path(run.facts()["data"]["source"]), strategy.task, strategy.data)
        run.refuse_other_data(dataset)
    except KcarsError:
        if data:
            raise
        return _thumbnails(run, most)
    table, rows = dataset.table, dataset.test_rows()
    bad = set(run.facts()["data"]["bad_photos"])
    rows = rows[[path not in bad for path in table.paths[rows]]]
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))]
    boxed, photos = strategy.data.crop == "box", []
    for row in rows:
        path = table.root / str(table.paths[row])
        photos.append(CheckPhoto(str(path), photo_bytes(path), table.box_at(row) if boxed else None))
    return f"{len(photos)} test photos", photos


def _thumbnails(run: Run, most: int) -> tuple[str, list[CheckPhoto]]:
    files = run.files.files("thumbnails", THUMBNAIL)[:most]
    if len(files) < 2:
        raise KcarsError(
            f"run {run.folder}: its dataset {run.facts()['data']['source']} is missing, and it has no thumbnails; give the "
            "dataset with --data"
        )
    return f"{len(files)} thumbnails of test photos", [
        CheckPhoto(str(run.folder / file), run.files.read_bytes(file, limits().thumbnail_kib * 1024)) for file in files
    ]
