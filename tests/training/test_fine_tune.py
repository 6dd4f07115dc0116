"""What learns when, and that a run which is stopped on the way ends as one that was not."""

import os
import shutil
import signal

import keras
import numpy as np
import pytest
from support.commands import kcars, small
from support.runs import SAME, differences

from kcars.backbones.blocks.normalized_convolution import NormalizedConvolution
from kcars.backbones.build import build_backbone
from kcars.backbones.catalogue import BACKBONES, Scale
from kcars.models.stages import _leaves, stages
from kcars.runs.checkpoint import scored_network
from kcars.runs.run import Run
from kcars.settings import FineTuneSettings
from kcars.training.fine_tune import FineTuning


@pytest.mark.parametrize("name", BACKBONES)
def test_stages_hold_every_weight_once_from_the_photo_on(name):
    small_ = {"scale": Scale(0.125)} if BACKBONES[name].scalable else {}
    backbone = build_backbone(name, 98 if BACKBONES[name].multiple_px == 14 else 96, **small_)
    found = stages(backbone)
    place = {id(layer): number for number, layer in enumerate(_leaves(backbone))}
    assert len(found) == len(BACKBONES[name].stages) and all(found)
    weights = [id(weight) for stage in found for layer in stage for weight in layer.weights]
    assert len(weights) == len(set(weights)) and set(weights) == {id(weight) for weight in backbone.weights}
    folded = [layer for layer in backbone.layers if isinstance(layer, NormalizedConvolution)]
    within = {id(part): layer for layer in folded for part in (layer.convolution, layer.norm)}
    outputs = [[within.get(id(layer), layer).output.shape for layer in stage] for stage in found]
    grids = [max((shape[1] for shape in shapes if len(shape) == 4), default=0) for shapes in outputs]  # 0: of tokens.
    assert grids == sorted(grids, reverse=True)
    numbers = [place[id(layer)] for stage in found for layer in stage]
    if name != "inception_v3":  # Whose branches Keras lists side by side.
        assert numbers == sorted(numbers)
    else:
        assert grids[1:] == [9, 9, 4]  # 35, 17 and 8 at 299 pixels; each begins with what halves the grid before.


def learning(tuning) -> list[bool]:
    return [any(layer.trainable for layer in stage) for stage in tuning.stages]


def test_head_first_then_stage_by_stage_but_for_the_frozen():
    settings = FineTuneSettings(head_epochs=2, epochs_per_stage=2, frozen_stages=2)
    tuning = FineTuning(build_backbone("resnet18", 32, Scale(0.125)), settings)
    seen = []
    for epoch in range(9):
        tuning.enter(epoch)
        seen.append(sum(learning(tuning)))
    assert seen == [0, 0, 1, 1, 2, 2, 3, 3, 3]
    assert learning(tuning) == [False, False, True, True, True]
    assert tuning.changes(9) == [2, 4, 6]
    assert not tuning.enter(8)


def test_frozen_batch_normalization_never_learns():
    tuning = FineTuning(build_backbone("resnet18", 32, Scale(0.125)), FineTuneSettings(batch_norm="frozen"))
    tuning.enter(0)
    kinds = {layer.trainable for stage in tuning.stages for layer in stage if "norm" in layer.name}
    assert kinds == {False} and all(learning(tuning))
    assert tuning.changes(9) == []


def test_without_settings_all_learns_always():
    tuning = FineTuning(build_backbone("resnet18", 32, Scale(0.125)), None)
    assert not tuning.enter(0) and all(learning(tuning)) and tuning.changes(99) == []


@pytest.fixture(scope="module")
def first(lean, drawn, tmp_path_factory):
    run = tmp_path_factory.mktemp("first") / "run"
    kcars("train", "--task", "classify", "--data", drawn, "--out", run, *small("train.epochs=1"))
    return run


def tuned(drawn, out, first, settings, *more, code=0):
    fixed = small(f"model.weights={first}", f"train.fine_tune={settings}", *more)
    return kcars("train", "--task", "classify", "--data", drawn, "--out", out, *fixed, code=code)


def backbone_weights(run) -> dict[str, np.ndarray]:
    backbone = scored_network(Run.open(run)).get_layer("simple_resnet")
    return {weight.path: keras.ops.convert_to_numpy(weight) for weight in backbone.weights}


def test_frozen_stages_keep_their_weights_and_statistics(drawn, first, tmp_path):
    run = tmp_path / "run"
    tuned(drawn, run, first, "{frozen_stages: 3}")
    before, after = backbone_weights(first), backbone_weights(run)
    for path, weight in after.items():
        frozen = any(name in path for name in ("stem_", "stage1_", "stage2_"))
        assert (weight == before[path]).all() == frozen, path


def test_a_stop_in_any_phase_changes_nothing(drawn, first, tmp_path, at_step):
    settings = "{head_epochs: 1, epochs_per_stage: 1, backbone_rate: 0.2, batch_norm: frozen}"
    more = ("train.epochs=3", "train.gradient_accumulation=2", "train.schedule=constant")
    whole, run = tmp_path / "whole", tmp_path / "run"
    tuned(drawn, whole, first, settings, *more)
    history = Run.open(whole).history()
    steps = int(history[0]["step"])
    at_step(3, lambda _: os.kill(os.getpid(), signal.SIGINT))
    tuned(drawn, run, first, settings, *more, code=130)
    for step in (steps + 2, 2 * steps + 1):  # Within an accumulated batch, or between two.
        at_step(step, lambda _: os.kill(os.getpid(), signal.SIGINT))
        kcars("train", "--resume", run, code=130)
    kcars("train", "--resume", run)
    assert differences(whole, run) == SAME


def test_what_cannot_be_tuned_is_one_line(drawn, first, tmp_path):
    told = kcars("train", "--task", "classify", "--data", drawn, *small("train.fine_tune={head_epochs: 1}"), code=2)
    assert "train.fine_tune: there is nothing to fine-tune with model.weights none" in told
    told = tuned(drawn, tmp_path / "run", first, "{frozen_stages: 6}", code=2)
    assert "frozen_stages 6: simple_resnet has 5" in told
    told = tuned(drawn, tmp_path / "run", first, "{frozen: 1}", code=2)
    assert "train.fine_tune.frozen: unknown setting; choose one of head_epochs" in told


@pytest.mark.slow
def test_fine_tuning_from_imagenet_goes_on_from_a_stop(lean, drawn, tmp_path, at_step):
    """The default strategy at a small size, with a fitted head and normalizations folded into convolutions."""

    changes = ["data.size_px=48", "data.first_px=null", "train.epochs=2", "train.batch=32"]
    changes += ["train.fine_tune.head=fitted", "evaluate.resamples=100", "evaluate.folds=0"]
    given = [part for change in changes for part in ("--set", change)]
    whole, run = tmp_path / "whole", tmp_path / "run"

    def leave_as_a_stop_does(saving):
        saving._save()
        shutil.copytree(whole, run)

    at_step(1, lambda saving: at_step(saving.steps_per_epoch + 1, leave_as_a_stop_does))
    kcars("train", "--strategy", "start/classify", "--data", drawn, "--out", whole, *given)
    assert (len(Run.open(whole).history()), len(Run.open(run).history())) == (2, 1)
    assert "were trained before" in kcars("train", "--resume", run)
    assert differences(whole, run) == SAME
