"""Checks that a state fits a run: steps and callback states must agree with the plan and each other."""

from collections.abc import Collection, Mapping

from pydantic import ValidationError

from kcars.runs.state_file import State
from kcars.schemas import first_fault
from kcars.schemas.state import CALLBACKS


def refuse_misfit(
    state: State, callbacks: Collection[str], steps_per_epoch: int, epochs: int, cells: Mapping[str, int] | None = None
) -> None:
    """Raise ValueError, with the reason, if a run with these epochs and callbacks cannot have the state.

    cells: number of cells per row of each callback's table.
    """
    if state.step > steps_per_epoch * epochs:
        raise ValueError(f"is at step {state.step}, beyond the planned {steps_per_epoch * epochs}")
    for name in callbacks:
        if name not in state.facts:
            raise ValueError(f"has no state of {name}")
        if name in CALLBACKS:
            try:
                CALLBACKS[name].model_validate(state.facts[name])
            except ValidationError as error:
                raise ValueError(f"{name}: {first_fault(error)}") from None
    _refuse_other_steps(state, callbacks, steps_per_epoch)
    for name, count in (cells or {}).items():
        _refuse_other_rows(name, state.facts[name]["rows"], count, epochs)


def _refuse_other_steps(state: State, callbacks: Collection[str], steps_per_epoch: int) -> None:
    whole = state.step // steps_per_epoch
    # A time limit ends an epoch before its last step.
    ended = {whole, whole + (state.step % steps_per_epoch > 0)}
    facts = {name: state.facts[name] for name in callbacks}
    for name, found in facts.items():
        if (step := found.get("step", found.get("steps", state.step))) != state.step:
            raise ValueError(f"{name} is at step {step}, the state at {state.step}")
        if "epochs" in found and found["epochs"] not in ended:
            raise ValueError(f"{name} has {found['epochs']} epochs, the state {whole}")
        if found.get("best_epoch", 0) > found.get("epochs", 0):
            raise ValueError(f"{name} has best epoch {found['best_epoch']} of {found['epochs']}")
    rows = facts.get("History", {}).get("rows")
    if rows is not None and (
        len(rows) not in ended or [row.get("epoch") for row in rows] != list(range(1, len(rows) + 1))
    ):
        raise ValueError(f"its history has {len(rows)} epochs, the state {whole}")


def _refuse_other_rows(name: str, rows: list[list], count: int, epochs: int) -> None:
    for row in rows:
        if len(row) != count:
            raise ValueError(f"{name} has a row of {len(row)} cells, its table has {count}")
        if type(row[0]) is not int or not 1 <= row[0] <= epochs:
            raise ValueError(f"{name} has a row without a valid epoch")
