"""The tasks: modules that implement the functions of `Task`, by name."""

from typing import TYPE_CHECKING, cast

from kcars.core.errors import one_of
from kcars.settings import TASKS

if TYPE_CHECKING:
    from kcars.tasks.plan import Task


def task_module(name: str) -> "Task":
    """Import and return the module of a task, which imports Keras."""
    import importlib

    if name not in TASKS:
        raise one_of("task", name, TASKS)
    return cast("Task", importlib.import_module(f"kcars.tasks.{name}"))
