"""The linear head of a classifier, fitted to features of a frozen backbone."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcars.metrics.scores import balanced_accuracy, confusion_matrix
from kcars.posthoc.adjusted_head import NEVER
from kcars.posthoc.discriminants import Discriminants

METHODS = {"discriminant": (0.2, 0.35, 0.5, 0.65, 0.8), "logistic": (0.01, 0.1)}
"""Method -> regularizations among which validation chooses: linear discriminant analysis with this shrinkage of the covariance,
and logistic regression with this inverse strength of the penalty (scikit-learn's C)."""

Sample = tuple[np.ndarray, np.ndarray]
"""Features (n, d) and labels (n,)."""


@dataclass(frozen=True)
class LinearHead:
    """Logits are features (n, d) times `kernel` (d, classes) plus `bias` (classes,); fitted with a method of METHODS."""

    method: str
    regularization: float
    kernel: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        return features @ self.kernel + self.bias

    @classmethod
    def fit_each(
        cls, method: str, regularizations: Sequence[float], sample: Sample, classes: int
    ) -> list["LinearHead"]:
        """Fit one head for each regularization to a sample of two or more classes. Absent classes are never predicted."""
        features, labels = sample
        mean, std = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
        std = np.where(std > 1e-6 * std.max(), std, np.inf)  # Constant features have no weight.
        present, numbers = np.unique(labels, return_inverse=True)
        heads: list[LinearHead] = []
        for one, (weights, biases) in zip(
            regularizations, _FITTED[method]((features - mean) / std, numbers, regularizations), strict=True
        ):
            kernel, bias = np.zeros((features.shape[1], classes)), np.full(classes, NEVER)
            kernel[:, present] = weights / std[:, None]
            bias[present] = biases - mean @ kernel[:, present]
            heads.append(cls(method, one, kernel.astype(np.float32), bias.astype(np.float32)))
        return heads


@dataclass(frozen=True)
class ChosenHead:
    """The method and regularization with the best balanced accuracy over all folds, and the logits (n, classes) and labels (n,)
    of all folds' validation photos, each by a head that was fitted without it."""

    method: str
    regularization: float
    balanced_accuracy: float
    logits: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, folds: Sequence[tuple[Sample, Sample]], classes: int) -> "ChosenHead":
        """Choose on folds of a training and a validation sample each; of equally good heads the first of METHODS."""
        labels = np.concatenate([validation[1] for _, validation in folds])
        tried: list[ChosenHead] = []
        for method, regularizations in METHODS.items():
            fitted = [LinearHead.fit_each(method, regularizations, train, classes) for train, _ in folds]
            for one, heads in zip(regularizations, zip(*fitted, strict=True), strict=True):
                logits = np.concatenate([head.logits(held[0]) for head, (_, held) in zip(heads, folds, strict=True)])
                score = balanced_accuracy(confusion_matrix(labels, logits.argmax(1), classes))
                tried.append(cls(method, one, score, logits, labels))
        return max(tried, key=lambda one: one.balanced_accuracy)


_Weights = Iterator[tuple[np.ndarray, np.ndarray]]


def _discriminants(features: np.ndarray, labels: np.ndarray, shrinkages: Sequence[float]) -> _Weights:
    found = Discriminants.of(features, labels)
    return (found.classifier(shrinkage) for shrinkage in shrinkages)


def _logistic_regressions(features: np.ndarray, labels: np.ndarray, strengths: Sequence[float]) -> _Weights:
    from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingTypeStubs]  scikit-learn has no types.

    model: Any = LogisticRegression(max_iter=300, tol=1e-3)
    for strength in strengths:
        with warnings.catch_warnings(action="ignore"):  # A fit that has not converged to the last digit is good enough.
            model.set_params(C=strength).fit(features, labels)
        weights, biases = model.coef_, model.intercept_
        if len(model.classes_) == 2:  # scikit-learn has one row for two classes.
            weights, biases = np.concatenate([-weights, weights]) / 2, np.concatenate([-biases, biases]) / 2
        yield weights.T, biases


_FITTED = {"discriminant": _discriminants, "logistic": _logistic_regressions}
"""Method -> function of features (n, d), labels 0..c-1 (n,) and regularizations: weights (d, c) and biases (c,) for each."""
