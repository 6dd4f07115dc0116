"""Worker processes that end with this process."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import joblib  # pyright: ignore[reportMissingTypeStubs]

_SECONDS = 1.0
_SAFE_PATH = "PYTHONSAFEPATH"  # Since Python 3.11.


def each(
    function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]], workers: int | None = None, ordered: bool = True
) -> Iterator[Any]:
    """Yields `function(*job)` for each job, computed by `workers` processes, by default one per core.

    Results come in the order of the items, or in the order of completion. Idle processes end after five minutes or with this process.
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
    """Inside the block, child Python processes do not import from the current folder, which may be an untrusted dataset."""
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        os.environ.pop(_SAFE_PATH)
        if before is not None:
            os.environ[_SAFE_PATH] = before


def end_with(process: int) -> None:
    """End this process within seconds after process `process` ends, even if that is killed."""
    threading.Thread(target=_watch, args=(process,), daemon=True).start()


def _watch(process: int) -> None:
    while os.getppid() == process:
        time.sleep(_SECONDS)
    os._exit(1)  # No process is left to report to.
