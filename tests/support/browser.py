"""A page as a headless browser makes it, with a script of the test's own in it; checkers that `make page-tools` brings."""

import shutil
import subprocess
from pathlib import Path

import pytest

from support.paths import ROOT

TOOLS = ROOT / "build/page-tools/node_modules"
AXE = TOOLS / "axe-core/axe.min.js"
VALIDATOR = TOOLS / "vnu-jar/build/dist/vnu.jar"


QUIET = (  # Of a browser in a container, which asks nothing of other machines by itself.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def binary() -> str | None:
    """Where Chromium or Chrome is, if it is installed."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def with_script(page: str, script: str) -> str:
    """The page with a script that runs after all others."""
    before, end, after = page.rpartition("</body>")
    return before + "<script>" + script.replace("</script", r"<\/script") + "</script>" + end + after


def dom(address: str, profile: Path) -> str:
    """The document at the address once its scripts have run, as HTML; skips the test where there is no browser.

    profile: an empty folder for the browser's own files.
    """
    if binary() is None:
        pytest.skip("no Chromium is installed")
    options = [
        "--headless",
        *QUIET,
        f"--user-data-dir={profile}",
        "--virtual-time-budget=30000",
        "--dump-dom",
    ]
    done = subprocess.run([binary(), *options, address], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout
