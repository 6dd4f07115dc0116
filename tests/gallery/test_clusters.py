"""Groups at places one knows by heart; the table and the sheets of them."""

import csv
import math

import cv2
import numpy as np
import pytest
from support.colours import DECISION
from support.compcars_tree import write_photo

from kcars.core.errors import KcarsError
from kcars.gallery.cluster_summary import summary
from kcars.gallery.clusters import NOISE, cluster_numbers, cut_distance, rows_to_cluster, write_clusters
from kcars.gallery.contact_sheet import COLUMNS, GREY, MOST, TILE_PX, TITLE_PX
from kcars.gallery.photos import Kept, digest
from kcars.gallery.store import Gallery, write
from kcars.gallery.vector_index import VectorIndex
from kcars.metrics.calibration import same_probability


def on_a_line(*places):
    return np.array([[place, 0.0] for place in places])


def test_the_cut_is_where_a_pair_is_that_surely_the_same():
    for sure in (0.5, 0.75, 0.9):
        assert same_probability(cut_distance(DECISION, sure), DECISION) == pytest.approx(sure)
    for sure in (0.2, 1.0, math.nan):
        with pytest.raises(KcarsError, match=r"is not in \[0.5, 1\)"):
            cut_distance(DECISION, sure)
    with pytest.raises(KcarsError, match="never predicts such a high probability"):
        cut_distance(DECISION, 0.99)
    with pytest.raises(KcarsError, match="has no pair probabilities"):
        cut_distance(DECISION | {"scale": None}, 0.75)


def test_what_is_near_is_a_group_and_what_is_alone_is_noise():
    vectors = on_a_line(100, 0, 1, 2, 101, 50, 3, 102)
    assert cluster_numbers(vectors, 10, 2).tolist() == [1, 0, 0, 0, 1, NOISE, 0, 1]
    assert cluster_numbers(vectors, 10, 4).tolist() == [NOISE, 0, 0, 0, NOISE, NOISE, 0, NOISE]
    assert cluster_numbers(vectors, 0.5, 2).tolist() == [NOISE] * 8


def test_groups_join_up_to_their_mean_distance_to_each_other():
    vectors = on_a_line(0, 2, 7, 9)  # The two pairs are 7 apart on average, their nearest 5, their farthest 9.
    assert cluster_numbers(vectors, 6.9, 2).tolist() == [0, 0, 1, 1]
    assert cluster_numbers(vectors, 7.1, 2).tolist() == [0, 0, 0, 0]


def test_of_equal_groups_that_of_the_lower_row_comes_first():
    assert cluster_numbers(on_a_line(9, 0, 9, 0), 1, 2).tolist() == [0, 1, 0, 1]
    assert cluster_numbers(on_a_line(9)[:1], 1, 2).tolist() == [NOISE]


@pytest.fixture
def gallery(tmp_path, colour_verifier):
    """Three reds, the middle one in a box, two greens of which one file is gone, and one blue that is alone."""
    colours = {
        "a": (200, 0, 0),
        "b": (205, 0, 0),
        "c": (210, 0, 0),
        "d": (0, 200, 0),
        "e": (0, 201, 0),
        "f": (0, 0, 200),
    }
    photos, vectors = [], np.array(list(colours.values()), np.float32)
    for name, colour in colours.items():
        file = tmp_path / "photos" / f"{name}.png"
        write_photo(file, colour)
        box = (0.0, 0.0, 40.0, 40.0) if name == "b" else None
        photos.append(Kept(str(file), digest(file.read_bytes()), "", "Lada" if name in "ad" else "", box))
    (tmp_path / "photos/e.png").unlink()
    write(tmp_path / "index", colour_verifier.card, photos, VectorIndex.build(vectors))
    return Gallery.open(tmp_path / "index")


def test_the_table_and_a_sheet_of_each_group_are_written(gallery, tmp_path):
    numbers = cluster_numbers(gallery.vector_index.vectors(), 30, 2)
    write_clusters(gallery, np.arange(6), numbers, tmp_path / "out")
    with (tmp_path / "out/clusters.csv").open() as file:
        lines = list(csv.DictReader(file))
    told = [(line["path"][-5], line["cluster"], line["sheet"], line["name"], line["right"]) for line in lines]
    assert told == [
        ("b", "1", "cluster-001.jpg", "", "40.0"),  # VectorIndex to the mean of the reds.
        ("a", "1", "cluster-001.jpg", "Lada", ""),
        ("c", "1", "cluster-001.jpg", "", ""),
        ("d", "2", "cluster-002.jpg", "Lada", ""),
        ("e", "2", "cluster-002.jpg", "", ""),
        ("f", "", "", "", ""),
    ]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "cluster-001.jpg",
        "cluster-002.jpg",
        "clusters.csv",
    ]
    reds, greens = (cv2.imread(str(tmp_path / f"out/cluster-00{number}.jpg"))[..., ::-1] for number in (1, 2))
    assert reds.shape == (TITLE_PX + TILE_PX[1], 3 * TILE_PX[0], 3)
    middle = TITLE_PX + TILE_PX[1] // 2
    np.testing.assert_allclose(reds[middle, TILE_PX[0] // 2], [205, 0, 0], atol=4)
    np.testing.assert_allclose(greens[middle, TILE_PX[0] // 2], [0, 200, 0], atol=4)
    np.testing.assert_allclose(greens[middle, TILE_PX[0] * 3 // 2], GREY, atol=4)  # The file that is gone.


def test_a_large_group_shows_its_first_photos(gallery, tmp_path):
    gallery.photos = [gallery.photos[0]] * 100
    gallery.vector_index = VectorIndex.build(np.zeros((100, 3)))
    write_clusters(gallery, np.arange(100), np.zeros(100, int), tmp_path / "out")
    sheet = cv2.imread(str(tmp_path / "out/cluster-001.jpg"))
    assert sheet.shape == (TITLE_PX + MOST // COLUMNS * TILE_PX[1], COLUMNS * TILE_PX[0], 3)


def test_what_is_in_the_way_stays_and_a_failure_leaves_nothing(gallery, tmp_path, monkeypatch):
    numbers = np.zeros(6, int)
    (tmp_path / "out").mkdir()
    write_clusters(gallery, np.arange(6), numbers, tmp_path / "out")  # An empty folder is no hindrance.
    with pytest.raises(KcarsError, match="is not empty"):
        write_clusters(gallery, np.arange(6), numbers, tmp_path / "out")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kcars.gallery.clusters.write_text", full)
    before = sorted(entry.name for entry in tmp_path.iterdir())
    with pytest.raises(KcarsError, match="No space left"):
        write_clusters(gallery, np.arange(6), numbers, tmp_path / "other")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before


def test_only_unnamed_photos_and_not_too_many(gallery, monkeypatch):
    assert rows_to_cluster(gallery, unnamed=False).tolist() == list(range(6))
    assert rows_to_cluster(gallery, unnamed=True).tolist() == [1, 2, 4, 5]
    monkeypatch.setattr("kcars.gallery.clusters.MOST", 5)
    with pytest.raises(KcarsError, match="6 photos; 5 can be clustered at once"):
        rows_to_cluster(gallery, unnamed=False)
    gallery.photos = [gallery.photos[0]] * 6
    with pytest.raises(KcarsError, match="has a name"):
        rows_to_cluster(gallery, unnamed=True)
    gallery.photos = []
    for unnamed in (False, True):
        with pytest.raises(KcarsError, match="index: has no photos"):
            rows_to_cluster(gallery, unnamed)


def test_sizes_noise_and_known_names_are_told():
    numbers = np.repeat([0, 1, NOISE], [5, 3, 2])
    lines = list(summary(numbers, ["Lada", "Lada", "Fiat", "", "", *[""] * 5], 12.345, 3))
    assert lines == [
        "2 clusters of 3 photos or more, with mean distances up to 12.345: 8 of 10 photos",
        "  cluster 1: 5 photos; 2 of the 3 named photos are Lada",
        "  cluster 2: 3 photos",
        "noise: 2 photos (20%) have too few similar photos",
    ]
    many = list(summary(np.repeat(np.arange(25), 4), [""] * 100, 1, 3))
    assert many[-2:] == ["  5 more of 4 to 4 photos", "noise: 0 photos (0%) have too few similar photos"]
