"""What a report shows, from tables small enough to know by heart."""

from kcars.evaluation.examples import confusions, doubted, extreme_pairs, shown_photos

PHOTOS = {
    "path": ["a", "b", "c", "d", "e", "f"],
    "label": ["fox", "fox", "fox", "owl", "owl", "elk"],
    "predicted": ["owl", "owl", "fox", "owl", "elk", "fox"],
    "probability": ["0.6", "0.9", "0.5", "0.8", "0.7", "0.3"],
    "rank_of_label": ["2", "3", "1", "1", "2", "3"],
}
PAIRS = {
    "difficulty": ["hard"] * 6 + ["easy"],
    "left": ["a", "a", "c", "d", "e", "f", "a"],
    "right": ["b", "c", "d", "e", "f", "a", "b"],
    "same": ["1", "1", "1", "0", "0", "0", "1"],
    "distance": ["0.1", "0.2", "0.9", "0.3", "1.5", "1.4", "0.0"],
}


def test_the_most_frequent_mistake_comes_first_with_its_surest_photos():
    first, *others = confusions(PHOTOS)
    assert (first["label"], first["predicted"], first["count"]) == ("fox", "owl", 2)
    assert first["taken"] == [1, 0] and first["true"] == [3]
    assert [(one["label"], one["predicted"]) for one in others] == [("elk", "fox"), ("owl", "elk")]


def test_the_surest_mistakes_are_doubted_most():
    assert doubted(PHOTOS, 3) == [1, 4, 0]


def test_pairs_are_the_extremes_of_their_kind_and_no_photo_stands_twice():
    found = extreme_pairs(PAIRS, "hard")
    assert found["same, near"] == [0, 2]  # The second nearest shows photo a again.
    assert found["same, far"] == [2, 0]
    assert found["different, near"] == [3, 5]
    assert found["different, far"] == [4]


def test_all_that_is_shown_is_named_once():
    shown = shown_photos({"photos.csv": PHOTOS, "pairs.csv": PAIRS})
    assert sorted(shown) == list("abcdef")
    assert shown_photos({}) == []
