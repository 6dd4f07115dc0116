"""The linear head of frozen features: scikit-learn's decisions, classes without photos, and the choice by validation."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from kcars.posthoc.linear_head import METHODS, ChosenHead, LinearHead

RANDOM = np.random.default_rng(0)
CENTRES = RANDOM.normal(size=(4, 12)) * 2


def sample(classes, photos=30, seed=0, noise=1.0):
    random = np.random.default_rng(seed)
    labels = np.repeat(classes, photos)
    return (CENTRES[labels] + random.normal(size=(len(labels), 12)) * noise).astype(np.float32), labels


@pytest.mark.parametrize("classes", [(0, 1, 2, 3), (0, 1)])
@pytest.mark.parametrize(
    ("method", "regularization", "model"),
    [
        ("discriminant", 0.5, LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5)),
        ("logistic", 0.03, LogisticRegression(C=0.03, tol=1e-6)),
    ],
)
def test_probabilities_are_those_of_scikit_learn(method, regularization, model, classes):
    (features, labels), (other, _) = sample(classes), sample(classes, seed=1)
    head = LinearHead.fit_each(method, [regularization], (features, labels), len(classes))[0]
    mean, std = features.mean(0), features.std(0)
    wanted = model.fit((features - mean) / std, labels).predict_proba((other - mean) / std)
    logits = head.logits(other)
    found = np.exp(logits - logits.max(1, keepdims=True))
    assert np.allclose(found / found.sum(1, keepdims=True), wanted, atol=5e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_class_without_photos_is_never_predicted_and_logits_are_finite(method):
    head = LinearHead.fit_each(method, METHODS[method], sample((0, 1, 3)), 4)[0]
    logits = head.logits(sample((0, 1, 2, 3))[0])
    assert np.isfinite(logits).all()
    assert 2 not in logits.argmax(1)


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_feature_has_no_weight(method):
    features, labels = sample((0, 1, 2, 3))
    features[:, 5] = 7
    head = LinearHead.fit_each(method, METHODS[method], (features, labels), 4)[0]
    assert not head.kernel[5].any()
    assert (head.logits(features).argmax(1) == labels).mean() > 0.9


def test_each_validation_photo_is_judged_by_a_head_without_it():
    one, other = sample((0, 1, 2, 3)), sample((0, 1, 2, 3), seed=1)
    wrong = (other[0], (other[1] + 1) % 4)  # Its labels can be learned only from itself.
    chosen = ChosenHead.of([(one, wrong), (wrong, one)], 4)
    assert len(chosen.labels) == len(chosen.logits) == 240
    assert (chosen.logits[:120].argmax(1) == wrong[1]).mean() < 0.1
    assert (chosen.method, chosen.regularization) in {(name, one) for name in METHODS for one in METHODS[name]}


def test_the_best_of_all_methods_is_chosen():
    folds = [(sample((0, 1, 2, 3), noise=3), sample((0, 1, 2, 3), seed=seed, noise=3)) for seed in (1, 2)]
    chosen = ChosenHead.of(folds, 4)
    for method, regularizations in METHODS.items():
        for one in regularizations:
            heads = [LinearHead.fit_each(method, [one], train, 4)[0] for train, _ in folds]
            right = [head.logits(held[0]).argmax(1) == held[1] for head, (_, held) in zip(heads, folds, strict=True)]
            assert np.mean(right) <= chosen.balanced_accuracy + 1e-9
