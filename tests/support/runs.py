"""Run folders: how two differ, when a training stops, and trainings without what a test does not look at."""

import importlib.util
import json
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest

from support.paths import TOOLS

SAME = (0, 0, 0)


def load_tool(name):
    """A module of tools/ by its file's name."""
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


differences = load_tool("bench_resume").differences


def steps_per_epoch(run) -> int:
    return json.loads((run / "run.json").read_text())["planned"]["steps_per_epoch"]


SHIPPED = []  # What `shallow_networks` and `without_pictures` have replaced: (object, its attribute or key, the original).


def _replace(patch, owner, name, value) -> None:
    """Replace an attribute of a module, or an entry of a dictionary, for as long as the patch lasts."""
    if isinstance(owner, dict):
        original, change = owner[name], patch.setitem
    else:
        original, change = getattr(owner, name), patch.setattr
    if not any(one is owner and key == name for one, key, _ in SHIPPED):
        SHIPPED.append((owner, name, original))
    change(owner, name, value)


@contextmanager
def shallow_networks():
    """Residual networks have one block a stage, not two: graphs of half the size, of the same parts.

    Weights of such runs fit no network of another process, nor one that is built outside of this block.
    """
    from kcars.backbones.blocks.residual import Layout, scaled_grid
    from kcars.backbones.catalogue import BACKBONES

    shallow, records = partial(scaled_grid, layout=Layout((64, 128, 256, 512), (1, 1, 1, 1))), BACKBONES.records()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("resnet18", "simple_resnet"):
            _replace(patch, records, name, replace(records[name], grid=shallow))
        yield


@contextmanager
def without_pictures():
    """Training draws nothing for TensorBoard and its projector, scoring makes no heat maps; all numbers stay the same."""
    from kcars.evaluation import evaluate
    from kcars.training.tensorboard import pictures, projector

    with pytest.MonkeyPatch.context() as patch:
        _replace(patch, pictures, "begin", lambda *_: None)
        _replace(patch, pictures, "figures", lambda *_: {})
        _replace(patch, projector, "project", lambda *_: None)
        _replace(patch, evaluate, "keep_maps", lambda *_: None)
        yield


@contextmanager
def as_shipped():
    """Within the blocks above: everything as kcars has it, for what several modules share."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name, original in SHIPPED:
            (patch.setitem if isinstance(owner, dict) else patch.setattr)(owner, name, original)
        yield
