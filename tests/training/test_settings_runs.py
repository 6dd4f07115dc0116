"""Whole runs of other settings than the plain ones, by their numbers alone: shallow networks, no pictures."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from support.commands import kcars, rows, small
from support.compcars_tree import every_fourth_model

from kcars.training.cost import Cost

pytestmark = [pytest.mark.usefixtures("lean"), pytest.mark.slow]


def test_the_papers_pairs_train_a_siamese_network(drawn, tmp_path):
    more = small("train.plateau={monitor: val_loss, patience: 0}")
    kcars("train", "--strategy", "Vr_SRes18_CT_B128_SCR", "--data", drawn, "--out", tmp_path / "run", *more)
    history = rows(tmp_path / "run" / "history.csv")
    assert float(history[0]["val_loss"]) > 0


def test_a_run_begins_with_the_weights_of_a_file_and_says_which(drawn, tmp_path):
    from kcars.backbones.build import build_backbone
    from kcars.backbones.catalogue import Scale

    first = build_backbone("resnet18", 32, Scale(0.25, "compact"))
    first.get_layer("stem_conv").kernel.assign(first.get_layer("stem_conv").kernel * 0 + 7.0)
    first.save_weights(tmp_path / "mine.weights.h5")
    run, model = tmp_path / "run", ["model.backbone=resnet18", f"model.weights={tmp_path / 'mine.weights.h5'}"]
    train = ["train", "--task", "classify", "--data", drawn, "--out", run]
    kcars(*train, *small(*model, "train.epochs=1", "train.learning_rate=1e-9"))
    assert len(json.loads((run / "run.json").read_text())["weights"]["sha256"]) == 64
    with np.load(run / "state.npz") as state:
        assert any(np.allclose(state[name], 7.0, atol=1e-3) for name in state.files if state[name].ndim == 4)
    refused = kcars(*train, "--force", *small(*model, "model.width=0.5"), code=2)
    assert "stem_conv" in refused
    assert (run / "scores.json").exists()


def test_real_photos(real_cars, tmp_path):
    cars = every_fourth_model(real_cars, tmp_path / "cars")
    for task in ("classify", "verify"):
        kcars("train", "--task", task, "--data", cars, "--out", tmp_path / task, *small("train.epochs=1"))
        assert json.loads((tmp_path / task / "scores.json").read_text())["scores"]


@pytest.mark.parametrize("loss", ["{name: binary_cross_entropy}", "{name: sigmoid_focal, alpha: [0.25, 0.75]}"])
def test_pairs_learn_by_a_similarity_too(drawn, tmp_path, loss):
    run = tmp_path / "run"
    plateau = "train.plateau={monitor: val_loss, patience: 0}"
    settings = small(f"loss={loss}", "data.order=pairs", "train.schedule=constant", plateau, "train.epochs=1")
    kcars("train", "--task", "verify", "--data", drawn, "--out", run, *settings)
    (line,) = rows(run / "history.csv")
    assert 0 < float(line["val_loss"]) < 3 and math.isfinite(float(line["loss"]))


def test_hard_pairs_by_make_are_undefined_but_as_listed_by_protocol_paper(drawn, tmp_path):
    """What Table IV calls Vr_SRes18_CT_B64_MkH."""
    start = ["train", "--strategy", "Vr_SRes18_CT_B64_MkH", "--data", drawn]
    settings = small("model.weights=none", "train.epochs=1", "evaluate.validation_pairs=100")
    output = kcars(*start, "--out", tmp_path / "paper", *settings)
    assert "undefined" not in output and "chosen on the test pairs (hard pairs)" in output
    output = kcars(*start, "--out", tmp_path / "honest", *settings, "--set", "evaluate.protocol=honest")
    assert output.count("are undefined; medium pairs choose epoch and threshold") == 1
    assert "chosen on held-out training models (medium pairs)" in output
    found = json.loads((tmp_path / "honest/scores.json").read_text())["scores"]
    assert found["hard/roc_auc"]["value"] is None and 0 <= found["medium/roc_auc"]["value"] <= 1
    assert {key for key in found if key.endswith("calibration_error")} == {
        "easy/calibration_error", "medium/calibration_error"
    }  # fmt: skip
    kcars("report", tmp_path / "honest")


def test_precision_auto_is_settled_and_recorded(drawn, tmp_path):
    run = tmp_path / "run"
    start = ["train", "--task", "classify", "--data", drawn, "--out", run]
    kcars(*start, *small("train.precision=auto", "train.epochs=1"))
    flags = Path("/proc/cpuinfo").read_text().split()
    wanted = "mixed_bfloat16" if {"avx512_bf16", "amx_bf16"} & set(flags) else "float32"
    assert json.loads((run / "run.json").read_text())["settings"]["train"]["precision"] == wanted
    assert f"precision: {wanted}" in (run / "settings.yaml").read_text()
    kcars("train", "--resume", run)


def test_alpha_must_fit_the_classes(drawn, tmp_path):
    start = ["train", "--task", "classify", "--data", drawn, "--out", tmp_path / "run"]
    told = kcars(*start, *small("loss={name: focal, alpha: [1, 2, 3]}"), code=2)
    assert "loss.alpha: 3 numbers for 16 classes" in told and not (tmp_path / "run").exists()
    kcars(*start, *small("loss={name: focal, alpha: inverse_frequency}", "train.epochs=1"))


def test_a_step_is_traced_once_however_many_epochs(drawn, tmp_path, monkeypatch):
    import keras

    traced, step = [], keras.Model.train_step

    def counted(model, *arguments):
        traced.append(model)
        return step(model, *arguments)

    monkeypatch.setattr(keras.Model, "train_step", counted)
    counts = []
    for epochs in (1, 3):
        traced.clear()
        out = tmp_path / f"{epochs}"
        kcars("train", "--task", "classify", "--data", drawn, "--out", out, *small(f"train.epochs={epochs}"))
        counts.append(len(traced))
    assert counts[0] == counts[1] > 0


def test_minutes_shorten_the_schedule(drawn, tmp_path, monkeypatch):
    """By what a machine costs that is known by heart; `train --dry-run` and tests of the cost measure a real one."""
    ten_steps = Cost(start_seconds=6, step_seconds=10, photo_seconds=0, parameters=1)
    monkeypatch.setattr("kcars.training.cost.measure", lambda *_: ten_steps)
    run = tmp_path / "run"
    start = ["train", "--task", "classify", "--data", drawn, "--out", run]
    told = kcars(*start, *small("train.epochs=5000", "train.max_minutes=0.1"), code=2)
    assert "too short for one step" in told and not run.exists()
    output = kcars(*start, *small("train.epochs=5000", "train.max_minutes=4"))  # 216 s, less 6 to begin.
    planned = json.loads((run / "run.json").read_text())["planned"]
    assert planned["epochs"] == 210 // (10 * planned["steps_per_epoch"]) < 5000
    assert f"{planned['epochs']} of 5000 epochs fit into 4 minutes" in output
    assert len(rows(run / "history.csv")) == planned["epochs"]


def test_bad_photos_are_skipped_and_recorded(tree, tmp_path):
    for model in (5, 9, 20, 21):
        for number in range(6, 10):
            tree.photo(tree.models[model], model, number)
    tree.photos_per_model = 10
    tree.write_lists()
    bad = tree.paths(5)[0]
    (tree.root / "image" / bad).write_bytes(b"no photo")
    train = ["train", "--task", "classify", "--data", tree.root, "--out", tmp_path / "run"]
    assert "on_bad_photo=skip" in kcars(*train, *small(), code=2)
    assert not (tmp_path / "run").exists()
    output = kcars(*train, *small("data.on_bad_photo=skip"))
    assert f"1 photos cannot be decoded and were left out, such as {bad}" in output
    assert json.loads((tmp_path / "run/scores.json").read_text())["counts"]["bad_photos"] == [bad]
    assert "left out" in kcars("evaluate", tmp_path / "run")
