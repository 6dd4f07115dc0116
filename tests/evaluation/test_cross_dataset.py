"""A trained model on another dataset: by names, whatever their numbers; nothing shifted, nothing silent."""

import json
import shutil

import pytest
from support.commands import kcars, rows, small

pytestmark = pytest.mark.usefixtures("lean")


@pytest.fixture(scope="module")
def classified(lean, drawn, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "classify"
    kcars("train", "--task", "classify", "--data", drawn, "--out", run, *small("data.crop=whole"))
    return run


@pytest.fixture(scope="module")
def verified(lean, drawn, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "verify"
    kcars("train", "--task", "verify", "--data", drawn, "--out", run, *small("data.crop=whole"))
    return run


def described(run, out, drawn, skip=0, rename=lambda name: name):
    """The run's test photos under folders make/model, whose alphabetical numbers differ from the dataset's."""
    classes = json.loads((run / "classes.json").read_text())
    full = dict(zip(classes["names"], zip(classes["makes"], classes["names"], strict=True), strict=True))
    for line in rows(run / "photos.csv")[skip:]:
        make, model = full[line["label"]]
        target = out / rename(make).replace("/", "-") / rename(model).replace("/", "-") / line["path"].replace("/", "-")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(drawn / "image" / line["path"], target)
    return out


def scores(folder):
    return json.loads((folder / "scores.json").read_text())


def test_classes_are_told_by_name(classified, drawn, tmp_path):
    other = described(classified, tmp_path / "cars", drawn, rename=str.upper)
    output = kcars("evaluate", classified, "--on", other)
    (folder,) = classified.glob("on-*")
    own, there = scores(classified), scores(folder)
    assert there["scores"].keys() == own["scores"].keys()
    for key, entry in own["scores"].items():  # Photos stand in another order, in which sums are rounded otherwise.
        assert there["scores"][key] == pytest.approx(entry, abs=1e-9)
    assert there["data_fingerprint"] != own["data_fingerprint"] and f"on {other}" in output
    assert "left out: 0 models that are not training classes, 0 photos" in output
    by_path = {line["path"].replace("/", "-"): line["predicted"] for line in rows(classified / "photos.csv")}
    for line in rows(folder / "photos.csv"):
        assert line["predicted"] == by_path[line["path"].rpartition("/")[2]]
    shutil.rmtree(folder)


def test_a_split_of_the_owner_says_what_is_tested(classified, drawn, tmp_path):
    cars = described(classified, tmp_path / "cars", drawn)
    tested = sorted(cars.rglob("*.jpg"))[::2]
    for photo in sorted(cars.rglob("*.jpg")):
        target = tmp_path / "split" / ("test" if photo in tested else "train") / photo.relative_to(cars)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, target)
    output = kcars("evaluate", classified, "--on", tmp_path / "split")
    (folder,) = classified.glob("on-*")
    assert "split: as given" in output and "all photos are" not in output
    assert len(rows(folder / "photos.csv")) == len(tested)
    shutil.rmtree(folder)
    output = kcars("evaluate", classified, "--on", cars)
    assert "no test split is given: all photos are tested" in output
    shutil.rmtree(next(classified.glob("on-*")))


def test_unknown_classes_are_named_and_left_out(classified, drawn, tmp_path):
    other = described(classified, tmp_path / "cars", drawn)
    strange = other / "Nobody" / "Never"
    strange.mkdir(parents=True)
    for photo in list(other.rglob("*.jpg"))[:5]:
        shutil.move(photo, strange)
    output = kcars("evaluate", classified, "--on", other)
    assert "left out: 1 models that are not training classes, 5 photos: Nobody Never" in output
    (folder,) = classified.glob("on-*")
    assert len(rows(folder / "photos.csv")) == len(rows(classified / "photos.csv")) - 5
    shutil.rmtree(folder)


def test_verification_leaves_out_models_that_training_knew(verified, drawn, tmp_path):
    other, paths = (
        tmp_path / "cars",
        {line[side] for line in rows(verified / "pairs.csv") for side in ("left", "right")},
    )
    for path in paths:
        make, model, year, name = path.split("/")
        target = other / f"make {make}" / f"type {model}" / f"{year}-{name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(drawn / "image" / path, target)
    output = kcars("evaluate", verified, "--on", other)
    assert "left out: 0 training models, 0 pairs" in output
    (folder,) = verified.glob("on-*")
    assert len(rows(folder / "pairs.csv")) > 10
    assert scores(folder)["decision"] == scores(verified)["decision"]
    shutil.rmtree(folder)
    classes = json.loads((verified / "classes.json").read_text())
    known = other / classes["makes"][0] / classes["names"][0].upper()
    known.parent.mkdir()
    sorted(other.glob("make */type *"))[0].rename(known)
    output = kcars("evaluate", verified, "--on", other)
    assert "left out: 1 training models, " in output and classes["names"][0].casefold() in output


def test_what_cannot_be_tested_elsewhere_is_one_line(classified, drawn, tmp_path):
    strange = tmp_path / "cars/Nobody/Never"
    strange.mkdir(parents=True)
    for line in rows(classified / "photos.csv")[:4]:
        shutil.copy(drawn / "image" / line["path"], strange / line["path"].replace("/", "-"))
    assert "none of its 1 models has the name of a training class" in kcars(
        "evaluate", classified, "--on", strange.parent.parent, code=2
    )
    learned = rows(classified / "learned_photos.csv")[0]
    shutil.copy(drawn / "image" / learned["path"], strange / "copy.jpg")
    told = kcars("evaluate", classified, "--on", strange.parent.parent, code=2)
    assert "was trained on 1 of the 5 photos" in told and "copy.jpg" in told
    assert "/no/where' does not exist" in kcars("evaluate", classified, "--on", "/no/where", code=2)
    assert "cannot be combined with --data" in kcars("evaluate", classified, "--on", drawn, "--data", drawn, code=2)
    unscored = shutil.copytree(classified, tmp_path / "unscored")
    (unscored / "scores.json").unlink()
    assert "has no scores yet" in kcars("evaluate", unscored, "--on", drawn, code=2)
