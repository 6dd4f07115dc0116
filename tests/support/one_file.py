"""A file that registers one record in a catalogue, as an installed package's would."""

import importlib
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def registered(catalogue, name: str, text: str, folder: Path):
    """The record of this name while it is registered: `text` is the module that registers it, and is written into `folder`."""
    module = f"{name}_in_one_file"
    (folder / f"{module}.py").write_text(text)
    len(catalogue)  # Those of kcars come first.
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        importlib.import_module(module)
    try:
        yield catalogue[name]
    finally:
        catalogue.forget(name)
        del sys.modules[module]


def write_package(folder: Path, name: str, entry_points: str) -> None:
    """What an installer leaves of a package of this name beside its modules."""
    package = folder / f"{name}-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (package / "entry_points.txt").write_text(entry_points)
