import numpy as np
import pytest

from kcars.core.errors import KcarsError
from kcars.data.readers import compcars
from kcars.settings import DataSettings

ALL = DataSettings(size_px=32, split="all")


def test_rows_labels_boxes_and_names(tree):
    dataset = compcars.read(tree.root, "classify")
    table = dataset.table
    assert (len(dataset.train), len(dataset.test)) == (16, 8)
    row = list(table.paths).index("7/20/2010/003.jpg")
    assert (table.ids["make"][row], table.ids["model"][row], table.viewpoint[row]) == (7, 20, 4)
    assert table.box[row].tolist() == [10, 5, 80, 55]  # 11 6 80 55, one-based and inclusive
    assert table.name("make", 7) == "Make 7"
    assert table.name("model", 20) == "Model 20"
    assert table.name("model", 999) == "999"


def test_pairs_point_at_their_photos(tree):
    dataset = compcars.read(tree.root, "verify")
    hard = dataset.pairs["hard"]
    paths = dataset.table.paths
    assert (paths[hard.left[0]], paths[hard.right[0]], hard.same[0]) == ("3/30/2010/000.jpg", "3/30/2010/001.jpg", 1)
    assert (paths[hard.left[-1]], paths[hard.right[-1]], hard.same[-1]) == ("3/30/2010/005.jpg", "3/31/2010/005.jpg", 0)
    assert len(np.intersect1d(dataset.train, dataset.test_rows())) == 0


@pytest.mark.parametrize("above", [0, 1, 2])
def test_roots_one_or_two_data_folders_too_high(tree, above):
    folder = tree.root
    if above == 2:
        (tree.root.parent / "data2").mkdir()
        tree.root.rename(tree.root.parent / "data2" / "data")
        folder = (tree.root.parent / "data2").rename(tree.root.parent / "data").parent
    elif above:
        folder = tree.root.parent
    assert len(compcars.read(folder, "classify").train) == 16


def test_missing_photos_are_named_and_left_out(tree):
    gone = "3/5/2010/000.jpg"
    (tree.root / "image" / gone).unlink()
    dataset = compcars.read(tree.root, "classify")
    assert dataset.missing == (gone,)
    assert len(dataset.train) == 15
    pair = tree.paths(30)[0]
    (tree.root / "image" / pair).unlink()
    assert len(compcars.read(tree.root, "verify").pairs["hard"]) == 12 + 6 - 2


@pytest.mark.parametrize("box", ["5 5 5 5", "50 40 20 10", "1 1 20 20", "a b c d", "1 2 3", "1 1 99999999999 50"])
def test_unusable_boxes_mean_the_whole_photo(tree, box):
    tree.photo(3, 5, 0, box=box)
    table = compcars.read(tree.root, "classify").table
    assert table.box[list(table.paths).index("3/5/2010/000.jpg")].tolist() == [-1, -1, -1, -1]


@pytest.mark.parametrize(("folder", "year"), [("2010", 2010), ("unknown", -1), ("5008", -1), ("1999", 1999)])
def test_year_folders_that_are_no_years(tree, folder, year):
    (tree.root / "image/3/5/2010").rename(tree.root / "image/3/5" / folder)
    table = compcars.read(tree.root, "classify", ALL).table
    assert set(table.year[table.ids["model"] == 5].tolist()) == {year}


def test_all_reads_photos_that_no_list_names(tree):
    tree.photo(3, 5, 66)
    dataset = compcars.read(tree.root, "classify", ALL)
    assert len(dataset.table) == 7 * 6 + 1
    assert np.bincount(dataset.table.ids["model"][dataset.test])[[5, 9, 30, 40]].tolist() == [2, 2, 2, 2]
    assert "automatic" in dataset.split
    pairs = compcars.read(tree.root, "verify", ALL.model_copy(update={"test_share": 0.5}))
    model = pairs.table.ids["model"]
    assert not np.isin(model[pairs.train], model[pairs.test_rows()]).any()


def test_a_photo_that_stands_under_two_models_is_not_tested_on_and_learned(tree):
    for number in range(6):
        tree.photo(3, 9, number + 50)
        name = f"3/5/2010/{number + 50:03d}.jpg"
        (tree.root / "image" / name).write_bytes((tree.root / f"image/3/9/2010/{number + 50:03d}.jpg").read_bytes())
    dataset = compcars.read(tree.root, "classify", ALL)
    content = np.array([(dataset.table.root / path).read_bytes() for path in dataset.table.paths], object)
    assert not set(content[dataset.train]) & set(content[dataset.test])
    assert 0 < len(dataset.table) - len(dataset.train) - len(dataset.test) <= 6


def test_a_link_out_of_the_release_is_refused(tree, tmp_path):
    photo = tree.root / "image" / tree.paths(5)[0]
    photo.rename(tmp_path / "secret.jpg")
    photo.symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(KcarsError, match="leads out of this folder"):
        compcars.read(tree.root, "classify")


def test_fingerprint_follows_lists_labels_and_sizes_not_the_place(tree, tmp_path):
    before = compcars.read(tree.root, "verify").fingerprint()
    moved = tree.root.rename(tmp_path / "elsewhere")
    assert compcars.read(moved, "verify").fingerprint() == before
    tree.root = moved
    tree.photo(3, 5, 0, viewpoint=3)
    assert compcars.read(moved, "verify").fingerprint() != before


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("classification/train.txt", "../../etc/passwd", r"train\.txt:17.*not a photo path"),
        ("classification/train.txt", "a/b/2010/x.jpg", "not a photo path"),
        ("classification/train.txt", "/3/5/2010/x.jpg", "not a photo path"),
        ("classification/train.txt", "3/99999999999/2010/x.jpg", "not a photo path"),
    ],
)
def test_broken_list_lines_name_file_and_line(tree, file, line, message):
    with (tree.root / "train_test_split" / file).open("a") as lines:
        lines.write(line + "\n")
    with pytest.raises(KcarsError, match=message):
        compcars.read(tree.root, "classify")


def test_two_spellings_of_one_path_are_one_photo(tree):
    with (tree.root / "train_test_split/classification/train.txt").open("a") as lines:
        lines.write("3//5/2010/./000.jpg\n")
    assert len(compcars.read(tree.root, "classify").train) == 16


def test_broken_pairs_and_missing_folders(tree, tmp_path):
    file = tree.root / "train_test_split/verification/verification_pairs_easy.txt"
    file.write_text("3/30/2010/000.jpg 3/30/2010/001.jpg 2\n")
    with pytest.raises(KcarsError, match=r"easy\.txt:1.*0 or 1"):
        compcars.read(tree.root, "verify")
    file.unlink()
    with pytest.raises(KcarsError, match="cannot be read"):
        compcars.read(tree.root, "verify")
    with pytest.raises(KcarsError, match="not in CompCars layout"):
        compcars.read(tmp_path, "verify")


def test_real_photos(real_cars):
    classify, verify = compcars.read(real_cars, "classify"), compcars.read(real_cars, "verify")
    assert (len(classify.train), len(classify.test), len(verify.train)) == (1506, 1002, 2508)
    assert {name: len(pairs) for name, pairs in verify.pairs.items()} == {"easy": 3000, "medium": 3000, "hard": 3000}
    assert classify.table.name("make", 2) == "BMW"


def test_lists_as_windows_writes_them(tree):
    before = compcars.read(tree.root, "classify")
    for name in ("train", "test"):
        file = tree.root / f"train_test_split/classification/{name}.txt"
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert compcars.read(tree.root, "classify").fingerprint() == before.fingerprint()


def test_a_line_of_a_list_ends_where_the_file_says(tree):
    name = "3/30/2010/a\u2028b.jpg"
    with (tree.root / "train_test_split/classification/train.txt").open("a", newline="") as file:
        file.write(f"{name}\n")
    assert compcars.read(tree.root, "classify").missing == (name,)
