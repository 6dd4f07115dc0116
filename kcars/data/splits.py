"""Honest validation: photos or whole models that training never sees, and pairs drawn from them."""

import warnings

import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.rng import generator
from kcars.data.photo_table import Pairs, PhotoTable
from kcars.settings import DIFFICULTIES

MOST_PHOTOS_PAIRED = 4000  # All their pairs are weighed at once, 8 million; more would only cost memory.
TEST_PAIRS = 20_000  # Of each difficulty, as in CompCars.


def stratified_share(labels: np.ndarray, share: float, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Mask (n,) of a stratified share; at least one photo of each class is left out of it.

    A class of n photos gives round(n * share), at least one if it has four or more; a class of one gives none. Where
    `groups` (n,) are given, a group is held whole or not at all, and shares are as near as that allows.
    """
    if groups is not None:
        return _grouped_share(labels, share, seed, groups)
    held = np.zeros(len(labels), bool)
    present, starts = np.unique(np.sort(labels), return_index=True)
    for label, rows in zip(present, np.split(np.argsort(labels, kind="stable"), starts[1:]), strict=True):
        count = min(max(round(len(rows) * share), int(len(rows) >= 4)), len(rows) - 1)
        held[generator(seed, "validation photos", int(label)).permutation(rows)[:count]] = True
    return held


def _grouped_share(labels: np.ndarray, share: float, seed: int, groups: np.ndarray) -> np.ndarray:
    """The first of about 1 / share folds; a class that would lose all its photos gets those groups back."""
    from sklearn.model_selection import StratifiedGroupKFold

    folds = round(1 / share)
    held = np.zeros(len(labels), bool)
    if min(np.bincount(labels).max(), len(np.unique(groups))) < folds:  # Too few to give each fold something.
        return held
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Small classes are what is spoken of below.
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        held[next(splitter.split(labels, labels, groups))[1]] = True
    while len(lost := np.setdiff1d(labels[held], labels[~held])):
        held &= ~np.isin(groups, groups[labels == lost[0]])
    return held


def automatic_split(
    table: PhotoTable, rows: np.ndarray, task: str, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray, str]:
    """(training rows, test rows, how in words) of a dataset without lists of its own; no group stands in both.

    classify: a stratified share of the photos of each model is tested on; verify: a share of the models, whole.
    """
    tested, what = _TESTED[task](table, rows, share, seed)
    train, test = apart(table, rows[~tested], rows[tested]), rows[tested]
    return train, test, f"automatic, seed {seed}: {share:.0%} of {what} to test on"


def _share_of_photos(table: PhotoTable, rows: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, str]:
    groups = None if table.group is None else table.group[rows]
    labels = np.unique(table.ids["model"][rows], return_inverse=True)[1]
    return stratified_share(labels, share, seed, groups), "the photos"


def _share_of_models(table: PhotoTable, rows: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, str]:
    model = table.ids["model"][rows]
    count = max(4, round(len(np.unique(model)) * share))
    return np.isin(model, held_out_models(table, rows, count, seed)), "the models"


_TESTED = {"classify": _share_of_photos, "verify": _share_of_models}
"""Mask over rows of what an automatic split of a task tests on, and what that is a share of."""


def apart(table: PhotoTable, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The rows that share no group with the others; raises KcarsError if none is left."""
    if table.group is None:
        return rows
    left = rows[~np.isin(table.group[rows], table.group[others])]
    if len(rows) and not len(left):
        raise KcarsError(
            f"groups: each of {len(rows)} photos to learn from is of a group that is tested or validated on; "
            "give smaller groups, such as one a car or a clip"
        )
    return left


def test_pairs(table: PhotoTable, rows: np.ndarray, seed: int) -> dict[str, Pairs]:
    """Pairs of each difficulty to test on, drawn from the rows."""
    return {name: draw_pairs(table, rows, name, TEST_PAIRS, seed) for name in DIFFICULTIES}


def tested_parts(
    task: str, table: PhotoTable, test: np.ndarray, seed: int, pairs: dict[str, Pairs] | None = None
) -> tuple[np.ndarray, dict[str, Pairs]]:
    """(test rows, test pairs) of a Dataset for a task: the rows themselves, or pairs of them, those given or drawn by seed."""
    if task == "classify":
        return test, {}
    return test[:0], pairs or test_pairs(table, test, seed)


def held_out_models(table: PhotoTable, rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Ids of `count` models to validate on, or as many as can be spared: of each make two, then more in turn.

    Two of a make, so that hard negatives (same make) exist; a make keeps at least one model to train where it can.
    Models have two or more photos. Raises KcarsError if not even two makes offer two models.
    """
    model, make = table.ids["model"][rows], table.ids["make"][rows]
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
        cure = "" if makes else "; folders make/model/, or a CSV, say which models are of one make"
        raise KcarsError(
            f"{len(ids)} training models, {makes} makes with two or more: too few; verification validates on two models of "
            f"each of two makes and learns from two more; with an automatic split, which tests on four, it takes ten models{cure}"
        )
    return np.sort(np.array(held, np.int32))


def folds_by_make(table: PhotoTable, rows: np.ndarray, folds: int, seed: int) -> list[np.ndarray]:
    """Ids of the models that each of up to `folds` folds holds out: whole makes, dealt to even numbers of models.

    A fold has two makes or more that have two models, so that pairs of each difficulty exist; other makes only train.
    None where the makes do not suffice for two folds.
    """
    model, make = table.ids["model"][rows], table.ids["make"][rows]
    ids, photos = np.unique(model, return_counts=True)
    offers = [np.intersect1d(model[make == one], ids[photos >= 2]) for one in np.unique(make)]
    offers = [offer for offer in offers if len(offer) >= 2]
    folds = min(folds, len(offers) // 2)
    if folds < 2:
        return []
    order = generator(seed, "validation folds", 0).permutation(len(offers))
    dealt: list[list[np.ndarray]] = [[] for _ in range(folds)]
    for offer in sorted((offers[number] for number in order), key=len, reverse=True):
        min(dealt, key=lambda fold: (len(fold) >= 2, sum(map(len, fold)))).append(offer)
    return [np.sort(np.concatenate(fold)) for fold in dealt]


def draw_pairs(table: PhotoTable, rows: np.ndarray, difficulty: str, count: int, seed: int) -> Pairs:
    """About `count` distinct pairs of rows, half of one model; negatives as CompCars draws them.

    easy: both photos from one viewpoint, negatives of another make; medium: any; hard: negatives of the same make.
    Fewer where the rows do not give so many. Two photos of one group make no pair: they are alike for other reasons.
    """
    draw = generator(seed, f"validation pairs {difficulty}", 0)
    if len(rows) > MOST_PHOTOS_PAIRED:
        rows = np.sort(draw.choice(rows, MOST_PHOTOS_PAIRED, replace=False))
    left, right = np.triu_indices(len(rows), 1)
    left, right = rows[left], rows[right]
    model, make = table.ids["model"], table.ids["make"]
    same = model[left] == model[right]
    allowed = np.ones(len(left), bool)
    if difficulty == "easy":
        allowed = (table.viewpoint[left] == table.viewpoint[right]) & (same | (make[left] != make[right]))
    elif difficulty == "hard":
        allowed = make[left] == make[right]
    if table.group is not None:
        allowed &= table.group[left] != table.group[right]
    positive, negative = np.flatnonzero(allowed & same), np.flatnonzero(allowed & ~same)
    each = min(count // 2, len(positive), len(negative))
    chosen = np.concatenate([draw.choice(positive, each, replace=False), draw.choice(negative, each, replace=False)])
    chosen = draw.permutation(chosen)
    return Pairs(left[chosen], right[chosen], same[chosen].astype(np.int8))
