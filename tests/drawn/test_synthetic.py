"""Drawn cars: layout, honesty of lists and boxes, repeatability, and that colour alone tells nothing."""

import dataclasses
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import loadmat

from kcars.core.errors import KcarsError
from kcars.data.readers import compcars
from kcars.drawn.cabin import car_mesh
from kcars.drawn.car import BODIES, make_style, model_shapes, style_orders
from kcars.drawn.mesh import BODY, BRIGHT, CABIN, TYRE
from kcars.drawn.photo import SIDE, draw_photo
from kcars.drawn.synthetic import DrawnCars, draw
from kcars.drawn.weather import Weather
from kcars.settings import DataSettings

SMALL = DrawnCars(makes=3, models_per_make=4, photos_per_model=12, seed=3, width_px=96, height_px=64)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "cars"
    draw(folder, SMALL, progress=False, workers=1)
    return folder


def lines(folder: Path, name: str) -> list[str]:
    return (folder / "train_test_split" / name).read_text().splitlines()


def pair_rows(folder: Path, difficulty: str) -> list[list[str]]:
    return [line.split() for line in lines(folder, f"verification/verification_pairs_{difficulty}.txt")]


def viewpoint(folder: Path, path: str) -> int:
    return int((folder / "label" / path).with_suffix(".txt").read_text().split()[0])


def model_of(path: str) -> str:
    return path.split("/")[1]


def digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".mat")
    whole = hashlib.sha256()
    for path in files:
        whole.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()


def mesh_of(body: str):
    random = np.random.default_rng(1)
    shape = next(s for _ in range(99) for s in model_shapes(random, 9) if s.body == body)
    return car_mesh(make_style(random, 0, style_orders(random)), shape)


def test_the_reader_of_compcars_reads_every_photo(drawn):
    photos = sorted((drawn / "image").rglob("*.jpg"))
    assert len(photos) == 3 * 4 * 12
    for task in ("classify", "verify"):
        dataset = compcars.read(drawn, task)
        assert not dataset.missing
        assert len(dataset.train)
    image = cv2.imread(str(photos[0]))
    assert image.shape == (64, 96, 3)


def test_labels_are_three_lines_with_a_box_inside_the_photo(drawn):
    for label in (drawn / "label").rglob("*.txt"):
        view, boxes, box = label.read_text().splitlines()
        x1, y1, x2, y2 = map(int, box.split())
        assert 1 <= int(view) <= 5 and boxes == "1"
        assert 1 <= x1 < x2 <= 96 and 1 <= y1 < y2 <= 64
        assert (x2 - x1) / 96 > 0.6 or (y2 - y1) / 64 > 0.6


def test_ids_have_gaps_and_each_has_a_name(drawn):
    cells = loadmat(drawn / "misc" / "make_model_name.mat")
    used = sorted(int(folder.name) for folder in (drawn / "image").glob("*/*"))
    names = [str(cell[0]) if cell.size else "" for cell in cells["model_names"][:, 0]]
    assert used != list(range(1, len(used) + 1))
    assert [number for number, name in enumerate(names, 1) if name] == used
    assert len(set(names) - {""}) == 12
    rows = (drawn / "misc" / "attributes.txt").read_text().splitlines()
    assert [int(row.split()[0]) for row in rows[1:]] == used


def test_training_and_unseen_models_are_apart(drawn):
    train, test = (lines(drawn, f"classification/{part}.txt") for part in ("train", "test"))
    seen = lines(drawn, "verification/verification_train.txt")
    paired = {path for name in ("easy", "medium", "hard") for row in pair_rows(drawn, name) for path in row[:2]}
    assert not set(train) & set(test) and sorted(train + test) == seen
    assert len({model_of(path) for path in seen}) == 6
    assert {model_of(path) for path in train} == {model_of(path) for path in test}
    assert not {model_of(path) for path in seen} & {model_of(path) for path in paired}
    assert 0.65 < len(train) / len(seen) < 0.75
    assert {viewpoint(drawn, path) for path in train} == {viewpoint(drawn, path) for path in test} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
def test_pairs_keep_the_rule_of_their_difficulty(drawn, difficulty):
    rows = pair_rows(drawn, difficulty)
    assert len({frozenset(row[:2]) for row in rows}) == len(rows)  # none twice, none with itself
    assert sum(row[2] == "1" for row in rows) * 2 == len(rows) > 0
    for left, right, same in rows:
        assert left != right and (model_of(left) == model_of(right)) == (same == "1")
        same_make = left.split("/")[0] == right.split("/")[0]
        if difficulty == "easy":
            assert viewpoint(drawn, left) == viewpoint(drawn, right)
            assert same_make == (same == "1")
        if difficulty == "hard":
            assert same_make


def test_class_sizes_differ_about_the_mean(drawn):
    counts = [len(list(folder.rglob("*.jpg"))) for folder in (drawn / "image").glob("*/*")]
    assert min(counts) == 8 and max(counts) == 16 and np.mean(counts) == 12


def test_two_processes_write_the_same_bytes(drawn, tmp_path):
    draw(tmp_path / "again", SMALL, progress=False, workers=2)
    assert digest(tmp_path / "again") == digest(drawn)


def test_another_seed_draws_other_cars():
    views = [draw_photo(mesh_of("sedan"), SIDE, np.random.default_rng(seed), 96, 64)[0] for seed in (0, 0, 1)]
    assert np.array_equal(views[0], views[1]) and not np.array_equal(views[0], views[2])


@pytest.mark.parametrize("body", BODIES)
def test_faces_of_the_shell_look_outward_and_wheels_stand_on_the_ground(body):
    mesh = mesh_of(body)
    assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1)
    assert -0.01 < mesh.vertices[:, 2].min() < 0.02
    shell = np.isin(mesh.layers, (BODY, CABIN))
    middle = mesh.centres * np.array([0.7, 0, 0]) + np.array([0, 0, 0.45])
    assert (np.einsum("ij,ij->i", mesh.normals, mesh.centres - middle)[shell] > -0.01).all()
    mirrored = mesh.vertices * np.array([1, -1, 1])
    assert np.allclose(mirrored.min(axis=0), mesh.vertices.min(axis=0), atol=0.02)


@pytest.mark.parametrize("view", [1, 2, 3, 4, 5])
def test_the_box_fits_the_car(view):
    """Two photos that differ in the car's material alone differ inside the box, and up to its sides."""
    mesh = mesh_of("hatchback")
    cars = [dataclasses.replace(mesh, materials=np.full_like(mesh.materials, m)) for m in (TYRE, BRIGHT)]
    photos = [draw_photo(car, view, np.random.default_rng(5), 240, 160) for car in cars]
    assert photos[0][1] == photos[1][1]
    rows, columns = np.nonzero(np.ptp(np.array([photo for photo, _ in photos], int), axis=0).max(axis=-1) > 12)
    found = np.array([columns.min(), rows.min(), columns.max(), rows.max()]) + 1
    assert np.abs(found - photos[0][1]).max() <= 3  # the lens blurs by a pixel


def test_colours_do_not_tell_the_model(drawn):
    """Chance for the nearest neighbour by colour histogram is one in six."""

    def histogram(path):
        image = cv2.imread(str(drawn / "image" / path)) // 32
        return np.bincount((image @ np.array([64, 8, 1])).ravel(), minlength=512) / image[..., 0].size

    train, test = (lines(drawn, f"classification/{part}.txt") for part in ("train", "test"))
    gallery = np.stack([histogram(path) for path in train])
    hits = [model_of(train[np.abs(gallery - histogram(path)).sum(axis=1).argmin()]) == model_of(path) for path in test]
    assert np.mean(hits) < 0.45


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(KcarsError, match="is not empty"):
        draw(tmp_path, SMALL, progress=False, workers=1)
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_a_broken_run_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("kcars.drawn.synthetic._draw_model", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        draw(tmp_path / "cars", SMALL, progress=False, workers=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [{"makes": 1}, {"models_per_make": 2}, {"photos_per_model": 3}, {"seed": -1},
                                   {"width_px": 10}, {"makes": 2.5}, {"width_px": 640, "height_px": 64}])  # fmt: skip
def test_nonsense_is_refused(wrong):
    with pytest.raises(KcarsError, match="drawn cars"):
        DrawnCars(**wrong)


def test_default_sizes_are_even_and_a_tail_is_long():
    even, tail = DrawnCars().sizes(), DrawnCars(imbalance=20, long_tail=True).sizes()
    assert (even.min(), even.max()) == (36, 72)
    assert tail.max() / tail.min() == pytest.approx(20, rel=0.2)
    assert np.median(tail) < 0.7 * tail.mean()
    assert tail.mean() == pytest.approx(54, rel=0.02)
    with pytest.raises(KcarsError, match="leaves a model 1 photos"):
        DrawnCars(photos_per_model=12, imbalance=50, long_tail=True)


def test_the_balanced_list_has_as_many_photos_of_each_model(tmp_path):
    draw(tmp_path / "cars", dataclasses.replace(SMALL, imbalance=5, photos_per_model=20), progress=False, workers=1)
    balanced, natural = (lines(tmp_path / "cars", f"classification/{name}.txt") for name in ("test_balanced", "test"))
    counts = np.unique([model_of(path) for path in balanced], return_counts=True)[1]
    assert set(balanced) < set(natural)
    assert len(set(counts)) == 1 and len(counts) == 6
    settings = DataSettings(size_px=32, test_list="test_balanced")
    assert len(compcars.read(tmp_path / "cars", "classify", settings).test) == len(balanced)


@pytest.mark.parametrize("what", ["night", "rain", "occlusion"])
def test_weather_changes_its_own_photos_only(drawn, tmp_path, what):
    draw(tmp_path / "cars", dataclasses.replace(SMALL, **{what: 0.5}), progress=False, workers=1)
    same = [
        path.read_bytes() == (tmp_path / "cars" / path.relative_to(drawn)).read_bytes()
        for path in sorted((drawn / "image").rglob("*.jpg"))
    ]
    assert 0.3 < np.mean(same) < 0.7
    assert digest(drawn / "label") == digest(tmp_path / "cars" / "label")


def test_nights_are_dark_and_lamps_shine():
    mesh = mesh_of("sedan")
    photos = [
        draw_photo(
            mesh, 1, np.random.default_rng(3), 240, 160, Weather(night=night, generator=np.random.default_rng(0))
        )[0]
        for night in (False, True)
    ]
    assert photos[1].mean() < 0.75 * photos[0].mean()
    assert photos[1].max() > 180
