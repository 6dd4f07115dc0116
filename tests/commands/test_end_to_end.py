"""Each task once, by the command line, on tiny drawn cars: train, evaluate, what the run folder holds."""

import json
import math
import shutil

import pytest
from support.commands import kcars, rows, small
from support.runs import as_shipped, without_pictures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def verified(small_runs, tmp_path_factory):
    made = small_runs["verify"]
    run = shutil.copytree(made, tmp_path_factory.mktemp("runs") / "verify")
    return run, (made.parent / "verify.txt").read_text(), "model"


@pytest.fixture(scope="module")
def verified_by_make(shallow, drawn, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "verify"
    with without_pictures():
        output = kcars("train", "--task", "verify", "--target", "make", "--data", drawn, "--out", run, *small())
    return run, output, "make"


@pytest.mark.parametrize("fixture", ["verified", "verified_by_make"])
def test_verification_scores_every_difficulty(request, drawn, fixture):
    run, output, target = request.getfixturevalue(fixture)
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
    clear = [pair for pair in pairs if abs(float(pair["distance"]) - best) > 1e-5]
    assert all((pair["decided_same"] == "1") == (float(pair["distance"]) < best) for pair in clear)
    assert {pair["decided_same"] for pair in clear} == {"0", "1"}


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


def test_folds_choose_and_then_all_models_train(shallow, drawn, run_of_folds, tmp_path):
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
    assert found["metric"] == "euclidean" and "evaluate.distance=weighted_lda: is not used, because folds" in output
    assert kcars("evaluate", run, "--data", drawn)


def test_other_data_is_refused(verified, tree):
    for model in (5, 9, 20, 21):
        tree.photo(tree.models[model], model, 0)
    assert "trained on data" in kcars("evaluate", verified[0], "--data", tree.root, code=2)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_classification(drawn, small_runs, tmp_path, precision):
    run = small_runs["classify"]
    if precision == "float32":  # The default.
        output = (run.parent / "classify.txt").read_text()
    else:
        run, more = tmp_path / "classify", small(f"train.precision={precision}")
        with as_shipped():  # The one whole training here of a network that users have.
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


def test_dry_run_trains_nothing(drawn, tmp_path):
    output = kcars("train", "--task", "verify", "--data", drawn, "--out", tmp_path / "run", "--dry-run", *small())
    for word in ("steps:", "time:", "memory:", "disk:", "parameters:"):
        assert word in output
    assert not (tmp_path / "run").exists()
