"""What kcars uses of Keras that Keras promises nobody: in one file alone, and each of it as that file takes it."""

import ast
import inspect
from pathlib import Path

import keras
import numpy as np
import pytest

import kcars

PLACE = Path("objectives/optimizer.py")
CLASSES = (
    keras.optimizers.AdamW,
    keras.Model,
    keras.layers.BatchNormalization,
    keras.losses.Loss,
    keras.metrics.Metric,
)
CLASSES += (keras.callbacks.Callback, keras.Variable, keras.optimizers.schedules.LearningRateSchedule)
USED = {"_apply_weight_decay", "_use_weight_decay", "_get_variable_index", "_var_key", "_momentums", "_velocities"}
TELL = (
    "Keras {} changed {}, which kcars/objectives/optimizer.py uses: mend that, or keep the earlier Keras in setup.cfg"
)


def built() -> tuple:
    optimizer, variable = keras.optimizers.AdamW(0.5, weight_decay=0.1), keras.Variable(np.ones(3, np.float32))
    optimizer.build([variable])
    return optimizer, variable


def changed(name: str) -> str:
    return TELL.format(keras.__version__, name)


@pytest.mark.parametrize("name", sorted(USED))
def test_keras_still_has_it(name):
    assert hasattr(built()[0], name), changed(name)


def test_moments_lie_by_the_index_of_their_variable():
    optimizer, variable = built()
    index = optimizer._get_variable_index(variable)
    assert index == 0, changed("_get_variable_index")
    for name in ("_momentums", "_velocities"):
        assert tuple(getattr(optimizer, name)[index].shape) == (3,), changed(name)


def test_a_variable_is_left_out_of_the_decay_and_has_a_key():
    optimizer, variable = built()
    assert optimizer._use_weight_decay(variable), changed("_use_weight_decay")
    assert hash(optimizer._var_key(variable)) == hash(optimizer._var_key(variable)), changed("_var_key")
    assert list(inspect.signature(optimizer._apply_weight_decay).parameters) == ["variables"], changed("it")


def test_weights_decay_by_the_method_that_is_replaced(monkeypatch):
    optimizer, variable = built()
    called = []
    monkeypatch.setattr(optimizer, "_apply_weight_decay", called.append)
    optimizer.apply([keras.ops.zeros(3)], [variable])
    assert called == [[variable]], changed("_apply_weight_decay")


def test_no_other_file_uses_what_is_private():
    """Underscored names of Keras' classes that a file does not define itself, and Keras' inner modules."""
    private = {name for one in CLASSES for name in dir(one) if name.startswith("_") and not name.startswith("__")}
    root = Path(kcars.__file__).parent
    found = {path.relative_to(root): used(path, private) for path in root.rglob("*.py")}
    assert {path: names for path, names in found.items() if names and path != PLACE} == {}
    assert found[PLACE] <= USED


def used(path: Path, private: set[str]) -> set[str]:
    text = path.read_text(encoding="utf-8")
    if "keras" not in text and "network" not in text:
        return set()
    nodes = list(ast.walk(ast.parse(text)))
    named = {node.attr for node in nodes if isinstance(node, ast.Attribute)} & private
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    own |= {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    modules = {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return (named - (own if path.parts[-2:] != PLACE.parts else set())) | {
        one for one in modules if one.startswith("keras.src")
    }
