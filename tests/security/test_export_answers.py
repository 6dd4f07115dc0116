"""Exports that fit their card with one photo and not with others, and cards of very many names."""

import json
import time

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.small_exports import SIZE, card, write_card

from kcars.core.errors import KcarsError
from kcars.inference.predictions import Answers
from kcars.inference.predictor import load

PHOTOS = [np.full((SIZE, SIZE, 3), value, np.uint8) for value in (10, 200)]


def export(folder, *nodes, photos="n", **weights):
    """An ONNX export of some nodes from `means` (n, 3) to `logits`."""
    made = [
        helper.make_node("Cast", ["pixels"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["means"], axes=[1, 2], keepdims=0),
        *nodes,
    ]
    graph = helper.make_graph(
        made,
        "small",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [photos, SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    write_card(folder)
    return folder


NODE = helper.make_node
ATTACKS = {
    # Of n photos (n, 2 + n): three numbers for a single one.
    "wider": (
        [
            NODE("Slice", ["means", "no", "two", "one"], ["some"]),
            NODE("Transpose", ["means"], ["turned"], perm=[1, 0]),
            NODE("MatMul", ["means", "turned"], ["products"]),
            NODE("Concat", ["some", "products"], ["logits"], axis=1),
        ],
        {"no": np.int64([0]), "two": np.int64([2]), "one": np.int64([1])},
        r"shape \(2, 4\) for 2 photos",
    ),
    "only one": ([NODE("Reshape", ["means", "shape"], ["logits"])], {"shape": np.int64([1, 3])}, "error for 2 photos"),
    # Fails at any photo that is not black.
    "not black": (
        [
            NODE("ReduceMax", ["means"], ["most"], axes=[0, 1], keepdims=0),
            NODE("Cast", ["most"], ["place"], to=TensorProto.INT64),
            NODE("Gather", ["table", "place"], ["found"], axis=0),
            NODE("Add", ["means", "found"], ["logits"]),
        ],
        {"table": np.float32([0])},
        "error for 2 photos",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_model_that_answers_several_photos_otherwise_is_one_line(tmp_path, name, capfd):
    nodes, weights, told = ATTACKS[name]
    model = load(export(tmp_path / "export", *nodes, **weights))
    with pytest.raises(KcarsError, match=told) as error:
        model.predict(PHOTOS)
    assert "\n" not in str(error.value)
    assert not capfd.readouterr().err  # Nor does ONNX Runtime tell it a second time.


def test_as_many_makes_as_names_take_no_time():
    """A card of a few megabytes took minutes, and memory for the square of its names."""
    count = 50_000
    names = [str(number) for number in range(count)]
    facts = json.loads(json.dumps(card(classes={"names": names, "makes": names})))
    began = time.monotonic()
    found = Answers(facts).names("photo", np.arange(count, dtype=np.float32) / 1000, 2)
    assert time.monotonic() - began < 10
    assert [name for name, _ in found.makes] == ["49999", "49998"]


def test_numbers_of_a_detector_that_are_no_class_or_no_size_are_left_out_quietly(tmp_path):
    import warnings

    from kcars.inference.photo_source import Detector

    rows = np.array([[[5, 5, 50, 50, 0.9, 1e30], [5, 5, 50, 50, 0.9, 2], [1e300, 5, 50, 50, 0.9, 2]]])
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["found"], value=numpy_helper.from_array(rows))],
        "detector",
        [helper.make_tensor_value_info("photo", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("found", TensorProto.DOUBLE, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "detector.onnx").write_bytes(model.SerializeToString())
    with warnings.catch_warnings(action="error"):
        found = Detector(tmp_path / "detector.onnx", frozenset({2})).boxes(np.zeros((64, 64, 3), np.uint8))
    assert found == [(5, 5, 50, 50)]


def test_an_export_into_a_run_follows_no_link_there(small_runs, tmp_path):
    import shutil

    from kcars.export import export as write
    from kcars.runs.run import Run

    run = shutil.copytree(small_runs["classify"], tmp_path / "run")
    (run / "export").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KcarsError, match="export: is a link, which is not followed"):
        write(Run.open(run), ["onnx"], run / "export", list)
    assert not (tmp_path / "elsewhere").exists()
