import numpy as np
import pytest

from kcars.core.errors import KcarsError
from kcars.data.readers import compcars
from kcars.images.pixel_store import Decoded
from kcars.settings.strategy import load_strategy
from kcars.tasks import classify


@pytest.fixture(scope="module")
def plan(drawn):
    return classify.plan(compcars.read(drawn, "classify"), load_strategy("demo/classify"))


def test_training_validation_and_test_share_no_photo(plan):
    rows = np.concatenate([plan.train, plan.validation, plan.dataset.test])
    assert len(np.unique(rows)) == len(rows)
    assert len(np.unique(plan.labels(plan.validation))) == len(plan.classes) == 16


def test_perfect_and_constant_answers(plan):
    table, classes = plan.dataset.table, len(plan.classes)

    def perfect(rows):
        return np.eye(classes, dtype="float32")[plan.classes.labels(table.ids["model"][rows])] * 9

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
    with pytest.raises(KcarsError, match="1 photos are in both the training and the test list, the first 3/5/2010/000"):
        classify.plan(compcars.read(tree.root, "classify"), load_strategy("demo/classify"))


def test_nothing_to_validate_on_and_nothing_to_score_are_told(tree):
    lists = tree.root / "train_test_split/classification"
    (lists / "test.txt").write_text("\n".join(tree.paths(40)))
    with pytest.raises(KcarsError, match="none of the 6 existing test photos is of a training class"):
        classify.plan(compcars.read(tree.root, "classify"), load_strategy("demo/classify"))
    (lists / "test.txt").write_text("\n".join(path for path in tree.paths(5, 9) if path[-5] in "45"))
    (lists / "train.txt").write_text("\n".join(path for path in tree.paths(5, 9) if path[-5] in "01"))
    with pytest.raises(KcarsError, match="no class has enough photos for a validation share of 0.1 of its 4"):
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
    photos, labels = classify.stream(plan, Decoded(plan.dataset.table, strategy.data)).batch(0)
    assert (labels["auxiliary"] == labels["model"]).all()
    told = network.trained.train_on_batch(photos, labels, return_dict=True)
    assert told["loss"] == pytest.approx(told["model_loss"] + 0.4 * told["auxiliary_loss"], rel=1e-4)
    assert {"accuracy", "balanced_accuracy", "top5"} <= set(told)
    assert list(network.scored(photos)) == ["model"]


def planned(drawn, *settings):
    return classify.plan(compcars.read(drawn, "classify"), load_strategy("demo/classify", settings))


def loss_of(plan, logits, output="model"):
    """Values (n,) of photos that belong to class 0, 1, ... in turn."""
    return np.asarray(classify.objective(plan)["loss"][output].call(np.arange(len(logits)), logits))


def cross_entropy(logits):
    return [np.log(np.exp(row).sum()) - row[label] for label, row in enumerate(np.asarray(logits, float))]


LOGITS = np.random.default_rng(0).normal(size=(16, 16)).astype("float32")


def test_logit_adjustment_is_by_the_training_photos_and_leaves_validation_alone(drawn):
    plan = planned(drawn, "balance.logit_adjustment=0.5", "loss={name: cross_entropy}", "model.make_weight=1")
    share = plan.class_photos() / len(plan.train)
    assert loss_of(plan, LOGITS) == pytest.approx(cross_entropy(LOGITS + 0.5 * np.log(share)), abs=1e-4)
    plain = cross_entropy(LOGITS)
    known = plan.labels(plan.validation)
    found = classify.scores(plan, lambda rows: LOGITS[plan.labels(rows)], "validation", {})
    assert found.scores["validation/loss"] == pytest.approx(np.array(plain)[known].mean(), abs=1e-4)


def test_makes_beside_models_are_sums_of_their_adjusted_logits(drawn):
    """Bayes' rule for the models is then the best answer for their makes too."""
    plan = planned(drawn, "balance.logit_adjustment=0.5", "model.make_weight=1", "data.size_px=32", "model.width=0.25")
    found = classify.network(plan).trained(np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype("uint8"))
    odds = np.exp(np.asarray(found["model"], float)) * (plan.class_photos() / len(plan.train)) ** 0.5
    _, make = plan.classes.make_numbers()
    expected = np.stack([odds[:, make == number].sum(1) for number in range(make.max() + 1)], 1)
    assert np.asarray(found["make"]) == pytest.approx(np.log(expected), abs=1e-4)
    logits = np.random.default_rng(1).normal(size=(4, 4)).astype("float32")
    smoothed = planned(drawn, "balance.logit_adjustment=0.5", "loss={name: cross_entropy}", "model.make_weight=1")
    assert loss_of(smoothed, logits, "make") == pytest.approx(cross_entropy(logits), abs=1e-4)


def test_ldam_takes_its_margins_from_the_training_photos_and_validation_none(drawn):
    plan = planned(drawn, "loss={name: ldam, margin: 0.4, scale: 10}")
    margins = 0.4 * (plan.class_photos().min() / plan.class_photos()) ** 0.25
    assert loss_of(plan, LOGITS) == pytest.approx(cross_entropy(LOGITS - 10 * np.diag(margins)), abs=1e-4)
    found = classify.scores(plan, lambda rows: LOGITS[plan.labels(rows)], "validation", {})
    known = np.array(cross_entropy(LOGITS))[plan.labels(plan.validation)]
    assert found.scores["validation/loss"] == pytest.approx(known.mean(), abs=1e-4)


def test_makes_are_learned_beside_with_their_weight_and_every_photo_by_its_own(drawn):
    settings = ("model.make_weight=0.5", "balance.weights=inverse_frequency", "data.cache=off", "train.batch=4")
    plan = planned(drawn, *settings, "data.size_px=32", "model.width=0.25")
    network = classify.network(plan)
    network.trained.compile("sgd", **classify.objective(plan), run_eagerly=True)
    photos, labels, weights = classify.stream(plan, Decoded(plan.dataset.table, plan.strategy.data)).batch(0)
    makes = np.array(plan.classes.makes)[labels["model"]]
    assert (np.array(plan.classes.make_numbers()[0])[labels["make"]] == makes).all()
    share = plan.class_photos()[labels["model"]] / len(plan.train)
    assert weights["model"] == pytest.approx(1 / 16 / share) and (weights["make"] == weights["model"]).all()
    outputs = network.trained(photos)
    expected = 0.0
    for output, factor in (("model", 1.0), ("make", 0.5)):
        values = np.asarray(classify.objective(plan)["loss"][output].call(labels[output], outputs[output]))
        expected += factor * (values * weights[output]).mean()
    told = network.trained.test_on_batch(photos, labels, weights, return_dict=True)
    assert told["loss"] == pytest.approx(expected, rel=1e-4)
    assert list(network.scored(photos)) == ["model"]


def test_makes_are_scored_by_the_sums_over_their_models(drawn):
    plan = planned(drawn, "model.make_weight=0.5")
    make = plan.classes.make_numbers()[1]

    def outputs(rows):
        """Any other model of the right make is as likely as all but one of them together; one make is never known."""
        label = plan.labels(rows)
        own = (make[:, None] == make[label]).T * np.where(make[label] == 3, -9.0, 9.0)[:, None]
        own[np.arange(len(rows)), label] = 0.0
        return own.astype("float32")

    found = classify.scores(plan, outputs, "test", {"temperature": 1.0}, resamples=100)
    shown = make[plan.labels(plan.dataset.test)]
    assert found.scores["test/accuracy"] == 0
    assert found.scores["test/make_accuracy"] == pytest.approx((shown != 3).mean())
    assert found.scores["test/make_balanced_accuracy"] == pytest.approx(3 / 4)
    assert found.intervals["test/make_balanced_accuracy"] == pytest.approx((0.75, 0.75))
    assert "test/make_accuracy" not in classify.scores(planned(drawn), outputs, "test", {"temperature": 1.0}).scores


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (("balance.begin=0.5",), "there is nothing to defer"),
        (("loss={name: ldam}", "balance.logit_adjustment=1"), "belongs to task classify with loss cross_entropy"),
        (("target=make", "model.make_weight=1"), "belongs to target model"),
        (
            (
                "model.backbone=inception_v3",
                "model.width=1",
                "model.stem=standard",
                "model.auxiliary=0.4",
                "loss={name: ldam}",
            ),
            "the auxiliary head outputs no cosines",
        ),
    ],
)
def test_what_does_not_fit_is_told(settings, told):
    with pytest.raises(KcarsError, match=told):
        load_strategy("demo/classify", settings)
