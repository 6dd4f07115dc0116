"""Reads text cells of MATLAB files with SciPy in a separate process, because damaged files can crash its reader.

`python -m kcars.data.matlab VARIABLE MEBIBYTES` is that process: it reads the file from standard input with limited memory, and
prints the cells as JSON.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from kcars.core.errors import KcarsError
from kcars.core.files import cache_place, fingerprint, kept_in_cache, write_json
from kcars.core.limits import limits
from kcars.untrusted.reading import MIB, read_bytes

HEADER_BYTES = 128  # The header contains the time of writing; the content follows.
SECONDS = 60


def read_cells(file: Path, variable: str) -> list[list[str]]:
    """Rows of a cell array as text, "" for an empty cell; cached by content.

    Raises KcarsError for a file that cannot be read, needs too much memory, or has no such cell array.
    """
    content = read_bytes(file, limits().matlab_mib * MIB)
    key = hashlib.sha256(content[HEADER_BYTES:]).hexdigest()[:16]
    kept = cache_place() / "matlab" / f"{variable}-{key}.json"
    cells = _kept_cells(kept)
    if cells is None:
        cells = _in_own_process(file, content, variable)
        kept_in_cache(kept, lambda place: write_json(place, {"cells": cells, "fingerprint": fingerprint(cells)}))
    return cells


def _kept_cells(file: Path) -> list[list[str]] | None:
    """Cells from the cache folder; None if they are missing or damaged."""
    try:
        kept = json.loads(read_bytes(file, limits().matlab_unpacked_mib * MIB))
        return kept["cells"] if fingerprint(kept["cells"]) == kept["fingerprint"] else None
    except (KcarsError, ValueError, TypeError, LookupError, RecursionError):
        return None


@lru_cache(maxsize=8)  # Starts only one process even if the cache folder cannot be written.
def _in_own_process(file: Path, content: bytes, variable: str) -> list[list[str]]:
    most = limits().matlab_unpacked_mib
    command = [
        sys.executable,
        "-P",
        "-m",
        "kcars.data.matlab",
        variable,
        str(most),
    ]  # -P: no imports from the current folder.
    package = str(Path(__file__).parents[2])  # For a checkout that is not installed.
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}  # Each thread takes memory.
    try:
        done = subprocess.run(  # noqa: S603  The command is our own.
            command, input=content, capture_output=True, timeout=SECONDS, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        raise KcarsError(f"{file}: cannot be read as a MATLAB file (not within {SECONDS} s)") from None
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["the reader crashed"]
        raise KcarsError(f"{file}: cannot be read as a MATLAB file ({lines[-1][:200]})")
    return json.loads(done.stdout)


def _bound(mebibytes: int) -> None:
    """Limit the additional memory of this process, and its CPU time to a minute."""
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    most = taken + mebibytes * MIB
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def _main(variable: str, mebibytes: str) -> None:
    import numpy as np
    import scipy.io

    content = io.BytesIO(sys.stdin.buffer.read())
    if sys.platform == "linux":
        _bound(int(mebibytes))
    try:
        contents = scipy.io.loadmat(content, variable_names=[variable])
        if variable not in contents:
            sys.exit(f"it contains no variable {variable}")
        cells = contents[variable]
        if cells.ndim != 2 or cells.dtype != object:
            sys.exit(f"{variable} is not a cell array")
        rows = [[str(np.squeeze(cell)).strip() if np.size(cell) else "" for cell in row] for row in cells]
        print(json.dumps(rows))
    except MemoryError:
        sys.exit(
            f"it needs more than {mebibytes} MiB of memory; KCARS_LIMITS=matlab_unpacked_mib=... changes the limit"
        )


if __name__ == "__main__":
    _main(*sys.argv[1:])
