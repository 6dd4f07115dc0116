"""Test photos as files of their own: which they are, that they are cut out, and that a folder is written whole or not."""

import numpy as np
import pytest
from PIL import Image
from support.commands import kcars

from kcars.core.errors import KcarsError
from kcars.data.readers.folders import described
from kcars.data.source import load
from kcars.doctor import sample
from kcars.settings import DataSettings


@pytest.fixture(scope="module")
def datasets(drawn):
    return {task: load(drawn, task, DataSettings(size_px=96)) for task in ("classify", "verify")}


@pytest.mark.parametrize("task", ["classify", "verify"])
def test_each_tested_model_has_so_many_photos_under_its_names(datasets, drawn, tmp_path, task):
    index, rows = datasets[task].table, datasets[task].test_rows()
    models = np.unique(index.ids["model"][rows])
    output = kcars("data", "sample", tmp_path / "cars", "--data", drawn, "--task", task, "--photos", 2)
    written = described(tmp_path / "cars")
    assert f"{len(written)} photos: {tmp_path / 'cars'}" in output
    assert {one.model for one in written} == {index.name("model", model) for model in models}
    assert len(written) == sum(min(2, (index.ids["model"][rows] == model).sum()) for model in models)


def test_photos_are_cut_to_their_boxes_with_a_margin(datasets, tmp_path):
    index, rows = datasets["classify"].table, datasets["classify"].test_rows()
    sample.write_sample(datasets["classify"], 10_000, tmp_path / "cars")  # All of them, in the order of rows.
    model = np.unique(index.ids["model"][rows])[0]
    files = sorted((tmp_path / "cars").rglob("*.jpg"), key=lambda file: file.stem)
    for row, file in zip(rows[index.ids["model"][rows] == model], files, strict=False):
        left, top, right, bottom = index.box[row]
        with Image.open(index.root / index.paths[row]) as photo, Image.open(file) as cut:
            inside = min(right + 0.1 * (right - left), photo.width) - max(left - 0.1 * (right - left), 0)
            assert cut.width == pytest.approx(inside, abs=1)
            inside = min(bottom + 0.1 * (bottom - top), photo.height) - max(top - 0.1 * (bottom - top), 0)
            assert cut.height == pytest.approx(inside, abs=1)
    assert (index.box[rows] >= 0).all()


def test_the_same_photos_are_drawn_again(datasets, tmp_path):
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        sample.write_sample(datasets["verify"], 1, folder)
    one, two = ([file.read_bytes() for file in sorted(folder.rglob("*.jpg"))] for folder in folders)
    assert one == two and one


def test_a_photo_that_cannot_be_read_leaves_nothing(datasets, tmp_path, monkeypatch):
    def broken(path):
        raise KcarsError(f"{path}: is no file")

    monkeypatch.setattr(sample, "photo_bytes", broken)
    with pytest.raises(KcarsError, match="is no file"):
        sample.write_sample(datasets["verify"], 1, tmp_path / "cars")
    assert not list(tmp_path.iterdir())


def test_a_filled_folder_is_refused(drawn, tmp_path):
    (tmp_path / "letter.txt").write_text("keep me")
    (line,) = kcars("data", "sample", tmp_path, "--data", drawn, code=2).splitlines()
    assert line == f"kcars: OUT {tmp_path}: is not empty; choose another folder"
