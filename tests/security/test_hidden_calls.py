"""SavedModels that run a function without calling it by its name: under an operation's name, in a method's place, through an attribute."""

import numpy as np
import pytest
from support.small_exports import SIZE, saved_export, write_card

from kcars.core.errors import KcarsError
from kcars.inference.predictor import load

SAVER = "__inference__traced_save_1"


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The bytes of a graph whose signature has an operation Relu."""
    import tensorflow as tf

    export = saved_export(
        tmp_path_factory.mktemp("plain"), lambda pixels: tf.reduce_mean(tf.nn.relu(tf.cast(pixels, tf.float32)))
    )
    load(export)
    return export


def changed(plain, export, change):
    """A copy of the export whose graph somebody has changed."""
    import shutil

    from tensorflow.core.protobuf import saved_model_pb2

    shutil.copytree(plain, export)
    file = export / "saved_model/1/saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(model.meta_graphs[0])
    file.write_bytes(model.SerializeToString())
    write_card(export)
    return export


def node(function, name: str, operation: str, inputs=(), **types):
    made = function.node_def.add(name=name, op=operation, input=inputs)
    for attribute, kind in types.items():
        made.attr[attribute].type = kind
    return made


def add_saver(library, file) -> None:
    """A function that writes a file when it is run, by the name of those that TensorFlow stores variables with."""
    import tensorflow as tf

    function = library.function.add()
    function.signature.name, function.signature.is_stateful = SAVER, True
    function.signature.output_arg.add(name="done", type=tf.string.as_datatype_enum)
    for name, value in {"p": str(file).encode(), "n": [b"x"], "s": [b""], "d": np.float32([1])}.items():
        tensor = tf.make_tensor_proto(value)
        node(function, name, "Const", dtype=tensor.dtype).attr["value"].tensor.CopyFrom(tensor)
    saved = node(function, "save", "SaveV2", [f"{name}:output:0" for name in "pnsd"])
    saved.attr["dtypes"].list.type.append(tf.float32.as_datatype_enum)
    node(function, "id", "Identity", ["p:output:0", "^save"], T=tf.string.as_datatype_enum)
    function.ret["done"] = "id:output:0"
    function.signature.control_output.append("save")
    function.control_ret["save"] = "save"


def add_relu(library, called: str):
    """A function by the name of an operation, which calls another."""
    import tensorflow as tf

    number = tf.float32.as_datatype_enum
    function = library.function.add()
    function.signature.name, function.signature.is_stateful = "Relu", True
    function.signature.input_arg.add(name="features", type=number)
    function.signature.output_arg.add(name="activations", type=number)
    call = node(function, "call", "StatefulPartitionedCall")
    call.attr["f"].func.name = called
    call.attr["Tin"].list.SetInParent()
    call.attr["Tout"].list.type.append(tf.string.as_datatype_enum)
    node(function, "out", "Identity", ["features", "^call"], T=number)
    function.ret["activations"] = "out:output:0"
    return function


def refused(export, told: str, file) -> None:
    with pytest.raises(KcarsError, match=told) as error:
        load(export).predict([np.zeros((SIZE, SIZE, 3), np.uint8)])
    assert "\n" not in str(error.value)
    assert not list(file.parent.glob(file.name + "*"))


def test_an_operation_is_no_function_of_the_same_name(plain, tmp_path):
    def change(graph):
        add_saver(graph.graph_def.library, tmp_path / "owned")
        add_relu(graph.graph_def.library, SAVER)

    refused(changed(plain, tmp_path / "export", change), "with the name of an operation, Relu", tmp_path / "owned")


def test_nothing_calls_what_stores_variables(plain, tmp_path):
    def change(graph):
        add_saver(graph.graph_def.library, tmp_path / "owned")
        add_relu(graph.graph_def.library, SAVER).signature.name = "other"

    refused(changed(plain, tmp_path / "export", change), f"function other calls {SAVER}", tmp_path / "owned")


@pytest.mark.parametrize("name", ["_gather_saveables_for_checkpoint", "_maybe_initialize_trackable", "__call__"])
def test_no_object_has_a_part_in_the_place_of_a_method(plain, tmp_path, name):
    """TensorFlow's loader calls these methods of what it has made."""

    def change(graph):
        add_saver(graph.graph_def.library, tmp_path / "owned")
        objects = graph.object_graph_def
        facts = objects.concrete_functions[SAVER]
        facts.canonicalized_input_signature.tuple_value.values.add().tuple_value.SetInParent()
        facts.canonicalized_input_signature.tuple_value.values.add().dict_value.SetInParent()
        facts.output_signature.tensor_spec_value.dtype = 7
        facts.output_signature.tensor_spec_value.shape.SetInParent()
        objects.nodes.add().bare_concrete_function.concrete_function_name = SAVER
        objects.nodes[0].children.add(node_id=len(objects.nodes) - 1, local_name=name)

    refused(changed(plain, tmp_path / "export", change), f"a part '{name}'", tmp_path / "owned")


def test_a_signature_that_stores_variables_is_refused_though_it_is_not_called(plain, tmp_path):
    def change(graph):
        add_saver(graph.graph_def.library, tmp_path / "owned")
        graph.object_graph_def.nodes.add().bare_concrete_function.concrete_function_name = SAVER

    refused(
        changed(plain, tmp_path / "export", change), "contains a function that stores variables", tmp_path / "owned"
    )


def test_no_function_is_run_in_the_place_of_another(plain, tmp_path):
    def replaced(graph):
        graph.graph_def.library.function[0].attr["api_implements"].s = b"mine"

    def handed_on(graph):
        function = next(f for f in graph.graph_def.library.function if any("f" in n.attr for n in f.node_def))
        call = next(n for n in function.node_def if "f" in n.attr)
        call.attr["f"].func.attr["inner"].func.name = SAVER

    def left_open(graph):
        graph.graph_def.library.function[0].node_def[0].attr["f"].placeholder = "inner"

    def gradient(graph):
        graph.graph_def.library.registered_gradients.add(registered_op_type="CustomGradient-1", gradient_func="none")

    for change, told in (
        (replaced, "has the attribute 'api_implements'"),
        (handed_on, "accepts or passes a function"),
        (left_open, "accepts or passes a function"),
        (gradient, "has a gradient 'none'"),
    ):
        refused(changed(plain, tmp_path / change.__name__, change), told, tmp_path / "owned")


def test_the_gradient_that_efficientnet_stores_is_no_reason_to_refuse_it(tmp_path):
    """Its activation has a gradient of its own, which TensorFlow writes into a SavedModel beside the graph."""
    import tensorflow as tf

    from kcars.backbones.blocks.swish import _swish

    export = saved_export(tmp_path, lambda pixels: tf.reduce_mean(_swish()(tf.cast(pixels, tf.float32))))
    assert b"CustomGradient-" in (export / "saved_model/1/saved_model.pb").read_bytes()
    load(export).predict([np.zeros((SIZE, SIZE, 3), np.uint8)])
