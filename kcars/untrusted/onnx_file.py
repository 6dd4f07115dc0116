"""Checks ONNX files before ONNX Runtime loads them; the only module that imports ONNX Runtime."""

import joblib
import numpy as np

from kcars.core import telemetry
from kcars.core.errors import KcarsError
from kcars.untrusted import protobuf
from kcars.untrusted.protobuf import Value, named

# Operations that tf2onnx uses for kcars' networks, in any version: none of them loops, accesses a file, or creates a
# tensor larger than its inputs.
OPERATIONS = named(
    "Abs Add And AveragePool BatchNormalization Cast Clip Concat Constant Conv Div Dropout Equal Erf Exp Flatten Gather Gemm "
    "GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN Less LessOrEqual Log "
    "MatMul Max MaxPool Min Mul Neg Not Or Pad Pow Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum "
    "ReduceSumSquare Relu Reshape Shape Sigmoid Sign Slice Softmax Split Sqrt Squeeze Sub Sum Transpose Unsqueeze Where"
)
DOMAINS = ("", "ai.onnx")
# Numbers of fields in onnx.proto.
_MODEL_GRAPH, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 20, 25
_MODEL_OTHERS = {1, 2, 3, 4, 5, 6, 8, 14, 26}  # Versions, producer, metadata.
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_FUNCTION_NODE = 7
_NODE_TYPE, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = (5, 10), (6, 11)
_ATTRIBUTE_SPARSE, _SPARSE_TENSORS = (22, 23), (1, 2)
_TENSOR_TYPE, _TENSOR_FLOATS, _TENSOR_RAW, _TENSOR_EXTERNAL, _TENSOR_LOCATION, _TENSOR_DOUBLES = 2, 4, 9, 13, 14, 10
_FLOATS = {1: np.dtype("<f4"), 10: np.dtype("<f2"), 11: np.dtype("<f8")}
MOST_DEPTH = 16  # Nested graphs.


class Refused(ValueError):
    """Raised for a model with a forbidden part, with a message whose subject is the model."""


def refuse_unsafe(content: bytes, operations: frozenset[str] | None) -> None:
    """Raises Refused for a model that reads other files, uses other operations or has non-finite weights, ValueError for other content.

    operations: the allowed operations of ONNX; None for all of ONNX Runtime.
    """
    graphs = 0
    for number, value in protobuf.fields(memoryview(content)):
        if number == _MODEL_GRAPH:
            _refuse_graph(value, operations, 0)
            graphs += 1
        elif number == _MODEL_FUNCTIONS and operations is None:
            for node in protobuf.messages(value, _FUNCTION_NODE):
                _refuse_node(node, operations, 0)
        elif number in (_MODEL_TRAINING, _MODEL_FUNCTIONS):
            raise Refused("contains functions; exports of kcars have none")
        elif number not in _MODEL_OTHERS:
            raise Refused(f"has field {number}, which is not part of ONNX")
    if not graphs:
        raise Refused("contains no graph")


def _refuse_graph(graph: Value, operations, depth: int) -> None:
    if depth > MOST_DEPTH or isinstance(graph, int):
        raise Refused("its graphs are damaged or nested too deeply")
    for number, value in protobuf.fields(graph):
        if number == _GRAPH_NODE:
            _refuse_node(value, operations, depth)
        elif number == _GRAPH_INITIALIZER:
            _refuse_tensor(value)
        elif number == _GRAPH_SPARSE:
            _refuse_sparse(value)


def _refuse_node(node: Value, operations, depth: int) -> None:
    kind = domain = ""
    for number, value in protobuf.fields(node):
        if number == _NODE_TYPE:
            kind = protobuf.text(value)
        elif number == _NODE_DOMAIN:
            domain = protobuf.text(value)
        elif number == _NODE_ATTRIBUTE:
            _refuse_attribute(value, operations, depth)
    if operations is not None and (kind not in operations or domain not in DOMAINS):
        named = f"{domain}::{kind}" if domain else kind
        raise Refused(f"uses the operation {named[:80]!r}, which no export of kcars uses")


def _refuse_attribute(attribute: Value, operations, depth: int) -> None:
    for number, value in protobuf.fields(attribute):
        if number in _ATTRIBUTE_TENSORS:
            _refuse_tensor(value)
        elif number in _ATTRIBUTE_SPARSE:
            _refuse_sparse(value)
        elif number in _ATTRIBUTE_GRAPHS:
            _refuse_graph(value, operations, depth + 1)


def _refuse_sparse(sparse: Value) -> None:
    for number in _SPARSE_TENSORS:
        for tensor in protobuf.messages(sparse, number):
            _refuse_tensor(tensor)


def _refuse_tensor(tensor: Value) -> None:
    kind, numbers = 0, []
    for number, value in protobuf.fields(tensor):
        if number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value):
            raise Refused("stores weights in other files, which are not read; use a model in one file")
        if number == _TENSOR_TYPE and isinstance(value, int):
            kind = value & 0xFFFFFFFF  # As an int32 is read.
        elif number in (_TENSOR_RAW, _TENSOR_FLOATS, _TENSOR_DOUBLES) and not isinstance(value, int):
            numbers.append((number, value))
    for number, value in numbers:
        dtype = {_TENSOR_FLOATS: _FLOATS[1], _TENSOR_DOUBLES: _FLOATS[11]}.get(number) or _FLOATS.get(kind)
        if dtype and len(value) % dtype.itemsize == 0 and not np.isfinite(np.frombuffer(value, dtype)).all():
            raise Refused("is damaged: a weight is not finite")


def session(content: bytes, what: str, operations: frozenset[str] | None, remedy: str):
    """An InferenceSession on the CPU for a model's bytes; raises KcarsError, beginning with `what`, if it is unsafe or damaged."""
    onnxruntime = runtime(what)
    try:
        refuse_unsafe(content, operations)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = joblib.cpu_count()
        options.log_severity_level = 4  # Errors are raised, and reported by the caller.
        options.add_session_config_entry(
            "session.load_model_format", "ONNX"
        )  # Prevents interpretation as another format.
        # The fallback prints the error to standard output and tries once more.
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # noqa: BLE001  ONNX Runtime's classes of errors have no public base.
        message = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise KcarsError(
            f"{what}: {message if isinstance(error, Refused) else f'damaged ({message})'}; {remedy}"
        ) from None


def runtime(what: str):
    """ONNX Runtime as a module, without its telemetry; raises KcarsError if it is not installed."""
    telemetry.off()
    try:
        import onnxruntime
    except ImportError:
        raise KcarsError(f"{what}: ONNX Runtime is not installed; run: pip install onnxruntime") from None
    return onnxruntime
