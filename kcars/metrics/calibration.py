"""Calibration of probabilities, its measurement, and confidence thresholds for the answer "unknown"."""

from typing import Any, cast

import numpy as np
from scipy.optimize import minimize, minimize_scalar  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]  SciPy has no types.
from scipy.special import expit, log_softmax  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]  SciPy has no types.

BINS = 15
POINTS = 101
_COLDEST, _HOTTEST = 0.05, 20.0


# ---- classification ----


def probabilities(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Softmax probabilities (n, classes) float64 of logits divided by a temperature."""
    return np.exp(log_softmax(np.asarray(logits, np.float64) / temperature, axis=1))


def photo_losses(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Negative log likelihood (n,) of each label."""
    return -log_softmax(np.asarray(logits, np.float64) / temperature, axis=1)[np.arange(len(labels)), labels]


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that maximizes the likelihood of the labels (Guo et al. 2017, arXiv 1706.04599).

    Dividing by it changes neither predictions nor their order. 1 without photos.
    """
    if not len(labels):
        return 1.0

    def loss(warmth: float) -> float:
        return photo_losses(logits, labels, np.exp(warmth)).mean()

    found: Any = minimize_scalar(
        loss,
        bounds=(np.log(_COLDEST), np.log(_HOTTEST)),
        method="bounded",
    )
    return float(np.exp(found.x))


# ---- pairs ----


def same_probability(distance: np.ndarray, fitted: dict[str, float]) -> np.ndarray:
    """Probability (n,) that pairs at a distance are the same, if same and different pairs are equally frequent."""
    return expit(fitted["scale"] * (fitted["offset"] - np.asarray(distance, np.float64)))


def pair_losses(same: np.ndarray, distance: np.ndarray, fitted: dict[str, float]) -> np.ndarray:
    """Negative log likelihood (n,) of each pair's label."""
    logit = fitted["scale"] * (fitted["offset"] - np.asarray(distance, np.float64))
    return np.logaddexp(0.0, np.where(np.asarray(same) > 0, -logit, logit))


def fit_pairs(same: np.ndarray, distance: np.ndarray) -> dict[str, float]:
    """`scale` (0 or more) and `offset` of the sigmoid that maximizes the likelihood, with equal weight for both labels.

    Labels are smoothed as in Platt (1999), so that the slope is finite if same and different pairs do not overlap. Both are
    nan if one kind is absent.
    """
    same, distance = np.asarray(same) > 0, np.asarray(distance, np.float64)
    counts = int(same.sum()), int((~same).sum())
    if not min(counts):
        return {"scale": float("nan"), "offset": float("nan")}
    wanted = np.where(same, (counts[0] + 1) / (counts[0] + 2), 1 / (counts[1] + 2))
    weight = np.where(same, 0.5 / counts[0], 0.5 / counts[1])
    middle, spread = distance.mean(), max(distance.std(), 1e-9)
    standard = (middle - distance) / spread  # Well-conditioned for any unit of distance.

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        logit = line[0] * standard + line[1]
        error = (expit(logit) - wanted) * weight
        value = ((np.logaddexp(0.0, logit) - wanted * logit) * weight).sum()
        return value, np.array([(error * standard).sum(), error.sum()])

    bounds = ((1e-6, None), (None, None))
    slope, level = cast("Any", minimize(loss, (1.0, 0.0), jac=True, bounds=bounds, method="L-BFGS-B")).x
    return {"scale": float(slope / spread), "offset": float(middle + spread * level / slope)}


# ---- calibration error ----


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> dict[str, np.ndarray]:
    """Mean confidence, accuracy and number of predictions in `bins` bins of equal size, by increasing confidence."""
    parts = [part for part in np.array_split(np.argsort(confidence, kind="stable"), bins) if len(part)]
    confidence, right = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    return {
        "confidence": np.array([confidence[part].mean() for part in parts]),
        "right": np.array([right[part].mean() for part in parts]),
        "answers": np.array([len(part) for part in parts]),
    }


class CalibrationError:
    """Mean absolute difference between confidence and accuracy over bins of equal mass, for weighted predictions.

    The bins are those of the unweighted predictions; weights, such as those of a resample, do not change them. (Nixon et al.
    2019, arXiv 1904.01685; it is never quite 0, because the accuracy of few predictions varies.)
    """

    def __init__(self, confidence: np.ndarray, right: np.ndarray, bins: int = BINS):
        position = np.empty(len(confidence), int)
        for number, part in enumerate(np.array_split(np.argsort(confidence, kind="stable"), bins)):
            position[part] = number
        gap = np.asarray(confidence, np.float64) - np.asarray(right, np.float64)
        self._gaps = np.zeros((len(position), bins))
        self._gaps[np.arange(len(position)), position] = gap

    def __call__(self, weights: np.ndarray | None = None) -> np.ndarray:
        """The error as a float, or (replicates,) for weights (replicates, n)."""
        weights = np.ones(len(self._gaps)) if weights is None else weights
        total = weights.sum(-1)
        gaps = np.abs(weights @ self._gaps).sum(-1)
        return np.divide(gaps, total, out=np.full(np.shape(gaps), np.nan), where=total > 0)


# ---- when to say "unknown" ----


def risk_coverage(confidence: np.ndarray, right: np.ndarray, more: int = 0) -> dict[str, list[float]]:
    """Decreasing confidence thresholds (`least`), the share of predictions above each (`coverage`) and their error rate (`risk`).

    more: number of additional errors that are counted; with 1, few predictions cannot appear certain. At most POINTS points;
    none without predictions.
    """
    confidence, right = np.asarray(confidence, np.float64), np.asarray(right, bool)
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    errors = np.cumsum(~right[order])
    count = np.arange(1, len(order) + 1)
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if len(order) else order
    at = (
        last[np.unique(np.linspace(0, len(last) - 1, min(POINTS, len(last))).round().astype(int))]
        if len(last)
        else last
    )
    return {
        "least": ordered[at].tolist(),
        "coverage": (count[at] / max(1, len(order))).tolist(),
        "risk": ((errors[at] + more) / (count[at] + more)).tolist(),
    }


def confidence_threshold(curve: dict[str, list[float]], risk: float) -> float:
    """The confidence from which the error rate of `curve` is at most `risk`; infinite if there is none.

    It is an estimate, not a bound, for other predictions.
    """
    allowed = np.flatnonzero(np.asarray(curve["risk"]) <= risk)
    return float(curve["least"][int(allowed[-1])]) if len(allowed) else float("inf")
