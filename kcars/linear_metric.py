"""A metric on embeddings that is fitted after training: linear discriminant analysis of the photos that were learned from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kcars.files import read_arrays, written_whole

FILE = "metric.npz"
MOST_DIMENSIONS, SHRINKAGE = 50, 1 / 3


@dataclass(frozen=True)
class LinearMetric:
    """Unit vectors less `mean` (d,), times `projection` (d, k), brought to length 1 again: distances in there count."""

    mean: np.ndarray
    projection: np.ndarray

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """(n, d) to (n, k) float32."""
        return unit_length((unit_length(vectors) - self.mean) @ self.projection)

    @classmethod
    def fit(cls, vectors: np.ndarray, labels: np.ndarray) -> "LinearMetric":
        """Directions in which classes differ most for how much photos of one class do (Fisher 1936, by scikit-learn).

        vectors: (n, d); labels: (n,). Covariances are shrunk towards a multiple of the identity: there are few photos.
        """
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        vectors = unit_length(vectors).astype(np.float64)
        mean = vectors.mean(0)
        dimensions = min(MOST_DIMENSIONS, len(np.unique(labels)) - 1, vectors.shape[1])
        analysis = LinearDiscriminantAnalysis(solver="eigen", shrinkage=SHRINKAGE, n_components=dimensions)
        projection = analysis.fit(vectors - mean, labels).scalings_[:, :dimensions]
        return cls(mean.astype(np.float32), projection.astype(np.float32))

    def save(self, folder: Path) -> None:
        with written_whole(folder / FILE, "wb") as file:
            np.savez(file, mean=self.mean, projection=self.projection)

    @classmethod
    def chosen(cls, kind: str | None, folder: Path) -> "LinearMetric | None":
        """That of a run's folder, where its scores say that they are by it ("lda")."""
        return cls.read(folder) if kind == "lda" else None

    @classmethod
    def read(cls, folder: Path) -> "LinearMetric":
        """That of a run folder; KcarsError where it is missing or damaged."""
        again = f"kcars evaluate {folder} writes it anew"
        return cls(**read_arrays(folder / FILE, ("mean", "projection"), again))


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Rows divided by their length."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
