"""What counts of photos say about classes: their weights, logarithms of their frequencies, the margins of rare ones.

photos: (classes,) training photos of each; a class without any counts as one of a single photo, so that all is finite.
"""

import numpy as np


def inverse_frequency(photos: np.ndarray) -> np.ndarray:
    """Weights (classes,), 1 over the class's share of the photos, with mean 1 over the photos."""
    return _mean_one(1.0 / _counted(photos), photos)


def effective_number(photos: np.ndarray, beta: float) -> np.ndarray:
    """Weights (classes,), 1 over the effective number of photos (1 - beta^n) / (1 - beta), with mean 1 over the photos.

    Cui et al. 2019, arXiv 1901.05555: photos of one class resemble each other, and the more there are the less another
    one adds. beta 0 weighs all alike; towards 1 it becomes `inverse_frequency`.
    """
    return _mean_one((1.0 - beta) / (1.0 - beta ** _counted(photos)), photos)


def log_frequencies(photos: np.ndarray) -> np.ndarray:
    """Logarithms (classes,) of each class's share of the photos, its prior probability."""
    counted = _counted(photos)
    return np.log(counted / counted.sum())


def rare_margins(photos: np.ndarray, largest: float) -> np.ndarray:
    """Margins (classes,) that fall with photos^(1/4), that of the rarest class being `largest`.

    What makes the bound on the balanced error smallest (Cao et al. 2019, arXiv 1906.07413).
    """
    counted = _counted(photos)
    return largest * (counted.min() / counted) ** 0.25


def _counted(photos: np.ndarray) -> np.ndarray:
    return np.maximum(np.asarray(photos, np.float64), 1.0)


def _mean_one(weights: np.ndarray, photos: np.ndarray) -> np.ndarray:
    photos = np.asarray(photos, np.float64)
    return weights * (photos.sum() / (weights @ photos))
