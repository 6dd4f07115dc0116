"""Runs with a frozen, pretrained backbone: fitted by features, then used as any run."""

import json
import re
import shutil

import h5py
import keras
import numpy as np
import pytest
from support.commands import kcars, rows
from support.runs import without_pictures

from kcars.core.errors import KcarsError
from kcars.data.source import load
from kcars.models.features import Features
from kcars.runs.checkpoint import scored_network
from kcars.runs.run import Run
from kcars.settings.strategy import load_strategy
from kcars.tasks import task_module

pytestmark = pytest.mark.usefixtures("shallow")

TASKS = ("classify", "verify")
FEATURES = 128


@pytest.fixture(scope="module")
def weights(shallow, tmp_path_factory):
    """A file of weights for a small backbone, in place of ImageNet's."""
    from kcars.backbones.build import build_backbone
    from kcars.backbones.catalogue import Scale

    keras.utils.set_random_seed(3)
    file = tmp_path_factory.mktemp("weights") / "small.weights.h5"
    build_backbone("resnet18", 64, Scale(width=0.25)).save_weights(file)
    return file


def quick(task, data, out, weights, *more, code=0):
    settings = [
        "model.backbone=resnet18",
        "model.width=0.25",
        "model.normalization=compcars",
        f"model.weights={weights}",
    ]
    settings += [
        "data.size_px=64",
        "data.crop=whole",
        "evaluate.resamples=100",
        *([f"model.embedding={FEATURES}"] if task == "verify" else []),
        *more,
    ]
    given = [part for setting in settings for part in ((setting,) if setting[:2] == "--" else ("--set", setting))]
    return kcars("train", "--strategy", f"quick/{task}", "--data", data, "--out", out, *given, code=code)


@pytest.fixture(scope="module")
def quick_runs(shallow, drawn, weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for task in TASKS:
        (folder / f"{task}.txt").write_text(quick(task, drawn, folder / task, weights))
    return folder


@pytest.fixture
def undrawn_alone():
    """A test's trainings, but not those of `quick_runs`, draw nothing."""
    with without_pictures():
        yield


def bits(run):
    return {name: (run / name).read_bytes() for name in ("metric.npz",) if (run / name).exists()} | {
        "decision": json.loads((run / "scores.json").read_text())["decision"],
        "weights": [array.tobytes() for array in scored_network(Run(run)).get_weights()],
    }


@pytest.mark.parametrize("task", TASKS)
def test_scores_are_above_chance_and_the_folds_are_reported(quick_runs, task):
    told = (quick_runs / f"{task}.txt").read_text()
    scores = json.loads((quick_runs / task / "scores.json").read_text())
    assert "folds chose" in told
    main = {"classify": "test/balanced_accuracy", "verify": "easy/roc_auc"}[task]
    assert scores["scores"][main]["value"] > {"classify": 1.5 / 16, "verify": 0.6}[task]  # The weights are random.
    assert scores["folds"] == {"classify": 5, "verify": 2}[task]
    (history,) = rows(quick_runs / task / "history.csv")
    assert float(history["val_balanced_accuracy" if task == "classify" else "val_hard_roc_auc"]) > 0.1


def test_predict_and_compare_use_it(quick_runs, drawn):
    photos = sorted((drawn / "image").rglob("*.jpg"))[:2]
    table = {row["path"]: row["predicted"] for row in rows(quick_runs / "classify" / "photos.csv")}
    path = next(iter(table))
    told = kcars("predict", drawn / "image" / path, "--model", quick_runs / "classify", "--json")
    lines = json.loads(told[told.index("{") :])
    assert lines["names"][0]["name"] == table[path]
    assert "same" in kcars("compare", *photos, "--model", quick_runs / "verify")


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_export_explanation_report_and_index_work(quick_runs, drawn, tmp_path, task):
    run, photos = quick_runs / task, sorted((drawn / "image").rglob("*.jpg"))[:2]
    formats = {"classify": "onnx", "verify": "saved_model,onnx"}[task]
    kcars("export", run, "--format", formats, "--photos", 8, "--out", tmp_path / "export")
    kcars("explain", run, *photos[: TASKS.index(task) + 1], "--out", tmp_path / "maps.png")
    kcars("report", run)
    assert (run / "report.html").stat().st_size > 10_000
    if task == "verify":
        kcars("index", "build", drawn / "image", "--model", run, "--out", tmp_path / "index")
        assert photos[0].name in kcars("index", "search", tmp_path / "index", photos[0])


@pytest.mark.usefixtures("undrawn_alone")
@pytest.mark.parametrize("task", TASKS)
def test_a_run_stopped_anywhere_ends_as_if_it_had_not_been(quick_runs, drawn, weights, tmp_path, monkeypatch, task):
    run = tmp_path / task
    for stop_at in (Features, Run):
        with monkeypatch.context() as patch:
            name = {Features: "_append", Run: "record"}[stop_at]

            def stop(*_):
                raise KeyboardInterrupt

            patch.setattr(stop_at, name, stop)
            begun = run.exists()
            told = kcars("train", "--resume", run, code=130) if begun else quick(task, drawn, run, weights, code=130)
            assert "--resume" in told
    kcars("train", "--resume", run)
    assert bits(run) == bits(quick_runs / task)
    before = bits(run)
    kcars("train", "--resume", run)  # Of a finished run.
    assert bits(run) == before


@pytest.mark.slow
def test_features_of_imagenet_tell_models_apart(drawn, tmp_path):
    kcars(
        "train", "--strategy", "quick/classify", "--data", drawn, "--out", tmp_path / "run", "--set", "data.size_px=64"
    )
    scores = json.loads((tmp_path / "run/scores.json").read_text())["scores"]
    assert scores["test/balanced_accuracy"]["value"] > 4 / 16


@pytest.mark.usefixtures("undrawn_alone")
def test_the_folds_choose_again_for_another_distance(quick_runs, drawn, weights, tmp_path):
    run, other = shutil.copytree(quick_runs / "verify", tmp_path / "run"), tmp_path / "other"
    kcars("train", "--resume", run, "--set", "evaluate.distance=euclidean")
    quick("verify", drawn, other, weights, "evaluate.distance=euclidean")
    assert bits(run)["decision"] == bits(other)["decision"] != bits(quick_runs / "verify")["decision"]


@pytest.mark.usefixtures("undrawn_alone")
def test_a_class_is_added_by_its_photos(drawn, weights, tmp_path):
    data, models = tmp_path / "cars", {}
    for photo in sorted((drawn / "image").rglob("*.jpg")):
        models.setdefault(photo.parent.parent.name, []).append(photo)
    models = list(models.items())[:4]

    def put(name, photos):
        (data / name).mkdir(parents=True)
        for photo in photos:
            shutil.copy(photo, data / name)

    for model in models[:3]:
        put(*model)
    quick("classify", data, tmp_path / "run", weights)
    assert len(Run(tmp_path / "run").classes()) == 3
    put(*models[3])
    told = kcars("train", "--resume", tmp_path / "run", "--data", data)
    assert "its data has changed; the head is fitted again" in told
    assert len(Run(tmp_path / "run").classes()) == 4
    assert {row["label"] for row in rows(tmp_path / "run/photos.csv")} == set(Run(tmp_path / "run").classes().names)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "stopped; the earlier run is unchanged"),
        (KcarsError("a.features: cannot be written"), 2, "a.features: cannot be written"),
    ],
)
def test_a_run_stands_until_the_head_for_other_photos_is_fitted(
    quick_runs, drawn, tmp_path, monkeypatch, error, code, message
):
    run, data = shutil.copytree(quick_runs / "classify", tmp_path / "run"), tmp_path / "cars"
    for photo in sorted((drawn / "image").rglob("*.jpg"))[:40]:
        (data / photo.parent.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, data / photo.parent.parent.name)
    before = {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()}

    def stop(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Features, "_append", stop)
        assert message in kcars("train", "--resume", run, "--data", data, code=code)
    assert {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()} == before
    kcars("train", "--resume", run, "--data", data)
    assert json.loads((run / "run.json").read_text())["data"]["source"] == str(data)


def test_other_weights_are_refused_for_other_photos_too(drawn, weights, tmp_path):
    data, run, file = tmp_path / "cars", tmp_path / "run", tmp_path / "own.weights.h5"
    shutil.copy(weights, file)
    photos = sorted((drawn / "image").rglob("*.jpg"))[:40]
    for photo in photos:
        (data / photo.parent.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, data / photo.parent.parent.name)
    quick("classify", data, run, file)
    before = bits(run)
    with h5py.File(file, "r+") as content:
        next(found for found in each(content) if found.ndim == 4)[...] = 0.5
    next(data.rglob("*.jpg")).unlink()
    assert "own.weights.h5 has changed since the run began" in kcars("train", "--resume", run, code=2)
    assert bits(run) == before


def each(group):
    """The arrays of an HDF5 file."""
    for found in group.values():
        yield from each(found) if isinstance(found, h5py.Group) else (found,)


def test_dry_run_estimates_the_features(drawn, weights, tmp_path):
    told = quick("classify", drawn, tmp_path / "run", weights, "evaluate.shift=0.1", "--dry-run")
    assert re.search(r"features: +of \d+ photos, 10 views each", told)
    assert "views per second" in told
    assert not (tmp_path / "run").exists()


def test_a_features_head_needs_the_number_of_features(drawn, weights, tmp_path):
    told = quick("verify", drawn, tmp_path / "run", weights, "model.embedding=64", code=2)
    assert f"model.embedding: 64; head features needs the number of the backbone's features, {FEATURES}" in told
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("quick/classify", "model.weights=none", "features of random weights are useless"),
        ("quick/classify", "train.epochs=3", "fits the head once"),
        ("quick/classify", "train.ema=0.9", "train.ema 0.9 belongs to train.method gradient"),
        ("quick/classify", "data.augment=flip(0.5)", "data.augment flip(0.5) belongs to train.method gradient"),
        ("quick/classify", "balance.sampling=balanced", "balance.sampling balanced belongs to train.method gradient"),
        ("quick/classify", "evaluate.adjust=logits", "evaluate.adjust logits belongs to train.method gradient"),
        (
            "quick/classify",
            "evaluate.adjust=class_means",
            "evaluate.adjust class_means belongs to train.method gradient",
        ),
        ("quick/verify", "model.head=neck", "needs model.head features"),
        ("quick/verify", "evaluate.shrinkage=1.5", "must be from 0 to 1, or chosen"),
        ("quick/verify", "evaluate.shrinkage=best", "evaluate.shrinkage"),
    ],
)
def test_settings_that_do_not_fit_are_refused(name, change, message):
    with pytest.raises(KcarsError, match=message.replace("(", r"\(").replace(")", r"\)")):
        load_strategy(name, [change], target="model")


def test_folds_of_photos_are_stratified_and_leave_out_each_photo_once(drawn):
    strategy = load_strategy("quick/classify", [], target="model")
    dataset = load(drawn, "classify", strategy.data)
    task = task_module("classify")
    plan, folds = task.plan(dataset, strategy), task.folds(dataset, strategy)
    assert len(plan.validation) == 0
    assert np.array_equal(np.sort(np.concatenate([fold.validation for fold in folds])), np.sort(plan.train))
    for fold in folds:
        assert not np.intersect1d(fold.train, fold.validation).size
        assert len(np.unique(fold.labels(fold.train))) == len(plan.classes)
