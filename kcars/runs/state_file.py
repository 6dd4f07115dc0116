"""The state of a training on disk: one file, whole or not at all, and the one before it."""

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from kcars.core.errors import Diverged, KcarsError, NoWayOn
from kcars.core.files import written_whole
from kcars.core.limits import limits
from kcars.schemas import first_fault
from kcars.schemas.state import StateFacts
from kcars.untrusted.reading import MIB, arrays_in, read_bytes
from kcars.untrusted.run_folder import RunFolder

FORMAT = 1
NEWEST, PREVIOUS, UNUSABLE = "state.npz", "state.previous.npz", "state.unusable.npz"


@dataclass(frozen=True)
class State:
    """Everything that the next step depends on.

    step: steps done; facts: what callbacks remember, as JSON; arrays: variables and kept weights by name.
    """

    step: int
    facts: dict
    arrays: dict[str, np.ndarray]


def write(folder: Path, state: State) -> None:
    """Write the newest generation; what was newest becomes the previous one.

    Raises Diverged, and writes nothing, where a number is not finite; KcarsError where the disk takes no more.
    """
    for name, array in state.arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise Diverged(
                f"training: {name} is no longer finite at step {state.step}; the state saved before is kept; lower "
                "train.learning_rate, or train in float32"
            )
    facts = {"format": FORMAT, "step": state.step, **state.facts}
    content = io.BytesIO()
    np.savez(content, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **state.arrays)  # pyright: ignore[reportArgumentType]  No name is allow_pickle.
    newest, previous = (RunFolder(folder).place(name) for name in (NEWEST, PREVIOUS))
    with written_whole(newest, "wb") as file:
        file.write(content.getbuffer())
        file.write(_digest(content.getbuffer()))
        file.flush()
        os.fsync(file.fileno())  # Only a state that is safe on disk may push the others down.
        if newest.exists():
            _second_name(newest, previous)


def _second_name(path: Path, other: Path) -> None:
    """Let `other` name the file at `path` too, replacing what it named; `path` exists all the while."""
    beside = path.with_name(f".{other.name}")
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()
    os.link(path, beside)
    os.replace(beside, other)


def exists(folder: Path) -> bool:
    return any(RunFolder(folder).has(name) for name in (NEWEST, PREVIOUS))


def read(
    folder: Path,
    warn: Callable[[str], None],
    identity: str | None = None,
    fits: Callable[[State], None] = lambda state: None,
    older: Callable[[int], None] = lambda step: None,
) -> State | None:
    """The newest generation that can be read; None where none was written.

    A newest one that cannot be used is laid aside, so that no later writing makes it the previous one.
    warn: is told of it in a line, or that it is gone; identity: what `facts` must say where it is given; fits: raises
    ValueError for a state that cannot be of this run; older: called with the step of one that is not the newest written,
    while that is still seen. Raises NoWayOn where all are damaged, or of other runs.
    """
    damaged = [] if (folder / NEWEST).exists() else [f"{folder / NEWEST}: is gone"]
    for name in (NEWEST, PREVIOUS):
        path = folder / name
        if not RunFolder(folder).has(name):
            continue
        try:
            state = _read(path)
            if identity not in (None, state.facts.get("identity")):
                raise ValueError("of another run")
            fits(state)
        except (OSError, ValueError) as error:
            damaged.append(f"{path}: cannot be used ({error})")
            continue
        if damaged:
            older(state.step)
            warn(f"{damaged[0]}; going on from the one before, step {state.step}")
            with contextlib.suppress(FileNotFoundError):
                os.replace(folder / NEWEST, folder / UNUSABLE)
            os.replace(path, folder / NEWEST)
        return state
    if exists(folder):
        raise NoWayOn("; ".join(damaged) + "; nothing is left to go on from: train anew")
    return None


def _digest(content) -> bytes:
    """Stands at the end of the file: the checksums of .npz cover its arrays, and not how many there are."""
    return hashlib.sha256(content).digest()


def _read(path: Path) -> State:
    """ValueError where a file is damaged, or holds numbers that `write` refuses."""
    whole = memoryview(read_bytes(path, limits().arrays_mib * MIB, path.parent))
    size = len(whole) - hashlib.sha256().digest_size
    if size < 0 or _digest(whole[:size]) != whole[size:]:
        raise ValueError("its checksum is wrong")
    try:
        arrays = arrays_in(io.BytesIO(whole[:size]), path)
        facts = json.loads(arrays.pop("facts").tobytes())
        StateFacts.model_validate(facts)
    except ValidationError as error:
        raise ValueError(first_fault(error)) from None
    except (KcarsError, KeyError, RecursionError) as error:
        raise ValueError(str(error).removeprefix(f"{path}: ")) from None
    for name, array in arrays.items():
        with np.errstate(over="ignore"):  # A number of float64 that float32 does not hold would be infinite later.
            if array.dtype.kind == "f" and not np.isfinite(array.astype(np.float32, copy=False)).all():
                raise ValueError(f"{name} is not finite")
    facts.pop("format")
    return State(facts.pop("step"), facts, arrays)
