"""Linear transforms of embeddings, fitted on the training photos: whitening, linear discriminant analysis."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.files import fingerprint
from kcars.data.photo_table import fingerprint_array
from kcars.posthoc.discriminants import Discriminants
from kcars.untrusted.run_folder import RunFolder

FILE = "metric.npz"  # Or the name in scores.json (`score_files`).
MOST_DIRECTIONS, SHRINKAGE = 50, 1 / 3


@dataclass(frozen=True)
class DistanceTransform:
    """Transforms unit vectors before their distance: minus `mean` (d,), times `projection` (d, k), L2-normalized again.

    weights (k,): factors of the directions afterwards; 1 except for `weighted_lda`.
    """

    mean: np.ndarray
    projection: np.ndarray
    weights: np.ndarray

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Transform vectors (n, d) to (n, k) float32."""
        return unit_length((unit_length(vectors) - self.mean) @ self.projection) * self.weights

    @classmethod
    def fit(
        cls,
        kind: str,
        vectors: np.ndarray,
        labels: np.ndarray,
        shrinkage: float = SHRINKAGE,
        directions: int | None = None,
    ) -> "DistanceTransform":
        """Fit the `kind` of METRICS to vectors (n, d) and labels (n,).

        shrinkage: 0 to 1, by which covariances are shrunk towards a multiple of the identity, because there are few photos;
        directions: of linear discriminant analysis, by default one fewer than classes, at most MOST_DIRECTIONS.
        """
        return cls.fit_each(kind, vectors, labels, [shrinkage], directions)[0]

    @classmethod
    def fit_each(
        cls,
        kind: str,
        vectors: np.ndarray,
        labels: np.ndarray,
        shrinkages: Sequence[float],
        directions: int | None = None,
    ) -> list["DistanceTransform"]:
        """Fit one transform for each shrinkage, faster than one by one."""
        vectors = unit_length(vectors).astype(np.float64)
        mean = vectors.mean(0)
        most = min(directions or min(MOST_DIRECTIONS, len(np.unique(labels)) - 1), vectors.shape[1])
        fitted = METRICS[kind](vectors - mean, labels, most)
        return [cls(*(part.astype(np.float32) for part in (mean, *fitted(shrinkage)))) for shrinkage in shrinkages]

    def fingerprint(self) -> str:
        """A fingerprint that is equal for transforms that differ only by rounding, such as two fits on the same photos.

        Numbers are rounded to thousandths of the largest one in their array; few of thousands lie near a rounding edge.
        """
        parts = [self.mean, self.projection, self.weights]
        return fingerprint([fingerprint_array(np.rint(1000 * part / (np.abs(part).max() or 1.0))) for part in parts])

    def content(self) -> bytes:
        """The content of its file; equal for equal transforms."""
        content = io.BytesIO()
        np.savez(content, mean=self.mean, projection=self.projection, weights=self.weights)
        return content.getvalue()

    def save(self, folder: Path) -> None:
        RunFolder(folder).write_bytes(FILE, self.content())

    @classmethod
    def chosen(cls, kind: str | None, folder: Path, name: str = FILE) -> "DistanceTransform | None":
        """The transform in a run folder, if its scores use one of METRICS."""
        return cls.read(folder, name) if kind in METRICS else None

    @classmethod
    def read(cls, folder: Path, name: str = FILE) -> "DistanceTransform":
        """Read the transform in a run folder; raises KcarsError if it is missing or damaged."""
        files = RunFolder(folder)
        found = cls(**files.read_arrays(name, ("mean", "projection", "weights")))
        sizes = [part.shape for part in (found.mean, found.projection, found.weights)]
        if sizes[1:] != [(*sizes[0], *sizes[2]), sizes[2]] or len(sizes[1]) != 2 or 0 in sizes[1]:
            raise KcarsError(f"{folder / name}: contains arrays of inconsistent shapes; {files.remedy(name)}")
        return found


_Fitted = Callable[[float], tuple[np.ndarray, np.ndarray]]
"""Shrinkage -> projection (d, k) and weights (k,)."""


def _discriminants(vectors: np.ndarray, labels: np.ndarray, most: int) -> _Fitted:
    """Directions of linear discriminant analysis."""
    found = Discriminants.of(vectors, labels)
    return lambda shrinkage: (found.directions(shrinkage, most), np.ones(most))


def _weighted_discriminants(vectors: np.ndarray, labels: np.ndarray, most: int) -> _Fitted:
    """The same directions, each weighted in the squared distance by the between-class relative to the within-class std.

    This resembles probabilistic linear discriminant analysis (Prince & Elder 2007), where the weight of a direction grows with
    the ratio of variances, and little more for large ratios.
    """
    found = _discriminants(vectors, labels, most)

    def fitted(shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
        directions, _ = found(shrinkage)
        means, within = _by_class(vectors @ directions, labels)
        ratio = means.var(0) / np.maximum(within.var(0), 1e-12)
        return directions, ratio**0.25

    return fitted


def _whitening(vectors: np.ndarray, labels: np.ndarray, _most: int) -> _Fitted:
    """Whitening matrix (d, d): the within-class covariance to the power -1/2."""
    from sklearn.covariance import shrunk_covariance  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]  scikit-learn has no types.

    within = np.cov(_by_class(vectors, labels)[1].T, bias=True)

    def fitted(shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
        values, directions = np.linalg.eigh(cast("np.ndarray", shrunk_covariance(within, shrinkage)))
        whitening = directions / np.sqrt(np.maximum(values, 1e-12)) @ directions.T
        return whitening, np.ones(len(whitening))

    return fitted


def _by_class(vectors: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class means (c, d), and each vector (n, d) minus the mean of its class."""
    _, position = np.unique(labels, return_inverse=True)
    means = np.stack([vectors[position == label].mean(0) for label in range(position.max() + 1)])
    return means, vectors - means[position]


METRICS = {"whitened": _whitening, "lda": _discriminants, "weighted_lda": _weighted_discriminants}
TOLD = {
    "whitened": "computed after within-class whitening of the embeddings, fitted on the training photos",
    "lda": "computed after linear discriminant analysis of the embeddings, fitted on the training photos",
    "weighted_lda": "computed after linear discriminant analysis of the embeddings, fitted on the training photos, with each "
    "direction weighted by how well it separates classes",
}


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Rows divided by their norm."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
