"""The notebook's cells, in their order, in one process, as a user would run them after `make demo`."""

import json
import subprocess
import sys

from support.paths import ROOT, SHALLOW_PROGRAM

NOTEBOOK = ROOT / "docs/python_api.ipynb"


def test_every_cell_runs(small_runs, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "docs").mkdir()
    for task, run in small_runs.items():
        (tmp_path / "runs" / f"demo-{task}").symlink_to(run)
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    program = "\n".join("".join(cell["source"]) for cell in cells)
    done = subprocess.run(
        [sys.executable, SHALLOW_PROGRAM, "-c", program], cwd=tmp_path / "docs", capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    assert "not a photo that can be decoded" in done.stdout
    assert len(done.stdout.splitlines()) == 1 + 4 + 2 + 1
