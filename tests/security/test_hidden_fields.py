"""ONNX files with fields that ONNX Runtime reads as others than they seem to be: what is looked at is what it loads."""

import numpy as np
import onnxruntime
import pytest
from onnx import AttributeProto, NodeProto, StringStringEntryProto, TensorProto
from support.small_exports import onnx_export, onnx_model

from kcars.core.errors import KcarsError
from kcars.inference.predictor import load

BYTES, FIXED32 = 2, 5
NODE_TYPE, TENSOR_EXTERNAL, TENSOR_LOCATION, GRAPH_NODE, GRAPH_INITIALIZER, MODEL_GRAPH = 4, 13, 14, 1, 5, 7


def varint(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def key(number: int, kind: int, hidden: bool = False) -> bytes:
    """hidden: with a bit above the 32 that a key has, which Protocol Buffers drop."""
    return varint(number << 3 | kind | hidden << 32)


def field(number: int, content: bytes, hidden: bool = False) -> bytes:
    return key(number, BYTES, hidden) + varint(len(content)) + content


def with_part(number: int, part: bytes) -> bytes:
    """A plain model with one more part of its graph, written by hand: the graphs of a file are read as one."""
    return onnx_model().SerializeToString() + field(MODEL_GRAPH, field(number, part))


def node(*fields: bytes) -> bytes:
    return NodeProto(input=["means"], output=["also"]).SerializeToString() + b"".join(fields)


def refused(folder, content: bytes) -> None:
    with pytest.raises(KcarsError, match=r"model\.onnx: damaged") as error:
        load(onnx_export(folder, content))
    assert "\n" not in str(error.value)


COSINE = {
    "a name of fixed size": node(field(NODE_TYPE, b"Cos"), key(NODE_TYPE, FIXED32), b"Relu"),
    "a key of 33 bits": node(field(NODE_TYPE, b"Relu"), field(NODE_TYPE, b"Cos", hidden=True)),
}


@pytest.mark.parametrize("hidden", COSINE.values(), ids=COSINE)
def test_no_operation_is_hidden_behind_the_name_of_another(tmp_path, hidden):
    content = with_part(GRAPH_NODE, hidden)
    onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])  # Which reads Cos.
    refused(tmp_path / "export", content)


def test_no_hidden_field_lets_weights_be_read_from_other_files(tmp_path, monkeypatch):
    (tmp_path / "secret").write_bytes(np.ones(2, np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    places = {"location": "secret", "offset": "0", "length": "8"}
    entries = (StringStringEntryProto(key=name, value=value).SerializeToString() for name, value in places.items())
    external = b"".join(field(TENSOR_EXTERNAL, one, hidden=True) for one in entries)
    tensor = TensorProto(name="also", dims=[2], data_type=TensorProto.FLOAT).SerializeToString()
    tensor += external + key(TENSOR_LOCATION, 0, hidden=True) + varint(TensorProto.EXTERNAL)
    refused(tmp_path / "export", with_part(GRAPH_INITIALIZER, tensor))
    attribute = AttributeProto(name="value", type=AttributeProto.TENSOR)
    constant = NodeProto(op_type="Constant", output=["also"]).SerializeToString()
    constant += field(5, attribute.SerializeToString() + field(5, tensor))
    refused(tmp_path / "constant", with_part(GRAPH_NODE, constant))


def test_a_weight_that_is_not_finite_is_not_hidden_by_a_type_that_is_none(tmp_path):
    for kind in (key(2, BYTES) + b"\x00", key(2, 0) + varint(2**32 + TensorProto.FLOAT)):
        tensor = TensorProto(name="also", dims=[1], raw_data=np.array([np.nan], np.float32).tobytes(), data_type=1)
        with pytest.raises(KcarsError, match="a weight is not finite"):
            load(onnx_export(tmp_path / "export", with_part(GRAPH_INITIALIZER, tensor.SerializeToString() + kind)))


def test_onnx_runtime_prints_nothing_of_what_is_wrong(tmp_path, capfd):
    """An input that no node gives, in a name that is no UTF-8, makes it print four lines on standard output and try once more."""
    lost = onnx_model().SerializeToString().replace(b"\x0a\x05means", b"\x0a\x05m\xffans")
    refused(tmp_path / "export", lost)
    assert capfd.readouterr() == ("", "")
