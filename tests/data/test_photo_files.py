import numpy as np
import pytest
from support.compcars_tree import write_photo

from kcars.core.errors import KcarsError
from kcars.data.photo_files import file_bytes, walk


@pytest.fixture
def root(tmp_path):
    write_photo(tmp_path / "root" / "a" / "1.jpg")
    write_photo(tmp_path / "root" / "b.PNG.jpg")
    write_photo(tmp_path / "elsewhere" / "2.jpg")
    return tmp_path / "root"


def test_sizes_and_what_is_not_there(root):
    (root / "folder.jpg").mkdir()
    sizes = file_bytes(root, ["a/1.jpg", "a/none.jpg", "folder.jpg", "a/zero\0byte.jpg", "x" * 300 + ".jpg"])
    assert sizes.tolist() == [(root / "a/1.jpg").stat().st_size, -1, -1, -1, -1]


@pytest.mark.parametrize("path", ["../elsewhere/2.jpg", "linked/2.jpg", "link.jpg", "a/../../elsewhere/2.jpg"])
def test_nothing_outside_the_root_is_reached(root, path):
    (root / "linked").symlink_to(root.parent / "elsewhere")
    (root / "link.jpg").symlink_to(root.parent / "elsewhere" / "2.jpg")
    with pytest.raises(KcarsError, match="leads out of this folder"):
        file_bytes(root, ["a/1.jpg", path])


def test_links_within_the_root_and_a_linked_root_are_fine(root, tmp_path):
    (root / "link.jpg").symlink_to(root / "a" / "1.jpg")
    (tmp_path / "alias").symlink_to(root)
    assert (file_bytes(tmp_path / "alias", ["link.jpg", "a/1.jpg"]) > 0).all()


def test_walk_finds_photos_by_their_ending_sorted(root):
    for name in ("c.txt", ".hidden.jpg", ".cache/3.jpg", "z/9.JPEG"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"")
    assert walk(root) == ["a/1.jpg", "b.PNG.jpg", "z/9.JPEG"]
    assert np.array_equal(file_bytes(root, walk(root)) > 0, [True, True, False])
