"""Folders of which many spell one path: what a list names otherwise is looked for in bounded time, and below the folder alone."""

from unicodedata import normalize

import pytest
from support.compcars_tree import write_photo

from kcars.data import source
from kcars.data.spelling import Disk, why_missing
from kcars.inference.photo_source import read_boxes
from kcars.settings import DataSettings

COMPOSED, DECOMPOSED = normalize("NFC", "é"), normalize("NFD", "é")
DEEP = f"{COMPOSED}/" * 30 + "x.jpg"


@pytest.fixture
def doubled(tmp_path):
    """A folder that holds two links to itself, which are spelled alike: each level of a path doubles the ways."""
    for number in range(4):
        write_photo(tmp_path / "cars" / "audi" / f"{number}.jpg", (60 * number, 200, 40))
    for name in (COMPOSED, DECOMPOSED, "A", "a"):
        (tmp_path / "cars" / name).symlink_to(".")
    return tmp_path / "cars"


def test_links_to_the_folder_itself_are_not_followed(doubled):
    rows = [f"audi/{number}.jpg,audi" for number in range(4)] + [f"{DEEP},audi", "a/" * 30 + "X.jpg,audi"]
    (doubled / "photos.csv").write_text("\n".join(["path,make", *rows]), "utf-8")
    assert len(source.load(doubled, "classify", DataSettings(size_px=32)).missing) == 2
    assert why_missing(doubled, ["a/" * 30 + "X.jpg"]) == ""


def test_boxes_of_such_photos(doubled):
    (doubled / "boxes.csv").write_text(f"path,left,top,right,bottom\n{DEEP},1,1,9,9\n", "utf-8")
    assert len(read_boxes(doubled / "boxes.csv")) == 1


def test_many_folders_that_spell_one_path_are_none(tmp_path):
    level = [tmp_path]
    for _ in range(7):
        level = [place / name for place in level for name in (COMPOSED, DECOMPOSED)]
    for place in level:
        place.mkdir(parents=True)
        (place / "x.jpg").touch()
    assert Disk(tmp_path).in_other_case(f"{COMPOSED}/" * 7 + "X.jpg") is None
    assert Disk(level[0].parent).in_other_case(f"{COMPOSED}/X.jpg") is not None


def test_no_name_of_another_folder_is_told(tmp_path):
    write_photo(tmp_path / "private" / "secret.jpg")
    (tmp_path / "cars").mkdir()
    (tmp_path / "cars" / "linked").symlink_to(tmp_path / "private")
    assert why_missing(tmp_path / "cars", ["linked/SECRET.jpg"]) == ""
