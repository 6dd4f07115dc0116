"""Chooses the folder in runs/ for a run without --out."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kcars.cli.load import stem
from kcars.core.errors import KcarsError


@contextlib.contextmanager
def next_run(name: str) -> Iterator[Path]:
    """Create the next free folder in runs/, so that no other process takes it; remove it if it stays empty."""
    first = not Path("runs").exists()
    folder = _claimed(stem(name))
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):  # It holds a run.
            folder.rmdir()
            if first:
                folder.parent.rmdir()


def _claimed(name: str) -> Path:
    number, runs = 1, Path("runs")
    try:
        runs.mkdir(exist_ok=True)
        while True:
            folder = runs / f"{name}-{number}"
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                number += 1
    except OSError as error:
        raise KcarsError(f"{runs}: cannot be written ({error.strerror}); name another folder with --out") from None
