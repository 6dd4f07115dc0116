"""The commands on real runs and exports: what a user types, reads and is refused."""

import json
import shutil

import pytest
from support.commands import kcars, rows


def answers(output):
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def photos(drawn):
    """Photos of the unseen models, by model."""
    found = {}
    for file in sorted((drawn / "image").rglob("*.jpg")):
        found.setdefault("/".join(file.parts[-4:-2]), []).append(file)
    return dict(sorted(found.items())[-8:])


@pytest.fixture(scope="module")
def index(cars_index):
    told = (cars_index.parent / "told.txt").read_text()
    assert "photos, 24 names" in told and "search: exact" in told
    return cars_index


@pytest.fixture
def enrolled(small_runs, photos, tmp_path):
    """Three photos each of three models without names, then one more with two photos enrolled."""
    folder = tmp_path / "street"
    folder.mkdir()
    for name, files in list(photos.items())[:3]:
        for file in files[:3]:
            shutil.copy(file, folder / f"{name.replace('/', '-')}-{file.name}")
    out = tmp_path / "street.index"
    kcars("index", "build", folder, "--model", small_runs["verify"], "--out", out, "--no-names")
    kcars("index", "enroll", out, "Lada Niva", *list(photos.values())[3][:2])
    return out


def test_search_finds_the_photo_itself_first_by_run_and_export(index, exports, small_runs, drawn):
    listed = rows(index / "photos-1.csv")
    photo = next(row for row in listed if row["left"])
    box = ",".join(photo[edge] for edge in ("left", "top", "right", "bottom"))
    for more in ([], ["--model", exports["verify"]], ["--model", exports["verify"] / "model.onnx"]):
        output = kcars("index", "search", index, photo["path"], "-k", 4, "--box", box, "--json", *more)
        (found,) = answers(output)
        assert len(found["nearest"]) == 4
        first = found["nearest"][0]
        assert first["path"] == photo["path"] and first["distance"] < 1e-3
        assert first["name"] and first["make"] == photo["make"]
        distances = [match["distance"] for match in found["nearest"]]
        assert distances == sorted(distances) and distances[1] > 1e-3
    text = kcars("index", "search", index, photo["path"], "-k", 4, "--box", box)
    assert sum("distance" in line for line in text.splitlines()) == 4 and first["name"] in text


def test_distances_are_those_of_compare(index, small_runs, photos):
    left, right = list(photos.values())[0][:2]
    output = kcars("index", "search", index, left, "-k", 1000, "--json")
    (found,) = answers(output)
    match = next(one for one in found["nearest"] if one["path"] == str(right))
    assert match["box"]  # As the layout tells it.
    box = ",".join(f"{edge:g}" for edge in match["box"])
    told = kcars("compare", left, right, "--right-box", box, "--model", small_runs["verify"], "--json")
    (compared,) = answers(told)
    assert match["distance"] == pytest.approx(compared["distance"], abs=1e-4)
    assert match["probability"] == pytest.approx(compared["probability"], abs=1e-4)


def test_what_was_enrolled_is_named_by_run_and_export(enrolled, exports, photos):
    lada = list(photos.values())[3]
    for more in ([], ["--model", exports["verify"]]):
        output = kcars("predict", lada[0], "--index", enrolled, "--json", *more)
        (found,) = answers(output)
        assert found["answer"] == "Lada Niva" == found["names"][0]["name"] and len(found["names"]) == 1
    assert f"{found['names'][0]['probability']:.1%}" in kcars("predict", lada[0], "--index", enrolled)


def test_what_is_beyond_the_threshold_is_unknown(enrolled, small_runs, photos):
    others = [file for files in list(photos.values())[4:] for file in files]
    found = answers(kcars("predict", *others, "--index", enrolled, "--json"))
    lada = list(photos.values())[3][:2]
    near = {}
    for photo in lada:
        output = kcars("index", "search", enrolled, photo, "-k", 1, "--json")
        near[photo] = answers(output)[0]["nearest"][0]["name"]
    assert set(near.values()) == {"Lada Niva"}
    decision = json.loads((enrolled / "index.json").read_text())["decision"]
    from kcars.metrics.calibration import same_probability

    least = same_probability(-decision["threshold"], decision)
    for answer in found:
        beyond = answer["names"][0]["probability"] < least
        assert answer["answer"] == ("unknown" if beyond else "Lada Niva")
    assert {answer["answer"] for answer in found} == {"unknown", "Lada Niva"}


def test_unnamed_photos_are_clustered_without_the_model(enrolled, tmp_path):
    arguments = ["index", "cluster", enrolled, "--sure", 0.5, "--least", 2]
    output = kcars(*arguments, "--out", tmp_path / "clusters", "--unnamed")
    table = rows(tmp_path / "clusters/clusters.csv")
    assert len(table) == 9 and {row["name"] for row in table} == {""}
    clusters = {row["cluster"] for row in table} - {""}
    assert f"{len(clusters)} clusters" in output and "noise: " in output
    assert len(list((tmp_path / "clusters").glob("cluster-*.jpg"))) == len(clusters)
    assert "is not empty" in kcars(*arguments, "--out", tmp_path / "clusters", code=2)


def test_adding_says_what_is_new(enrolled, photos):
    new, old = list(photos.values())[5][0], list(photos.values())[3][0]
    output = kcars("index", "add", enrolled, new, old)
    assert "photos: 1 new, 1 known" in output
    assert "12 photos, 1 names" in output


def test_another_model_is_refused(index, exports, tmp_path, photos):
    other = tmp_path / "other"
    shutil.copytree(exports["verify"], other)
    card = json.loads((other / "card.json").read_text())
    del card["content_sha256"]
    (other / "card.json").write_text(json.dumps(card | {"model_fingerprint": "0" * 16}))
    photo = list(photos.values())[0][0]
    for command in (
        ["index", "search", index, photo],
        ["index", "add", index, photo],
        ["index", "enroll", index, "Niva", photo],
        ["predict", photo, "--index", index],
    ):
        told = kcars(*command, "--model", other, code=2).splitlines()[-1]
        assert f"is not the model that built {index}" in told and "0000" in told


def test_a_classifier_is_refused_in_one_line(index, small_runs, exports, drawn, tmp_path, photos):
    photo = list(photos.values())[0][0]
    for place in (small_runs["classify"], exports["classify"]):
        told = kcars("index", "build", drawn, "--model", place, "--out", tmp_path / "out", code=2)
        assert "has no embedding for search" in told.splitlines()[-1] and not (tmp_path / "out").exists()
        assert "has no embedding" in kcars("predict", photo, "--index", index, "--model", place, code=2)


def test_a_model_that_is_gone_is_asked_for(index, exports, tmp_path, photos):
    moved = tmp_path / "moved.index"
    shutil.copytree(index, moved)
    facts = json.loads((moved / "index.json").read_text())
    facts["model"]["place"] = str(tmp_path / "gone")
    del facts["content_sha256"]
    (moved / "index.json").write_text(json.dumps(facts))
    photo = list(photos.values())[0][0]
    assert "is missing; give --model" in kcars("index", "search", moved, photo, code=2)
    assert "distance" in kcars("index", "search", moved, photo, "--model", exports["verify"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["search", "none.index", "p.jpg"], "index none.index: does not exist"),
        (["add", ".", "p.jpg"], "is not an index"),
        (["cluster", "none.index", "--out", "o"], "does not exist"),
        (["build", "none", "--model", "m", "--out", "o"], "none: folder not found"),
        (["search", "none.index", "."], "is a folder; name one photo"),
        (["search", "none.index", "p.jpg", "--box", "1,2"], "is not a box"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    output = kcars("index", *arguments, code=2)
    assert told in output.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_an_unreadable_photo_and_a_wrong_name_change_nothing(enrolled, tmp_path):
    before = (enrolled / "index.json").read_bytes()
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    bad, none = tmp_path / "bad.jpg", tmp_path / "none.jpg"
    for command, told in (
        (["enroll", enrolled, "Niva", bad], "not a photo that can be decoded"),
        (["add", enrolled, bad], "not a photo that can be decoded"),
        (["search", enrolled, bad], "not a photo that can be decoded"),
        (
            ["enroll", enrolled, "Niva", next((tmp_path / "street").iterdir()), none],
            f"{none}: file or folder not found",
        ),
        (["search", enrolled, none], f"{none}: file or folder not found"),
        (["enroll", enrolled, " ", bad], "NAME: ' ' is not allowed"),
    ):
        (line,) = kcars("index", *command, code=2).splitlines()
        assert told in line
    assert (enrolled / "index.json").read_bytes() == before
