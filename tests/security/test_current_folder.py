"""kcars within a stranger's folder: neither Python files nor settings of libraries that lie there are followed."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.compcars_tree import write_photo
from support.paths import ROOT

# As the installed `kcars` begins: the current folder is not where Python imports from.
PROGRAM = f"import sys; sys.path[0] = {str(ROOT)!r}; from kcars.cli import main; main()"
# Of libraries, and of Python's own: each is imported by processes that kcars starts, before they know where to import from.
MODULES = ("cv2", "joblib", "json", "kcars", "numpy", "pickle", "scipy", "signal", "socket", "threading", "warnings")


@pytest.fixture
def ran(tmp_path) -> Path:
    """A file that the modules in `stranger` write to when they run, and that is not there before."""
    return tmp_path / "ran.txt"


@pytest.fixture
def stranger(tmp_path, ran) -> Path:
    """A folder with modules that tell of themselves in `ran`."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    for name in MODULES:
        (folder / f"{name}.py").write_text(f"open({str(ran)!r}, 'a').write({name + ' '!r})\nraise ImportError\n")
    return folder


def kcars_in(folder: Path, *arguments, **environment) -> subprocess.CompletedProcess:
    (folder.parent / "kcars_program.py").write_text(PROGRAM)
    command = [sys.executable, str(folder.parent / "kcars_program.py"), *map(str, arguments)]
    known = {**os.environ, "KCARS_CACHE": str(folder.parent / "own-cache"), **environment}
    return subprocess.run(command, cwd=folder, env=known, capture_output=True, text=True, check=False)


def test_processes_that_examine_photos_import_nothing_from_it(stranger, ran, tmp_path):
    for number in range(20):
        write_photo(stranger / f"make {number % 2}" / f"model {number % 4}" / f"{number}.jpg", (9 * number, 90, 90))
    done = kcars_in(stranger, "data", "check", "--data", ".", "--out", tmp_path / "found")
    assert "20 photos examined" in done.stdout, done.stderr
    assert not ran.exists(), ran.read_text()


def test_the_process_that_reads_names_imports_nothing_from_it(stranger, ran, drawn):
    for part in ("image", "label", "misc", "train_test_split"):
        (stranger / part).symlink_to(drawn / part)
    done = kcars_in(stranger, "data", "stats", "--data", ".")
    assert "classify train" in done.stdout, done.stderr
    assert not ran.exists(), ran.read_text()


def test_settings_of_matplotlib_start_no_program_and_change_no_picture(small_runs, tmp_path, ran):
    (programs := tmp_path / "programs").mkdir()
    for name in ("latex", "dvipng", "kpsewhich"):
        (programs / name).write_text(f"#!/bin/sh\necho {name} >> {ran}\nexit 1\n")
        (programs / name).chmod(stat.S_IRWXU)
    pictures = []
    for place, settings in (("plain", ""), ("other", "text.usetex: True\nfont.size: 20\nsavefig.transparent: True\n")):
        (folder := tmp_path / place).mkdir()
        (folder / "matplotlibrc").write_text(settings)
        path = os.pathsep.join([str(programs), os.environ["PATH"]])
        done = kcars_in(folder, "figures", small_runs["classify"], "--out", "drawn", PATH=path)
        assert done.returncode == 0, done.stderr
        pictures.append({file.name: file.read_bytes() for file in (folder / "drawn").iterdir()})
    assert not ran.exists(), ran.read_text()
    assert pictures[0] == pictures[1] and len(pictures[0]) > 3
