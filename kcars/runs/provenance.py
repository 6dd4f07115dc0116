"""Records the photos that a run was trained on, so that it is never tested on them."""

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
WHOLE = "blake2b:"  # Prefix of keys of whole files; keys of earlier versions have no prefix.
TAIL = 4096  # Bytes at a photo's end that keys of earlier versions digest.


@dataclass(frozen=True)
class Learned:
    """The photos and models that a run was trained or validated on.

    keys: of photos, from `photo_keys`; trained: the subset used for training; models: names from
    `data.table.model_names`.
    """

    keys: frozenset[str]
    trained: frozenset[str]
    models: frozenset[str]

    def seen(self, table: PhotoTable, rows: np.ndarray, trained: bool = False) -> np.ndarray:
        """Return the mask (n,) of photos that the run has seen; trained: only training photos."""
        known = self.trained if trained else self.keys
        found = np.array([key in known for key in photo_keys(table, rows)], bool)
        if self.by_tail:
            found |= np.array([key in known for key in photo_keys(table, rows, _tail_key)], bool)
        return found

    @property
    def by_tail(self) -> bool:
        """Whether some photos were recorded by an earlier version of kcars."""
        return not all(key.startswith(WHOLE) for key in self.keys)

    @property
    def caution(self) -> str:
        """Return the text to append to messages about seen photos."""
        if not self.by_tail:
            return ""
        return " (an earlier kcars recorded them only by size and last bytes; if they are different photos, train that run again)"


def record(run: Run, plan: Plan, earlier: Run | None = None) -> None:
    """Write the photos that a run is trained or validated on, and those of the run that its weights come from."""
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
    """Read the photos of a run; KcarsError if they are not recorded."""
    lines = _lines(run)
    models = {(line["make"], line["model"]) for line in lines}
    return Learned(
        frozenset(line["key"] for line in lines),
        frozenset(line["key"] for line in lines if line["use"] != "validation"),
        frozenset(plain(with_make(*model)) for model in models),
    )


def _lines(run: Run) -> list[dict[str, str]]:
    without = "without it the run's training photos are unknown"
    try:
        text = run.files.read_text(TABLE)
    except KcarsError as error:
        raise KcarsError(f"{error}; {without}") from None
    columns = columns_in(text, run.folder / TABLE, without)
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def photo_keys(table: PhotoTable, rows: np.ndarray, key: Callable[[Path], str] | None = None) -> list[str]:
    """Return a key for each photo: the digest of its whole content, or the size of a file larger than `photo_mib`."""
    with ThreadPoolExecutor(joblib.cpu_count()) as readers:
        return list(readers.map(key or _whole_key, (table.root / path for path in table.paths[rows].tolist())))


def _whole_key(file: Path) -> str:
    with file.open("rb") as content:
        if (size := os.fstat(content.fileno()).st_size) > limits().photo_mib * MIB:
            return f"{WHOLE}{size} bytes"
        return WHOLE + hashlib.file_digest(content, partial(hashlib.blake2b, digest_size=16)).hexdigest()


def _tail_key(photo: Path) -> str:
    """Return the key of earlier versions: size and last bytes, which different files may share."""
    with photo.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL))
        return hashlib.blake2b(file.read() + str(size).encode(), digest_size=8).hexdigest()
