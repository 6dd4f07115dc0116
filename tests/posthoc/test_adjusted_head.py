"""Heads changed after training: by hand-made features, and a scored run with all that answers by it."""

import json
import shutil

import keras
import numpy as np
import pytest
from support.commands import kcars, rows, small

from kcars.core.errors import KcarsError
from kcars.drawn.synthetic import DrawnCars, draw
from kcars.inference.predictor import load
from kcars.posthoc.adjusted_head import FILE, SCALE, TAUS, AdjustedHead
from kcars.runs.checkpoint import answering_network, scored_network
from kcars.runs.run import Run

RANDOM = np.random.default_rng(0)


def biased(kind: str) -> tuple:
    """Head, photos, features and labels of two classes of 1 and 99 photos, whose classifier prefers the frequent one.

    Features are +1 (the rare class) and -1 with some noise. "logits": the bias is the log frequency; "tau_norm": the
    frequent class's weights are the longer ones.
    """
    labels = np.repeat([0, 1], 50)
    side = np.where(labels == 0, 1.0, -1.0) + RANDOM.normal(0, 0.1, 100)
    if kind == "logits":
        kernel, bias = np.float32([[1, -1]]), np.log(np.float32([0.01, 0.99]))
        features = side[:, None]
    else:
        kernel, bias = np.float32([[1, 0], [0, 4]]), np.zeros(2, np.float32)
        features = np.stack([1 + side / 2, 1 - side / 2], 1)
    return (kernel, bias), np.array([1, 99]), features.astype(np.float32), labels


@pytest.mark.parametrize("kind", ["logits", "tau_norm"])
def test_validation_chooses_how_far_the_frequent_class_is_held_back(kind):
    head, photos, features, labels = biased(kind)
    assert ((features @ head[0] + head[1]).argmax(1) == labels).mean() < 0.9
    found = AdjustedHead.choose(kind, head, photos, features, labels)
    assert found.tau in TAUS[kind] and found.tau > 0
    assert (found.logits(features).argmax(1) == labels).mean() > 0.95
    assert found.facts() == {"kind": kind, "tau": found.tau}


def test_logits_less_tau_times_the_logarithm_of_frequencies_equal_a_loop():
    head, photos, features, labels = biased("logits")
    found = AdjustedHead.choose("logits", head, photos, features, labels)
    for photo, row in zip(features, found.logits(features), strict=True):
        for number, logit in enumerate(row):
            learned = photo @ head[0][:, number] + head[1][number]
            assert logit == pytest.approx(learned - found.tau * np.log(photos[number] / 100), abs=1e-5)


def test_weights_by_their_norm_equal_a_loop_without_bias():
    (kernel, bias), photos, features, labels = biased("tau_norm")
    found = AdjustedHead.choose("tau_norm", (kernel, bias + 0.25), photos, features, labels)
    for number in range(2):
        column = kernel[:, number]
        assert found.kernel[:, number] == pytest.approx(column / np.sqrt((column**2).sum()) ** found.tau)
    assert found.bias.tolist() == [0, 0]


def test_class_means_equal_a_loop_of_cosines():
    features = RANDOM.normal(2, 1, (40, 5)).astype(np.float32)
    labels = np.r_[np.zeros(30, int), np.full(9, 1), 3]  # Class 2 has no photo, class 3 a single one.
    found = AdjustedHead.of_class_means(features, labels, 4)
    centre = features.mean(0)
    seen = [(photo - centre) / np.linalg.norm(photo - centre) for photo in features]
    means = {label: np.mean([seen[k] for k in np.flatnonzero(labels == label)], 0) for label in (0, 1, 3)}
    for photo, logits in zip(seen, found.logits(features), strict=True):
        for label, mean in means.items():
            assert logits[label] == pytest.approx(SCALE * (photo @ mean) / np.linalg.norm(mean), abs=1e-4)
        assert logits.argmin() == 2 and np.isfinite(logits).all()
    assert found.facts() == {"kind": "class_means", "tau": None}


def test_class_means_know_unseen_photos_of_a_rare_class_as_those_of_a_frequent_one():
    """The mean of three photos lies further out than that of hundreds, by their noise; distances would shun it."""
    random = np.random.default_rng(1)
    middles = random.normal(0, 0.5, (4, 128))
    learned, unseen = np.repeat(np.arange(4), [300, 100, 30, 3]), np.repeat(np.arange(4), 100)
    features, new = (middles[labels] + random.normal(0, 1.5, (len(labels), 128)) for labels in (learned, unseen))
    right = AdjustedHead.of_class_means(features, learned, 4).logits(new).argmax(1) == unseen
    assert right[unseen == 3].mean() > 0.6 and right[unseen == 0].mean() > 0.6  # By distances 0.14 and 0.95.


@pytest.mark.parametrize("kind", ["logits", "tau_norm"])
def test_of_equally_good_ones_the_head_as_learned_stays(kind):
    kernel, bias = np.eye(3, dtype=np.float32) * 50, np.float32([0.5, -0.5, 0])
    found = AdjustedHead.choose(kind, (kernel, bias), np.array([1, 10, 100]), np.eye(3, dtype=np.float32), np.arange(3))
    assert found.tau == 0 and (found.kernel == kernel).all() and (found.bias == bias).all()


def test_it_comes_back_from_a_folder_and_a_damaged_one_is_told(tmp_path):
    head = AdjustedHead("logits", 0.5, RANDOM.normal(size=(4, 3)).astype(np.float32), np.zeros(3, np.float32))
    head.save(tmp_path)
    again = AdjustedHead.chosen(head.facts(), tmp_path)
    assert (again.kernel == head.kernel).all() and again.tau == 0.5
    assert AdjustedHead.chosen(None, tmp_path / "nowhere") is None
    whole = (tmp_path / FILE).read_bytes()
    for damaged in (b"nothing", whole[: len(whole) // 2]):
        (tmp_path / FILE).write_bytes(damaged)
        with pytest.raises(KcarsError, match="head.npz: has changed since it was written .*kcars evaluate"):
            AdjustedHead.chosen(head.facts(), tmp_path)
    with pytest.raises(KcarsError, match="No such file"):
        AdjustedHead.chosen(head.facts(), tmp_path / "nowhere")


@pytest.fixture(scope="module")
def adjusted(undrawn, small_runs, tmp_path_factory):
    """The small classifier, scored anew after a head of it was adjusted."""
    run = shutil.copytree(small_runs["classify"], tmp_path_factory.mktemp("adjusted") / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TAUS, "logits", np.array([1.5]))  # Whatever so small a run's validation would choose.
        output = kcars("train", "--resume", run, "--set", "evaluate.adjust=logits")
    assert "logits: minus 1.5 times the logarithm of class frequencies, chosen on validation" in output
    return run


def test_a_run_is_scored_by_it_without_training_anew(adjusted, small_runs):
    before = small_runs["classify"]
    assert (before / "best.weights.h5").read_bytes() == (adjusted / "best.weights.h5").read_bytes()
    found = json.loads((adjusted / "scores.json").read_text())
    assert found["adjusted"] == {"kind": "logits", "tau": 1.5}
    assert json.loads((before / "scores.json").read_text())["adjusted"] is None
    assert [p["probability"] for p in rows(before / "photos.csv")] != [
        p["probability"] for p in rows(adjusted / "photos.csv")
    ]


def test_its_logits_are_the_networks_less_the_frequencies(adjusted):
    run = Run.open(adjusted)
    pixels = RANDOM.integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
    plain, changed = (np.asarray(network(run)(pixels)["model"]) for network in (scored_network, answering_network))
    counts = np.array([int(row["training_photos"]) for row in rows(adjusted / "classes.csv")])
    np.testing.assert_allclose(changed, plain - 1.5 * np.log(counts / counts.sum()), atol=1e-4)


def test_predictor_and_exports_answer_by_it(adjusted, drawn, tmp_path):
    kcars("export", adjusted, "--out", tmp_path / "export", "--format", "saved_model,onnx", "--photos", 12)
    photos = sorted((drawn / "image").rglob("*.jpg"))[:3]
    places = (adjusted, tmp_path / "export", tmp_path / "export/saved_model")
    by_run, *others = (load(place).predict(photos) for place in places)
    for answers in others:
        for own, other in zip(by_run, answers, strict=True):
            assert [name for name, _ in own.names] == [name for name, _ in other.names]
            assert other.probability == pytest.approx(own.probability, abs=1e-4)
    assert json.loads((tmp_path / "export/card.json").read_text())["adjusted"] == {"kind": "logits", "tau": 1.5}
    assert "minus 1.5 times the logarithm" in (tmp_path / "export/README.md").read_text()
    (adjusted / FILE).rename(tmp_path / FILE)
    try:
        told = kcars("predict", photos[0], "--model", adjusted, code=2)
        assert f"kcars evaluate {adjusted} rewrites it" in told
    finally:
        (tmp_path / FILE).rename(adjusted / FILE)


def test_class_means_answer_in_run_report_and_exports(undrawn, small_runs, drawn, tmp_path):
    run = shutil.copytree(small_runs["classify"], tmp_path / "run")
    output = kcars("train", "--resume", run, "--set", "evaluate.adjust=class_means")
    assert "angle to the mean of each class's training photos" in output
    opened = Run.open(run)
    assert opened.scores()["adjusted"] == {"kind": "class_means", "tau": None}
    pixels = RANDOM.integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
    plain, network = scored_network(opened), answering_network(opened)
    features = np.asarray(keras.Model(plain.input, plain.get_layer("model").input)(pixels))
    head = AdjustedHead.chosen(opened.scores()["adjusted"], run)
    np.testing.assert_allclose(np.asarray(network(pixels)["model"]), head.logits(features), atol=1e-4)
    kcars("report", run)
    assert "angle to the mean of each class" in (run / "report.html").read_text()
    kcars("export", run, "--out", tmp_path / "export", "--format", "onnx,litert", "--photos", 12)
    photos = sorted((drawn / "image").rglob("*.jpg"))[:3]
    for own, other in zip(*(load(place).predict(photos) for place in (run, tmp_path / "export")), strict=True):
        assert own.names[0][0] == other.names[0][0] and other.probability == pytest.approx(own.probability, abs=1e-4)


def test_elsewhere_it_is_that_of_the_run(adjusted, tmp_path):
    cars = tmp_path / "other"
    draw(cars, DrawnCars(makes=4, models_per_make=6, photos_per_model=12, seed=9), progress=False, workers=1)
    head = (adjusted / FILE).read_bytes()
    output = kcars("evaluate", adjusted, "--on", cars)
    assert "minus 1.5 times" in output and (adjusted / FILE).read_bytes() == head


def test_what_cannot_be_adjusted_is_one_line(drawn, tmp_path):
    train = ["--data", drawn, "--out", tmp_path / "run"]
    told = kcars("train", "--task", "verify", *train, *small("evaluate.adjust=logits"), code=2)
    assert "evaluate.adjust logits belongs to task classify" in told
    settings = small("evaluate.adjust=tau_norm", "loss={name: ldam}")
    assert "all class weights have the same norm" in kcars("train", "--task", "classify", *train, *settings, code=2)
