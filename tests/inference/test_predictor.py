import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from support.commands import kcars, rows

import kcars as package
from kcars.core.errors import KcarsError
from kcars.inference.photo_source import Photo
from kcars.inference.predictor import BATCH, load


@pytest.fixture(scope="module")
def photos(drawn):
    return sorted((drawn / "image").rglob("*.jpg"))[: BATCH + 8]


def places(small_runs, exports, task):
    return [small_runs[task], exports[task], exports[task] / "saved_model/1", exports[task] / "model.onnx"]


def test_run_and_exports_give_the_same_names(small_runs, exports, photos):
    answers = [load(place).predict(photos, top=4) for place in places(small_runs, exports, "classify")]
    for other in answers[1:]:
        for one, two in zip(answers[0], other, strict=True):
            assert dict(one.names) == pytest.approx(dict(two.names), abs=1e-5)
            assert dict(one.makes) == pytest.approx(dict(two.makes), abs=1e-5)
            assert sum(dict(one.makes).values()) <= 1 + 1e-6


def test_predictions_are_those_that_the_run_was_scored_by(small_runs, drawn):
    table = rows(small_runs["classify"] / "photos.csv")
    labels = {name: drawn / "label" / name.replace(".jpg", ".txt") for name in (row["path"] for row in table)}
    boxes = {name: [int(n) for n in file.read_text().split()[2:6]] for name, file in labels.items()}
    asked = [
        Photo(row["path"], drawn / "image" / row["path"], tuple(np.array(boxes[row["path"]]) - [1, 1, 0, 0]))
        for row in table
    ]
    for answer, row in zip(load(small_runs["classify"]).predict(asked), table, strict=True):
        assert answer.names[0][0].endswith(row["predicted"])
        assert answer.probability == pytest.approx(float(row["probability"]), abs=1e-4)


def test_run_and_exports_compare_alike(small_runs, exports, photos):
    found = [package.load(place).compare(photos[0], photos[-1]) for place in places(small_runs, exports, "verify")]
    for other in found[1:]:
        assert other.distance == pytest.approx(found[0].distance, abs=1e-5)
        assert (other.same, other.answer) == (found[0].same, found[0].answer)
    vectors = load(exports["verify"]).embed([photos[0], photos[-1]])
    assert np.linalg.norm(vectors[0] - vectors[1]) == pytest.approx(found[0].distance, abs=1e-5)
    assert load(exports["verify"]).embed([]).shape == (0, vectors.shape[1])


def test_paths_bytes_and_pixels_are_the_same_photo(exports, photos):
    file = photos[0]
    pixels = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
    answers = load(exports["classify"]).predict([file, str(file), file.read_bytes(), pixels])
    for one in answers[1:]:
        assert one.probability == pytest.approx(
            answers[0].probability, abs=2e-3
        )  # Pixels are shrunk from the full size.
    assert answers[1].names == answers[2].names


def test_a_box_changes_what_is_seen(exports, photos):
    whole, cut = load(exports["classify"]).predict([photos[0], Photo("cut", photos[0], (5, 5, 40, 40))])
    assert whole.probability != cut.probability
    assert cut.box == (5, 5, 40, 40)


def test_a_box_outside_of_its_photo_is_told(exports, photos):
    with pytest.raises(KcarsError, match="holds no pixel of the photo"):
        load(exports["classify"]).predict([Photo("far", photos[0], (5000, 5000, 6000, 6000))])


def test_what_may_never_end_is_not_read(exports, tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(KcarsError, match="is a named pipe"):
        load(exports["classify"]).predict([tmp_path / "pipe.jpg"])


def test_bad_photos_are_told_in_their_place_and_nothing_is_lost(exports, photos, tmp_path):
    (tmp_path / "none.jpg").write_bytes(b"no photo")
    asked = [photos[0], tmp_path / "none.jpg", *photos[1:], tmp_path / "gone.jpg", b""]
    found = list(load(exports["classify"]).predict_each(asked))
    assert [isinstance(answer, tuple) for answer in found] == [False, True, *[False] * (len(photos) - 1), True, True]
    assert "not a photo" in str(found[1][1])
    assert [answer.photo for answer in found if not isinstance(answer, tuple)] == [str(file) for file in photos]
    with pytest.raises(KcarsError, match="not a photo"):
        load(exports["classify"]).predict(asked)


def test_photos_are_read_as_they_come(exports, photos):
    """However many there are, no more than a few batches are held."""
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 1
            yield photos[read % len(photos)]

    answers = load(exports["classify"]).predict_each(endless())
    for _ in range(3 * BATCH):
        next(answers)
    assert read <= 7 * BATCH


def test_each_task_refuses_the_others_question(small_runs, exports, photos):
    with pytest.raises(KcarsError, match="does not compare photos"):
        load(exports["classify"]).compare(*photos[:2])
    with pytest.raises(KcarsError, match="predicts no names"):
        load(small_runs["verify"]).predict(photos)
    with pytest.raises(KcarsError, match="no trained embedding"):
        load(exports["classify"]).embed(photos)
    with pytest.raises(KcarsError, match="top: 0"):
        load(exports["classify"]).predict(photos, top=0)


def test_what_is_no_model_is_told(exports, tmp_path):
    for place, told in ((tmp_path / "none", "does not exist"), (tmp_path, "neither a run folder nor an export")):
        with pytest.raises(KcarsError, match=told):
            load(place)
    broken = shutil.copytree(exports["classify"], tmp_path / "broken")
    whole = json.loads((broken / "card.json").read_text())
    del whole["content_sha256"], whole["files"]  # As the first exports were: what follows is not noticed by digests.
    (broken / "card.json").write_text(json.dumps(whole))
    (broken / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(KcarsError, match="damaged"):
        load(broken)
    (broken / "saved_model/1/saved_model.pb").write_bytes(b"nothing")
    with pytest.raises(KcarsError, match="damaged"):
        load(broken / "saved_model/1")
    for name in ("model.tflite", "README.md"):
        with pytest.raises(KcarsError, match=f"'{name}' is not known; choose one of model.onnx, saved_model/1"):
            load(broken / name)
    shutil.copy(exports["classify"] / "model.onnx", broken)
    for change, told in (
        ({"classes": {"names": ["one"], "makes": ["one"]}}, "does not fit its card.json"),
        ({"input": {**whole["input"], "size_px": 40}}, "does not fit its card.json"),
        ({"decision": {}}, r"lacks decision\.temperature"),
        ({"input": {}}, r"lacks input\.size_px"),
    ):
        (broken / "card.json").write_text(json.dumps({**whole, **change}))
        with pytest.raises(KcarsError, match=told):
            load(broken)
    (broken / "card.json").write_text("{")
    with pytest.raises(KcarsError, match=r"card\.json: is not valid JSON"):
        load(broken)
    (broken / "card.json").write_text('{"format": 1}')
    with pytest.raises(KcarsError, match="lacks task"):
        load(broken)
    (broken / "card.json").write_text('{"format": 99}')
    with pytest.raises(KcarsError, match="format 99"):
        load(broken)


def test_the_command_names_photos_folders_and_says_what_it_passed_over(exports, photos, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number, file in enumerate(photos[:3]):
        shutil.copy(file, folder / f"{number}.jpg")
    (folder / "bad.jpg").write_bytes(b"\xff\xd8 no photo")
    output = kcars("predict", folder, "--model", exports["classify"], "--top", 2, "--json")
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert [line["photo"] for line in lines] == [str(folder / f"{number}.jpg") for number in range(3)]
    assert all(len(line["names"]) == 2 for line in lines)
    assert "skipped: " in output
    assert "1 of 4 photos were skipped" in output
    assert "whole photos were used" in output
    assert "no photo has a prediction" in kcars("predict", folder / "bad.jpg", "--model", exports["classify"], code=2)
    csv_lines = kcars("predict", folder, "--model", exports["classify"], "--csv", "--box", "1,1,50,40")
    assert "photo,left,top,right,bottom,answer,rank,name,probability" in csv_lines
    assert "whole photos" not in csv_lines


def test_photos_without_a_line_in_the_csv_of_boxes_are_counted(exports, photos, tmp_path):
    (tmp_path / "boxes.csv").write_text(f"path,left,top,right,bottom\n{photos[0]},1,1,50,40\n")
    output = kcars("predict", *photos[:3], "--model", exports["classify"], "--boxes", tmp_path / "boxes.csv")
    assert f"2 photos have no line in {tmp_path / 'boxes.csv'} and were used whole" in output


def test_a_bad_video_costs_no_answer(exports, photos, tmp_path):
    (tmp_path / "v.mp4").touch()
    output = kcars(
        "predict", photos[0], tmp_path / "v.mp4", photos[1], "--model", exports["classify"], "--csv", "--top", 1
    )
    assert sum(str(file) in output for file in photos[:2]) == 2
    assert "not a video that can be decoded" in output


def test_a_full_disk_behind_standard_output_is_one_line(exports, photos):
    command = [sys.executable, "-m", "kcars.cli", "predict", photos[0], "--model", exports["classify"]]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "kcars: standard output: cannot be written (No space left on device)"


def test_the_command_compares(exports, photos):
    output = kcars("compare", photos[0], photos[0], "--model", exports["verify"])
    assert "same model" in output
    assert "distance 0.000" in output
    found = kcars("compare", photos[0], photos[-1], "--model", exports["verify"], "--json", "--left-box", "1,1,50,40")
    assert json.loads(next(line for line in found.splitlines() if line.startswith("{")))["threshold"] > 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--box", "1,2,3"], "--box: '1,2,3' is not a box"),
        (["--box", "1,2,3,4", "--boxes", "b.csv"], "are mutually exclusive"),
        (["--boxes", "none.csv"], "none.csv: cannot be read"),
        (["--detector", "none.onnx"], "No such file"),
        (["--risk", "2"], "is not an error rate"),
        (["--box", ""], "--box: '' is not a box"),
        (["--every", "nan"], "--every: nan is not a duration"),
        (["--every", "inf"], "--every: inf is not a duration"),
        (["--detector-classes", "a,b", "--detector", "x.onnx"], "are not integers"),
    ],
)
def test_wrong_arguments_are_one_line(exports, photos, arguments, told):
    assert told in kcars("predict", photos[0], "--model", exports["classify"], *arguments, code=2)


def test_the_newest_fitting_run_is_taken_where_none_is_named(small_runs, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "--model: is missing" in kcars("predict", photos[0], code=2)
    (tmp_path / "runs").mkdir()
    for task, run in small_runs.items():
        (tmp_path / "runs" / task).symlink_to(run)
    assert "model: runs/classify" in kcars("predict", photos[0])
    assert "model: runs/verify" in kcars("compare", *photos[:2])
