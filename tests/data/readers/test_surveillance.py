import numpy as np
import pytest
from scipy.io import savemat
from support.compcars_tree import write_photo

from kcars.core.errors import KcarsError
from kcars.data import source
from kcars.data.readers import surveillance
from kcars.settings import DataSettings

DATA = DataSettings(size_px=32)
ROWS = [("Audi", "A4L", 101), ("Audi", "A6L", 102), ("BWM", "X1", 77), ("BWM", "X5", 78), ("BWM", "X6", 79)]


@pytest.fixture
def root(tmp_path):
    """Five models of two makes, four photos each: three to learn from, one to test on."""
    root = tmp_path / "sv_data"
    names, colours = np.empty((len(ROWS), 3), object), np.empty((20, 2), object)
    for number, row in enumerate(ROWS):
        names[number] = row
    paths = [f"{model}/{photo:04x}.jpg" for model in range(1, 6) for photo in range(4)]
    for number, path in enumerate(paths):
        write_photo(root / "image" / path)
        colours[number] = path, number % 11 - 1
    savemat(root / "sv_make_model_name.mat", {"sv_make_model_name": names})
    savemat(root / "color_list.mat", {"color_list": colours})
    (root / "train_surveillance.txt").write_text("".join(f"{p}\n" for p in paths if not p.endswith("3.jpg")))
    (root / "test_surveillance.txt").write_text("".join(f"{p}\r\n" for p in paths if p.endswith("3.jpg")))
    return root


def test_lists_names_and_colours(root):
    dataset = source.load(root.parent, "classify", DATA)
    table = dataset.table
    assert (len(dataset.train), len(dataset.test)) == (15, 5)
    row = list(table.paths).index("3/0001.jpg")
    assert (table.name("make", table.ids["make"][row]), table.name("model", 3)) == ("BWM", "BWM X1")
    assert table.name("colour", table.ids["colour"][row]) == "champagne"  # photo 9: colour 8
    assert table.ids["colour"][0] == -1
    assert table.viewpoint.tolist() == [1] * 20
    assert (table.box == -1).all()


def test_verification_holds_out_models(root):
    for model in (1, 2):
        (root / f"image/{model}/0000.jpg").unlink()
    with pytest.raises(KcarsError, match="too few"):
        surveillance.read(root, "verify", DATA)


def test_all_means_a_split_by_seed(root):
    dataset = surveillance.read(root, "classify", DATA.model_copy(update={"split": "all"}))
    assert "automatic" in dataset.split
    assert np.bincount(dataset.table.ids["model"][dataset.test])[1:].tolist() == [1] * 5


def test_colours_may_be_missing(root):
    (root / "color_list.mat").unlink()
    assert (surveillance.read(root, "classify", DATA).table.ids["colour"] == -1).all()


@pytest.mark.parametrize("line", ["1/2/3.jpg", "x/a.jpg", "../a.jpg", "1/..", "a.jpg"])
def test_broken_lines_name_their_place(root, line):
    with (root / "test_surveillance.txt").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(KcarsError, match=r"test_surveillance\.txt:6: .* is not a photo path"):
        surveillance.read(root, "classify", DATA)


def test_a_model_without_a_name_and_files_that_are_none(root):
    write_photo(root / "image/9/1.jpg")
    with (root / "test_surveillance.txt").open("a") as file:
        file.write("9/1.jpg\n")
    with pytest.raises(KcarsError, match="has no line for model 9"):
        surveillance.read(root, "classify", DATA)
    (root / "color_list.mat").write_bytes(b"no matrix")
    with pytest.raises(KcarsError, match=r"color_list\.mat: cannot be read as a MATLAB file"):
        surveillance.read(root, "classify", DATA)
