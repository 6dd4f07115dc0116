import json
import shutil

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from support.commands import kcars, rows, small

from kcars.core.errors import KcarsError
from kcars.data.source import load as load_dataset
from kcars.drawn.synthetic import DrawnCars, draw
from kcars.inference.predictor import load
from kcars.metrics.scores import roc_auc
from kcars.posthoc.distance_transform import FILE, DistanceTransform, unit_length
from kcars.settings.strategy import load_strategy
from kcars.tasks import verify
from kcars.tasks.plan import Network

RANDOM = np.random.default_rng(2)


def crowd(classes, photos, noise):
    """Vectors whose classes differ in 6 of 30 directions, while photos of a class differ most in the others."""
    centres = np.zeros((classes, 30))
    centres[:, :6] = RANDOM.normal(size=(classes, 6))
    labels = np.repeat(np.arange(classes), photos)
    spread = np.r_[np.full(6, 0.4), np.full(24, noise)]
    return (centres[labels] + RANDOM.normal(size=(len(labels), 30)) * spread + 5).astype(np.float32), labels


def pair_auc(vectors, labels):
    left, right = np.triu_indices(len(labels), 1)
    return roc_auc((labels[left] == labels[right]).astype(int), -np.linalg.norm(vectors[left] - vectors[right], axis=1))


def test_unseen_classes_are_told_apart_by_what_told_the_known_ones_apart():
    metric = DistanceTransform.fit("lda", *crowd(40, 20, 2.0))
    vectors, labels = crowd(15, 10, 2.0)
    plain = pair_auc(unit_length(vectors - vectors.mean(0)), labels)
    assert pair_auc(metric(vectors), labels) > plain + 0.1


def test_it_is_the_projection_of_scikit_learn():
    vectors, labels = crowd(8, 20, 1.0)
    units = unit_length(vectors).astype(np.float64)
    rival = LinearDiscriminantAnalysis(solver="eigen", shrinkage=1 / 3, n_components=7).fit(units, labels)
    wanted = unit_length(rival.transform(units) - rival.transform(units.mean(0)[None]))
    assert DistanceTransform.fit("lda", vectors, labels)(vectors) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("kind", ["lda", "weighted_lda"])
def test_more_directions_than_classes_separate_begin_with_those_that_do(kind):
    vectors, labels = crowd(8, 20, 1.0)
    few, many = (DistanceTransform.fit(kind, vectors, labels, 0.5, directions) for directions in (None, 12))
    assert (len(few.weights), len(many.weights)) == (7, 12)
    np.testing.assert_allclose(np.abs(many.projection[:, :7]), np.abs(few.projection), rtol=1e-4)
    np.testing.assert_allclose(many.weights[:7], few.weights, rtol=1e-4)
    assert np.isfinite(many(vectors)).all()
    assert DistanceTransform.fit(kind, vectors, labels, 0.5, 1000).projection.shape[1] == vectors.shape[1]


def test_directions_count_as_classes_differ_there_for_how_photos_of_one_do():
    vectors, labels = crowd(40, 20, 1.0)
    plain, weighted = (DistanceTransform.fit(kind, vectors, labels) for kind in ("lda", "weighted_lda"))
    directions = (unit_length(vectors) - plain.mean) @ plain.projection
    for number in range(directions.shape[1]):
        of_class = [directions[labels == label, number] for label in np.unique(labels)]
        between = np.std([one.mean() for one in of_class])
        within = np.sqrt(np.mean([np.mean((one - one.mean()) ** 2) for one in of_class]))
        assert weighted.weights[number] ** 2 == pytest.approx(between / within, rel=1e-3)
    np.testing.assert_allclose(weighted(vectors), plain(vectors) * weighted.weights, rtol=1e-5)
    assert plain.weights.min() == plain.weights.max() == 1


def test_weighted_directions_tell_more_where_few_of_them_separate():
    gained = []
    for _ in range(3):
        known, unseen = crowd(40, 20, 1.0), crowd(15, 10, 1.0)
        plain, weighted = (
            pair_auc(DistanceTransform.fit(kind, *known)(unseen[0]), unseen[1]) for kind in ("lda", "weighted_lda")
        )
        gained.append(weighted - plain)
    assert min(gained) > 0.02, gained


def test_it_comes_back_from_a_folder_and_a_damaged_one_is_told(tmp_path):
    metric = DistanceTransform.fit("lda", *crowd(8, 20, 1.0))
    metric.save(tmp_path)
    again = DistanceTransform.chosen("lda", tmp_path)
    assert (again.projection == metric.projection).all()
    assert DistanceTransform.chosen("euclidean", tmp_path / "nowhere") is None
    (tmp_path / FILE).write_bytes(b"nothing")
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(KcarsError, match="kcars evaluate"):
            DistanceTransform.chosen("lda", folder)


@pytest.fixture(scope="module")
def analysed(undrawn, small_runs, tmp_path_factory):
    """The small verifier, scored anew with the metric, each photo seen moved too."""
    run = shutil.copytree(small_runs["verify"], tmp_path_factory.mktemp("lda") / "run")
    kcars("train", "--resume", run, "--set", "evaluate.distance=weighted_lda", "--set", "evaluate.shift=0.06")
    return run


def test_a_run_is_scored_by_it_without_training_anew(analysed, small_runs):
    before, after = (rows(run / "pairs.csv") for run in (small_runs["verify"], analysed))
    assert [pair["left"] for pair in before] == [pair["left"] for pair in after]
    assert [pair["distance"] for pair in before] != [pair["distance"] for pair in after]
    assert (small_runs["verify"] / "best.weights.h5").read_bytes() == (analysed / "best.weights.h5").read_bytes()
    told = [json.loads((run / "scores.json").read_text())["validation"] for run in (small_runs["verify"], analysed)]
    assert told[0].keys() == told[1].keys() >= {"validation_hard/roc_auc", "validation_easy/roc_auc"}
    assert told[0]["validation_hard/roc_auc"] != told[1]["validation_hard/roc_auc"]
    kcars("evaluate", analysed)
    assert [pair["distance"] for pair in rows(analysed / "pairs.csv")] == [pair["distance"] for pair in after]


def test_predictor_and_exports_measure_by_it(analysed, drawn, tmp_path):
    kcars("export", analysed, "--out", tmp_path / "export", "--photos", 12)
    photos = sorted((drawn / "image").rglob("*.jpg"))[:2]
    by_run, by_onnx, by_saved = (
        load(place).compare(*photos) for place in (analysed, tmp_path / "export", tmp_path / "export/saved_model")
    )
    assert by_onnx.distance == pytest.approx(by_run.distance, abs=1e-5)
    assert by_saved.distance == pytest.approx(by_run.distance, abs=1e-5)
    assert load(analysed).embed(photos).shape == load(tmp_path / "export").embed(photos).shape


def test_elsewhere_it_is_that_of_the_run(analysed, small_runs, tmp_path):
    cars = DrawnCars(makes=3, models_per_make=4, photos_per_model=12, seed=9)
    draw(tmp_path / "other", cars, progress=False, workers=1)
    metric = (analysed / FILE).read_bytes()
    kcars("evaluate", analysed, "--on", tmp_path / "other")
    assert (analysed / FILE).read_bytes() == metric


def test_it_belongs_to_verification(drawn, tmp_path):
    settings = small("evaluate.distance=lda")
    told = kcars("train", "--task", "classify", "--data", drawn, "--out", tmp_path / "run", *settings, code=2)
    assert "evaluate.distance lda belongs to task verify" in told


def test_where_folds_choose_the_threshold_distances_stay_as_they_are(drawn):
    dataset = load_dataset(drawn, "verify", load_strategy("demo/verify").data)
    for folds, found in (("3", False), ("0", True)):
        plan = verify.plan(dataset, load_strategy("demo/verify", ("evaluate.distance=lda", f"evaluate.folds={folds}")))
        chosen = {"threshold": -1.0, "epoch": 1} if folds == "3" else None
        outputs = RANDOM.normal(size=(len(dataset.table), 8)).astype(np.float32)
        pipeline = verify.posthoc(plan, Network(None, None), lambda model, o=outputs: lambda rows: o[rows], chosen)
        assert (pipeline.transform is not None) == found


@pytest.mark.parametrize("kind", ["whitened", "lda", "weighted_lda"])
def test_a_fingerprint_is_that_of_what_is_measured_and_not_of_rounding(kind):
    vectors, labels = crowd(20, 10, 1.0)
    metric = DistanceTransform.fit(kind, vectors, labels)
    rounded = DistanceTransform(metric.mean, metric.projection.astype(float) * (1 + 1e-10), metric.weights)
    turned = DistanceTransform(
        metric.mean, metric.projection * np.r_[-1, np.ones(metric.projection.shape[1] - 1)], metric.weights
    )
    assert rounded.fingerprint() == metric.fingerprint()
    assert turned.fingerprint() != metric.fingerprint()
    assert DistanceTransform.fit(kind, vectors[10:], labels[10:]).fingerprint() != metric.fingerprint()
