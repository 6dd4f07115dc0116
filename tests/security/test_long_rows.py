"""CSV files that a stranger made of a row without an end: a cell takes nine times its size in memory, and an empty file packs well."""

import tracemalloc

import pytest

from kcars.core.errors import KcarsError
from kcars.data.readers.manifest import described
from kcars.gallery.photos import COLUMNS, MOST_NAME, MOST_PATH, Kept, read_photos, write_photos
from kcars.inference.photo_source import read_boxes

HEADS = {
    "the head": "",
    "a row": ",".join(COLUMNS[:4]) + "\n",
    "the head of an index": ",".join(COLUMNS) + "\n",
    "the head of a list": "path,left,top,right,bottom\n",
}
ENDLESS = {"empty cells": "," * 2**22, "quoted cells, a line each": '"\n' + '","\n' * 2**20, "a cell": "a" * 2**22}
READERS = {"an index": lambda file: read_photos(file, 1000), "a list": described, "boxes": read_boxes}
MOST_BYTES = 3 * 2**20


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("endless", ENDLESS.values(), ids=ENDLESS)
def test_a_row_without_an_end_takes_no_memory(tmp_path, read, head, endless):
    file = tmp_path / "photos.csv"
    file.write_text(head + endless)
    tracemalloc.start()
    try:
        with pytest.raises(KcarsError) as error:
            read(file)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < MOST_BYTES and len(str(error.value)) < 1000


def test_the_longest_row_of_an_index_can_be_read_again(tmp_path):
    """Every character of it is written as two."""
    path, name = '"' * MOST_PATH, '"' * MOST_NAME
    longest = [Kept(path, name, name, name, (0.1234567890123456, 1.0, 2.0, 1e300))] * 3
    write_photos(tmp_path / "photos.csv", longest)
    assert read_photos(tmp_path / "photos.csv", 3) == longest


def test_many_empty_lines_are_no_row(tmp_path):
    file = tmp_path / "boxes.csv"
    file.write_text("path,left,top,right,bottom\n" + "\n" * 200_000 + "a.jpg,1,2,3,4\n")
    assert list(read_boxes(file).values()) == [[(1.0, 2.0, 3.0, 4.0)]]
