import csv
from collections import Counter

import numpy as np
from PIL import Image
from support.commands import kcars

from kcars.data.source import load_every_task
from kcars.doctor import stats


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def listed(tree, name):
    return (tree.root / "train_test_split" / name).read_text().split()


def test_counts_agree_with_the_lists(tree, tmp_path):
    output = kcars("data", "stats", "--data", tree.root, "--out", tmp_path / "out")
    train = Counter(path.split("/")[1] for path in listed(tree, "classification/train.txt"))
    models = rows(tmp_path / "out/models.csv")
    assert {row["id"]: int(row["classify train"]) for row in models if row["classify train"] != "0"} == dict(train)
    assert sum(int(row["photos"]) for row in models) == 7 * 6
    assert {row["name"] for row in rows(tmp_path / "out/makes.csv")} == {"Make 3", "Make 7"}
    line = next(line.split() for line in output.splitlines() if line.split()[:2] == ["classify", "train"])
    assert line[2:9] == ["16", "2", "4", "4,", "4,", "4", "1.0"]
    assert line[9:15] == ["0", "4", "4", "4", "4", "0"]  # photos 0 to 3 of four models: viewpoints 1 to 4
    assert line[-3:] == ["70", "x", "50"]


def test_pixels_by_heart(tree):
    class Halves:
        def read(self, rows):
            photo = np.zeros((2, 2, 3), np.uint8)
            photo[0, :, 0], photo[:, :, 1] = 255, 51
            return np.stack([photo] * len(rows))

    mean, deviation, photos = stats.pixel_statistics(Halves(), np.arange(100), most=70)
    assert photos == 70
    np.testing.assert_allclose(mean, [0.5, 0.2, 0], atol=1e-9)
    np.testing.assert_allclose(deviation, [0.5, 0, 0], atol=1e-7)


def test_the_sheet_is_a_row_a_model(tree, tmp_path):
    output = kcars("data", "stats", "--data", tree.root, "--pixels", "--sheet", tmp_path / "sheet.png", "--all")
    assert "pixels of" in output
    sheet = Image.open(tmp_path / "sheet.png")
    assert sheet.size == (8 * 132, 7 * (88 + 14))
    datasets, _ = load_every_task(tree.root)
    assert list(stats.splits(datasets)) == ["classify train", "classify test", "verify train", "verify pairs"]


def test_the_sheet_takes_the_place_of_no_photo(coloured_cars, tmp_path):
    photo = coloured_cars / "Audi/A4/0.png"
    before = photo.read_bytes()
    (tmp_path / "linked").symlink_to(coloured_cars)
    for sheet in (photo, tmp_path / "linked/Audi/A4/0.png"):
        told = kcars("data", "stats", "--data", coloured_cars, "--sheet", sheet, code=2)
        assert "is a photo of the dataset" in told
    assert photo.read_bytes() == before
