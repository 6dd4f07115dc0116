"""What a run has learned from, photo by photo, so that nothing of it is ever tested on as if it were new."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import joblib
import numpy as np

from kcars.csv_files import csv_text
from kcars.data.index import Index, plain, with_make
from kcars.errors import KcarsError
from kcars.run import Run
from kcars.schemas.tables import columns_in
from kcars.tasks.plan import Plan

TABLE = "learned_photos.csv"
TAIL = 4096  # Bytes at a photo's end: compressed pixels, where its beginning may be a camera's usual header.


@dataclass(frozen=True)
class Learned:
    """What a run learned from or chose on.

    keys: of photos, as `photo_keys` gives them; trained: those of them that its weights learned from; models: names, as
    `data.index.model_names` gives them.
    """

    keys: frozenset[str]
    trained: frozenset[str]
    models: frozenset[str]


def record(run: Run, plan: Plan, earlier: Run | None = None) -> None:
    """Write the photos that a run learns from or chooses on, and those that its weights knew from an earlier run."""
    index, rows = plan.dataset.index, [plan.train, plan.validation]
    use = np.repeat(["train", "validation"], [len(part) for part in rows])
    rows = np.concatenate(rows)
    columns = {
        "path": index.paths[rows].tolist(),
        "key": photo_keys(index, rows),
        **{target: [index.name(target, id_) for id_ in index.ids[target][rows]] for target in ("make", "model")},
        "use": use.tolist(),
    }
    if earlier:
        for line in _lines(earlier):
            for name in columns:
                columns[name].append("earlier run" if name == "use" else line[name])
    run.files.write_text(TABLE, csv_text(columns))


def read(run: Run) -> Learned:
    """What the run knows; KcarsError where it does not say."""
    lines = _lines(run)
    models = {(line["make"], line["model"]) for line in lines}
    return Learned(
        frozenset(line["key"] for line in lines),
        frozenset(line["key"] for line in lines if line["use"] != "validation"),
        frozenset(plain(with_make(*model)) for model in models),
    )


def _lines(run: Run) -> list[dict[str, str]]:
    without = "without it nobody can tell what the run has learned from"
    try:
        text = run.files.read_text(TABLE)
    except KcarsError as error:
        raise KcarsError(f"{error}; {without}") from None
    columns = columns_in(text, run.folder / TABLE, without)
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def photo_keys(index: Index, rows: np.ndarray) -> list[str]:
    """A key of each photo that is equal for equal files, wherever they lie: of its size and its last bytes."""
    with ThreadPoolExecutor(joblib.cpu_count()) as readers:
        return list(readers.map(partial(_key, index.root), index.paths[rows].tolist()))


def _key(root: Path, path: str) -> str:
    with (root / path).open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL))
        return hashlib.blake2b(file.read() + str(size).encode(), digest_size=8).hexdigest()
