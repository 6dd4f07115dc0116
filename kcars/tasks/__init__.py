"""A task is a module with the same functions; this dict names them."""

from types import ModuleType

from kcars.core.errors import one_of
from kcars.settings import TASKS


def task_module(name: str) -> ModuleType:
    """The module of a task, imported when asked for because it brings Keras."""
    import importlib

    if name not in TASKS:
        raise one_of("task", name, TASKS)
    return importlib.import_module(f"kcars.tasks.{name}")
