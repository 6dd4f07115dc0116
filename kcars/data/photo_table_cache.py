"""Caches the PhotoTable of a whole release until a folder of the release changes.

A file that is added, removed or replaced changes the time of its folder, and the PhotoTable is read again. A file that is
overwritten in place does not; `kcars data check` reads every file.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.files import cache_place, fingerprint, kept_in_cache, real_path, written_whole
from kcars.core.unfinished import forget_all_leftovers
from kcars.data.photo_table import PhotoTable
from kcars.untrusted.reading import read_arrays

FORMAT = 1  # Increase it when readers return other columns for the same files.
_COLUMNS = ("make", "model", "box", "viewpoint", "year", "bytes")


def cached_table(
    root: Path, names: dict[str, dict[int, str]], depth: int, read: Callable[[], PhotoTable]
) -> PhotoTable:
    """The PhotoTable of `read()` for the folders `image/` and `label/` below `root`, from the cache if possible.

    names: as in PhotoTable, read by the caller; depth: number of folder levels above the photos.
    """
    stamps = [stamp for folder in ("image", "label") for stamp in _folders(f"{root}/{folder}", depth)]
    key = fingerprint(FORMAT, str(real_path(root)), stamps)
    file = cache_place() / "indexes" / f"{key}.npz"
    kept = _load(file)
    if kept is None:
        table = read()
        kept_in_cache(file, lambda file: _save(file, table))
        return table
    paths = np.array(bytes(kept["paths"]).decode("utf-8", "surrogateescape").split("\0"), object)
    ids = {target: kept[target] for target in ("make", "model")}
    columns = {name: kept[name] for name in _COLUMNS if name not in ids}
    return PhotoTable(root=root / "image", paths=paths, ids=ids, names=names, **columns)


def _folders(folder: str, depth: int) -> Iterator[tuple[str, int]]:
    """Sorted (path, modification time) of a folder and its subfolders, down to `depth` levels."""
    if not os.path.isdir(folder):
        return
    try:
        yield folder, os.stat(folder).st_mtime_ns
        if not depth:
            return
        with os.scandir(folder) as entries:
            below = sorted(entry.path for entry in entries if entry.is_dir())
    except OSError as error:
        raise KcarsError(f"{folder}: cannot be read ({error.strerror})") from None
    for path in below:
        yield from _folders(path, depth - 1)


def _load(file: Path) -> dict[str, np.ndarray] | None:
    try:
        return read_arrays(file, ("paths", *_COLUMNS))
    except KcarsError:  # It is missing or damaged.
        return None


def _save(file: Path, table: PhotoTable) -> None:
    forget_all_leftovers(file.parent)
    for old in sorted(file.parent.glob("*.npz"), key=os.path.getmtime)[:-9]:
        old.unlink(missing_ok=True)
    paths = np.frombuffer("\0".join(table.paths).encode("utf-8", "surrogateescape"), np.uint8)
    columns = {"bytes": table.bytes, "box": table.box, "viewpoint": table.viewpoint, "year": table.year, **table.ids}
    with written_whole(file, "wb") as handle:
        np.savez(handle, paths=paths, **columns)  # pyright: ignore[reportArgumentType]  No array is named allow_pickle.
