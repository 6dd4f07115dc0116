"""Exports that a stranger made: what a model, its card or its folder may do, and what is noticed of damage."""

import json
import os
import struct
import tracemalloc

import numpy as np
import pytest
from onnx import TensorProto, external_data_helper, helper
from support.small_exports import NAMES, SIZE, WEIGHTS, card, onnx_export, onnx_model, saved_export, write_card

from kcars.core.errors import KcarsError
from kcars.inference.predictor import load
from kcars.posthoc.pipeline import Pipeline

PHOTO = np.full((SIZE, SIZE, 3), 200, np.uint8)


def refused(place, told: str) -> None:
    """Loading is one line that says so."""
    with pytest.raises(KcarsError, match=told) as error:
        load(place)
    assert "\n" not in str(error.value)


# ---- SavedModels ----


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return saved_export(tmp_path_factory.mktemp("plain"))


def test_a_plain_saved_model_answers(plain):
    assert load(plain).predict([PHOTO])[0].answer == NAMES[2]


@pytest.mark.parametrize("task", ["classify", "verify"])
def test_what_kcars_exports_passes(exports, task):
    for model in ("", "model.onnx", "saved_model/1"):
        load(exports[task] / model)


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "inception_v3",
        "resnet50",
        "efficientnet_b0",
        "mobilenet_v3_large",
        "convnext_tiny",
        "dinov2_small",
    ],
)
def test_graphs_of_every_backbone_are_of_operations_that_are_allowed(name):
    """With a generalized mean, a metric and moved copies: what an export's signature can hold."""
    from kcars.backbones.build import build_backbone
    from kcars.backbones.catalogue import Scale
    from kcars.export.graphs import Graphs
    from kcars.untrusted import saved_model

    decision = {"temperature": 1.0, "threshold": -1.0, "scale": 1.0, "offset": 1.0}
    size = {"inception_v3": 80, "dinov2_small": 28}.get(name, 32)
    given = {"size_px": size, "padding": 0.1, "mirror": True, "shift": 0.06, "unit": True}
    backbone = build_backbone(name, size, pooling="gem", **({"scale": Scale(0.125)} if name == "resnet18" else {}))
    classes = {"names": ["a", "b"], "makes": []}
    for task in ("classify", "verify") if name == "resnet18" else ("verify",):
        graphs = Graphs(
            backbone,
            {"task": task, "input": given, "decision": decision, "classes": classes},
            Pipeline(unit=True, decision=decision),
        )
        graph = graphs.pixels().get_concrete_function().graph.as_graph_def()
        used = {node.op for node in graph.node} | {node.op for one in graph.library.function for node in one.node_def}
        assert used <= saved_model.PIXELS


def written_file(file):
    import tensorflow as tf

    def write(pixels):
        with tf.control_dependencies([tf.io.write_file(str(file), "owned")]):
            return tf.zeros(())

    return write


def test_a_graph_that_writes_a_file_is_not_loaded(tmp_path):
    export = saved_export(tmp_path / "export", written_file(tmp_path / "owned"))
    refused(export, "uses the operation 'WriteFile', which no export of kcars uses")
    assert not (tmp_path / "owned").exists()


def test_operations_that_reach_out_of_the_graph_or_never_end_are_named(tmp_path):
    import tensorflow as tf

    def read(pixels):
        return tf.cast(tf.strings.length(tf.io.read_file("/etc/passwd")), tf.float32)

    def python(pixels):
        return tf.ensure_shape(tf.py_function(lambda: 1.0, [], tf.float32), ())

    def printed(pixels):
        with tf.control_dependencies([tf.raw_ops.PrintV2(input="owned", output_stream=f"file://{tmp_path / 'owned'}")]):
            return tf.zeros(())

    def endless(pixels):
        return tf.while_loop(lambda n: n >= 0.0, lambda n: (n * 1.0,), (tf.reduce_sum(tf.cast(pixels, tf.float32)),))[0]

    for name, attack in {"ReadFile": read, "EagerPyFunc": python, "PrintV2": printed, "While": endless}.items():
        refused(saved_export(tmp_path / name, attack), f"operation '(Stateless)?{name}'")
    assert not (tmp_path / "owned").exists()


def test_objects_that_run_a_function_when_they_are_loaded_are_refused(tmp_path):
    import tensorflow as tf

    (tmp_path / "names.txt").write_text("a\nb\n")
    whole, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    lines = tf.lookup.TextFileInitializer(str(tmp_path / "names.txt"), tf.string, whole, tf.int64, number)
    table = tf.lookup.StaticHashTable(lines, -1)
    export = saved_export(tmp_path / "export", objects={"table": table})
    refused(export, "contains assets, which is not part of an export")
    (export / "saved_model/1/assets/names.txt").unlink()
    write_card(export)
    refused(export, "has assets or custom gradients")
    constants = tf.lookup.KeyValueTensorInitializer(["a"], [1.0])
    keys = saved_export(tmp_path / "keys", objects={"table": tf.lookup.StaticHashTable(constants, 0.0)})
    refused(keys, r"uses the operation 'HashTableV2'|contains an object|a part 'table'")


def changed_graph(export, change):
    from tensorflow.core.protobuf import saved_model_pb2

    file = export / "saved_model/1/saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(model)
    file.write_bytes(model.SerializeToString())
    write_card(export)
    return export


def test_other_graphs_that_the_loader_would_run_are_refused(tmp_path):
    def twice(model):
        model.meta_graphs.add().CopyFrom(model.meta_graphs[0])

    def without_objects(model):  # TensorFlow would load it as a model of its first version, and run what it names.
        model.meta_graphs[0].ClearField("object_graph_def")

    def saver_that_is_run(model):
        graph = model.meta_graphs[0]
        saver = next(
            f for f in graph.graph_def.library.function if f.signature.name.startswith("__inference__traced_save")
        )
        root = graph.object_graph_def.nodes[0]
        signatures = next(child.node_id for child in root.children if child.local_name == "signatures")
        child = next(c for c in graph.object_graph_def.nodes[signatures].children if c.local_name == "pixels")
        graph.object_graph_def.nodes[child.node_id].bare_concrete_function.concrete_function_name = saver.signature.name

    def any_message(model):
        model.meta_graphs[0].meta_info_def.any_info.value = b"x"

    for number, (change, told) in enumerate(
        (
            (twice, "contains 2 graphs"),
            (without_objects, "has no objects"),
            (saver_that_is_run, "signature pixels, function __inference__traced_save|a function that stores variables"),
            (any_message, "messages of arbitrary type"),
        )
    ):
        refused(changed_graph(saved_export(tmp_path / str(number)), change), told)


def test_links_and_other_files_in_a_saved_model_are_refused(tmp_path):
    export = saved_export(tmp_path / "export")
    folder = export / "saved_model/1"
    (folder / "saved_model.pbtxt").write_text("")
    refused(export, "contains saved_model.pbtxt, which is not part of an export")
    (folder / "saved_model.pbtxt").unlink()
    (folder / "variables").rename(tmp_path / "elsewhere")
    (folder / "variables").symlink_to(tmp_path / "elsewhere")
    refused(export, "variables: is a link")
    (folder / "variables").unlink()
    (tmp_path / "elsewhere").rename(folder / "variables")
    load(export)
    (export / "saved_model").rename(tmp_path / "moved")
    (export / "saved_model").symlink_to(tmp_path / "moved")
    refused(export, "saved_model: is a link")


def test_weights_that_are_not_finite_are_damage(tmp_path):
    weights = WEIGHTS.copy()
    weights[1, 1] = np.nan
    refused(saved_export(tmp_path / "saved", weights=weights), "weight weights/0 is not finite")
    refused(onnx_export(tmp_path / "onnx", onnx_model(weights)), "a weight is not finite")
    huge = onnx_export(tmp_path / "huge", onnx_model(np.full((3, 3), 3e38, np.float32)))
    with pytest.raises(KcarsError, match="returns numbers that are not finite"):
        load(huge).predict([PHOTO])


# ---- ONNX ----


def test_a_plain_onnx_file_answers(tmp_path):
    assert load(onnx_export(tmp_path / "export")).predict([PHOTO])[0].answer == NAMES[2]


def test_an_onnx_file_reads_no_other_file(tmp_path):
    model = onnx_model()
    (tmp_path / "secret").write_bytes(WEIGHTS.tobytes())
    external_data_helper.set_external_data(model.graph.initializer[0], str(tmp_path / "secret"))
    model.graph.initializer[0].ClearField("raw_data")
    refused(onnx_export(tmp_path / "export", model), "stores weights in other files, which are not read")
    tensor = helper.make_tensor("value", TensorProto.FLOAT, [3, 3], WEIGHTS.tobytes(), raw=True)
    external_data_helper.set_external_data(tensor, "../secret")
    constant = onnx_model(more=[helper.make_node("Constant", [], ["also"], value=tensor)])
    refused(onnx_export(tmp_path / "constant", constant), "stores weights in other files")


def test_operations_of_others_and_loops_are_named(tmp_path):
    foreign = onnx_model(more=[helper.make_node("Gelu", ["means"], ["also"], domain="com.microsoft")])
    refused(onnx_export(tmp_path / "foreign", foreign), "uses the operation 'com.microsoft::Gelu'")
    body = helper.make_graph([], "body", [], [])
    loop = onnx_model(more=[helper.make_node("Loop", ["", ""], ["also"], body=body)])
    refused(onnx_export(tmp_path / "loop", loop), "uses the operation 'Loop'")
    large = onnx_model(more=[helper.make_node("ConstantOfShape", ["means"], ["also"])])
    refused(onnx_export(tmp_path / "large", large), "uses the operation 'ConstantOfShape'")


def test_a_file_of_two_formats_is_not_read_as_the_other(tmp_path):
    """ONNX Runtime knows a format of its own by four bytes in the file, which nobody would have looked at."""
    content = b"\x7a" + bytes([8]) + b"\0\0ORTM\0\0" + onnx_model().SerializeToString()
    assert content[4:8] == b"ORTM"
    refused(onnx_export(tmp_path / "export", content), "has field 15, which is not part of ONNX")


@pytest.mark.parametrize(
    "content", [b"", b"nothing", b"\x3a\xff\xff\xff\xff\x0f", b"\x3b", b"\x3a\x05" + b"\x0a\x03\x0a" * 2]
)
def test_what_is_no_onnx_file_is_one_line(tmp_path, content):
    refused(onnx_export(tmp_path / "export", content), "model.onnx: ")


# ---- rot ----


def flip(file, place: int = -20) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def test_a_flipped_bit_of_a_model_is_noticed(tmp_path):
    export = onnx_export(tmp_path / "onnx")
    content = (export / "model.onnx").read_bytes()
    flip(export / "model.onnx", content.index(WEIGHTS.tobytes()) + 8)
    refused(export, r"model.onnx: is damaged, or not the file that its card.json describes \(SHA-256\)")
    saved = saved_export(tmp_path / "saved")
    flip(saved / "saved_model/1/variables/variables.data-00000-of-00001", 9)
    refused(saved, "is damaged, or not the file that its card.json")


def test_a_flipped_bit_of_a_card_is_noticed(tmp_path):
    export = onnx_export(tmp_path / "export")
    text = (export / "card.json").read_text()
    (export / "card.json").write_text(text.replace('"temperature": 1.0', '"temperature": 3.0'))
    refused(export, "card.json: is damaged: its content is not what was written")


def test_a_model_that_its_card_does_not_name_is_refused(tmp_path):
    export = onnx_export(tmp_path / "export")
    facts = json.loads((export / "card.json").read_text())
    write_card(export, card() | {"files": {"litert": facts["files"]["onnx"]}}, digests=False)
    refused(export, "model.onnx: is not listed in its card.json")


def test_cards_of_an_earlier_kcars_have_no_digests_and_are_read(tmp_path):
    load(onnx_export(tmp_path / "export", digests=False))


# ---- cards ----


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"decision": {"temperature": 0}}, "decision.temperature is 0: should be greater than or equal to"),
        ({"decision": {"temperature": 1e-300}}, "decision.temperature is 1e-300"),
        ({"decision": {"temperature": 1.0, "answered": {"least": [1e300], "risk": [0]}}}, "least.0 is 1e"),
        ({"decision": {"temperature": -1.5}}, "decision.temperature"),
        ({"decision": {"temperature": "1"}}, "decision.temperature is '1': should be a valid number"),
        ({"decision": {"temperature": None}}, "decision.temperature"),
        ({"decision": {"temperature": float("nan")}}, "NaN is not a JSON number"),
        ({"decision": {"temperature": float("inf")}}, "Infinity is not a JSON number"),
        ({"decision": []}, "decision is "),
        ({"decision": {"temperature": 1.0, "answered": {"least": [1], "risk": []}}}, "1 confidences for 0 risks"),
        ({"task": "both"}, "task is 'both'"),
        ({"task": ["classify"]}, "task is "),
        ({"task": "verify", "embedding": 3}, "lacks decision.threshold"),
        ({"task": "verify", "embedding": 10**9, "decision": {"threshold": -1, "scale": 1, "offset": 1}}, "embedding is 1000000000"),
        ({"task": "verify", "embedding": 3, "decision": {"threshold": None, "scale": 1, "offset": 1}}, "decision.threshold is None"),
        ({"classes": {"names": "abc", "makes": []}}, "classes.names is 'abc': should be a valid list"),
        ({"classes": {"names": [1, 2, 3], "makes": []}}, "classes.names.0 is 1: should be a valid string"),
        ({"classes": {"names": [], "makes": []}}, "classes.names is empty"),
        ({"classes": {"names": NAMES, "makes": ["Fiat"]}}, "1 makes for 3 names"),
        ({"classes": None}, "classes is None"),
        ({"input": card()["input"] | {"size_px": 100_000}}, "input.size_px is 100000"),
        ({"input": card()["input"] | {"size_px": 8.5}}, "input.size_px is 8.5"),
        ({"input": card()["input"] | {"size_px": -8}}, "input.size_px is -8"),
        ({"input": card()["input"] | {"padding": 1e30}}, "input.padding"),
        ({"input": card()["input"] | {"mirror": "yes"}}, "input.mirror"),
        ({"scores": {"test/accuracy": 5}}, "scores.test/accuracy is 5"),
        ({"scores": []}, r"scores is \[\]"),
        ({"files": {"onnx": {}}}, "lacks files.onnx.sha256"),
        ({"files": {"onnx": {"sha256": 5}}}, "files.onnx.sha256 is 5"),
        ({"files": 5}, "files is 5"),
        ({"strategy": 5}, "strategy is 5"),
        ({"format": 2}, "written in format 2"),
        ({"format": None}, "written in format None"),
    ],
)  # fmt: skip
def test_a_card_that_cannot_be_used_is_one_line(tmp_path, change, told):
    export = onnx_export(tmp_path / "export")
    write_card(export, card(**change), digests=False)
    refused(export, f"card.json: .*{told}")


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"5",
        b"{",
        b"",
        b"\xff\xfe",
        b"null",
        b'{"a":' * 100_000,
        b"[" * 100_000,
        b'{"format":1,"content_sha256":"","a":' + b"[" * 900 + b"]" * 900 + b"}",
    ],
)
def test_what_is_no_card_is_one_line(tmp_path, content):
    export = onnx_export(tmp_path / "export")
    (export / "card.json").write_bytes(content)
    refused(export, "card.json: ")


def test_every_key_of_a_card_may_be_missing_or_of_another_type(tmp_path):
    """Told in one line, or not used: never a traceback."""
    export = onnx_export(tmp_path / "export")
    for name in card():
        for value in (None, 5, "text", [], {}, [[]], {"a": {"b": 1}}, True, -1.5, ...):
            facts = {key: part for key, part in card().items() if key != name}
            write_card(export, facts if value is ... else facts | {name: value}, digests=False)
            try:
                answer = load(export).predict([PHOTO], risk=0.5)[0]
            except KcarsError as error:
                assert "\n" not in str(error)
            else:
                assert answer.names[0][0] == NAMES[2]


def test_no_link_is_followed_and_no_pipe_is_waited_for(tmp_path):
    export = onnx_export(tmp_path / "export")
    aside = tmp_path / "aside"
    aside.mkdir()
    for name in ("card.json", "model.onnx"):
        (export / name).rename(aside / name)
        (export / name).symlink_to(aside / name)
        refused(export, f"{name}: is a link")
        (export / name).unlink()
        os.mkfifo(export / name)
        refused(export, "neither a run folder nor an export" if name == "card.json" else "is a named pipe")
        (export / name).unlink()
        (aside / name).rename(export / name)
    load(export)


def test_a_model_larger_than_the_limit_is_not_read(tmp_path, monkeypatch):
    export = onnx_export(tmp_path / "export")
    with (export / "model.onnx").open("ab") as file:
        file.truncate(2 * 2**20)
    monkeypatch.setenv("KCARS_LIMITS", "model_mib=1")
    refused(export, "has 2,097,152 bytes; at most 1,048,576 are read")


def test_a_graph_of_millions_of_empty_nodes_is_not_read(tmp_path):
    """Each takes two bytes of the file, and 150 of memory: 256 MiB, as were read once, would have taken 18 GiB."""
    export = saved_export(tmp_path / "export")
    with (export / "saved_model/1/saved_model.pb").open("wb") as file:
        file.write(b"\x0a\x00" * (17 * 2**20))
    write_card(export)  # Whoever changes a model writes its digest anew.
    tracemalloc.start()
    refused(export, "saved_model.pb: has 35,651,584 bytes; at most 33,554,432 are read")
    assert tracemalloc.get_traced_memory()[1] < 30 * 2**20
    tracemalloc.stop()


# ---- detectors ----


def detector(file, width: int, values, more=()):
    from onnx import numpy_helper

    boxes = numpy_helper.from_array(np.array([values], np.float32), "boxes")
    graph = helper.make_graph(
        [helper.make_node("Identity", ["boxes"], ["found"]), *more],
        "detector",
        [helper.make_tensor_value_info("photo", TensorProto.FLOAT, [1, 3, width, width])],
        [helper.make_tensor_value_info("found", TensorProto.FLOAT, None)],
        [boxes],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file.write_bytes(model.SerializeToString())
    return file


def test_a_detector_is_bounded_and_reads_no_other_file(tmp_path, monkeypatch):
    from kcars.inference.photo_source import Detector

    row = [1, 2, 30, 40, 0.9, 0]
    with pytest.raises(KcarsError, match="takes 100000 x 100000 pixels; the limit is 16 million"):
        Detector(detector(tmp_path / "large.onnx", 100_000, [row]))
    monkeypatch.setenv("KCARS_LIMITS", "detector_boxes=3")
    many = Detector(detector(tmp_path / "many.onnx", 64, [row] * 50))
    assert len(many.boxes(np.zeros((64, 64, 3), np.uint8))) == 3
    tensor = helper.make_tensor("value", TensorProto.FLOAT, [1], struct.pack("<f", 1), raw=True)
    external_data_helper.set_external_data(tensor, str(tmp_path / "secret"))
    more = [helper.make_node("Constant", [], ["also"], value=tensor)]
    with pytest.raises(KcarsError, match="stores weights in other files"):
        Detector(detector(tmp_path / "reads.onnx", 64, [row], more))
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(KcarsError, match=r"pipe\.onnx"):
        Detector(tmp_path / "pipe.onnx")
