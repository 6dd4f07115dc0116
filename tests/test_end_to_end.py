"""Each task once, by the command line, on tiny drawn cars: train, evaluate, what the run folder holds."""

import csv
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from kcars.cli import main

SMALL = [
    "data.size_px=32",
    "model.width=0.25",
    "train.epochs=2",
    "train.batch=16",
    "evaluate.resamples=100",
    "evaluate.folds=0",
]


def kcars(*arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + str(result.exception)
    if code == 2:
        assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


def small(*more):
    return [part for setting in [*SMALL, *more] for part in ("--set", setting)]


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module", params=["model", "make"])
def verified(request, drawn, small_runs, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "verify"
    if request.param == "model":
        made = small_runs["verify"]
        return shutil.copytree(made, run), (made.parent / "verify.txt").read_text(), "model"
    output = kcars("train", "--task", "verify", "--target", request.param, "--data", drawn, "--out", run, *small())
    return run, output, request.param


def test_verification_scores_every_difficulty(verified, drawn):
    run, output, target = verified
    found = json.loads((run / "scores.json").read_text())
    lead = "hard" if target == "model" else "medium"
    assert (found["protocol"], found["difficulty"]) == ("honest", lead)
    assert {key.split("/")[0] for key in found["scores"]} == {"easy", "medium", "hard", "retrieval"}
    for name in ("recall@1", "recall@5", "map@R"):
        entry, rivals = found["scores"][f"retrieval/{name}"], found["baselines"].values()
        assert 0 <= entry["low"] <= entry["value"] <= entry["high"] <= 1
        assert all(0 <= rival[f"retrieval/{name}"] <= 1 for rival in rivals)
    assert "recall@1 [95 %]" in output
    assert 0 <= found["scores"]["easy/roc_auc"]["low"] <= found["scores"]["easy/roc_auc"]["high"] <= 1
    if target == "make":
        assert found["scores"]["hard/roc_auc"]["value"] is None
        assert "undefined" in output
    assert output.index(lead) < output.index("easy")
    pairs = rows(run / "pairs.csv")
    listed = sum(len(f.read_text().split("\n")) - 1 for f in drawn.glob("train_test_split/verification/*pairs*"))
    assert len(pairs) == listed
    best = -found["decision"]["threshold"]
    assert all((float(pair["distance"]) <= best + 1e-5) or pair["decided_same"] == "0" for pair in pairs)


def test_history_has_a_line_an_epoch_with_seconds_and_spread(verified):
    history = rows(verified[0] / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2"]
    assert all(float(row["seconds"]) > 0 and float(row["val_distance_std"]) > 0 for row in history)
    assert all(math.isfinite(float(row["loss"])) and float(row["learning_rate"]) >= 0 for row in history)
    assert list((verified[0] / "tensorboard").iterdir())


def test_evaluate_gives_the_same_scores_again(verified, drawn):
    run = verified[0]
    before = (run / "scores.json").read_text()
    for where in ([], ["--data", drawn]):  # without --data: the dataset that the run names
        (run / "scores.json").unlink()
        output = kcars("evaluate", run, *where)
        assert "ROC-AUC" in output
        assert f"  {run / 'scores.json'}" in output and "history.csv" not in output, "what was written is listed"
        assert (run / "scores.json").read_text() == before


def test_folds_choose_and_then_all_models_train(drawn, run_of_folds, tmp_path):
    run = shutil.copytree(run_of_folds, tmp_path / "run")
    output = (run_of_folds.parent / "run.txt").read_text()
    chosen = json.loads((run / "run.json").read_text())["chosen"]
    found = json.loads((run / "scores.json").read_text())
    assert (found["folds"], found["best_epoch"], found["decision"]) == (
        2,
        chosen["epoch"],
        {name: chosen[name] for name in ("threshold", "scale", "offset")},
    )
    assert "chosen on 2 folds of the training models" in output
    parts = [rows(run / f"fold-{number}" / "history.csv") for number in (1, 2)]
    means = [sum(float(part[epoch]["val_hard_roc_auc"]) for part in parts) / 2 for epoch in range(2)]
    assert chosen["score"] == pytest.approx(max(means))
    assert found["counts"]["validation_photos"] == 0
    assert "val_hard_roc_auc" not in rows(run / "history.csv")[0]
    assert found["metric"] == "euclidean" and "evaluate.metric=weighted_lda: is not used, because folds" in output
    assert kcars("evaluate", run, "--data", drawn)


def test_other_data_is_refused(verified, tree):
    for model in (5, 9, 20, 21):
        tree.photo(tree.models[model], model, 0)
    assert "trained on data" in kcars("evaluate", verified[0], "--data", tree.root, code=2)


def test_the_papers_pairs_train_a_siamese_network(drawn, tmp_path):
    more = small("train.plateau={monitor: val_loss, patience: 0}")
    kcars("train", "--strategy", "Vr_SRes18_CT_B128_SCR", "--data", drawn, "--out", tmp_path / "run", *more)
    history = rows(tmp_path / "run" / "history.csv")
    assert float(history[0]["val_loss"]) > 0


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_classification(drawn, small_runs, tmp_path, precision):
    run = small_runs["classify"]
    if precision == "float32":  # The default.
        output = (run.parent / "classify.txt").read_text()
    else:
        run, more = tmp_path / "classify", small(f"train.precision={precision}")
        output = kcars("train", "--task", "classify", "--data", drawn, "--out", run, *more)
    assert json.loads((run / "run.json").read_text())["settings"]["train"]["precision"] == precision
    assert "balanced acc." in output
    found = json.loads((run / "scores.json").read_text())
    photos, classes = rows(run / "photos.csv"), rows(run / "classes.csv")
    right = sum(row["label"] == row["predicted"] for row in photos) / len(photos)
    assert found["scores"]["test/accuracy"]["value"] == pytest.approx(right)
    assert len(classes) == 16 == found["counts"]["classes"]
    assert sum(int(row["test_photos"]) for row in classes) == len(photos)
    assert set(found["baselines"]) == {"colour histogram", "raw pixels"}
    assert float(rows(run / "history.csv")[-1]["val_loss"]) > 0


def test_a_run_begins_with_the_weights_of_a_file_and_says_which(drawn, tmp_path):
    from kcars.models.backbones import build_backbone

    first = build_backbone("resnet18", 32, 0.25, "compact")
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


def test_minutes_shorten_the_schedule(drawn, tmp_path):
    start = ["train", "--task", "classify", "--data", drawn, "--out", tmp_path / "run"]
    for minutes in (0.4, 4):  # A machine that others keep busy cannot even begin within the first.
        settings = small("train.epochs=5000", f"train.max_minutes={minutes}")
        done = CliRunner().invoke(main, [str(argument) for argument in [*start, *settings]])
        if "too short for one step" not in done.output:
            break
    assert done.exit_code == 0, done.output
    history = rows(tmp_path / "run" / "history.csv")
    planned = json.loads((tmp_path / "run" / "run.json").read_text())["planned"]
    assert 1 <= len(history) <= planned["epochs"] < 5000


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


def test_dry_run_trains_nothing(drawn, tmp_path):
    output = kcars("train", "--task", "verify", "--data", drawn, "--out", tmp_path / "run", "--dry-run", *small())
    for word in ("steps:", "time:", "memory:", "disk:", "parameters:"):
        assert word in output
    assert not (tmp_path / "run").exists()


def test_real_photos(real_cars, tmp_path):
    for task in ("classify", "verify"):
        kcars("train", "--task", task, "--data", real_cars, "--out", tmp_path / task, *small("train.epochs=1"))
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
