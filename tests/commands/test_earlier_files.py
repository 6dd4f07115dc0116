"""Runs, an export and an index that an earlier kcars wrote (tests/fixtures/earlier) give today what they gave then."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.commands import kcars, rows
from support.paths import ROOT

import kcars as package
from kcars.drawn.synthetic import DrawnCars, draw

EARLIER = ROOT / "tests/fixtures/earlier"
TASKS = ("classify", "verify")
EXPECTED = [json.loads(line) for line in (EARLIER / "predictions.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def cars(tmp_path_factory) -> Path:
    """The photos of then: cars are drawn to the pixel as their seed says."""
    folder = tmp_path_factory.mktemp("cars") / "drawn"
    draw(folder, DrawnCars(makes=2, models_per_make=5, photos_per_model=12), progress=False, workers=1)
    return folder


@pytest.fixture
def files(tmp_path) -> Path:
    """Copies of the files, to be changed."""
    return Path(shutil.copytree(EARLIER, tmp_path / "earlier"))


def arrays(file: Path) -> dict[str, np.ndarray]:
    found = {}
    with h5py.File(file) as weights:
        weights.visititems(lambda name, one: found.update({name: one[()]}) if isinstance(one, h5py.Dataset) else None)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("place", ["classify", "export"])
def test_the_run_and_its_export_name_photos_as_then(files, cars, place):
    photos = [cars / Path(line["photo"]).relative_to("/data/drawn") for line in EXPECTED]
    lines = kcars("predict", *photos, "--model", files / place, "--json").splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    for now, then in zip(found, EXPECTED, strict=True):
        assert now["answer"] == then["answer"] and now["known"]
        assert [one["name"] for one in now["names"]] == [one["name"] for one in then["names"]]
        assert [one["probability"] for one in now["names"]] == pytest.approx(
            [one["probability"] for one in then["names"]], abs=1e-5
        )


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_run_scored_anew_has_the_scores_of_then(files, cars, task):
    kcars("evaluate", files / task, "--data", cars)
    now, then = (json.loads((place / task / "scores.json").read_text()) for place in (files, EARLIER))
    assert set(then) <= set(now)
    for key in set(then) - {"scores", "baselines", "decision", "validation", "counts"}:
        assert now[key] == then[key], key
    for name, entry in then["scores"].items():
        assert now["scores"][name] == pytest.approx(entry, abs=1e-6, nan_ok=True), name
    table = "photos.csv" if task == "classify" else "pairs.csv"
    column = "predicted" if task == "classify" else "decided_same"
    assert [row[column] for row in rows(files / task / table)] == [row[column] for row in rows(EARLIER / task / table)]


@pytest.mark.slow
def test_a_run_goes_on_from_its_state_and_ends_with_the_weights_of_then(files, cars):
    run = files / "classify"
    kcars("train", "--resume", run, "--data", cars)
    now, then = (arrays(place / "classify/best.weights.h5") for place in (files, EARLIER))
    assert now.keys() == then.keys()
    for name, array in then.items():
        np.testing.assert_allclose(now[name], array, rtol=1e-3, atol=1e-4, err_msg=name)
    history = [float(row["loss"]) for row in rows(run / "history.csv")]
    assert history == pytest.approx([float(row["loss"]) for row in rows(EARLIER / "classify/history.csv")], rel=1e-3)


@pytest.mark.slow
def test_the_index_finds_a_photo_that_it_holds(files, cars):
    photo = next(row["path"] for row in rows(files / "index/photos-1.csv"))
    place = cars / Path(photo).relative_to("/data/drawn")
    told = kcars("index", "search", files / "index", place, "--model", files / "verify", "--json")
    nearest = json.loads([line for line in told.splitlines() if line.startswith("{")][-1])
    assert photo in json.dumps(nearest)


def test_reports_and_tables_are_written_of_them(files):
    page = files / "page.html"
    kcars("report", files / "classify", files / "verify", "--out", page)
    then = json.loads((EARLIER / "verify/scores.json").read_text())["scores"]["hard/roc_auc"]["value"]
    assert f"{then:.3f}" in page.read_text()
    told = kcars("table", files / "classify", files / "verify")
    assert "classify" in told and f"{then:.3f}" in told


@pytest.mark.slow
def test_python_opens_them(files, cars):
    model = package.load(files / "verify")
    left, right = sorted(cars.rglob("*.jpg"))[:2]
    assert 0 <= model.compare(left, right).probability <= 1
