"""Metrics on embeddings, fitted after training on the photos learned from: whitening, linear discriminant analysis."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.files import fingerprint
from kcars.data.photo_table import fingerprint_array
from kcars.untrusted.run_folder import RunFolder

FILE = "metric.npz"  # Or as scores.json says (`score_files`).
MOST_DIMENSIONS, SHRINKAGE = 50, 1 / 3


@dataclass(frozen=True)
class DistanceTransform:
    """Unit vectors less `mean` (d,), times `projection` (d, k), brought to length 1 again: distances in there count.

    weights (k,): what the directions are then weighted by; 1 each in METRICS but the one that tells so.
    """

    mean: np.ndarray
    projection: np.ndarray
    weights: np.ndarray

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """(n, d) to (n, k) float32."""
        return unit_length((unit_length(vectors) - self.mean) @ self.projection) * self.weights

    @classmethod
    def fit(cls, kind: str, vectors: np.ndarray, labels: np.ndarray) -> "DistanceTransform":
        """`kind` of METRICS, of vectors (n, d) and labels (n,).

        Covariances are shrunk towards a multiple of the identity: there are few photos.
        """
        vectors = unit_length(vectors).astype(np.float64)
        mean = vectors.mean(0)
        projection, weights = METRICS[kind](vectors - mean, labels)
        return cls(*(part.astype(np.float32) for part in (mean, projection, weights)))

    def fingerprint(self) -> str:
        """Equal for metrics that differ by rounding only, as two that were fitted on the same photos do.

        Numbers count by thousandths of the largest of their part; that one of thousands lies on an edge is rare.
        """
        parts = [self.mean, self.projection, self.weights]
        return fingerprint([fingerprint_array(np.rint(1000 * part / (np.abs(part).max() or 1.0))) for part in parts])

    def content(self) -> bytes:
        """What its file holds; equal for equal metrics."""
        content = io.BytesIO()
        np.savez(content, mean=self.mean, projection=self.projection, weights=self.weights)
        return content.getvalue()

    def save(self, folder: Path) -> None:
        RunFolder(folder).write_bytes(FILE, self.content())

    @classmethod
    def chosen(cls, kind: str | None, folder: Path, name: str = FILE) -> "DistanceTransform | None":
        """That of a run's folder, where its scores say that they are by one of METRICS."""
        return cls.read(folder, name) if kind in METRICS else None

    @classmethod
    def read(cls, folder: Path, name: str = FILE) -> "DistanceTransform":
        """That of a run folder; raises KcarsError if it is missing or damaged."""
        files = RunFolder(folder)
        found = cls(**files.read_arrays(name, ("mean", "projection", "weights")))
        sizes = [part.shape for part in (found.mean, found.projection, found.weights)]
        if sizes[1:] != [(*sizes[0], *sizes[2]), sizes[2]] or len(sizes[1]) != 2 or 0 in sizes[1]:
            raise KcarsError(f"{folder / name}: holds arrays that do not fit each other; {files.remedy(name)}")
        return found


def _discriminants(vectors: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions (d, k) in which classes differ most for how much photos of one class do (Fisher 1936, by scikit-learn)."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    dimensions = min(MOST_DIMENSIONS, len(np.unique(labels)) - 1, vectors.shape[1])
    analysis = LinearDiscriminantAnalysis(solver="eigen", shrinkage=SHRINKAGE, n_components=dimensions)
    return analysis.fit(vectors, labels).scalings_[:, :dimensions], np.ones(dimensions)


def _weighted_discriminants(vectors: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same directions; each counts in the squared distance as classes differ there (std) for how photos of one do.

    So they do, nearly, in probabilistic linear discriminant analysis (Prince & Elder 2007), whose score of two vectors
    counts a direction by the ratio of variances, and little more where it is large.
    """
    directions, _ = _discriminants(vectors, labels)
    means, within = _by_class(vectors @ directions, labels)
    ratio = means.var(0) / np.maximum(within.var(0), 1e-12)
    return directions, ratio**0.25


def _whitening(vectors: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(d, d) after which photos of one class differ alike in all directions: within-class covariance to the power -1/2."""
    from sklearn.covariance import shrunk_covariance

    within = np.cov(_by_class(vectors, labels)[1].T, bias=True)
    values, directions = np.linalg.eigh(shrunk_covariance(within, SHRINKAGE))
    whitening = directions / np.sqrt(np.maximum(values, 1e-12)) @ directions.T
    return whitening, np.ones(len(whitening))


def _by_class(vectors: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of the classes (c, d), and each vector (n, d) less that of its class."""
    _, place = np.unique(labels, return_inverse=True)
    means = np.stack([vectors[place == label].mean(0) for label in range(place.max() + 1)])
    return means, vectors - means[place]


METRICS = {"whitened": _whitening, "lda": _discriminants, "weighted_lda": _weighted_discriminants}
TOLD = {
    "whitened": "of embeddings after whitening how training photos of one class differ",
    "lda": "of embeddings after linear discriminant analysis of those of the training photos",
    "weighted_lda": "of embeddings after linear discriminant analysis of those of the training photos, each direction "
    "weighted by how well it separates",
}


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Rows divided by their length."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
