"""Clusters photos by their embeddings, so that a person can inspect and name the clusters."""

import math
from pathlib import Path

import numpy as np

from kcars.core.csv_files import csv_text
from kcars.core.errors import KcarsError
from kcars.core.files import folder_written_whole, write_text
from kcars.gallery.contact_sheet import write_sheet
from kcars.gallery.photos import Kept
from kcars.gallery.store import Gallery
from kcars.inference.photo_source import shown

MOST = 20_000  # Their distance matrix takes 1.6 GB.
TABLE, NOISE = "clusters.csv", -1


def cut_distance(decision: dict, sure: float) -> float:
    """Return the distance at which a pair is the same with probability `sure`; KcarsError if there is none, or the model has no probabilities."""
    if not 0.5 <= sure < 1:
        raise KcarsError(f"--sure {sure:g}: is not in [0.5, 1); give a probability such as 0.8")
    scale, offset = decision["scale"], decision["offset"]
    if scale is None or not 0 < scale < np.inf:
        raise KcarsError(
            "--sure: the model of the index has no pair probabilities, which clustering needs; score it again"
        )
    found = offset - math.log(sure / (1 - sure)) / scale
    if found <= 0:
        raise KcarsError(f"--sure {sure:g}: this model never predicts such a high probability; give a lower one")
    return found


def cluster_numbers(vectors: np.ndarray, cut: float, least: int) -> np.ndarray:
    """Return cluster numbers (n,) of vectors (n, d), from 0 for the largest; NOISE for clusters of fewer than `least`.

    Clusters are merged while their mean distance is at most `cut` (agglomerative, average linkage; Sokal & Michener
    1958), so the model's own scale applies, and photos without similar ones stay apart. Of clusters of equal size, the one
    with the lower row comes first. Of 1,645 photos of 45 unseen models, 27 % were in clusters, whose largest model made up
    50 %; HDBSCAN with leaf selection had 26 % and 46 %, and with excess of mass put three quarters into three clusters.
    """
    if len(vectors) < 2:
        return np.full(len(vectors), 0 if least <= 1 else NOISE)
    from sklearn.cluster import AgglomerativeClustering

    joined = AgglomerativeClustering(
        None,  # pyright: ignore[reportArgumentType]  As documented by SciPy.
        linkage="average",
        distance_threshold=cut,
    ).fit_predict(vectors)
    _, first, number, sizes = np.unique(joined, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return np.where(sizes[number] >= least, place[number], NOISE)


def rows_to_cluster(gallery: Gallery, unnamed: bool) -> np.ndarray:
    """Return all rows, or those without a name; KcarsError if there are none, or too many."""
    rows = np.array([row for row, name in enumerate(gallery.names()) if not (unnamed and name)], np.int64)
    if not len(gallery.photos):
        raise KcarsError(f"index {gallery.folder}: has no photos")
    if not len(rows):
        raise KcarsError(f"--unnamed: every photo in index {gallery.folder} has a name")
    if len(rows) > MOST:
        raise KcarsError(
            f"index {gallery.folder}: {len(rows)} photos; {MOST} can be clustered at once; build an index with fewer photos"
        )
    return rows


def write_clusters(gallery: Gallery, rows: np.ndarray, numbers: np.ndarray, out: Path) -> None:
    """Write clusters.csv, one line per photo, and a contact sheet per cluster into the new folder `out`, all or nothing.

    Within a cluster, the photo nearest to its mean comes first; noise comes last.
    """
    vectors, ordered = gallery.vector_index.vectors(rows), []
    with folder_written_whole(out) as place:
        for number in [*range(numbers.max() + 1), NOISE]:
            members = np.flatnonzero(numbers == number)
            away = np.linalg.norm(vectors[members] - vectors[members].mean(0), axis=1) if len(members) else members
            ordered.append(members[np.argsort(away, kind="stable")])
            if number != NOISE:
                _sheet(gallery, [gallery.photos[row] for row in rows[ordered[-1]]], number, place)
        write_text(place / TABLE, csv_text(_columns(gallery, rows, numbers, np.concatenate(ordered))))


def sheet_name(number: int) -> str:
    return f"cluster-{number + 1:03}.jpg"


def _sheet(gallery: Gallery, photos: list[Kept], number: int, place: Path) -> None:
    title = f"cluster {number + 1}: {len(photos)} photos"
    write_sheet(place / sheet_name(number), title, photos, gallery.facts["model"]["padding"])


def _columns(gallery: Gallery, rows: np.ndarray, numbers: np.ndarray, order: np.ndarray) -> dict[str, list]:
    """Return the columns of clusters.csv; clusters are numbered from 1, as on the sheets, with empty cells for noise."""
    photos, names = [gallery.photos[row] for row in rows[order]], gallery.names()
    sorted_numbers = numbers[order].tolist()
    columns = {
        "path": [shown(photo.path) for photo in photos],
        "cluster": [number + 1 if number != NOISE else "" for number in sorted_numbers],
        "sheet": [sheet_name(number) if number != NOISE else "" for number in sorted_numbers],
        "name": [names[row] for row in rows[order]],
    }
    boxes = [photo.box or ("",) * 4 for photo in photos]
    return columns | {edge: [box[at] for box in boxes] for at, edge in enumerate(("left", "top", "right", "bottom"))}
