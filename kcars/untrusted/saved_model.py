"""Checks SavedModels before TensorFlow loads them, because a graph can read and write files when it is loaded or run."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from kcars.core.errors import KcarsError
from kcars.core.limits import limits
from kcars.untrusted import variable_list
from kcars.untrusted.protobuf import named
from kcars.untrusted.reading import MIB, opened, read_bytes, refuse_links

GRAPH, FINGERPRINT, VARIABLES = "saved_model.pb", "fingerprint.pb", "variables/variables"
FILES = rf"{re.escape(GRAPH)}|{FINGERPRINT}|variables|{VARIABLES}\.(index|data-\d{{5}}-of-\d{{5}})"
FINGERPRINT_BYTES = 4096
SIGNATURE = "pixels"  # The signature that kcars calls.
# Operations in the functions of kcars' exports. Those of the signature `pixels`, the only one that kcars runs: none loops.
PIXELS = named(
    "Abs Add AddN AddV2 All AvgPool BatchMatMulV2 BiasAdd Cast ConcatV2 Const Conv2D DepthwiseConv2dNative Equal Erf Exp ExpandDims Fill "
    "FusedBatchNormV3 GatherV2 Identity IdentityN IsFinite Log MatMul Max MaxPool Maximum Mean Minimum Mul Neg NoOp Pack Pad "
    "PartitionedCall Placeholder Pow Prod ReadVariableOp RealDiv Relu Relu6 Reshape Rsqrt SelectV2 Shape Sigmoid Slice Softmax "
    "Split Sqrt Square SquaredDifference Squeeze StatefulPartitionedCall StopGradient StridedSlice Sub Sum Tile TopKV2 Transpose Unpack ZerosLike"
)
# Those of signatures that read JPEG files, which TensorFlow Serving runs.
JPEG = PIXELS | named(
    "Any Assert Case Ceil DecodeJpeg DecodeRaw EnsureShape ExtractJpegShape Floor FloorDiv FloorMod Greater GreaterEqual If Less "
    "LessEqual LogicalAnd LogicalNot LogicalOr LoopCond LowerBound Min NotEqual OnesLike Range ReduceJoin ReverseV2 RightShift Round Select Size StatelessCase "
    "StatelessIf StatelessWhile StringJoin StringSplitV2 Substr TensorListElementShape TensorListFromTensor TensorListGetItem TensorListLength "
    "TensorListReserve TensorListSetItem TensorListStack Unique Where While"
)
# Those in every SavedModel to store its variables; loading does not call them.
SAVER = named(
    "AssignVariableOp Const DisableCopyOnRead Identity MergeV2Checkpoints NoOp Pack ReadVariableOp RestoreV2 SaveV2 Select "
    "ShardedFilename StaticRegexFullMatch StringJoin"
)
SAVER_NAMES = re.compile(r"__inference__traced_(save|restore)_\d+")
GRAPH_NODES = named("Const NoOp Placeholder ReadVariableOp StatefulPartitionedCall VarHandleOp")
# Others, such as api_implements, let TensorFlow run another function instead.
FUNCTION_ATTRIBUTES = named("_XlaMustCompile _construction_context _input_shapes _noinline")
GRADIENT = re.compile("CustomGradient-[0-9]+")  # Of EfficientNet's activation: stored, but run only in training.
OBJECTS = frozenset({"user_object", "variable", "bare_concrete_function", "captured_tensor"})
# Kinds of objects and the names of their children: any other name may replace a method that TensorFlow's loader calls.
USER_OBJECTS = {
    "_generic_user_object": re.compile("weights|signatures"),
    "trackable_list_wrapper": re.compile("[0-9]+"),
    "signature_map": re.compile("[a-z][a-z_]*"),
}


def load(tf, folder: Path, remedy: str) -> Callable:
    """The function of the signature `pixels`; raises KcarsError if the SavedModel is damaged or differs from exports of kcars.

    tf: TensorFlow.
    """
    try:
        refuse_other_files(folder)
        _refuse_unsafe(_graph(folder))
        _refuse_variables(tf, folder)
        loaded = tf.saved_model.load(str(folder))
        function = loaded.signatures[SIGNATURE]
    except KcarsError as error:
        raise KcarsError(f"{error}; {remedy}") from None
    except Exception as error:  # noqa: BLE001  TensorFlow's loader passes on errors of many readers.
        message = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise KcarsError(
            f"{folder}: {message if isinstance(error, _Refused) else f'damaged ({message})'}; {remedy}"
        ) from None
    function.held = loaded  # The function has only weak references to its weights.
    return function


class _Refused(ValueError):
    """Raised for a part that no export of kcars has."""


def refuse_other_files(folder: Path) -> None:
    """Raises KcarsError for links, and for files and folders that no export has."""
    for entry in folder.rglob("*"):
        name = entry.relative_to(folder).as_posix()
        refuse_links(folder, entry)
        if name == "assets" and entry.is_dir() and not any(entry.iterdir()):
            continue
        if not re.fullmatch(FILES, name) or entry.is_dir() != (name == "variables"):
            raise KcarsError(f"{folder}: contains {name}, which is not part of an export")


def _graph(folder: Path):
    """The only graph of a SavedModel, as parsed by TensorFlow's loader."""
    from tensorflow.core.protobuf import saved_model_pb2

    if (folder / FINGERPRINT).exists():
        read_bytes(folder / FINGERPRINT, FINGERPRINT_BYTES, folder)
    model = saved_model_pb2.SavedModel.FromString(read_bytes(folder / GRAPH, limits().graph_mib * MIB, folder))
    if len(model.meta_graphs) != 1:
        raise _Refused(f"contains {len(model.meta_graphs)} graphs; an export has one")
    return model.meta_graphs[0]


def _refuse_unsafe(graph) -> None:
    """Raises _Refused if a graph has a part or an operation that no export has."""
    _refuse_parts(graph)
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    if len(functions) != len(graph.graph_def.library.function):
        raise _Refused("has two functions with the same name")
    for function in functions.values():
        _refuse_hidden_calls(function)
    for gradient in graph.graph_def.library.registered_gradients:
        if gradient.gradient_func not in functions or SAVER_NAMES.fullmatch(gradient.gradient_func):
            raise _Refused(f"has a gradient {gradient.gradient_func[:80]!r}, which no export has")
    _refuse_operations("its graph", graph.graph_def.node, GRAPH_NODES)
    for name, function in functions.items():
        _refuse_operations(f"function {name[:80]}", function.node_def, SAVER if SAVER_NAMES.fullmatch(name) else JPEG)
    called = _called_by_signature(graph, functions)
    for name in called:
        _refuse_operations(f"signature {SIGNATURE}, function {name[:80]}", functions[name].node_def, PIXELS)


def _refuse_parts(graph) -> None:
    objects = graph.object_graph_def
    if not graph.HasField("object_graph_def") or not objects.nodes:
        raise _Refused("has no objects; exports have some")
    gradients = graph.graph_def.library.registered_gradients
    named = all(GRADIENT.fullmatch(one.registered_op_type) for one in gradients)
    if graph.asset_file_def or graph.graph_def.library.gradient or not named:
        raise _Refused("has assets or custom gradients, which no export has")
    if graph.meta_info_def.HasField("any_info") or any(
        collection.HasField("any_list") for collection in graph.collection_def.values()
    ):
        raise _Refused("contains messages of arbitrary type, which no export has")
    for node in objects.nodes:
        _refuse_object(node)


def _refuse_object(node) -> None:
    """Raises _Refused for an object that no export has, or on which loading would call functions."""
    kind = node.WhichOneof("kind")
    if kind not in OBJECTS or (kind == "user_object" and node.user_object.identifier not in USER_OBJECTS):
        named = node.user_object.identifier if kind == "user_object" else kind
        raise _Refused(f"contains an object {str(named)[:80]!r}, which no export has")
    if node.registered_name or node.registered_saver or node.saveable_objects or node.HasField("serialized_user_proto"):
        raise _Refused("has an object with a custom loading function, which no export has")
    if node.dependencies or node.slot_variables:
        raise _Refused("has an object that depends on another, which no export has")
    allowed = USER_OBJECTS[node.user_object.identifier] if kind == "user_object" else None
    for child in node.children:
        if allowed is None or not allowed.fullmatch(child.local_name):
            raise _Refused(f"has an object with a part {child.local_name[:80]!r}, which no export has")
    if SAVER_NAMES.fullmatch(node.bare_concrete_function.concrete_function_name):
        raise _Refused("contains a function that stores variables, which no export has")


def _refuse_hidden_calls(function) -> None:
    """Raises _Refused for a function that could run without being called by its name, or that calls one that stores variables."""
    name = function.signature.name[:80]
    if function.signature.name in JPEG | SAVER | GRAPH_NODES:  # Every operation of that name would call it.
        raise _Refused(f"has a function with the name of an operation, {name}")
    if others := set(function.attr) - FUNCTION_ATTRIBUTES:
        raise _Refused(f"function {name} has the attribute {min(others)[:80]!r}, which no export has")
    for node in function.node_def:
        for attribute in node.attr.values():
            if attribute.HasField("placeholder") or any(called.attr for called in _named_functions(attribute)):
                raise _Refused(f"function {name} accepts or passes a function, which no export does")
    if saver := next((called for called in _called(function.node_def) if SAVER_NAMES.fullmatch(called)), None):
        raise _Refused(f"function {name} calls {saver[:80]}, which stores variables, which no export does")


def _refuse_operations(where: str, nodes, allowed: frozenset[str]) -> None:
    for node in nodes:
        if node.op not in allowed:
            raise _Refused(f"{where} uses the operation {node.op[:80]!r}, which no export of kcars uses there")


def _called_by_signature(graph, functions: dict) -> list[str]:
    """Names of the functions that a call of the signature may run, callers first."""
    wanted, coming = {}, [_signature_function(graph.object_graph_def)]
    while coming:
        name = coming.pop()
        if name in wanted:
            continue
        if name not in functions:
            raise _Refused(f"calls a function {name[:80]!r} that it does not contain")
        wanted[name] = True
        coming += _called(functions[name].node_def)
    return list(wanted)


def _signature_function(objects) -> str:
    """The function that TensorFlow's loader uses for the signature: a child of the root's `signatures`."""
    maps = [child.node_id for child in objects.nodes[0].children if child.local_name == "signatures"]
    found = [
        child.node_id for number in maps for child in objects.nodes[number].children if child.local_name == SIGNATURE
    ]
    if len(found) != 1:
        raise _Refused(f"has {len(found)} signatures {SIGNATURE}; an export has one")
    return objects.nodes[found[0]].bare_concrete_function.concrete_function_name


def _called(nodes) -> Iterable[str]:
    """Names of the functions in the attributes of nodes."""
    return (called.name for node in nodes for attribute in node.attr.values() for called in _named_functions(attribute))


def _named_functions(attribute) -> Iterable:
    """Functions in one attribute, each with its name and arguments."""
    if attribute.HasField("func"):
        yield attribute.func
    yield from attribute.list.func


def _refuse_variables(tf, folder: Path) -> None:
    """Raises KcarsError or _Refused if the stored variables are larger than their file, or not finite."""
    data = sorted((folder / VARIABLES).parent.glob("variables.data-*"))
    if len(data) != 1:
        raise _Refused(f"has {len(data)} files of variables; an export has one")
    with opened(data[0], limits().model_mib * MIB, folder):
        pass
    size = data[0].stat().st_size
    variable_list.refuse_impossible(read_bytes(folder / f"{VARIABLES}.index", variable_list.LIST_BYTES, folder), size)
    stored = tf.train.load_checkpoint(str(folder / VARIABLES))
    shapes, types = stored.get_variable_to_shape_map(), stored.get_variable_to_dtype_map()
    numbers = {name: int(np.prod(shape, dtype=object)) for name, shape in shapes.items() if types[name].is_floating}
    if sum(numbers[name] * types[name].size for name in numbers) > size:
        raise _Refused("is damaged: its variables are larger than their file")
    for name in numbers:
        if not np.isfinite(stored.get_tensor(name)).all():
            raise _Refused(f"is damaged: weight {name.split('/.')[0][:80]} is not finite")
