"""Writers of the export formats; each takes the graphs, the card and the path."""

import json
import logging
import shutil
from pathlib import Path

import tensorflow as tf

from kcars.core.unfinished import temporary_folder
from kcars.export.graphs import Graphs
from kcars.runs.keras_setup import native_stderr_held

OPSET = 17


def saved_model(graphs: Graphs, card: dict, folder: Path) -> None:
    """Write a SavedModel with all signatures, for TensorFlow and TensorFlow Serving."""
    tf.saved_model.save(graphs.held, str(folder), signatures=graphs.signatures())
    shutil.rmtree(folder / "assets", ignore_errors=True)  # Empty.


def onnx(graphs: Graphs, card: dict, file: Path) -> None:
    """Write an ONNX file from pixels to outputs, with the card in the metadata entry "kcars"."""
    import onnx as library
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    function = graphs.pixels()
    with native_stderr_held():
        model, _ = tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=OPSET)
    known = {name: card[name] for name in ("format", "task", "target", "classes", "input", "decision")}
    library.helper.set_model_props(model, {"kcars": json.dumps(known)})
    library.checker.check_model(model)
    library.save(model, file)


def litert(graphs: Graphs, card: dict, file: Path) -> None:
    """Write a LiteRT file from pixels to outputs, signature "pixels", for mobile and embedded devices."""
    with temporary_folder() as folder, native_stderr_held():
        tf.saved_model.save(graphs.held, str(folder), signatures={"pixels": graphs.pixels().get_concrete_function()})
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=["pixels"])
        content = converter.convert()
    file.write_bytes(content)
