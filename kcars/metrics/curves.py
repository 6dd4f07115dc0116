"""Curves of pairs on fixed grids, so that epochs and runs can be compared."""

import numpy as np

from kcars.metrics import scores as metrics

FALSE_POSITIVE_RATES = np.arange(101) / 100
BINS = 50


def roc(same: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """True positive rate (101,) float64 at each of FALSE_POSITIVE_RATES.

    Interpolates linearly; at a vertical step the top is used. same: (n,) 0 or 1, both present; scores: (n,), larger = more
    similar.
    """
    false_accept, true_accept, _ = metrics.roc_curve(same, scores)
    at = np.searchsorted(false_accept, FALSE_POSITIVE_RATES, side="right") - 1
    # np.interp does not define which of several points at one rate it uses.
    after = np.minimum(at + 1, len(false_accept) - 1)
    share = metrics.ratio(FALSE_POSITIVE_RATES - false_accept[at], false_accept[after] - false_accept[at], empty=0.0)
    return true_accept[at] + share * (true_accept[after] - true_accept[at])


def distances(same: np.ndarray, distance: np.ndarray, longest: float | None = None) -> np.ndarray:
    """Histogram (4, BINS) float64 of pair distances: left and right edges of the bins, same pairs, different pairs.

    longest: the largest possible distance, 2 for unit vectors; None for no bound, and the largest distance found ends the
    last bin.
    """
    end = longest or max(float(distance.max(initial=0.0)), 1e-9)
    edges = np.linspace(0, end, BINS + 1)
    inside = np.minimum(distance, end)  # Rounding puts opposite unit vectors slightly beyond 2.
    counts = [np.histogram(inside[same == kind], edges)[0] for kind in (1, 0)]
    return np.stack([edges[:-1], edges[1:], *counts])
