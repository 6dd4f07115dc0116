"""Linear discriminant analysis by one eigendecomposition gives what scikit-learn's gives for each shrinkage."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from kcars.posthoc.discriminants import Discriminants

RANDOM = np.random.default_rng(0)


def sample(photos, dimensions, classes=5):
    labels = RANDOM.integers(0, classes, photos) * 3 + 1
    vectors = RANDOM.normal(size=(photos, dimensions)) * RANDOM.uniform(0.1, 2, dimensions) + np.cos(
        np.outer(labels, np.arange(dimensions))
    )
    return vectors - vectors.mean(0), labels


@pytest.mark.parametrize("shape", [(200, 8), (30, 40)])
@pytest.mark.parametrize("shrinkage", [0.05, 1 / 3, 0.9, 1.0])
def test_it_is_scikit_learns(shape, shrinkage):
    vectors, labels = sample(*shape)
    found = Discriminants.of(vectors, labels)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(vectors, labels)
    weights, biases = found.classifier(shrinkage)
    logits, wanted = vectors @ weights + biases, model.decision_function(vectors)
    assert np.allclose(logits - logits.mean(1, keepdims=True), wanted - wanted.mean(1, keepdims=True), atol=1e-7)
    if shrinkage == 1:  # Only class means decide then.
        return
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage).fit(vectors, labels)
    assert np.allclose(np.abs(found.directions(shrinkage, 3)), np.abs(model.scalings_[:, :3]), atol=1e-6)


def test_without_shrinkage_and_with_more_directions_than_photos_all_is_finite():
    vectors, labels = sample(12, 30)
    vectors[:, 3] = 0
    found = Discriminants.of(vectors, labels)
    assert np.isfinite(found.classifier(0.0)[0]).all()
    assert np.isfinite(found.directions(0.0, 4)).all()
