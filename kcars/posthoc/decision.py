"""The decision on a pair of photos: a threshold on the distance of their vectors, and a sigmoid of it.

Files (scores.json, cards, index.json) hold the threshold with a minus sign, as a threshold on similarity: it is turned into
a distance here and nowhere else.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from kcars.metrics import calibration
from kcars.metrics.scores import best_threshold

UNDEFINED = float("nan")


@dataclass(frozen=True)
class PairDecision:
    """When two photos are called the same, and how probable that is.

    threshold: Euclidean distance up to which two photos are called the same; scale, offset: of the sigmoid
    `scale * (offset - distance)`, as `calibration.fit_pairs` fits it. Each is NaN where it is undefined.
    """

    threshold: float
    scale: float = UNDEFINED
    offset: float = UNDEFINED

    @classmethod
    def fit(cls, same: np.ndarray, distance: np.ndarray) -> Self:
        """The decision of the best balanced accuracy on pairs: same (n,) 0 or 1, distance (n,)."""
        return cls(-float(best_threshold(same, -distance)), **calibration.fit_pairs(same, distance))

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """As files hold it; what is missing or null there is undefined."""
        found = {name: record.get(name) for name in ("threshold", "scale", "offset")}
        found = {name: UNDEFINED if value is None else float(value) for name, value in found.items()}
        return cls(-found["threshold"], found["scale"], found["offset"])

    def record(self) -> dict[str, float]:
        """What files hold of it."""
        return {"threshold": -self.threshold, "scale": self.scale, "offset": self.offset}

    def same(self, distance):
        """Whether pairs at a distance are called the same, of a number, an array or a tensor."""
        return distance <= self.threshold

    def probability(self, distance) -> np.ndarray:
        """Probability of pairs at a distance (n,) to be the same, where as many pairs are the same as not."""
        return calibration.same_probability(distance, self._sigmoid)

    def confidence(self, distance: np.ndarray) -> np.ndarray:
        """Probability (n,) of what the threshold decides."""
        probability = self.probability(distance)
        return np.where(self.same(distance), probability, 1 - probability)

    def losses(self, same: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """Negative log likelihood (n,) of each pair's label."""
        return calibration.pair_losses(same, distance, self._sigmoid)

    @property
    def _sigmoid(self) -> dict[str, float]:
        return {"scale": self.scale, "offset": self.offset}


def threshold_record(distance: float) -> dict[str, float]:
    """What files hold of a threshold alone."""
    return {"threshold": -distance}
