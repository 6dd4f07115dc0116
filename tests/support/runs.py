"""Run folders: how two differ, when a training stops, and trainings without what a test does not look at."""

import importlib.util
import json
from contextlib import contextmanager
from dataclasses import replace

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


def _one_layer_a_stage(images, scale):
    """Grids of the sizes of ResNet-18's, its names of layers and its kinds of layers, by one convolution a stage.

    The first stage, which keeps the grid, adds what it was given, and alone is dropped by a chance of `scale.drop_path`.
    """
    from keras import layers

    from kcars.backbones.blocks import residual
    from kcars.backbones.blocks.layers import StochasticDepth

    x = residual.STEMS[scale.stem](images, residual.scaled_width(64, scale.width))
    for stage, channels in enumerate((64, 128, 256, 512), start=1):
        name, stride = f"stage{stage}_block1", 1 if stage == 1 else 2
        y = residual.convolution(x, residual.scaled_width(channels, scale.width), 3, stride, f"{name}_conv1")
        y = residual.batch_norm(f"{name}_norm1")(y)
        if stride == 1:
            y = StochasticDepth(scale.drop_path, name=f"{name}_drop")(y) if scale.drop_path else y
            y = layers.Add(name=f"{name}_add")([y, x])
        x = layers.ReLU(name=f"{name}_relu2")(y)
    return x


@contextmanager
def shallow_networks():
    """Residual networks have five convolutions, not twenty: graphs that are traced in a third of the time.

    Weights of such runs fit no network of another process, nor one that is built outside of this block.
    """
    from kcars.backbones.catalogue import BACKBONES

    records = BACKBONES.records()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("resnet18", "simple_resnet"):
            _replace(patch, records, name, replace(records[name], grid=_one_layer_a_stage))
        yield


@contextmanager
def without_pictures():
    """Training draws no rates and nothing for TensorBoard and its projector, scoring no heat maps; numbers stay the same."""
    from kcars.evaluation import evaluate
    from kcars.training.callbacks import basic
    from kcars.training.tensorboard import pictures, projector

    with pytest.MonkeyPatch.context() as patch:
        _replace(patch, basic, "_draw_rates", lambda *_: None)
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
