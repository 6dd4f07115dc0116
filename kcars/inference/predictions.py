"""Predictions from a network's outputs: names with probabilities, or whether two photos show the same."""

from dataclasses import dataclass

import numpy as np

from kcars.core.errors import KcarsError
from kcars.metrics.calibration import confidence_threshold, probabilities
from kcars.posthoc.decision import PairDecision

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Prediction:
    """What one photo shows.

    names: (name, probability) of the likeliest classes, best first; makes: the same of makes, each the sum over its
    models, empty where the classes are no models, or names are those of an index; answer: the first name, or "unknown" where
    it is not sure enough; known: whether the answer is the first name, which tells a class called "unknown" from "not sure enough".
    """

    photo: str
    names: tuple[tuple[str, float], ...]
    makes: tuple[tuple[str, float], ...]
    answer: str
    box: tuple[float, float, float, float] | None = None
    known: bool = True

    @property
    def probability(self) -> float:
        """That of the first name."""
        return self.names[0][1]


@dataclass(frozen=True)
class Comparison:
    """Whether two photos show the same: `answer` is "same", "different", or "unknown" where it is not sure enough.

    distance: of the embeddings; same: whether it is within the model's threshold; probability: of being the same, where
    as many pairs are the same as not.
    """

    left: str
    right: str
    distance: float
    probability: float
    same: bool
    answer: str


class Answers:
    """Outputs to answers, by a model's card; `risk` (0..1): "unknown" where validation erred more often than that."""

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
            raise KcarsError(
                f"risk: {risk:g} is no share of answers that may err; give one between 0 and 1, such as 0.05"
            )
        curve = self._decision.get("answered")
        if not curve or not curve["least"]:
            raise KcarsError(
                "risk: this model was validated by folds, or on nothing, and cannot tell how sure it must be; leave risk out"
            )
        return confidence_threshold(curve, risk)

    def names(self, photo: str, logits: np.ndarray, top: int, box=None) -> Prediction:
        """Of one photo's logits (classes,)."""
        probability = probabilities(logits[None], self._decision["temperature"])[0]
        names = _best(probability, self._card["classes"]["names"], top)
        makes = _best(self._by_make(probability), self._makes, top) if self._makes else ()
        known = bool(names[0][1] >= self._least)
        return Prediction(photo, names, makes, names[0][0] if known else UNKNOWN, box, known)

    def _by_make(self, probability: np.ndarray) -> np.ndarray:
        """The sum over the models of each make, (makes,), of (classes,)."""
        return np.bincount(self._make_of, probability, minlength=len(self._makes))

    def nearest_name(
        self, photo: str, names, distances: np.ndarray, top: int, threshold: float, box=None
    ) -> Prediction:
        """Of one photo's distances (m,) from names (m,): "unknown" where the least is beyond the threshold, or it is not sure enough.

        Probabilities are those of pairs, each for itself: they do not sum to 1.
        """
        order = np.argsort(distances, kind="stable")[:top]
        probability = self._pairs.probability(distances[order])
        found = tuple((str(names[place]), float(one)) for place, one in zip(order, probability, strict=True))
        known = bool(distances[order[0]] <= threshold and probability[0] >= self._least)
        return Prediction(photo, found, (), found[0][0] if known else UNKNOWN, box, known)

    def comparison(self, left: str, right: str, one: np.ndarray, other: np.ndarray) -> Comparison:
        """Of two embeddings (d,)."""
        distance = float(np.linalg.norm(one.astype(np.float64) - other))
        probability = float(self._pairs.probability(np.array(distance)))
        same = self._pairs.same(distance)
        sure = (probability if same else 1 - probability) >= self._least
        answer = ("same" if same else "different") if sure else UNKNOWN
        return Comparison(left, right, distance, probability, bool(same), answer)


def percent(share: float, digits: int = 0) -> str:
    """A share for people, "94%"; what is not quite none or all is not told as such, but "<1%" or ">99%"."""
    least = 10.0**-digits
    if 0 < share < least / 200:
        return f"<{least:.{digits}f}%"
    if 1 - least / 200 < share < 1:
        return f">{100 - least:.{digits}f}%"
    return f"{share:.{digits}%}"


def _best(probability: np.ndarray, names: list[str], top: int) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-probability, kind="stable")[:top]
    return tuple((names[place], float(probability[place])) for place in order)
