"""What a run has learned from, photo by photo, so that nothing of it is ever tested on as if it were new."""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import joblib
import numpy as np

from kcars.core.csv_files import csv_text
from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.data.photo_table import PhotoTable, plain, with_make
from kcars.runs.run import Run
from kcars.schemas.tables import columns_in
from kcars.tasks.plan import Plan
from kcars.untrusted.reading import MIB

TABLE = "learned_photos.csv"
WHOLE = "blake2b:"  # Begins keys of whole files; those of earlier versions are bare digits.
TAIL = 4096  # Bytes at a photo's end that those go by.


@dataclass(frozen=True)
class Learned:
    """What a run learned from or chose on.

    keys: of photos, as `photo_keys` gives them; trained: those of them that its weights learned from; models: names, as
    `data.table.model_names` gives them.
    """

    keys: frozenset[str]
    trained: frozenset[str]
    models: frozenset[str]

    def seen(self, table: PhotoTable, rows: np.ndarray, trained: bool = False) -> np.ndarray:
        """Mask (n,) of photos that the run knows; trained: only those that its weights learned from."""
        known = self.trained if trained else self.keys
        found = np.array([key in known for key in photo_keys(table, rows)], bool)
        if self.by_tail:
            found |= np.array([key in known for key in photo_keys(table, rows, _tail_key)], bool)
        return found

    @property
    def by_tail(self) -> bool:
        """Whether an earlier version of kcars noted some of the photos."""
        return not all(key.startswith(WHOLE) for key in self.keys)

    @property
    def caution(self) -> str:
        """What a message about photos that were seen must add."""
        if not self.by_tail:
            return ""
        return " (an earlier kcars noted them by size and last bytes alone; if they are others, train that run anew)"


def record(run: Run, plan: Plan, earlier: Run | None = None) -> None:
    """Write the photos that a run learns from or chooses on, and those that its weights knew from an earlier run."""
    table, rows = plan.dataset.table, [plan.train, plan.validation]
    use = np.repeat(["train", "validation"], [len(part) for part in rows])
    rows = np.concatenate(rows)
    columns = {
        "path": table.paths[rows].tolist(),
        "key": photo_keys(table, rows),
        **{target: [table.name(target, id_) for id_ in table.ids[target][rows]] for target in ("make", "model")},
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


def photo_keys(table: PhotoTable, rows: np.ndarray, key: Callable[[Path], str] | None = None) -> list[str]:
    """A key of each photo that is equal for equal files alone, wherever they lie: the digest of its whole content.

    Of a file larger than `photo_mib`, which is read as no photo, its size.
    """
    with ThreadPoolExecutor(joblib.cpu_count()) as readers:
        return list(readers.map(key or _whole_key, (table.root / path for path in table.paths[rows].tolist())))


def _whole_key(file: Path) -> str:
    with file.open("rb") as content:
        if (size := os.fstat(content.fileno()).st_size) > limits().photo_mib * MIB:
            return f"{WHOLE}{size} bytes"
        return WHOLE + hashlib.file_digest(content, partial(hashlib.blake2b, digest_size=16)).hexdigest()


def _tail_key(photo: Path) -> str:
    """As earlier versions of kcars noted photos: by their size and last bytes, which different files may share."""
    with photo.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL))
        return hashlib.blake2b(file.read() + str(size).encode(), digest_size=8).hexdigest()
