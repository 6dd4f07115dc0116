"""The files of a pixel store, complete or in progress, and the deletion of old ones."""

import math
import os
import time
from pathlib import Path

from kcars.core.errors import KcarsError

_FORSAKEN_SECONDS = 3600  # A build writes continuously: files unchanged for this long belong to an interrupted one.


def bad_list(file: Path) -> Path:
    """The file next to a store with skipped photos that lists the reasons by row."""
    return file.with_suffix(".bad.json")


def checksums(file: Path) -> Path:
    """The file next to a store with the checksums of the pixels of each photo."""
    return file.with_suffix(".sums.npy")


def partial(file: Path) -> Path:
    """The path of a store while it is built, by one process at a time."""
    return file.with_suffix(".partial")


def partial_checksums(file: Path) -> Path:
    """The file next to it with the checksums of the pixels decoded so far."""
    return file.with_suffix(".partial-sums")


def forget_partial(file: Path) -> None:
    partial(file).unlink(missing_ok=True)
    partial_checksums(file).unlink(missing_ok=True)


def forget_old_stores(folder: Path, coming: int) -> None:
    """Delete the least recently used stores and files of features until a new store fits within KCARS_CACHE_GIB."""
    asked = os.environ.get("KCARS_CACHE_GIB", "100")
    try:
        limit = float(asked) * 2**30
    except ValueError:
        limit = math.nan
    if not limit >= 0:
        raise KcarsError(f"KCARS_CACHE_GIB: {asked!r} is not a number of GiB; expected a number of at least 0")
    halves = [half for half in folder.glob("*.partial") if time.time() - half.stat().st_mtime > _FORSAKEN_SECONDS]
    whole = [*folder.glob("*.pixels"), *folder.glob("*.features")]
    stores = sorted([*whole, *halves], key=lambda file: file.stat().st_mtime)
    total = sum(file.stat().st_size for file in stores)
    for file in stores:
        if total + coming <= limit:
            return
        total -= file.stat().st_size
        forget(file)
        partial_checksums(file).unlink(missing_ok=True)


def forget(file: Path) -> None:
    """Delete a store. A run that reads it continues, because the open file remains until it is closed."""
    for one in (file, bad_list(file), checksums(file)):
        one.unlink(missing_ok=True)
