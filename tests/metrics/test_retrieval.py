"""Retrieval scores against plain loops, and at answers one knows by heart."""

import numpy as np
import pytest

from kcars.core.errors import KcarsError
from kcars.metrics import bootstrap, retrieval
from kcars.metrics.catalogue import search_columns
from kcars.metrics.retrieval import query_scores, retrieval_scores


def plain_loop(vectors, labels):
    """The scores of each photo by the definition, one photo after the other."""
    found = {key: [] for key in search_columns()}
    for query in range(len(labels)):
        others = [row for row in range(len(labels)) if row != query]
        order = sorted(others, key=lambda row: (np.linalg.norm(vectors[row] - vectors[query]), row))
        hits = [bool(labels[row] == labels[query]) for row in order]
        wanted = sum(hits)
        if not wanted:
            for key in search_columns():
                found[key].append(np.nan)
            continue
        precisions = [sum(hits[: place + 1]) / (place + 1) for place in range(wanted) if hits[place]]
        found["recall@1"].append(float(hits[0]))
        found["recall@5"].append(float(any(hits[:5])))
        found["map@R"].append(sum(precisions) / wanted)
    return found


@pytest.mark.parametrize("chunk", [1, 7 * 60, 4_000_000])
@pytest.mark.parametrize("gallery", [7, 2048])
def test_scores_agree_with_a_plain_loop(monkeypatch, chunk, gallery):
    monkeypatch.setattr(retrieval, "CHUNK_DISTANCES", chunk)
    monkeypatch.setattr(retrieval, "CHUNK_GALLERY", gallery)
    random = np.random.default_rng(0)
    labels = np.concatenate([np.full(size, 10 + size) for size in (1, 2, 3, 4, 20, 30)])[random.permutation(60)]
    vectors = random.normal(size=(60, 3)).astype(np.float32) + labels[:, None] / 20
    found, expected = query_scores(vectors, labels), plain_loop(vectors.astype(float), labels)
    for key in search_columns():
        np.testing.assert_allclose(found[key], expected[key], err_msg=key)
    assert 0 < np.nanmean(found["map@R"]) < np.nanmean(found["recall@5"]) < 1


def test_on_a_line_of_three_and_three():
    """Of a at 0, 1, 2 and b at 1.6, 5, 6: what each finds can be counted by hand."""
    vectors = np.array([[0.0], [1], [2], [1.6], [5], [6]])
    found = query_scores(vectors, np.array(list("aaabbb")))
    assert found["recall@1"].tolist() == [
        1,
        0,
        0,
        0,
        1,
        1,
    ]  # 1's and 2's nearest is b's 1.6, whose own nearest is a's 2.
    assert found["recall@5"].tolist() == [1] * 6
    #  0: 1, then 1.6   1: 1.6, then 0   2: 1.6, then 1   1.6: 2, then 1   5: 6, then 2   6: 5, then 2
    assert found["map@R"].tolist() == [0.5, 0.25, 0.25, 0, 0.5, 0.5]


def test_classes_that_stand_apart_are_found_whole():
    vectors = np.repeat(np.eye(4), 5, axis=0)
    assert retrieval_scores(vectors, np.repeat(np.arange(4), 5)) == dict.fromkeys(search_columns(), 1.0)


def test_of_equal_distances_the_lower_row_is_nearer():
    labels = np.array([0, 1, 1, 0, 0, 0, 0, 0])
    found = query_scores(np.zeros((8, 2)), labels)
    assert found["recall@1"].tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert found["recall@1"].tolist() == plain_loop(np.zeros((8, 2)), labels)["recall@1"]


def test_a_photo_without_others_of_its_label_counts_nowhere():
    vectors, labels = np.array([[0.0], [1], [9]]), np.array([3, 3, 4])
    assert np.isnan(query_scores(vectors, labels)["map@R"]).tolist() == [False, False, True]
    assert retrieval_scores(vectors, labels)["recall@1"] == 1
    assert all(np.isnan(value) for value in retrieval_scores(vectors[1:], labels[1:]).values())
    assert all(np.isnan(value) for value in retrieval_scores(vectors[:0], labels[:0]).values())


def test_what_cannot_be_ranked_is_told():
    with pytest.raises(KcarsError, match="one row and one label per photo"):
        query_scores(np.zeros((3, 2)), np.zeros(2))
    with pytest.raises(KcarsError, match="nan or infinite"):
        query_scores(np.full((3, 2), np.nan), np.zeros(3))


def test_intervals_agree_with_a_plain_loop_over_groups():
    random = np.random.default_rng(1)
    values, groups = random.random(50), random.integers(0, 6, 50)
    values[3] = np.nan
    counts = bootstrap.generator(4, "resamples", 0).multinomial(6, np.full(6, 1 / 6), size=30)
    samples = []
    for drawn in counts:
        chosen = np.concatenate([np.tile(values[groups == group], drawn[group]) for group in range(6)])
        samples.append(np.nanmean(chosen))
    found = bootstrap.query_intervals(values, groups, 30, seed=4)
    np.testing.assert_allclose(found, np.percentile(samples, [2.5, 97.5]))
    assert np.isnan(bootstrap.query_intervals(values, np.zeros(50), 30)).all()


def test_intervals_cover_what_other_models_would_score():
    """Models differ in how well they are found: of 60 draws of 25 models the intervals nearly all hold the mean of all."""

    def drawn(seed):
        random = np.random.default_rng(seed)
        labels, spread = np.repeat(np.arange(25), 8), np.repeat(random.uniform(0.3, 1.6, 25), 8)
        centres = random.normal(size=(25, 4))
        vectors = centres[labels] + spread[:, None] * random.normal(size=(200, 4))
        return query_scores(vectors, labels)["recall@1"], labels

    scores = [drawn(seed) for seed in range(60)]
    truth = np.mean([values.mean() for values, _ in scores])
    bounds = np.array([bootstrap.query_intervals(values, labels, 200) for values, labels in scores])
    held = ((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean()
    by_photo = [bootstrap.query_intervals(values, np.arange(200), 200) for values, _ in scores]
    assert held >= 0.85
    assert held > np.mean([low <= truth <= high for low, high in by_photo])
