"""Honest validation: photos or whole models that training never sees, and pairs drawn from them."""

import numpy as np

from kcars.data.index import Index, Pairs
from kcars.errors import KcarsError
from kcars.keys import generator


def stratified_share(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Mask (n,) of a stratified share; at least one photo of each class is left out of it.

    A class of n photos gives round(n * share), at least one if it has four or more; a class of one gives none.
    """
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        count = min(max(round(len(rows) * share), int(len(rows) >= 4)), len(rows) - 1)
        held[generator(seed, "validation photos", int(label)).permutation(rows)[:count]] = True
    return held


def held_out_models(index: Index, rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Ids of `count` models to validate on, or as many as can be spared: of each make two, then more in turn.

    Two of a make, so that hard negatives (same make) exist; a make keeps at least one model to train where it can.
    Models have two or more photos. Raises KcarsError where not even two makes offer two models.
    """
    model, make = index.ids["model"][rows], index.ids["make"][rows]
    ids, photos = np.unique(model, return_counts=True)
    draw = generator(seed, "validation models", 0)
    offers = [np.intersect1d(model[make == chosen], ids[photos >= 2]) for chosen in draw.permutation(np.unique(make))]
    offers = [draw.permutation(offer).tolist() for offer in offers if len(offer) >= 2]
    offers.sort(key=lambda offer: len(offer) == 2)  # Makes that would lose all their models come last.
    held, makes = [], 0
    for offer in offers:
        if len(held) < count:
            held += [offer.pop(), offer.pop()]
            makes += 1
    while len(held) < count and (rich := [offer for offer in offers[:makes] if len(offer) > 1]):
        held.append(max(rich, key=len).pop())
    if makes < 2 or len(ids) - len(held) < 2:
        raise KcarsError(
            f"{len(ids)} training models: verification holds out two models of at least two makes and learns from the "
            "rest; the dataset has too few"
        )
    return np.sort(np.array(held, np.int32))


def draw_pairs(index: Index, rows: np.ndarray, difficulty: str, count: int, seed: int) -> Pairs:
    """About `count` distinct pairs of rows, half of one model; negatives as CompCars draws them.

    easy: both photos from one viewpoint, negatives of another make; medium: any; hard: negatives of the same make.
    Fewer where the rows do not give so many.
    """
    draw = generator(seed, f"validation pairs {difficulty}", 0)
    left, right = np.triu_indices(len(rows), 1)
    left, right = rows[left], rows[right]
    model, make = index.ids["model"], index.ids["make"]
    same = model[left] == model[right]
    allowed = np.ones(len(left), bool)
    if difficulty == "easy":
        allowed = (index.viewpoint[left] == index.viewpoint[right]) & (same | (make[left] != make[right]))
    elif difficulty == "hard":
        allowed = make[left] == make[right]
    positive, negative = np.flatnonzero(allowed & same), np.flatnonzero(allowed & ~same)
    each = min(count // 2, len(positive), len(negative))
    chosen = np.concatenate([draw.choice(positive, each, replace=False), draw.choice(negative, each, replace=False)])
    chosen = draw.permutation(chosen)
    return Pairs(left[chosen], right[chosen], same[chosen].astype(np.int8))
