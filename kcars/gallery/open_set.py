"""How near a photo must be to the nearest of a gallery's names to be known: a threshold chosen on the gallery's own photos.

The model's threshold decides single pairs. The more names there are, the nearer the nearest of them is by chance: with 18 drawn models enrolled by
5 photos each it accepted all of their other photos and refused none of those of 6 models that nobody enrolled; this one accepted 60 % and
refused 80 % (docs/results.md). With fewer than LEAST_NAMES names the model's was the better by a weak verifier, as was this by a strong one.
"""

import numpy as np

from kcars.core.rng import generator
from kcars.gallery.names import Names
from kcars.posthoc.decision import threshold_record

LEAST_NAMES, PHOTOS_A_NAME, MOST_PHOTOS = 5, 5, 500


def chosen(names: Names) -> dict | None:
    """The threshold as index.json holds it, and how it was chosen; None for fewer than LEAST_NAMES names of two photos or more.

    Photos are left out in turn: each alone, to be accepted, as its name is enrolled; then with all of its name, to be refused, as
    nobody enrolled it. Both count alike. At most PHOTOS_A_NAME of a name and MOST_PHOTOS in all, which are drawn.
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
    """The distance that parts them best, the share of the known within it, and the share of the unknown beyond."""
    candidates = np.unique(known)
    accepted = np.searchsorted(np.sort(known), candidates, side="right") / len(known)
    refused = 1 - np.searchsorted(np.sort(unknown), candidates, side="right") / len(unknown)
    best = int(np.argmax(accepted + refused))
    return float(candidates[best]), float(accepted[best]), float(refused[best])
