"""Class weights, log frequencies and margins, computed from the number of photos of each class.

photos: (classes,) numbers of training photos; a class without any counts as one with a single photo, so that results are
finite.
"""

import numpy as np


def inverse_frequency(photos: np.ndarray) -> np.ndarray:
    """Weights (classes,), 1 over the class's share of the photos, with mean 1 over the photos."""
    return _mean_one(1.0 / _counted(photos), photos)


def effective_number(photos: np.ndarray, beta: float) -> np.ndarray:
    """Weights (classes,), 1 over the effective number of photos (1 - beta^n) / (1 - beta), with mean 1 over the photos.

    Cui et al. 2019, arXiv 1901.05555: photos of one class resemble each other, so each additional photo adds less.
    beta 0 gives equal weights; towards 1 they approach `inverse_frequency`.
    """
    return _mean_one((1.0 - beta) / (1.0 - beta ** _counted(photos)), photos)


def log_frequencies(photos: np.ndarray) -> np.ndarray:
    """Logarithms (classes,) of each class's share of the photos, its prior probability."""
    counted = _counted(photos)
    return np.log(counted / counted.sum())


def rare_margins(photos: np.ndarray, largest: float) -> np.ndarray:
    """Margins (classes,) in proportion to photos^(-1/4); the rarest class has the margin `largest`.

    They minimize a bound on the balanced error (Cao et al. 2019, arXiv 1906.07413).
    """
    counted = _counted(photos)
    return largest * (counted.min() / counted) ** 0.25


def _counted(photos: np.ndarray) -> np.ndarray:
    return np.maximum(np.asarray(photos, np.float64), 1.0)


def _mean_one(weights: np.ndarray, photos: np.ndarray) -> np.ndarray:
    photos = np.asarray(photos, np.float64)
    return weights * (photos.sum() / (weights @ photos))
