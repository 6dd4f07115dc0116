"""Linear discriminant analysis (Fisher 1936) for any shrinkage, from covariances that are computed once.

scikit-learn's LinearDiscriminantAnalysis gives the same, but begins again for each shrinkage.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

FLOOR = 1e-10  # Smallest variance of a direction, as a share of the mean one: constant features have none.


@dataclass(frozen=True)
class Discriminants:
    """What a sample says about its classes, whatever the shrinkage.

    classes: distinct labels (c,); priors: their shares (c,); means: their mean vectors (c, d), around the common mean;
    within, between: the covariances (d, d) within classes and of the means.
    """

    classes: np.ndarray
    priors: np.ndarray
    means: np.ndarray
    within: np.ndarray
    between: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray, labels: np.ndarray) -> "Discriminants":
        """Of vectors (n, d), centred at their mean, and labels (n,)."""
        classes, position, counts = np.unique(labels, return_inverse=True, return_counts=True)
        vectors = np.asarray(vectors, np.float64)
        means = np.zeros((len(classes), vectors.shape[1]))
        np.add.at(means, position, vectors)
        means /= counts[:, None]
        apart, priors = vectors - means[position], counts / len(vectors)
        return cls(classes, priors, means, apart.T @ apart / len(vectors), (means.T * priors) @ means)

    def classifier(self, shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
        """Weights (d, c) and biases (c,) whose logits are the logarithms of the classes' probabilities, up to a constant."""
        variances, axes = self._eigen
        mean = max(variances.mean(), np.finfo(float).tiny)
        shrunk = np.maximum((1 - shrinkage) * variances + shrinkage * mean, FLOOR * mean)
        weights = axes @ ((axes.T @ self.means.T) / shrunk[:, None])
        return weights, np.log(self.priors) - 0.5 * (self.means.T * weights).sum(0)

    def directions(self, shrinkage: float, count: int) -> np.ndarray:
        """The `count` directions (d, k) with the largest between-class variance, each with a within-class variance of 1.

        The between-class covariance is shrunk too, as in scikit-learn's solver "eigen".
        """
        from scipy import linalg as untyped  # pyright: ignore[reportMissingTypeStubs]  SciPy has no types.

        within = _shrunk(self.within, max(shrinkage, FLOOR))  # At 0 it may have no inverse.
        linalg: Any = untyped
        directions: np.ndarray = linalg.eigh(_shrunk(self.between, shrinkage), within)[1]
        return directions[:, ::-1][:, :count]

    @cached_property
    def _eigen(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues (d,) and eigenvectors (d, d) of the within-class covariance."""
        variances, axes = np.linalg.eigh(self.within)
        return np.maximum(variances, 0), axes


def _shrunk(covariance: np.ndarray, shrinkage: float) -> np.ndarray:
    """A covariance (d, d), shrunk towards a multiple of the identity with the same trace."""
    d = len(covariance)
    return (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / d * np.eye(d)
