"""Text cells of MATLAB files. SciPy reads them in a process of its own: a damaged file can crash its reader.

Run as a program, `python -m kcars.data.matlab FILE VARIABLE`, it is that process, and prints the cells as JSON.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from kcars.errors import KcarsError
from kcars.files import cache_folder, writable_folder, write_json

HEADER_BYTES = 128  # Holds the time of writing; what follows is the content.
LARGEST_BYTES = 64 * 2**20
SECONDS = 60


def read_cells(file: Path, variable: str) -> list[list[str]]:
    """Rows of a cell array as text, "" for an empty cell; read once, and kept in the cache folder by content.

    Raises KcarsError for a file that cannot be read, or has no such cell array.
    """
    try:
        if file.stat().st_size > LARGEST_BYTES:
            raise KcarsError(f"{file}: larger than the {LARGEST_BYTES >> 20} MiB that a list of names may have")
        content = file.read_bytes()
    except OSError as error:
        raise KcarsError(f"{file}: cannot be read ({error.strerror})") from None
    key = hashlib.sha256(content[HEADER_BYTES:]).hexdigest()[:16]
    kept = writable_folder(cache_folder() / "matlab", "cache folder (KCARS_CACHE)") / f"{variable}-{key}.json"
    if kept.is_file():
        return json.loads(kept.read_text(encoding="utf-8"))
    cells = _in_own_process(file, variable)
    write_json(kept, cells)
    return cells


def _in_own_process(file: Path, variable: str) -> list[list[str]]:
    command = [sys.executable, "-m", "kcars.data.matlab", str(file.absolute()), variable]
    package = str(Path(__file__).parents[2])  # So that the child finds it, also in a checkout that is not installed.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))}
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False, env=environment)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise KcarsError(f"{file}: cannot be read as a MATLAB file (not within {SECONDS} s)") from None
    if done.returncode:
        told = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["the reader crashed"]
        raise KcarsError(f"{file}: cannot be read as a MATLAB file ({told[-1][:200]})")
    return json.loads(done.stdout)


def _main(file: str, variable: str) -> None:
    import numpy as np
    import scipy.io

    contents = scipy.io.loadmat(file)
    if variable not in contents:
        sys.exit(f"it holds no variable {variable}")
    cells = contents[variable]
    if cells.ndim != 2 or cells.dtype != object:
        sys.exit(f"{variable} is no table of cells")
    rows = [[str(np.squeeze(cell)).strip() if np.size(cell) else "" for cell in row] for row in cells]
    print(json.dumps(rows))


if __name__ == "__main__":
    _main(*sys.argv[1:])
