"""Splits for validation and test: held-out photos or whole models, and pairs drawn from them."""

import warnings

import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.rng import generator
from kcars.data.photo_table import Pairs, PhotoTable
from kcars.settings import DIFFICULTIES

MOST_PHOTOS_PAIRED = 4000  # All their pairs, 8 million, are considered at once; more would only cost memory.
TEST_PAIRS = 20_000  # Per difficulty, as in CompCars.


def stratified_share(labels: np.ndarray, share: float, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Mask (n,) of a stratified share, which excludes at least one photo of each class.

    A class of n photos contributes round(n * share), at least one if it has four or more; a class of one contributes none.
    With `groups` (n,), groups are kept together, and shares are approximate.
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
    """The first of about 1 / share folds, without groups that would leave a class without photos."""
    from sklearn.model_selection import StratifiedGroupKFold

    folds = round(1 / share)
    held = np.zeros(len(labels), bool)
    if min(np.bincount(labels).max(), len(np.unique(groups))) < folds:  # Too few for all folds.
        return held
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Warns of small classes, which are handled below.
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        held[next(splitter.split(labels, labels, groups))[1]] = True
    while len(lost := np.setdiff1d(labels[held], labels[~held])):
        held &= ~np.isin(groups, groups[labels == lost[0]])
    return held


def automatic_split(
    table: PhotoTable, rows: np.ndarray, task: str, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray, str]:
    """(training rows, test rows, description) of a dataset without its own lists; groups are not divided.

    classify: the test set is a stratified share of the photos of each model; verify: a share of whole models.
    """
    draw, what = _TESTED[task]
    tested = draw(table, rows, share, seed)
    train, test = apart(table, rows[~tested], rows[tested]), rows[tested]
    return train, test, f"automatic, seed {seed}: {share:.0%} of {what} in the test set"


def share_of_photos(table: PhotoTable, rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Mask of about `share` of the rows of each model, at random; photos of a group stay together."""
    groups = None if table.group is None else table.group[rows]
    labels = np.unique(table.ids["model"][rows], return_inverse=True)[1]
    return stratified_share(labels, share, seed, groups)


def share_of_models(table: PhotoTable, rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Mask of the rows of about `share` of the models, drawn as `held_out_models` does."""
    model = table.ids["model"][rows]
    count = max(4, round(len(np.unique(model)) * share))
    return np.isin(model, held_out_models(table, rows, count, seed))


_TESTED = {"classify": (share_of_photos, "the photos"), "verify": (share_of_models, "the models")}
"""Task -> function that returns the mask of test rows of an automatic split, and of what it is a share."""


def apart(table: PhotoTable, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The rows that share no group with the others; raises KcarsError if there are none."""
    if table.group is None:
        return rows
    left = rows[~np.isin(table.group[rows], table.group[others])]
    if len(rows) and not len(left):
        raise KcarsError(
            f"groups: each of {len(rows)} training photos is in a group of the test or validation set; "
            "use smaller groups, such as one per car or clip"
        )
    return left


def test_pairs(table: PhotoTable, rows: np.ndarray, seed: int) -> dict[str, Pairs]:
    """Test pairs of each difficulty, drawn from the rows."""
    return {name: draw_pairs(table, rows, name, TEST_PAIRS, seed) for name in DIFFICULTIES}


def tested_parts(
    task: str, table: PhotoTable, test: np.ndarray, seed: int, pairs: dict[str, Pairs] | None = None
) -> tuple[np.ndarray, dict[str, Pairs]]:
    """(test rows, test pairs) of a Dataset for a task: the rows themselves, or given or randomly drawn pairs of them."""
    if task == "classify":
        return test, {}
    return test[:0], pairs or test_pairs(table, test, seed)


def held_out_models(table: PhotoTable, rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Ids of `count` validation models, or as many as possible: two of each make, then more in turn.

    With two per make, hard negatives (same make) exist; a make keeps at least one training model if possible.
    Models have two or more photos. Raises KcarsError unless two makes have two such models.
    """
    model, make = table.ids["model"][rows], table.ids["make"][rows]
    ids, photos = np.unique(model, return_counts=True)
    draw = generator(seed, "validation models", 0)
    offers = [np.intersect1d(model[make == chosen], ids[photos >= 2]) for chosen in draw.permutation(np.unique(make))]
    offers = [draw.permutation(offer).tolist() for offer in offers if len(offer) >= 2]
    offers.sort(key=lambda offer: len(offer) == 2)  # Makes that would lose all their models are used last.
    held, makes = [], 0
    for offer in offers:
        if len(held) < count:
            held += [offer.pop(), offer.pop()]
            makes += 1
    while len(held) < count and (rich := [offer for offer in offers[:makes] if len(offer) > 1]):
        held.append(max(rich, key=len).pop())
    if makes < 2 or len(ids) - len(held) < 2:
        hint = "" if makes else "; use folders make/model/ or a CSV to give the makes of models"
        raise KcarsError(
            f"{len(ids)} training models, {makes} makes with two or more: too few; verification needs two validation models of "
            f"each of two makes and two training models; with an automatic split, which tests on four, ten models{hint}"
        )
    return np.sort(np.array(held, np.int32))


def folds_by_make(table: PhotoTable, rows: np.ndarray, folds: int, seed: int) -> list[np.ndarray]:
    """Ids of the models held out by each of up to `folds` folds: whole makes, with similar numbers of models per fold.

    A fold has at least two makes with two models, so that pairs of each difficulty exist; other makes are only for training.
    Returns no folds if there are too few makes for two.
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
    """About `count` distinct pairs of rows, half of one model, with negatives as in CompCars.

    easy: both photos have one viewpoint, negatives have another make; medium: any; hard: negatives have the same make.
    Fewer if the rows do not suffice. Two photos of one group form no pair, because they are similar for other reasons.
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
