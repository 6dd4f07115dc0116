"""Exports by hand that a second makes: a linear model of an 8 x 8 photo's mean colour."""

import json
from pathlib import Path

import numpy as np

from kcars.core.files import folder_sha256
from kcars.untrusted.sealed import sealed

NAMES = ["Fiat 127", "Fiat 500", "Audi A4"]
WEIGHTS = np.arange(9, dtype=np.float32).reshape(3, 3) / 10
SIZE = 8


def card(**changes) -> dict:
    return {
        "format": 1,
        "task": "classify",
        "target": "model",
        "embedding": None,
        "classes": {"names": NAMES, "makes": ["Fiat", "Fiat", "Audi"]},
        "input": {"size_px": SIZE, "padding": 0.1, "crop": "box", "learned_in_boxes": True, "mirror": True, "shift": 0.0, "unit": False},
        "decision": {"temperature": 1.0, "answered": {"least": [0.5], "risk": [0.1], "coverage": [1.0]}},
        "scores": {"test/accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}},
        "strategy": "by hand",
        "deciding": None,
    } | changes  # fmt: skip


def write_card(folder: Path, facts: dict | None = None, digests: bool = True) -> None:
    """digests: of the card and of the models that lie there."""
    facts = dict(facts or card())
    if digests:
        places = {"onnx": folder / "model.onnx", "saved_model": folder / "saved_model/1"}
        facts["files"] = {
            kind: {"path": str(place.relative_to(folder)), "sha256": folder_sha256(place)}
            for kind, place in places.items()
            if place.exists()
        }
        facts = sealed(facts)
    folder.mkdir(exist_ok=True)
    (folder / "card.json").write_text(json.dumps(facts))


def onnx_model(weights: np.ndarray = WEIGHTS, more=()):
    """more: nodes that are added."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Cast", ["pixels"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["means"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["logits"]),
        *more,
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(weights, "weights")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def onnx_export(folder: Path, model=None, digests: bool = True) -> Path:
    folder.mkdir(exist_ok=True)
    content = (model or onnx_model()).SerializeToString() if not isinstance(model, bytes) else model
    (folder / "model.onnx").write_bytes(content)
    write_card(folder, digests=digests)
    return folder


def saved_export(folder: Path, also=None, weights: np.ndarray = WEIGHTS, objects: dict | None = None) -> Path:
    """also: called with the pixels inside of the graph, and gives a number that is added; objects: that the model holds."""
    import tensorflow as tf

    held = tf.Module()
    held.weights = [tf.Variable(weights)]
    for name, value in (objects or {}).items():
        setattr(held, name, value)

    @tf.function(input_signature=[tf.TensorSpec([None, SIZE, SIZE, 3], tf.uint8, name="pixels")], autograph=False)
    def pixels(pixels):
        means = tf.reduce_mean(tf.cast(pixels, tf.float32), [1, 2])
        found = means @ held.weights[0]
        return {"logits": found + (also(pixels) if also else 0.0)}

    tf.saved_model.save(held, str(folder / "saved_model/1"), signatures={"pixels": pixels.get_concrete_function()})
    assets = folder / "saved_model/1/assets"
    if not any(assets.iterdir()):
        assets.rmdir()
    write_card(folder)
    return folder
