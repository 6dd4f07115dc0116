"""Processes that work for this one, and end with it."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import joblib  # pyright: ignore[reportMissingTypeStubs]

_SECONDS = 1.0
_SAFE_PATH = "PYTHONSAFEPATH"  # Of Python 3.11 and later.


def each(
    function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]], workers: int | None = None, ordered: bool = True
) -> Iterator[Any]:
    """`function(*job)` of each job, by so many processes, one a core without; in order, or as they are done.

    The processes wait for more work for five minutes, but never longer than this process lives.
    """
    kind = "generator" if ordered else "generator_unordered"
    delayed: Any = joblib.delayed  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    pool: Any = joblib.Parallel(
        workers or joblib.cpu_count(), return_as=kind, initializer=end_with, initargs=(os.getpid(),)
    )
    with _safe_path():
        yield from pool(delayed(function)(*job) for job in jobs)


@contextlib.contextmanager
def _safe_path() -> Generator[None, None, None]:
    """Inside the block, a Python that is started does not import from the current folder: it may be a stranger's dataset."""
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        os.environ.pop(_SAFE_PATH)
        if before is not None:
            os.environ[_SAFE_PATH] = before


def end_with(process: int) -> None:
    """End this process within seconds of the one that started it, even if that is killed."""
    threading.Thread(target=_watch, args=(process,), daemon=True).start()


def _watch(process: int) -> None:
    while os.getppid() == process:
        time.sleep(_SECONDS)
    os._exit(1)  # Nobody is left to be told.
