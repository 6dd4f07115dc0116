"""Text cells of MATLAB files. SciPy reads them in a process of its own: a damaged file can crash its reader.

Run as a program, `python -m kcars.data.matlab VARIABLE MEBIBYTES`, it is that process: it reads the file from standard
input, in so much memory at most, and prints the cells as JSON.
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

HEADER_BYTES = 128  # Holds the time of writing; what follows is the content.
SECONDS = 60


def read_cells(file: Path, variable: str) -> list[list[str]]:
    """Rows of a cell array as text, "" for an empty cell; read once, and kept in the cache folder by content.

    Raises KcarsError for a file that cannot be read, takes too much memory, or has no such cell array.
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
    """Cells from the cache folder; None where they are not there, or not as they were written."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return kept["cells"] if fingerprint(kept["cells"]) == kept["fingerprint"] else None
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None


@lru_cache(maxsize=8)  # Where the cache folder cannot be written, too, a process is started once.
def _in_own_process(file: Path, content: bytes, variable: str) -> list[list[str]]:
    most = limits().matlab_unpacked_mib
    command = [sys.executable, "-P", "-m", "kcars.data.matlab", variable, str(most)]  # -P: not of the current folder.
    package = str(Path(__file__).parents[2])  # So that the child finds it, also in a checkout that is not installed.
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}  # Each thread takes memory.
    try:
        done = subprocess.run(  # noqa: S603  Our own.
            command, input=content, capture_output=True, timeout=SECONDS, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        raise KcarsError(f"{file}: cannot be read as a MATLAB file (not within {SECONDS} s)") from None
    if done.returncode:
        told = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["the reader crashed"]
        raise KcarsError(f"{file}: cannot be read as a MATLAB file ({told[-1][:200]})")
    return json.loads(done.stdout)


def _bound(mebibytes: int) -> None:
    """From here on this process takes so much more memory at most, and a minute of the processor."""
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
            sys.exit(f"it holds no variable {variable}")
        cells = contents[variable]
        if cells.ndim != 2 or cells.dtype != object:
            sys.exit(f"{variable} is no table of cells")
        rows = [[str(np.squeeze(cell)).strip() if np.size(cell) else "" for cell in row] for row in cells]
        print(json.dumps(rows))
    except MemoryError:
        sys.exit(f"it takes more than {mebibytes} MiB of memory; KCARS_LIMITS=matlab_unpacked_mib=... changes that")


if __name__ == "__main__":
    _main(*sys.argv[1:])
