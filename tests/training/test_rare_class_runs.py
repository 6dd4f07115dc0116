"""Whole runs with what is done for rare classes: deferred weights, LDAM, a head trained anew; stopped ones too."""

import json
import os
import signal

import numpy as np
import pytest
from support.commands import kcars, rows, small
from support.runs import SAME, differences

from kcars.backbones.blocks.layers import CosineLogits
from kcars.inference.predictor import load
from kcars.runs.checkpoint import scored_network
from kcars.runs.run import Run

pytestmark = [pytest.mark.usefixtures("lean"), pytest.mark.slow]

PLAIN = ("train.schedule=constant", "data.augment=''", "model.dropout=0")


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Drawn cars of 4 makes, the largest class of which has eight times the photos of the smallest."""
    folder = tmp_path_factory.mktemp("uneven") / "cars"
    sizes = ("--makes", 4, "--models-per-make", 4, "--photos-per-model", 20, "--imbalance", 8)
    kcars("data", "synth", folder, *sizes, "--long-tail")
    return folder


def train(data, out, *more, code=0):
    return kcars("train", "--task", "classify", "--data", data, "--out", out, *small(*PLAIN, *more), code=code)


@pytest.fixture(scope="module")
def plain(lean, uneven, tmp_path_factory):
    run = tmp_path_factory.mktemp("plain") / "run"
    train(uneven, run)
    return run


def test_deferred_weights_count_from_their_epoch_on(uneven, plain, tmp_path):
    deferred = ("balance.weights=inverse_frequency", "balance.begin=0.5")
    train(uneven, tmp_path / "run", *deferred)
    before, after = (Run.open(run).history() for run in (plain, tmp_path / "run"))
    assert before[0]["loss"] == pytest.approx(after[0]["loss"], rel=1e-3)
    assert abs(before[1]["loss"] - after[1]["loss"]) > 0.01
    refused = kcars("train", "--resume", tmp_path / "run", "--set", "train.epochs=4", code=2)
    assert "balance.begin depend on the number of epochs, 2" in refused


def test_a_stop_before_and_after_weights_begin_changes_nothing(uneven, tmp_path, at_step):
    settings = ("balance.weights=effective_number", "balance.begin=0.5", "loss={name: ldam}", "model.make_weight=0.5")
    whole, run = tmp_path / "whole", tmp_path / "run"
    train(uneven, whole, *settings)
    steps = int(Run.open(whole).history()[0]["step"])
    at_step(steps - 2, lambda _: os.kill(os.getpid(), signal.SIGINT))
    train(uneven, run, *settings, code=130)
    at_step(steps + 2, lambda _: os.kill(os.getpid(), signal.SIGINT))
    kcars("train", "--resume", run, code=130)
    kcars("train", "--resume", run)
    assert differences(whole, run) == SAME


def test_ldam_learns_cosines_that_are_calibrated_exported_and_adjusted(uneven, tmp_path):
    run = tmp_path / "run"
    settings = ("loss={name: ldam, scale: 8}", "evaluate.adjust=logits", "model.make_weight=1", "train.epochs=1")
    output = train(uneven, run, *settings)
    assert "makes (sum over their models)" in output and "the logarithm of class frequencies" in output
    assert isinstance(scored_network(Run.open(run)).get_layer("model"), CosineLogits)
    assert json.loads((run / "scores.json").read_text())["scores"]["test/make_accuracy"]["low"] is not None
    kcars("export", run, "--out", tmp_path / "export", "--photos", 8, "--format", "onnx")
    photo = next((uneven / "image").rglob("*.jpg"))
    ours, theirs = (load(place).predict([photo])[0] for place in (run, tmp_path / "export"))
    assert theirs.probability == pytest.approx(ours.probability, abs=1e-4)
    assert sum(value for _, value in ours.makes) == pytest.approx(1)


def test_an_embedding_learns_makes_beside_models(drawn, tmp_path):
    makes = small("model.make_weight=0.5", "loss={name: arcface}", "data.order=pk", "balance.weights=effective_number")
    kcars("train", "--task", "verify", "--data", drawn, "--out", tmp_path / "run", *makes)
    for row in rows(tmp_path / "run" / "history.csv"):
        assert float(row["loss"]) == pytest.approx(float(row["model_loss"]) + 0.5 * float(row["make_loss"]), rel=1e-3)
    settings = small("model.make_weight=0.5", "data.order=pairs", "loss={name: contrastive}")
    told = kcars("train", "--task", "verify", "--data", drawn, "--out", tmp_path / "other", *settings, code=2)
    assert "model.make_weight of task verify belongs to loss arcface" in told


def test_a_head_is_trained_anew_on_a_backbone_that_stays_to_the_bit(uneven, plain, tmp_path):
    """Classifier re-training (Kang et al. 2020)."""
    frozen = "train.fine_tune={head_epochs: 4, frozen_stages: 5, batch_norm: frozen}"
    settings = (f"model.weights={plain}", frozen, "balance.weights=inverse_frequency", "train.learning_rate=0.01")
    train(uneven, tmp_path / "run", *settings, "train.epochs=4")
    before, after = (scored_network(Run.open(run)) for run in (plain, tmp_path / "run"))
    for old, new in zip(
        before.get_layer("simple_resnet").weights, after.get_layer("simple_resnet").weights, strict=True
    ):
        assert (np.asarray(old) == np.asarray(new)).all(), new.path
    assert (np.asarray(before.get_layer("model").kernel) != np.asarray(after.get_layer("model").kernel)).any()
    losses = [float(row["loss"]) for row in rows(tmp_path / "run" / "history.csv")]
    assert losses[-1] < losses[0]
