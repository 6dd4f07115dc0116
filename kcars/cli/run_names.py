"""The folder in runs/ of a training that nobody named."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kcars.cli.load import stem
from kcars.core.errors import KcarsError


@contextlib.contextmanager
def next_run(name: str) -> Iterator[Path]:
    """The next free folder in runs/, made at once so that no other process takes it; removed where it stays empty."""
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
        told = f"{runs}: no run can be made there ({error.strerror})"
        raise KcarsError(f"{told}; name another folder with --out") from None
