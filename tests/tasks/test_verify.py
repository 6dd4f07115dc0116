import dataclasses

import numpy as np
import pytest

from kcars.core.errors import KcarsError
from kcars.data.photo_table import Pairs
from kcars.data.readers import compcars
from kcars.settings.strategy import load_strategy
from kcars.tasks import verify
from kcars.tasks.plan import Network
from kcars.tasks.verify_scores import distances


@pytest.fixture(scope="module")
def plan(drawn):
    return verify.plan(compcars.read(drawn, "verify"), load_strategy("demo/verify", ("evaluate.folds=0",)))


def test_training_validation_and_test_share_no_model(plan):
    model = plan.dataset.table.ids["model"]
    parts = [set(model[rows].tolist()) for rows in (plan.train, plan.validation, plan.dataset.test_rows())]
    assert [len(part) for part in parts] == [8, 8, 8]
    assert len(set.union(*parts)) == 24


def test_a_perfect_embedding_scores_one_and_a_constant_one_a_half(plan):
    model = plan.dataset.table.ids["model"]
    directions = np.random.default_rng(0).normal(size=(model.max() + 1, 64)).astype("float32")

    def perfect(rows):
        return directions[model[rows]]

    decision = verify.decide(plan, perfect)
    found = verify.scores(plan, perfect, "test", decision, resamples=100)
    for difficulty in ("easy", "medium", "hard"):
        assert found.scores[f"{difficulty}/roc_auc"] == 1.0
        assert found.scores[f"{difficulty}/accuracy"] == 1.0
        assert found.intervals[f"{difficulty}/roc_auc"] == (1.0, 1.0)
    constant = verify.scores(plan, lambda rows: np.ones((len(rows), 8), "float32"), "test", {"threshold": -0.5})
    assert constant.scores["hard/roc_auc"] == 0.5


def test_distances_of_known_angles():
    vectors = np.array([[1, 0], [0, 1], [-1, 0], [0.5, np.sqrt(3) / 2]], "float32")
    found = distances(vectors, np.array([0, 0, 0, 0]), np.array([0, 1, 2, 3]))
    assert np.allclose(found, [0, np.sqrt(2), 2, 1], atol=1e-6)  # angles 0, 90, 180, 60


@pytest.mark.parametrize("head", ["neck", "linear"])
def test_vectors_have_the_length_that_their_head_gives(plan, head):
    model = plan.strategy.model.model_copy(update={"head": head})
    asked = dataclasses.replace(plan, strategy=plan.strategy.model_copy(update={"model": model}))
    outputs = np.random.default_rng(0).normal(size=(len(plan.dataset.table), 4)).astype("float32")
    found = verify.posthoc(asked, Network(None, None), lambda model: lambda rows: outputs[rows])
    assert found.transform is None
    assert np.allclose(found(np.full((2, 4), 3.0, "float32")), 0.5 if head == "neck" else 3.0)


def test_the_threshold_is_the_validation_pairs(plan):
    asked = []

    def outputs(rows):
        asked.append(rows)
        return np.random.default_rng(0).normal(size=(len(rows), 4)).astype("float32")

    verify.decide(plan, outputs)
    assert np.isin(np.concatenate(asked), plan.validation).all()


def test_by_make_every_hard_pair_is_the_same(drawn):
    plan = verify.plan(
        compcars.read(drawn, "verify"), load_strategy("demo/verify", ("data.classes=target",), target="make")
    )
    assert plan.pairs["test/hard"].same.all()
    assert 0 < plan.pairs["test/easy"].same.mean() < 1
    assert len(plan.classes) == 4
    found = verify.scores(plan, lambda rows: np.ones((len(rows), 8), "float32"), "test", {"threshold": -0.5}, 100)
    assert np.isnan(found.scores["hard/roc_auc"])


def test_models_are_learned_where_makes_decide(drawn):
    dataset = compcars.read(drawn, "verify")
    by_make, by_model = (
        verify.plan(dataset, load_strategy("demo/verify", (f"data.classes={classes}",), target="make"))
        for classes in ("target", "model")
    )
    assert (len(by_make.classes), len(by_model.classes)) == (4, 16)
    assert len(np.unique(by_model.labels(by_model.train))) == 16
    assert [output.shape[1] for output in verify.network(by_model).trained.outputs] == [16]
    for name, pairs in by_make.pairs.items():
        assert np.array_equal(pairs.same, by_model.pairs[name].same)

    def perfect(rows):  # Photos of one make lie nearer each other than those of two, and those of one model nearest.
        make, model = (
            np.eye(dataset.table.ids[name].max() + 1)[dataset.table.ids[name][rows]] for name in ("make", "model")
        )
        return np.concatenate([2 * make, model], 1)

    found = verify.scores(by_model, perfect, "test", verify.decide(by_model, perfect))
    assert found.scores["easy/roc_auc"] == 1 and found.scores["retrieval/recall@1"] == 1


def test_classification_and_pairs_learn_the_target_alone():
    with pytest.raises(KcarsError, match="data.classes model belongs to task verify"):
        load_strategy("demo/classify", ("data.classes=model",))
    pairs = ("data.classes=model", "data.order=pairs", "loss={name: contrastive}")
    assert load_strategy("demo/verify", pairs, target="make").learned == "make"


def test_models_in_training_and_test_are_refused(tree):
    lists = tree.root / "train_test_split/verification"
    photos = tree.paths(5, 9, 20, 21, 30)
    (lists / "verification_train.txt").write_text("\n".join(photos))
    with pytest.raises(
        KcarsError, match="1 models are in both the training list and the test pairs, the first Model 30"
    ):
        verify.plan(compcars.read(tree.root, "verify"), load_strategy("demo/verify"))


def test_pairs_of_one_kind_only_are_refused(drawn):
    dataset = compcars.read(drawn, "verify")
    hard = dataset.pairs["hard"]
    alike = Pairs(*(column[hard.same == 1] for column in (hard.left, hard.right, hard.same)))
    dataset = dataclasses.replace(dataset, pairs=dataset.pairs | {"hard": alike})
    with pytest.raises(KcarsError, match=r"the hard test pairs are \d+ same and 0 different; both kinds"):
        verify.plan(dataset, load_strategy("demo/verify"))


def test_the_papers_protocol_validates_on_the_test_as_listed(drawn):
    chosen = ("evaluate.protocol=paper",)
    plan = verify.plan(
        compcars.read(drawn, "verify"), load_strategy("demo/verify", chosen, target="make", difficulty="hard")
    )
    assert np.array_equal(plan.train, plan.dataset.train)
    assert np.array_equal(plan.validation, plan.dataset.test_rows())
    for name in ("easy", "medium", "hard"):
        listed = plan.dataset.pairs[name]
        assert (
            plan.pairs[f"validation/{name}"].same.tolist()
            == plan.pairs[f"test/{name}"].same.tolist()
            == listed.same.tolist()
        )


def test_with_few_models_folds_by_make_choose_and_all_models_train(drawn):
    dataset, strategy = compcars.read(drawn, "verify"), load_strategy("demo/verify")
    whole, folds = verify.plan(dataset, strategy), verify.folds(dataset, strategy)
    assert np.array_equal(whole.train, dataset.train) and not len(whole.validation)
    make, model = dataset.table.ids["make"], dataset.table.ids["model"]
    assert len(folds) == 2  # Four makes: two with two models or more a fold.
    for fold in folds:
        assert not np.intersect1d(make[fold.train], make[fold.validation]).size
        assert len(np.unique(make[fold.validation])) == 2
        assert np.array_equal(np.sort(np.concatenate([fold.train, fold.validation])), np.sort(dataset.train))
    held = np.concatenate([np.unique(model[fold.validation]) for fold in folds])
    assert sorted(held) == np.unique(model[dataset.train]).tolist()
    assert verify.folds(dataset, load_strategy("demo/verify", ("evaluate.folds=0",))) == []
    assert verify.folds(dataset, load_strategy("demo/verify", ("evaluate.protocol=paper",))) == []


def test_folds_choose_the_epoch_that_is_best_on_average():
    def history(scores, thresholds):
        return [{"val_hard_roc_auc": s, "val_threshold": t} for s, t in zip(scores, thresholds, strict=True)]

    strategy = load_strategy("demo/verify")
    first, second = history([0.5, 0.9, 0.6], [-1.0, -0.8, -1]), history([0.7, 0.6, 0.8, 0.99], [-1, -0.4, -1, -1])
    chosen = verify.choose([first, second], strategy)
    assert chosen == {"epoch": 2, "folds": 2, "score": 0.75, "threshold": pytest.approx(-0.6)}
