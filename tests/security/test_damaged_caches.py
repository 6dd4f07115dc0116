"""What lies in the cache folder is made anew where it is damaged, or refused: never a traceback, and never other numbers."""

import json
import os

import numpy as np
import pytest
from scipy.io import savemat

from kcars.core.errors import KcarsError
from kcars.core.files import cache_place
from kcars.data import matlab, photo_table_cache
from kcars.data.readers import compcars
from kcars.images.pixel_store import open_store
from kcars.settings import DataSettings

DATA = DataSettings(size_px=32)
SKIP = DATA.model_copy(update={"on_bad_photo": "skip"})


@pytest.fixture
def index(tree, own_cache):
    return compcars.read(tree.root, "classify").table


def stored(index, data=DATA):
    return open_store(index, data, progress=False)


def flipped(file, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 16
    file.write_bytes(content)


def damaged_sums(content: bytes) -> list[bytes]:
    other = content.replace(b"<u4", b"<i4")
    return [b"", content[:10], content[:100], content[:-1], content[:-4], content + b"0000", b"\x80" * 300, other]


def test_checksums_that_are_damaged_build_a_store_anew(index, capsys):
    store = stored(index)
    pixels, sums = store.read(np.arange(len(index))), store.file.with_suffix(".sums.npy")
    good = sums.read_bytes()
    for bad in damaged_sums(good):
        sums.write_bytes(bad)
        assert (stored(index).read(np.arange(len(index))) == pixels).all()
        assert sums.read_bytes() == good
        assert "is damaged and is rebuilt\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", ["{", "[1]", "7", "null", '{"999": "x"}', '{"a": "x"}', '{"3": "x"}', "[" * 10**5, "\udcff"]
)
def test_a_list_of_bad_photos_that_is_damaged_builds_a_store_anew(index, content):
    pixels = (store := stored(index, SKIP)).read(np.arange(len(index)))
    store.file.with_suffix(".bad.json").write_bytes(os.fsencode(content))
    again = stored(index, SKIP)
    assert len(again.bad) == 0
    assert (again.read(np.arange(len(index))) == pixels).all()


def test_without_their_list_bad_photos_are_not_taken_for_black_ones(index):
    (index.root / str(index.paths[5])).write_bytes(b"no photo")
    store = stored(index, SKIP)
    store.file.with_suffix(".bad.json").unlink()
    assert stored(index, SKIP).bad.tolist() == [5]


def test_a_store_of_another_size_is_built_anew(index):
    store = stored(index)
    pixels, size = store.read(np.arange(len(index))), store.file.stat().st_size
    for other in (0, 100, size - 1, size + 1):
        os.truncate(store.file, other)
        assert (stored(index).read(np.arange(len(index))) == pixels).all()


@pytest.mark.parametrize("cache", ["disk", "memory"])
def test_pixels_that_have_changed_are_refused_and_say_what_to_do(index, cache):
    store, data = stored(index), DATA.model_copy(update={"cache": cache})
    flipped(store.file, 7 * 32 * 32 * 3 + 5)
    with pytest.raises(KcarsError, match=r"\.pixels: is damaged; delete it to rebuild it"):
        stored(index, data).read(np.arange(len(index)))
    store.file.unlink()
    assert stored(index, data).read(np.array([7])).any()


def test_pixels_are_compared_once_in_a_process(index):
    store = stored(index)
    rows = np.array([3, 4])
    store.read(rows)
    flipped(store.file, 3 * 32 * 32 * 3)
    store.read(rows)
    with pytest.raises(KcarsError, match="is damaged"):
        stored(index).read(rows)


@pytest.fixture(scope="module")
def names_file(tmp_path_factory):
    """One for all tests: a process reads it once."""
    file = tmp_path_factory.mktemp("matlab") / "a.mat"
    savemat(file, {"names": np.array([["Audi"], ["BMW"]], object)})
    return file


@pytest.mark.parametrize("content", ["5", "[]", '{"cells": [["B"]]}', "null", "[" * 10**5, '[["B"]]', "\udcff"])
def test_cells_of_a_matlab_file_that_are_damaged_are_read_anew(names_file, tmp_path, monkeypatch, content):
    monkeypatch.setenv("KCARS_CACHE", str(tmp_path / "cache"))
    cells = matlab.read_cells(names_file, "names")
    assert cells == [["Audi"], ["BMW"]]
    (kept,) = (cache_place() / "matlab").iterdir()
    good = kept.read_bytes()
    kept.write_bytes(os.fsencode(content))
    assert matlab.read_cells(names_file, "names") == cells
    assert kept.read_bytes() == good
    kept.write_bytes(good.replace(b"Audi", b"Aude"))
    assert matlab.read_cells(names_file, "names") == cells
    assert json.loads(kept.read_text())["cells"] == cells


def test_a_pipe_in_place_of_the_cells_of_a_matlab_file_is_replaced(names_file, tmp_path, monkeypatch):
    monkeypatch.setenv("KCARS_CACHE", str(tmp_path / "cache"))
    cells = matlab.read_cells(names_file, "names")
    (kept,) = (cache_place() / "matlab").iterdir()
    kept.unlink()
    os.mkfifo(kept)
    assert matlab.read_cells(names_file, "names") == cells
    assert kept.is_file()


def test_an_index_of_a_release_that_is_damaged_is_read_anew(tree, own_cache):
    """Any bit may flip: of the archive's own fields, of an array's header, of its numbers."""
    compcars.every_photo(tree.root)
    (file,) = (cache_place() / "indexes").iterdir()
    good, content = photo_table_cache._load(file), file.read_bytes()
    generator = np.random.default_rng(0)
    for place in [*generator.integers(0, len(content), 300), *range(len(content) - 500, len(content))]:
        bad = bytearray(content)
        bad[place] ^= 1 << generator.integers(8)
        file.write_bytes(bad)
        found = photo_table_cache._load(file)
        assert found is None or all(np.array_equal(found[name], good[name]) for name in good)
    for end in (0, 1, 100, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:end])
        assert photo_table_cache._load(file) is None
