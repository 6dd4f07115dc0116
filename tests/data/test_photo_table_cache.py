import numpy as np
import pytest

from kcars.core.files import cache_folder
from kcars.data.readers import compcars
from kcars.settings import DataSettings

pytestmark = pytest.mark.usefixtures("own_cache")

ALL = DataSettings(size_px=32, split="all")


def kept_files():
    return list((cache_folder() / "indexes").glob("*.npz"))


def test_the_kept_index_is_the_one_that_was_read(tree, monkeypatch):
    first = compcars.read(tree.root, "classify", ALL)
    monkeypatch.setattr(compcars, "_table", None)  # Reading again would fail.
    again = compcars.read(tree.root, "classify", ALL)
    assert again.fingerprint() == first.fingerprint()
    assert again.table.paths.tolist() == first.table.paths.tolist()
    for name in ("box", "viewpoint", "year", "bytes"):
        assert np.array_equal(getattr(again.table, name), getattr(first.table, name))
        assert getattr(again.table, name).dtype == getattr(first.table, name).dtype


@pytest.mark.parametrize("change", ["add", "remove", "label"])
def test_a_changed_folder_is_read_anew(tree, change):
    before = compcars.read(tree.root, "classify", ALL)
    if change == "add":
        tree.photo(3, 5, 77)
    elif change == "remove":
        (tree.root / "image/3/5/2010/000.jpg").unlink()
    else:
        (tree.root / "label/3/5/2010/000.txt").unlink()
    after = compcars.read(tree.root, "classify", ALL)
    assert len(after.table) == len(before.table) + {"add": 1, "remove": -1, "label": 0}[change]
    assert after.fingerprint() != before.fingerprint()
    assert len(kept_files()) == 2


def test_a_damaged_file_is_made_again(tree):
    before = compcars.read(tree.root, "classify", ALL)
    (file,) = kept_files()
    for damage in (b"", b"no archive", file.read_bytes()[:200]):
        file.write_bytes(damage)
        assert compcars.read(tree.root, "classify", ALL).fingerprint() == before.fingerprint()
