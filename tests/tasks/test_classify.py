import numpy as np
import pytest

from kcars.data import compcars
from kcars.errors import KcarsError
from kcars.images.store import Decoded
from kcars.strategy import load_strategy
from kcars.tasks import classify


@pytest.fixture(scope="module")
def plan(drawn):
    return classify.plan(compcars.read(drawn, "classify"), load_strategy("demo/classify"))


def test_training_validation_and_test_share_no_photo(plan):
    rows = np.concatenate([plan.train, plan.validation, plan.dataset.test])
    assert len(np.unique(rows)) == len(rows)
    assert len(np.unique(plan.labels(plan.validation))) == len(plan.classes) == 16


def test_perfect_and_constant_answers(plan):
    index, classes = plan.dataset.index, len(plan.classes)

    def perfect(rows):
        return np.eye(classes, dtype="float32")[plan.classes.labels(index.ids["model"][rows])] * 9

    found = classify.scores(plan, perfect, "test", {}, resamples=100)
    assert found.scores["test/balanced_accuracy"] == found.scores["test/top5"] == 1.0
    assert found.intervals["test/balanced_accuracy"] == (1.0, 1.0)
    assert set(found.tables["photos.csv"]["rank_of_label"].tolist()) == {1}
    assert (found.tables["classes.csv"]["recall"] == 1).all()
    first = classify.scores(plan, lambda rows: np.eye(classes, dtype="float32")[[0] * len(rows)], "test", {})
    assert first.scores["test/balanced_accuracy"] == pytest.approx(1 / classes)


def test_validation_tells_its_loss(plan):
    classes = len(plan.classes)
    found = classify.scores(plan, lambda rows: np.zeros((len(rows), classes), "float32"), "validation", {})
    assert found.scores["validation/loss"] == pytest.approx(np.log(classes), rel=1e-5)


def test_a_photo_in_both_lists_is_refused(tree):
    with (tree.root / "train_test_split/classification/test.txt").open("a") as file:
        file.write("3/5/2010/000.jpg\n")
    with pytest.raises(KcarsError, match="1 photos stand in the training and the test list, the first 3/5/2010/000"):
        classify.plan(compcars.read(tree.root, "classify"), load_strategy("demo/classify"))


def test_nothing_to_validate_on_and_nothing_to_score_are_told(tree):
    lists = tree.root / "train_test_split/classification"
    (lists / "test.txt").write_text("\n".join(tree.paths(40)))
    with pytest.raises(KcarsError, match="none of the 6 test photos that exist is of a class that training knows"):
        classify.plan(compcars.read(tree.root, "classify"), load_strategy("demo/classify"))
    (lists / "test.txt").write_text("\n".join(path for path in tree.paths(5, 9) if path[-5] in "45"))
    (lists / "train.txt").write_text("\n".join(path for path in tree.paths(5, 9) if path[-5] in "01"))
    with pytest.raises(KcarsError, match="no class has enough photos to validate on a share of 0.1 of its 4"):
        classify.plan(compcars.read(tree.root, "classify"), load_strategy("demo/classify"))


def test_the_papers_protocol_validates_on_the_test(drawn):
    dataset = compcars.read(drawn, "classify")
    plan = classify.plan(dataset, load_strategy("demo/classify", ("evaluate.protocol=paper",)))
    assert np.array_equal(plan.train, dataset.train)
    assert np.array_equal(plan.validation, dataset.test)


def test_an_auxiliary_head_learns_the_same_labels_and_is_not_scored(drawn):
    inception = ["model.backbone=inception_v3", "model.auxiliary=0.4", "model.width=1", "model.stem=standard"]
    strategy = load_strategy("demo/classify", [*inception, "data.size_px=75", "data.cache=off", "train.batch=4"])
    plan = classify.plan(compcars.read(drawn, "classify"), strategy)
    network = classify.network(plan)
    network.trained.compile("sgd", **classify.objective(plan), run_eagerly=True)
    photos, labels = classify.stream(plan, Decoded(plan.dataset.index, strategy.data)).batch(0)
    assert (labels["auxiliary"] == labels["model"]).all()
    told = network.trained.train_on_batch(photos, labels, return_dict=True)
    assert told["loss"] == pytest.approx(told["model_loss"] + 0.4 * told["auxiliary_loss"], rel=1e-4)
    assert {"accuracy", "balanced_accuracy", "top5"} <= set(told)
    assert list(network.scored(photos)) == ["model"]
