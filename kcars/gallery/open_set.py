"""Open-set threshold of a gallery: the largest distance from the nearest name of a known photo, chosen on its own photos.

The model's threshold is for single pairs, and with more names the nearest one is closer by chance: with 18 drawn models enrolled by
5 photos each it accepted all of their other photos and rejected none of those of 6 other models; this threshold accepted 60 % and
rejected 80 % (docs/results.md). With fewer than LEAST_NAMES names the model's threshold was better for a weak verifier, and this
one for a strong verifier.
"""

import numpy as np

from kcars.core.rng import generator
from kcars.gallery.names import Names
from kcars.posthoc.decision import threshold_record

LEAST_NAMES, PHOTOS_A_NAME, MOST_PHOTOS = 5, 5, 500


def chosen(names: Names) -> dict | None:
    """Return the threshold and how it was chosen, for index.json; None for fewer than LEAST_NAMES names of two photos or more.

    Each photo is left out alone and should be accepted, then with its whole name and should be rejected; both have equal weight.
    Samples at most PHOTOS_A_NAME photos per name and MOST_PHOTOS in total.
    """
    several = np.flatnonzero(names.photos > 1)
    if len(several) < LEAST_NAMES:
        return None
    random = generator(0, "open set", 0)
    rows = np.concatenate([random.permutation(names.rows_of(number))[:PHOTOS_A_NAME] for number in several.tolist()])
    rows = np.sort(random.permutation(rows)[:MOST_PHOTOS])
    known, unknown = (np.concatenate(each) for each in zip(*names.left_out(rows), strict=True))
    distance, accepted, refused = _balanced(known, unknown)
    return {**threshold_record(distance), "accepted": accepted, "refused": refused, "photos": len(rows)}


def _balanced(known: np.ndarray, unknown: np.ndarray) -> tuple[float, float, float]:
    """Return the best separating distance, the share of known photos within it, and the share of unknown photos beyond it."""
    candidates = np.unique(known)
    accepted = np.searchsorted(np.sort(known), candidates, side="right") / len(known)
    refused = 1 - np.searchsorted(np.sort(unknown), candidates, side="right") / len(unknown)
    best = int(np.argmax(accepted + refused))
    return float(candidates[best]), float(accepted[best]), float(refused[best])
