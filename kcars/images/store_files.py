"""The files of a pixel store, finished and half built, and how old ones make room."""

import math
import os
import time
from pathlib import Path

from kcars.core.errors import KcarsError

_FORSAKEN_SECONDS = 3600  # A build writes all the time: what has not changed for as long was stopped.


def bad_list(file: Path) -> Path:
    """Beside a store that was built with bad photos skipped: why, by row."""
    return file.with_suffix(".bad.json")


def checksums(file: Path) -> Path:
    """Beside a store: the checksum of every photo's pixels."""
    return file.with_suffix(".sums.npy")


def partial(file: Path) -> Path:
    """What a store is called while it is built; one at a time builds it, by its lock."""
    return file.with_suffix(".partial")


def partial_checksums(file: Path) -> Path:
    """Beside it, the checksums of the pixels that are there."""
    return file.with_suffix(".partial-sums")


def forget_partial(file: Path) -> None:
    partial(file).unlink(missing_ok=True)
    partial_checksums(file).unlink(missing_ok=True)


def forget_old_stores(folder: Path, coming: int) -> None:
    """Delete the stores that were read longest ago until a new one fits under KCARS_CACHE_GIB."""
    asked = os.environ.get("KCARS_CACHE_GIB", "100")
    try:
        limit = float(asked) * 2**30
    except ValueError:
        limit = math.nan
    if not limit >= 0:
        raise KcarsError(f"KCARS_CACHE_GIB: {asked!r} is no number of GiB; one from 0 on is expected")
    halves = [half for half in folder.glob("*.partial") if time.time() - half.stat().st_mtime > _FORSAKEN_SECONDS]
    stores = sorted([*folder.glob("*.pixels"), *halves], key=lambda file: file.stat().st_mtime)
    total = sum(file.stat().st_size for file in stores)
    for file in stores:
        if total + coming <= limit:
            return
        total -= file.stat().st_size
        forget(file)
        partial_checksums(file).unlink(missing_ok=True)


def forget(file: Path) -> None:
    """Delete a store. A run that reads it goes on: its file stays until it is closed."""
    for one in (file, bad_list(file), checksums(file)):
        one.unlink(missing_ok=True)
