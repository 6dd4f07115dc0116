"""Networks of every kind of layer as ONNX and LiteRT: the outputs of Keras, by operations that loading allows."""

import numpy as np
import pytest

from kcars.backbones.build import build_backbone
from kcars.export import formats
from kcars.export.graphs import Graphs
from kcars.posthoc.pipeline import Pipeline
from kcars.untrusted import onnx_file

DECISION = {"temperature": 1.0, "threshold": -1.0, "scale": 1.0, "offset": 1.0}


def graphs(name: str, size: int) -> tuple[Graphs, dict]:
    backbone, draw = build_backbone(name, size), np.random.default_rng(0)
    given = zip(backbone.get_weights(), backbone.weights, strict=True)  # Layer scales and biases begin near 0.
    moved = [array + (weight.name != "moving_variance") * draw.normal(0, 0.05, array.shape) for array, weight in given]
    backbone.set_weights(moved)
    card = {
        "task": "verify",
        "input": {"size_px": size, "mirror": True, "shift": 0.0, "padding": 0.1, "unit": True},
        "decision": DECISION,
        "classes": {"names": ["a", "b"], "makes": []},
        "format": 1,
        "target": "model",
    }
    return Graphs(backbone, card, Pipeline(unit=True, decision=DECISION)), card


FEWER_BLOCKS = {"mobilenet_v3_large": {}, "convnext_tiny": {"BLOCKS": (1, 3, 1, 1)}, "dinov2_small": {"BLOCKS": 2}}


@pytest.mark.parametrize(("name", "size"), [("mobilenet_v3_large", 32), ("convnext_tiny", 32), ("dinov2_small", 28)])
def test_onnx_and_litert_answer_as_keras_does(tmp_path, monkeypatch, name, size):
    from ai_edge_litert.interpreter import Interpreter

    for constant, fewer in FEWER_BLOCKS[name].items():  # Each kind of layer once: conversion takes a second a block.
        monkeypatch.setattr(f"kcars.backbones.{name}.{constant}", fewer)
    network, card = graphs(name, size)
    pixels = np.random.default_rng(1).integers(0, 256, (3, size, size, 3)).astype(np.uint8)
    expected = np.asarray(network.pixels()(pixels)["embedding"])
    formats.onnx(network, card, tmp_path / "model.onnx")
    session = onnx_file.session((tmp_path / "model.onnx").read_bytes(), name, onnx_file.OPERATIONS, "")
    np.testing.assert_allclose(session.run(None, {"pixels": pixels})[0], expected, atol=1e-5)
    formats.litert(network, card, tmp_path / "model.tflite")
    runner = Interpreter(str(tmp_path / "model.tflite")).get_signature_runner("pixels")
    np.testing.assert_allclose(runner(pixels=pixels)["embedding"], expected, atol=1e-5)
