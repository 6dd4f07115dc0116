"""Converts network outputs to predictions: names with probabilities, or whether two photos show the same."""

from dataclasses import dataclass

import numpy as np

from kcars.core.errors import KcarsError
from kcars.metrics.calibration import confidence_threshold, probabilities
from kcars.posthoc.decision import PairDecision

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Prediction:
    """The prediction for one photo.

    names: (name, probability) of the most probable classes, in descending order; makes: the same for makes, each the sum over
    its models, empty if the classes are not models, or names come from an index; answer: the first name, or "unknown" if the
    confidence is too low; known: whether the answer is the first name (a class may itself be called "unknown").
    """

    photo: str
    names: tuple[tuple[str, float], ...]
    makes: tuple[tuple[str, float], ...]
    answer: str
    box: tuple[float, float, float, float] | None = None
    known: bool = True

    @property
    def probability(self) -> float:
        """Probability of the first name."""
        return self.names[0][1]


@dataclass(frozen=True)
class Comparison:
    """Whether two photos show the same: `answer` is "same", "different", or "unknown" if the confidence is too low.

    distance: of the embeddings; same: whether it is within the model's threshold; probability: of being the same, assuming
    equally many same and different pairs.
    """

    left: str
    right: str
    distance: float
    probability: float
    same: bool
    answer: str


class Answers:
    """Converts outputs to predictions by a model's card. risk: highest accepted error rate on validation (0..1); otherwise "unknown"."""

    def __init__(self, card: dict, risk: float | None = None):
        self._card, self._decision, self._pairs = card, card["decision"], PairDecision.of(card["decision"])
        self._least = self._least_confidence(risk)
        makes = card["classes"]["makes"]
        self._makes = sorted(set(makes))
        places = {make: place for place, make in enumerate(self._makes)}
        self._make_of = np.array([places[make] for make in makes], np.int64)

    def _least_confidence(self, risk: float | None) -> float:
        if risk is None:
            return 0.0
        if not 0 < risk < 1:
            raise KcarsError(f"risk: {risk:g} is not an error rate; give one between 0 and 1, such as 0.05")
        curve = self._decision.get("answered")
        if not curve or not curve["least"]:
            raise KcarsError(
                "risk: this model has no confidence threshold, because it was validated by folds or not at all; omit risk"
            )
        return confidence_threshold(curve, risk)

    def names(self, photo: str, logits: np.ndarray, top: int, box=None) -> Prediction:
        """Return the Prediction from one photo's logits (classes,)."""
        probability = probabilities(logits[None], self._decision["temperature"])[0]
        names = _best(probability, self._card["classes"]["names"], top)
        makes = _best(self._by_make(probability), self._makes, top) if self._makes else ()
        known = bool(names[0][1] >= self._least)
        return Prediction(photo, names, makes, names[0][0] if known else UNKNOWN, box, known)

    def _by_make(self, probability: np.ndarray) -> np.ndarray:
        """Sum model probabilities (classes,) to make probabilities (makes,)."""
        return np.bincount(self._make_of, probability, minlength=len(self._makes))

    def nearest_name(
        self, photo: str, names, distances: np.ndarray, top: int, threshold: float, box=None
    ) -> Prediction:
        """Return the Prediction from one photo's distances (m,) to names (m,): "unknown" if the smallest distance exceeds the threshold, or the confidence is too low.

        Probabilities are those of separate pairs and do not sum to 1.
        """
        order = np.argsort(distances, kind="stable")[:top]
        probability = self._pairs.probability(distances[order])
        found = tuple((str(names[place]), float(one)) for place, one in zip(order, probability, strict=True))
        known = bool(distances[order[0]] <= threshold and probability[0] >= self._least)
        return Prediction(photo, found, (), found[0][0] if known else UNKNOWN, box, known)

    def comparison(self, left: str, right: str, one: np.ndarray, other: np.ndarray) -> Comparison:
        """Return the Comparison of two embeddings (d,)."""
        distance = float(np.linalg.norm(one.astype(np.float64) - other))
        probability = float(self._pairs.probability(np.array(distance)))
        same = self._pairs.same(distance)
        sure = (probability if same else 1 - probability) >= self._least
        answer = ("same" if same else "different") if sure else UNKNOWN
        return Comparison(left, right, distance, probability, bool(same), answer)


def percent(share: float, digits: int = 0) -> str:
    """Format a share as "94%"; values close to but not exactly 0 or 1 are "<1%" or ">99%"."""
    least = 10.0**-digits
    if 0 < share < least / 200:
        return f"<{least:.{digits}f}%"
    if 1 - least / 200 < share < 1:
        return f">{100 - least:.{digits}f}%"
    return f"{share:.{digits}%}"


def _best(probability: np.ndarray, names: list[str], top: int) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-probability, kind="stable")[:top]
    return tuple((names[place], float(probability[place])) for place in order)
