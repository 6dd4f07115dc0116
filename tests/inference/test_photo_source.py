import os

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from support.compcars_tree import write_photo

from kcars.core.errors import KcarsError
from kcars.inference.photo_source import (
    Detector,
    Photo,
    box_of,
    count_of,
    detected,
    frames,
    in_boxes,
    photos_of,
    read_boxes,
)


def video(path, seconds=3, rate=10):
    file = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), rate, (64, 48))
    for number in range(seconds * rate):
        file.write(np.full((48, 64, 3), (0, 0, number * 8), np.uint8))
    file.release()
    return path


def detector(path, boxes, shape=(1, 3, 64, 64), width=6):
    """An ONNX model that finds the same boxes in every photo."""
    value = helper.make_tensor("found", TensorProto.FLOAT, (1, len(boxes), width), np.ravel(boxes).tolist())
    nodes = [
        helper.make_node("Constant", [], ["found"], value=value),
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["mean", "mean"], ["nothing"]),
        helper.make_node("Add", ["found", "nothing"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_files_folders_and_videos_become_photos_in_order(tmp_path):
    write_photo(tmp_path / "cars/b.jpg")
    write_photo(tmp_path / "cars/a/1.png")
    (tmp_path / "cars/notes.txt").write_text("no photo")
    found = [photo.name for photo in photos_of([tmp_path / "x.jpg", tmp_path / "cars", video(tmp_path / "v.mp4")], 1.0)]
    assert found == [
        str(tmp_path / name)
        for name in ("x.jpg", "cars/a/1.png", "cars/b.jpg", "v.mp4@0.00s", "v.mp4@1.00s", "v.mp4@2.00s")
    ]
    assert count_of([tmp_path / "cars", tmp_path / "x.jpg"]) == 3
    assert count_of([tmp_path / "v.mp4"]) is None


def test_a_frame_is_rgb(tmp_path):
    *_, last = frames(video(tmp_path / "v.mp4"), 1.0)
    red, green, blue = last.source.mean((0, 1))
    assert red > 120 > 60 > max(green, blue)


def test_a_video_that_is_none_and_an_empty_folder_are_told(tmp_path):
    (tmp_path / "v.mp4").write_bytes(b"no video")
    (tmp_path / "w.avi").touch()
    (tmp_path / "empty").mkdir()
    write_photo(tmp_path / "a.jpg")
    found = list(photos_of([tmp_path / name for name in ("v.mp4", "w.avi", "empty", "a.jpg")]))
    assert ["not a video" in str(photo.fault) for photo in found] == [True, True, False, False]
    assert "holds no photos" in str(found[2].fault)
    assert found[3].fault is None


def test_a_name_that_is_no_utf8_can_be_shown_and_read(tmp_path):
    file = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    write_photo(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(file)
    (photo,) = photos_of([tmp_path])
    assert photo.name.endswith("caf\ufffd.jpg")
    assert photo.source.is_file()


def test_boxes_of_a_csv_are_found_by_photo(tmp_path):
    write_photo(tmp_path / "cars/a.jpg")
    write_photo(tmp_path / "cars/b.jpg")
    (tmp_path / "boxes.csv").write_text("path,left,top,right,bottom\ncars/a.jpg,1,2,30,40\ncars/a.jpg,5,6,70,50\n")
    found = list(in_boxes(photos_of([tmp_path / "cars"]), read_boxes(tmp_path / "boxes.csv")))
    assert [(photo.name[-5:], photo.box) for photo in found] == [
        ("a.jpg", (1, 2, 30, 40)), ("a.jpg", (5, 6, 70, 50)), ("b.jpg", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("path,left,top,right\na.jpg,1,2,3\n", "no column bottom"),
        ("path,left,top,right,bottom\na.jpg,1,2,30,40\na.jpg,9,2,3,40\n", "line 3: '9,2,3,40' is no box"),
        ("path,left,top,right,bottom\na.jpg,1,2\n", "line 2: '1,2,,' is no box"),
        ("path,left,top,right,bottom\na.jpg,a,b,c,d\n", "is no box"),
        ("path,left,top,right,bottom\na.jpg,0,0,nan,5\n", "is no box"),
        ("path,left,top,right,bottom\n,0,0,5,5\n", "line 2: names no photo"),
        ("path,left,top,right,bottom\na.jpg,0,0,5,5,6\n", "line 2: names no photo, or has too many cells"),
        ("path,left,top,right,bottom\na\0.jpg,0,0,5,5\n", "line 2: names no photo"),
        ("path,left,top,left,right,bottom\na.jpg,0,0,2,5,5\n", "has two columns left"),
        ("path,left,top,right,bottom\ngate.MP4,0,0,5,5\n", "line 2: 'gate.MP4' is a video"),
    ],
)
def test_a_wrong_csv_of_boxes_is_told_with_its_line(tmp_path, text, told):
    (tmp_path / "boxes.csv").write_text(text)
    with pytest.raises(KcarsError, match=told):
        read_boxes(tmp_path / "boxes.csv")


@pytest.mark.parametrize(
    ("listed", "why"),
    [
        ("b.jpg", ""),
        ("A.jpg", "'a.jpg' exists, which differs from 'A.jpg'"),
        (".\\a.jpg", "has backslashes; write /"),
    ],
)
def test_boxes_of_photos_that_are_not_there_are_told(tmp_path, listed, why, capsys):
    write_photo(tmp_path / "a.jpg")
    (tmp_path / "boxes.csv").write_text(f"path,left,top,right,bottom\na.jpg,0,0,5,5\n{listed},0,0,5,5\n")
    assert len(read_boxes(tmp_path / "boxes.csv")) == 2
    told = capsys.readouterr().err
    assert "1 of its photos are not below" in told and repr(listed) in told and why in told


def test_a_csv_that_is_missing_and_one_of_bytes_are_told(tmp_path):
    with pytest.raises(KcarsError, match="No such file"):
        read_boxes(tmp_path / "none.csv")
    (tmp_path / "boxes.csv").write_bytes(b"path,left\xff\xfe")
    with pytest.raises(KcarsError, match="cannot be read"):
        read_boxes(tmp_path / "boxes.csv")


@pytest.mark.parametrize("text", ["1,2,3", "1,2,1,5", "nan,0,5,5", "a,b,c,d", "1,2,3,4,5", ""])
def test_what_is_no_box_is_refused(text):
    with pytest.raises(KcarsError, match="--box: .* is no box"):
        box_of(text.split(","), "--box")


def test_an_edge_a_little_outside_stays_and_is_clipped_where_the_photo_is_read():
    assert box_of(["-3", "-0.5", "50", "40"], "--box") == (-3, -0.5, 50, 40)


def test_a_detectors_boxes_come_back_in_the_photos_pixels(tmp_path):
    # A photo of 60 x 120 fills 64 x 32 of the input, 16 px of grey above and below.
    boxes = [[8, 20, 40, 44, 0.9, 2], [0, 0, 64, 64, 0.8, 5], [8, 20, 40, 44, 0.1, 2], [1, 17, 5, 20, 0.7, 0]]
    given = Detector(detector(tmp_path / "d.onnx", boxes), frozenset({2, 5}))
    found = given.boxes(np.zeros((60, 120, 3), np.uint8))
    assert found == [pytest.approx((15, 7.5, 75, 52.5)), pytest.approx((0, 0, 120, 60))]


def test_a_detector_of_boxes_in_shares_is_refused(tmp_path):
    shares = Detector(detector(tmp_path / "d.onnx", [[0.1, 0.2, 0.7, 0.8, 0.9, 2], [0, 0, 1, 1, 0.8, 5]]))
    with pytest.raises(KcarsError, match="gives boxes in shares of its input, from 0 to 1; pixels of it are needed"):
        shares.boxes(np.zeros((60, 120, 3), np.uint8))


def test_each_vehicle_is_an_answer_and_a_photo_without_one_is_told(tmp_path):
    write_photo(tmp_path / "a.jpg", size=(64, 64))
    (tmp_path / "b.jpg").write_bytes(b"no photo")
    photos = [Photo("a", tmp_path / "a.jpg"), Photo("b", tmp_path / "b.jpg"), Photo("c", tmp_path / "c.jpg")]
    two = Detector(detector(tmp_path / "d.onnx", [[1, 2, 30, 40, 0.9, 0], [5, 6, 60, 50, 0.5, 1]]))
    found = list(detected(photos, two))
    assert [(one.name, one.box) for one in found[:2]] == [("a", (1, 2, 30, 40)), ("a", (5, 6, 60, 50))]
    assert "not a photo" in str(found[2].fault)
    assert "No such file" in str(found[3].fault)
    none = Detector(detector(tmp_path / "n.onnx", [[1, 2, 30, 40, 0.1, 0]]))
    assert "finds no vehicle" in str(next(detected(photos, none)).fault)


def test_a_detector_that_is_none_or_of_another_shape_is_told(tmp_path):
    with pytest.raises(KcarsError, match="No such file"):
        Detector(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(KcarsError, match="name an ONNX model"):
        Detector(tmp_path / "bad.onnx")
    with pytest.raises(KcarsError, match="is needed"):
        Detector(detector(tmp_path / "flat.onnx", [[1, 2, 30, 40, 0.9, 0]], shape=(1, 64, 64)))
    wide = Detector(detector(tmp_path / "wide.onnx", [[1, 2, 30, 40, 0.9, 0, 7]], width=7))
    with pytest.raises(KcarsError, match=r"gives \(1, 1, 7\)"):
        wide.boxes(np.zeros((64, 64, 3), np.uint8))


def brightness_detector(
    path, kind=TensorProto.FLOAT, shape=(1, 3, 64, 64), inputs=("images",), gives=TensorProto.FLOAT
):
    """An ONNX model whose one box has the mean of all that it is given as its score."""
    corners = helper.make_tensor("corners", TensorProto.FLOAT, (4,), [0, 0, 64, 64])
    class_ = helper.make_tensor("class", TensorProto.FLOAT, (1,), [0])
    shaped = helper.make_tensor("shaped", TensorProto.INT64, (3,), [1, 1, 6])
    one = helper.make_tensor("one", TensorProto.INT64, (1,), [1])
    nodes = [
        helper.make_node("Cast", [inputs[0]], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["mean"], keepdims=0),
        helper.make_node("Reshape", ["mean", "one"], ["score"]),
        helper.make_node("Concat", ["corners", "score", "class"], ["row"], axis=0),
        helper.make_node("Reshape", ["row", "shaped"], ["rows"]),
        helper.make_node("Cast", ["rows"], ["output"], to=gives),
    ]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info(name, kind, shape) for name in inputs],
        [helper.make_tensor_value_info("output", gives, None)],
        [corners, class_, shaped, one],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("kind", "white"), [(TensorProto.FLOAT, 1), (TensorProto.FLOAT16, 1), (TensorProto.UINT8, 255)]
)
@pytest.mark.parametrize("gives", [TensorProto.FLOAT, TensorProto.FLOAT16])
@pytest.mark.parametrize("shape", [(1, 3, 64, 64), ("n", 3, 64, 64), ("n", 3, "height", "width")])
def test_a_detector_is_given_the_type_that_it_takes(tmp_path, kind, white, gives, shape):
    file, photo = (
        brightness_detector(tmp_path / "d.onnx", kind, shape, gives=gives),
        np.full((64, 64, 3), 255, np.uint8),
    )
    side = 64 if shape[2] == 64 else Detector.FREE_SIDE  # Boxes are in pixels of the input.
    wanted = pytest.approx((0, 0, 64 * 64 / side, 64 * 64 / side))
    assert Detector(file, least_score=0.99 * white).boxes(photo) == [wanted]
    assert Detector(file, least_score=1.01 * white).boxes(photo) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"inputs": ("images", "sizes")}, r"takes 2 inputs \(images, sizes\); one is needed"),
        ({"shape": (8, 3, 64, 64)}, "takes 8 photos at a time; export it for one photo"),
        (
            {"kind": TensorProto.DOUBLE},
            r"takes tensor\(double\); tensor\(float\), tensor\(float16\), tensor\(uint8\) can",
        ),
        ({"shape": (1, 64, 64, 3)}, r"\(1, 3, height, width\) is needed"),
        ({"shape": None}, r"\(1, 3, height, width\) is needed"),
    ],
)
def test_a_detector_that_cannot_be_given_a_photo_is_one_line(tmp_path, given, told):
    with pytest.raises(KcarsError, match=told) as error:
        Detector(brightness_detector(tmp_path / "d.onnx", **given))
    assert "\n" not in str(error.value)


def test_a_detector_that_fails_at_a_photo_is_one_line(tmp_path):
    boxes = detector(tmp_path / "d.onnx", [[1, 2, 30, 40, 0.9, 0]], shape=("n", 3, "h", "w"))
    model = onnx.load(boxes)  # It can add up photos of 64 px a side alone.
    model.graph.node.append(helper.make_node("Reshape", ["images", "whole"], ["flat"]))
    model.graph.node.append(helper.make_node("ReduceMean", ["flat"], ["other"], keepdims=0))
    model.graph.initializer.append(helper.make_tensor("whole", TensorProto.INT64, (1,), [3 * 64 * 64]))
    model.graph.node.append(helper.make_node("Add", ["output", "other"], ["last"]))
    model.graph.output[0].name = "last"
    onnx.save(model, boxes)
    with pytest.raises(KcarsError, match=r"fails at a photo of \(1, 3, 640, 640\)") as error:
        Detector(boxes).boxes(np.zeros((64, 64, 3), np.uint8))
    assert "\n" not in str(error.value)
