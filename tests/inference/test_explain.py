"""`kcars explain` and the maps of a run: on runs of drawn cars, by the command line and in Python."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from support.commands import kcars, rows

from kcars.core.errors import KcarsError
from kcars.evaluation.evaluate import keep_maps
from kcars.evaluation.examples import shown_alone, shown_pairs
from kcars.evaluation.heat_maps import read_maps, write_maps
from kcars.images.heat import from_text
from kcars.inference.explain import class_called, load
from kcars.untrusted.run_folder import RunFolder


@pytest.fixture(scope="module")
def photos(drawn):
    return sorted((drawn / "image").rglob("*.jpg"))


def answer(output):
    return json.loads(next(line for line in output.splitlines() if line.startswith("{")))


def test_a_name_is_explained_as_a_picture_and_as_numbers(small_runs, photos, tmp_path):
    run, out = small_runs["classify"], tmp_path / "why.png"
    found = answer(kcars("explain", run, photos[0], "--out", out, "--json"))
    told = kcars("predict", photos[0], "--model", run, "--json")
    first = answer(told)["names"][0]
    assert (found["explained"], found["probability"]) == (first["name"], pytest.approx(first["probability"], abs=1e-5))
    width, height = Image.open(photos[0]).size
    assert found["part"] == [0, 0, width, height] and found["box"] is None
    assert np.array(found["map"]).shape == (4, 4)
    picture = np.asarray(Image.open(out).convert("RGB"))
    assert picture.shape[1] > 900 and len(np.unique(picture)) > 50
    assert [file.name for file in tmp_path.iterdir()] == ["why.png"]


def test_another_class_has_a_map_of_its_own(small_runs, photos):
    run = small_runs["classify"]
    names = load(run).card["classes"]["names"]
    maps = [answer(kcars("explain", run, photos[0], "--class", name.upper(), "--json")) for name in names[:3]]
    assert [one["explained"] for one in maps] == names[:3]
    assert len({str(one["map"]) for one in maps}) == 3
    assert maps[0]["names"] == maps[1]["names"]


def test_a_pair_is_explained_and_its_boxes_are_told(small_runs, photos, tmp_path):
    run, out = small_runs["verify"], tmp_path / "why.png"
    boxes = ["--left-box", "4,4,60,40", "--right-box", "10,5,70,45"]
    found = answer(kcars("explain", run, photos[0], photos[-1], *boxes, "--out", out, "--json"))
    told = answer(kcars("compare", photos[0], photos[-1], *boxes, "--model", run, "--json"))
    for key in ("distance", "probability", "same", "answer", "threshold"):
        assert found[key] == told[key]
    padding = load(run).card["input"]["padding"]
    left, top, right, bottom = found["left"]["part"]
    assert (right - left, bottom - top) == (round(60 + 56 * padding) - max(0, round(4 - 56 * padding)), bottom - top)
    assert found["left"]["photo"] == str(photos[0]) and np.isfinite(found["right"]["map"]).all()
    assert Image.open(out).format == "PNG"


def test_a_photo_that_lies_on_its_side_is_set_upright(small_runs, photos, tmp_path):
    with Image.open(photos[0]) as photo:
        exif = photo.getexif()
        exif[0x0112] = 8  # To be turned by a quarter.
        photo.rotate(-90, expand=True).save(tmp_path / "turned.jpg", exif=exif, quality=95)
        size = photo.size
    found = load(small_runs["classify"]).name(tmp_path / "turned.jpg")
    assert found.heat_map.part == (0, 0, *size)
    assert found.heat_map.seen.shape[:2] == size[::-1]


@pytest.mark.parametrize(
    ("task", "count", "more", "told"),
    [
        ("classify", 2, [], "is a classifier; give one photo to explain, not 2"),
        ("verify", 1, [], "is a verifier; give two photos to explain, not 1"),
        ("verify", 3, [], "give two photos to explain, not 3"),
        ("verify", 2, ["--class", "x"], "knows no classes"),
        ("verify", 2, ["--box", "1,1,9,9"], "--box: is for a single photo; give --left-box, --right-box"),
        ("classify", 1, ["--left-box", "1,1,9,9"], "--left-box: is for two photos; give --box"),
        ("classify", 1, ["--box", "1,1"], "--box: '1,1' is not a box"),
        ("classify", 1, ["--box", "9000,9000,9009,9009"], "holds no pixel of the photo, which is 240 x 160 pixels"),
        ("classify", 1, ["--class", "no such car"], "is not one of the 16 classes; similar ones are "),
    ],
)
def test_wrong_questions_are_one_line_and_write_nothing(small_runs, photos, tmp_path, task, count, more, told):
    out = tmp_path / "why.png"
    output = kcars("explain", small_runs[task], *photos[:count], *more, "--out", out, code=2)
    assert told in output and output.strip().splitlines()[-1].startswith("kcars: ")
    assert not list(tmp_path.iterdir())


def test_where_the_picture_cannot_go_is_told(small_runs, photos, tmp_path):
    run = small_runs["classify"]
    assert "--out: is missing" in kcars("explain", run, photos[0], code=2)
    assert "is not a PNG file name" in kcars("explain", run, photos[0], "--out", tmp_path / "why.jpg", code=2)
    assert "cannot be written" in kcars("explain", run, photos[0], "--out", tmp_path / "none/why.png", code=2)
    Image.open(photos[0]).save(tmp_path / "mine.png")
    before = (tmp_path / "mine.png").read_bytes()
    assert "is the photo itself" in kcars("explain", run, tmp_path / "mine.png", "--out", tmp_path / "mine.png", code=2)
    assert (tmp_path / "mine.png").read_bytes() == before


def test_what_is_no_photo_or_no_run_is_told(small_runs, photos, tmp_path):
    out = ["--out", tmp_path / "why.png"]
    (tmp_path / "none.jpg").write_bytes(b"no photo")
    run = small_runs["classify"]
    assert "not a photo that can be decoded" in kcars("explain", run, tmp_path / "none.jpg", *out, code=2)
    assert "cannot be read" in kcars("explain", run, tmp_path / "gone.jpg", *out, code=2)
    assert "is not a run folder" in kcars("explain", tmp_path, photos[0], *out, code=2)
    assert "does not exist" in kcars("explain", tmp_path / "gone", photos[0], *out, code=2)
    (tmp_path / "export/saved_model/1").mkdir(parents=True)
    (tmp_path / "export/card.json").write_text("{}")
    for place in (tmp_path / "export", tmp_path / "export/saved_model/1", tmp_path / "export/model.onnx"):
        assert "an export has no gradients for explanations" in kcars("explain", place, photos[0], *out, code=2)
    unscored = shutil.copytree(run, tmp_path / "unscored")
    (unscored / "scores.json").unlink()
    assert "has no scores yet" in kcars("explain", unscored, photos[0], *out, code=2)
    assert not (tmp_path / "why.png").exists()


def test_classes_are_found_whatever_their_case_or_told_by_likeness():
    names = ["Audi A4", "BMW X5", "BMW X6"]
    assert class_called("bmw x5", names) == 1
    with pytest.raises(KcarsError, match="'BMW X7' is not one of the 3 classes; similar ones are BMW X"):
        class_called("BMW X7", names)


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_keras_on_another_library_explains_nothing_and_says_so(small_runs, photos, tmp_path, monkeypatch, backend):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    output = kcars("explain", small_runs["classify"], photos[0], "--out", tmp_path / "why.png", code=2)
    assert output == f"kcars: KERAS_BACKEND={backend} supports no heat maps; only tensorflow does\n"
    assert not list(tmp_path.iterdir())


# ---- maps that evaluation keeps ----


def test_scored_on_another_library_a_run_has_no_maps_left_and_that_is_told(tmp_path, monkeypatch, capsys):
    run = SimpleNamespace(folder=tmp_path, files=RunFolder(tmp_path))
    (tmp_path / "maps.csv").write_text("of an earlier scoring")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    for _ in range(2):
        keep_maps(run, *[None] * 5)
        assert capsys.readouterr().err == (
            "KERAS_BACKEND=torch supports no heat maps; only tensorflow does: the report will have none\n"
        )
    assert not list(tmp_path.iterdir())


def test_a_scored_run_keeps_a_map_of_all_that_its_report_shows(small_runs):
    classify, verify = (table_of(small_runs[task] / "maps.csv") for task in ("classify", "verify"))
    assert classify["photo"] == shown_alone({"photos.csv": table_of(small_runs["classify"] / "photos.csv")})
    assert set(classify["beside"]) == {""}
    pairs = shown_pairs({"pairs.csv": table_of(small_runs["verify"] / "pairs.csv")})
    assert len(pairs) > 20
    found = set(zip(verify["photo"], verify["beside"], strict=True))
    assert found == {*pairs, *((right, left) for left, right in pairs)}
    for text in classify["map"] + verify["map"]:
        assert from_text(text).shape == (4, 4)


def table_of(path):
    lines = rows(path)
    return {name: [line[name] for line in lines] for name in lines[0]}


class Kept:
    """In place of a run: keeps the table."""

    def write_table(self, name, columns):
        self.name, self.columns = name, {key: column.tolist() for key, column in columns.items()}


class Numbered:
    """In place of store, network and maps: a photo's pixels are its row, a map tells what it was made of."""

    def read(self, given):
        return np.asarray(given)

    def of_classes(self, pixels, classes):
        return np.array([[[1.0, 10 * pixel + label]] for pixel, label in zip(pixels, classes, strict=True)])

    def of_pairs(self, left, right):
        return np.array([[[1.0, one]] for one in left]), np.array([[[1.0, other]] for other in right])


class Paths:
    paths = ("a", "b", "c")


def test_each_photo_has_the_map_of_the_class_that_it_is_answered():
    tables = {
        "photos.csv": {"path": ["c", "a"], "label": ["x", "x"], "predicted": ["y", "y"], "probability": [0.5, 0.6]}
    }
    run = Kept()
    write_maps(run, tables, Paths, Numbered(), lambda given: np.eye(4)[np.asarray(given) + 1], Numbered())
    heat = read_maps(run.columns, None)
    assert run.name == "maps.csv" and set(heat) == {("a", ""), ("c", "")}
    assert heat["a", ""][0] == pytest.approx([1.0, 1.0]) and heat["c", ""][0] == pytest.approx([1 / 23, 1.0], abs=0.01)


def test_each_photo_of_a_pair_has_its_own_map_beside_the_other():
    pair = {"difficulty": ["hard"], "left": ["c"], "right": ["b"], "same": [1], "distance": [0.5]}
    run = Kept()
    write_maps(run, {"pairs.csv": pair}, Paths, Numbered(), None, Numbered())
    heat = read_maps(run.columns, None)
    assert heat["c", "b"][0] == pytest.approx([0.5, 1.0]) and heat["b", "c"][0] == pytest.approx([1.0, 1.0])


def test_a_run_that_shows_nothing_keeps_an_empty_table():
    run = Kept()
    write_maps(run, {}, Paths, Numbered(), None, Numbered())
    assert read_maps(run.columns, None) == {} == read_maps({}, None)
