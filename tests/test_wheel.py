"""A wheel built from the tree holds the strategies and works outside the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest
from support.paths import ROOT

from kcars.settings.strategy import strategy_files


@pytest.mark.slow
def test_the_wheel_lists_its_strategies_outside_the_checkout(tmp_path):
    tree = tmp_path / "tree"  # A copy, because building leaves folders in the tree.
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True)
    if tracked.returncode == 0:
        for name in tracked.stdout.splitlines():
            if (ROOT / name).is_file():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, tree / name)
    else:  # Not a checkout.
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info"))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(tree)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    program = "import kcars, sys; print(kcars.__file__); from kcars.cli import main; main(['strategies'])"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env=environment, check=True
    ).stdout
    assert out.startswith(str(tmp_path / "site"))
    assert all(name in out for name in strategy_files())
    files = {file.relative_to(ROOT / "kcars") for file in (ROOT / "kcars").glob("*/[at]*s/*") if file.suffix != ".pyc"}
    assert files and all((tmp_path / "site/kcars" / file).is_file() for file in files)  # Assets and templates.
    modules = {str(file.relative_to(ROOT)) for file in (ROOT / "kcars").rglob("*.py")}
    assert modules == {str(file.relative_to(tmp_path / "site")) for file in (tmp_path / "site/kcars").rglob("*.py")} - {
        "kcars/configs/__init__.py"
    }  # It is next to the package here.
