"""The decision on a pair of photos: a threshold on the distance of their embeddings, and a sigmoid for the probability.

Files (scores.json, cards, index.json) contain the negative threshold, as a threshold on similarity; only this module converts
it to a distance.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np

from kcars.metrics import calibration
from kcars.metrics.scores import best_threshold

if TYPE_CHECKING:
    import tensorflow as tf  # The import takes seconds.

UNDEFINED = float("nan")


@dataclass(frozen=True)
class PairDecision:
    """Decides whether two photos show the same, with a probability.

    threshold: Euclidean distance up to which two photos are predicted same; scale, offset: parameters of the sigmoid of
    `scale * (offset - distance)`, fitted by `calibration.fit_pairs`. Undefined values are NaN.
    """

    threshold: float
    scale: float = UNDEFINED
    offset: float = UNDEFINED

    @classmethod
    def fit(cls, same: np.ndarray, distance: np.ndarray) -> Self:
        """Fit the decision with the best balanced accuracy on pairs: same (n,) 0 or 1, distance (n,)."""
        return cls(-float(best_threshold(same, -distance)), **calibration.fit_pairs(same, distance))

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """The decision from its record in a file; missing or null values are undefined."""
        found = {name: record.get(name) for name in ("threshold", "scale", "offset")}
        found = {name: UNDEFINED if value is None else float(value) for name, value in found.items()}
        return cls(-found["threshold"], found["scale"], found["offset"])

    def record(self) -> dict[str, float]:
        """Its record for files."""
        return {"threshold": -self.threshold, "scale": self.scale, "offset": self.offset}

    @overload
    def same(self, distance: float) -> bool: ...
    @overload
    def same(self, distance: np.ndarray) -> np.ndarray: ...
    @overload
    def same(self, distance: "tf.Tensor") -> "tf.Tensor": ...

    def same(self, distance: Any) -> Any:
        """Whether pairs at a distance, a number, an array or a tensor, are predicted same."""
        return distance <= self.threshold

    def probability(self, distance: np.ndarray) -> np.ndarray:
        """Probability (n,) that pairs at a distance (n,) are the same, if same and different are equally frequent."""
        return calibration.same_probability(distance, self._sigmoid)

    def confidence(self, distance: np.ndarray) -> np.ndarray:
        """Probability (n,) of the decision by the threshold."""
        probability = self.probability(distance)
        return np.where(self.same(distance), probability, 1 - probability)

    def losses(self, same: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """Negative log likelihood (n,) of each pair's label."""
        return calibration.pair_losses(same, distance, self._sigmoid)

    @property
    def _sigmoid(self) -> dict[str, float]:
        return {"scale": self.scale, "offset": self.offset}


def threshold_record(distance: float) -> dict[str, float]:
    """The record of a threshold alone, for files."""
    return {"threshold": -distance}
