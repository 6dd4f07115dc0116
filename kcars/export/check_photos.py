"""Which photos an export is compared on: test photos of the run, or what the run folder keeps of them."""

from pathlib import Path

import numpy as np

from kcars.errors import KcarsError
from kcars.images.decode import photo_bytes
from kcars.limits import limits
from kcars.run import Run
from kcars.run_contents import THUMBNAIL


def test_photos(run: Run, data: Path | None, most: int) -> tuple[str, list[tuple[bytes, np.ndarray | None]]]:
    """(what they are, encoded bytes and box of each), at most so many, spread over the test list.

    data: where the dataset lies; without it where it lay in training, and where it does not any more, the run's thumbnails.
    Raises KcarsError where `data` is not the run's dataset, and where there are neither.
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
    index, rows = dataset.index, dataset.test_rows()
    bad = set(run.facts()["data"]["bad_photos"])
    rows = rows[[path not in bad for path in index.paths[rows]]]
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))]
    boxed = strategy.data.crop == "box"
    photos = []
    for row in rows:
        box = index.box[row] if boxed and index.box[row][0] >= 0 else None
        photos.append((photo_bytes(index.root / str(index.paths[row])), box))
    return f"{len(photos)} test photos", photos


def _thumbnails(run: Run, most: int) -> tuple[str, list[tuple[bytes, None]]]:
    files = run.files.files("thumbnails", THUMBNAIL)[:most]
    if len(files) < 2:
        raise KcarsError(
            f"run {run.folder}: its dataset {run.facts()['data']['source']} is gone, and it keeps no thumbnails; name photos to "
            "compare on with --data"
        )
    return f"{len(files)} thumbnails of test photos", [
        (run.files.read_bytes(file, limits().thumbnail_kib * 1024), None) for file in files
    ]
