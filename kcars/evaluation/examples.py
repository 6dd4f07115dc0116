"""Selects test photos and pairs for a report: confusions, doubtful labels, best and worst pairs.

Tables are a run's photos.csv, classes.csv and pairs.csv as columns, of text or of values.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

CONFUSIONS, PHOTOS_A_CLASS, DOUBTED, PAIRS = 10, 4, 24, 6
Table = Mapping[str, Any]


def confusions(photos: Table, most: int = CONFUSIONS) -> list[dict]:
    """Return the most frequent confusions: label, predicted, count, confused photos, and correct photos of the predicted class.

    `taken` and `true` are rows of the table, the most confident ones first.
    """
    label, predicted = np.asarray(photos["label"], object), np.asarray(photos["predicted"], object)
    order = np.argsort(-np.asarray(photos["probability"], float), kind="stable")
    pairs = Counter(zip(label.tolist(), predicted.tolist(), strict=True))
    found = sorted(
        ((count, pair) for pair, count in pairs.items() if pair[0] != pair[1]), key=lambda one: (-one[0], one[1])
    )
    return [
        {
            "label": real,
            "predicted": taken,
            "count": count,
            "taken": order[(label[order] == real) & (predicted[order] == taken)][:PHOTOS_A_CLASS].tolist(),
            "true": order[(label[order] == taken) & (predicted[order] == taken)][:PHOTOS_A_CLASS].tolist(),
        }
        for count, (real, taken) in found[:most]
    ]


def doubted(photos: Table, most: int = DOUBTED) -> list[int]:
    """Return the rows of the photos misclassified with the highest probability."""
    probability = np.asarray(photos["probability"], float)
    wrong = np.flatnonzero(np.asarray(photos["label"], object) != np.asarray(photos["predicted"], object))
    return wrong[np.argsort(-probability[wrong], kind="stable")][:most].tolist()


def extreme_pairs(pairs: Table, difficulty: str, most: int = PAIRS) -> dict[str, list[int]]:
    """Return rows of a difficulty's pairs: same and nearest, same and farthest, different and farthest, different and nearest.

    Each photo appears at most once per list, so that one odd photo does not fill it.
    """
    mine = np.flatnonzero(np.asarray(pairs["difficulty"], object) == difficulty)
    same = np.asarray(pairs["same"]).astype(int)[mine] == 1
    distance = np.asarray(pairs["distance"], float)[mine]
    nearest = mine[np.argsort(distance, kind="stable")]
    is_same = dict(zip(mine.tolist(), same.tolist(), strict=True))
    lists = {}
    for name, wanted, order in (
        ("same, near", True, nearest),
        ("same, far", True, nearest[::-1]),
        ("different, far", False, nearest[::-1]),
        ("different, near", False, nearest),
    ):
        lists[name] = _once(pairs, (place for place in order.tolist() if is_same[place] == wanted), most)
    return lists


def _once(pairs: Table, places, most: int) -> list[int]:
    chosen, seen = [], set()
    for place in places:
        photos = {pairs["left"][place], pairs["right"][place]}
        if not photos & seen:
            chosen.append(place)
            seen |= photos
        if len(chosen) == most:
            break
    return chosen


def shown_photos(tables: Mapping[str, Table]) -> list[str]:
    """Return the paths of all photos that a report on these tables shows."""
    paths = dict.fromkeys(shown_alone(tables))
    paths |= dict.fromkeys(path for pair in shown_pairs(tables) for path in pair)
    return list(paths)


def shown_alone(tables: Mapping[str, Table]) -> list[str]:
    """Return the paths of photos shown with their class (classifier)."""
    if not (photos := tables.get("photos.csv")):
        return []
    places = doubted(photos) + [place for one in confusions(photos) for place in one["taken"] + one["true"]]
    return list(dict.fromkeys(photos["path"][place] for place in places))


def shown_pairs(tables: Mapping[str, Table]) -> list[tuple[str, str]]:
    """Return the left and right paths of shown pairs (verifier)."""
    if not (pairs := tables.get("pairs.csv")):
        return []
    lists = [extreme_pairs(pairs, difficulty).values() for difficulty in dict.fromkeys(pairs["difficulty"])]
    places = [place for each in lists for places in each for place in places]
    return list(dict.fromkeys((pairs["left"][place], pairs["right"][place]) for place in places))
