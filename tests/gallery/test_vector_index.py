"""Search against plain numpy, exact and by lists."""

import sys

import numpy as np
import pytest

from kcars.core.errors import KcarsError
from kcars.gallery import vector_index
from kcars.gallery.vector_index import VectorIndex


def clustered(count, width=8, seed=0):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(count // 50, width))
    return (centres[random.integers(0, len(centres), count)] + 0.2 * random.normal(size=(count, width))).astype("f4")


def by_numpy(vectors, query, k):
    distances = np.sqrt(((vectors.astype(float) - query) ** 2).sum(1))
    order = np.argsort(distances, kind="stable")[:k]
    return order.tolist(), distances[order]


@pytest.fixture
def few_are_many(monkeypatch):
    """Lists from 1,000 vectors on."""
    monkeypatch.setattr(vector_index, "EXACT_UP_TO", 1000)


def test_exact_search_agrees_with_plain_numpy():
    vectors, queries = clustered(500), clustered(100, seed=1)[:30]  # More than 20 queries go another way within FAISS.
    found = VectorIndex.build(vectors)
    assert found.facts["kind"] == "exact"
    for query, (rows, distances) in zip(queries, found.search(queries, 7), strict=True):
        expected = by_numpy(vectors, query, 7)
        assert rows.tolist() == expected[0]
        np.testing.assert_allclose(distances, expected[1])


def test_a_stored_vector_is_at_distance_zero_however_long_it_is():
    vectors = clustered(100) + 1000
    rows, distances = VectorIndex.build(vectors).search(vectors[7:8], 1)[0]
    assert (rows.tolist(), distances.tolist()) == ([7], [0.0])


def test_fewer_vectors_than_asked_for_are_all_there_is():
    vectors = clustered(100)[:3]
    ((rows, distances),) = VectorIndex.build(vectors).search(vectors[:1], 10)
    assert sorted(rows.tolist()) == [0, 1, 2] and (np.diff(distances) >= 0).all()
    assert VectorIndex.build(vectors).search(vectors[:0], 10) == []


def test_many_vectors_lie_in_lists_whose_recall_is_measured(few_are_many):
    vectors = clustered(5000)
    found = VectorIndex.build(vectors)
    facts = found.facts
    assert facts["kind"] == "ivf_flat" and facts["lists"] == 283
    assert 1 <= facts["probes"] < facts["lists"]
    assert facts["recall@10"] >= vector_index.RECALL_WANTED
    queries = clustered(5000, seed=0)[::50] + np.float32(0.01)
    hits = [
        len(set(rows.tolist()) & set(by_numpy(vectors, query, 10)[0]))
        for query, (rows, _) in zip(queries, found.search(queries, 10), strict=True)
    ]
    assert np.mean(hits) >= 9.5


def test_the_recall_told_is_that_of_plain_numpy(few_are_many, monkeypatch):
    monkeypatch.setattr(vector_index, "RECALL_WANTED", 0.0)  # The first list alone.
    vectors = clustered(2000)
    found = VectorIndex.build(vectors)
    assert found.facts["probes"] == 1
    asked = np.sort(vector_index.generator(0, "search recall", 0).choice(2000, 500, replace=False))
    hits = []
    for own in asked:
        others = [row for row in by_numpy(vectors, vectors[own], 11)[0] if row != own][:10]
        hits.append(len(set(found.index.search(vectors[own : own + 1], 11)[1][0].tolist()) & set(others)) / 10)
    assert found.facts["recall@10"] == pytest.approx(np.mean(hits), abs=1e-9)
    assert found.facts["recall@10"] < 0.95


def test_exact_can_be_forced_and_stays_so(few_are_many):
    vectors = clustered(2000)
    found = VectorIndex.build(vectors, exact=True).with_more(vectors[:500])
    assert found.facts["kind"] == "exact" and found.facts["forced"]
    assert len(found) == 2500


def test_adding_keeps_the_order_of_rows_and_measures_anew(few_are_many):
    vectors = clustered(4000)
    found = VectorIndex.build(vectors[:1500])
    first = dict(found.facts)
    found = found.with_more(vectors[1500:2500])
    assert found.facts["learned_from"] == first["learned_from"] == 1500
    assert found.facts["recall@10"] >= vector_index.RECALL_WANTED
    np.testing.assert_array_equal(found.vectors(), vectors[:2500])
    np.testing.assert_array_equal(found.vectors([2400, 3]), vectors[[2400, 3]])
    found = found.with_more(vectors[2500:])  # More than twice what the centres were learned from.
    assert found.facts["learned_from"] == 4000
    np.testing.assert_array_equal(found.vectors(), vectors)


def test_an_exact_index_that_outgrows_the_bound_gets_lists(few_are_many):
    vectors = clustered(1500)
    found = VectorIndex.build(vectors[:900])
    assert found.facts["kind"] == "exact"
    assert found.with_more(vectors[900:]).facts["kind"] == "ivf_flat"


@pytest.mark.parametrize("count", [50, 1500])
def test_what_is_read_answers_as_what_was_written(few_are_many, tmp_path, count):
    vectors = clustered(2000)[:count]
    wrote = VectorIndex.build(vectors)
    wrote.write(tmp_path / "v.faiss")
    read = VectorIndex.read(tmp_path / "v.faiss", wrote.facts, count, 8)
    for one, two in zip(wrote.search(vectors[:40], 10), read.search(vectors[:40], 10), strict=True):
        np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(read.with_more(vectors[:5]).vectors(), np.concatenate([vectors, vectors[:5]]))


def test_a_damaged_file_is_one_line(tmp_path):
    VectorIndex.build(clustered(500)).write(tmp_path / "v.faiss")
    whole = (tmp_path / "v.faiss").read_bytes()
    for content in (whole[:1000], b"", b"no index at all"):
        (tmp_path / "v.faiss").write_bytes(content)
        with pytest.raises(KcarsError, match="is damaged or not an index of kcars"):
            VectorIndex.read(tmp_path / "v.faiss", {"kind": "exact"}, 500, 8)
    with pytest.raises(KcarsError, match="No such file"):
        VectorIndex.read(tmp_path / "none.faiss", {"kind": "exact"}, 500, 8)


def test_a_full_disk_leaves_no_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kcars.core.files.os.fsync", full)
    with pytest.raises(KcarsError, match="No space left"):
        VectorIndex.build(clustered(100)).write(tmp_path / "v.faiss")
    assert not list(tmp_path.iterdir())


def test_without_faiss_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.setattr(vector_index.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(KcarsError, match=r"pip install 'kcars\[search\]'"):
        VectorIndex.build(clustered(100))
