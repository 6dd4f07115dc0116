"""The training state on disk: an atomically written file and its predecessor."""

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

    step: completed steps; facts: callback states, as JSON; arrays: variables and checkpoint weights by name.
    """

    step: int
    facts: dict
    arrays: dict[str, np.ndarray]


def write(folder: Path, state: State) -> None:
    """Write the newest state; the former newest becomes the previous one.

    Raises Diverged, and writes nothing, if a number is not finite; KcarsError if the disk is full.
    """
    for name, array in state.arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise Diverged(
                f"training: {name} is no longer finite at step {state.step}; the previous state is kept; lower "
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
        os.fsync(file.fileno())  # Replace the previous state only after the new one is on disk.
        if newest.exists():
            _second_name(newest, previous)


def _second_name(path: Path, other: Path) -> None:
    """Link `other` to the file at `path`, replacing `other`; `path` exists at all times."""
    temporary = path.with_name(f".{other.name}")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    os.link(path, temporary)
    os.replace(temporary, other)


def exists(folder: Path) -> bool:
    return any(RunFolder(folder).has(name) for name in (NEWEST, PREVIOUS))


def read(
    folder: Path,
    warn: Callable[[str], None],
    identity: str | None = None,
    fits: Callable[[State], None] = lambda state: None,
    older: Callable[[int], None] = lambda step: None,
) -> State | None:
    """Read the newest readable state; None if none was written.

    An unusable newest state is renamed, so that it never becomes the previous one.

    warn: called with a message about an unusable or missing state; identity: expected value in `facts`, if given; fits:
    raises ValueError for a state that does not fit this run; older: called with the step of a state that is not the newest,
    before the newest is renamed. Raises NoWayOn if all are damaged or belong to other runs.
    """
    damaged = [] if (folder / NEWEST).exists() else [f"{folder / NEWEST}: is missing"]
    for name in (NEWEST, PREVIOUS):
        path = folder / name
        if not RunFolder(folder).has(name):
            continue
        try:
            state = _read(path)
            if identity not in (None, state.facts.get("identity")):
                raise ValueError("belongs to another run")
            fits(state)
        except (OSError, ValueError) as error:
            damaged.append(f"{path}: cannot be used ({error})")
            continue
        if damaged:
            older(state.step)
            warn(f"{damaged[0]}; continuing from the previous one, step {state.step}")
            with contextlib.suppress(FileNotFoundError):
                os.replace(folder / NEWEST, folder / UNUSABLE)
            os.replace(path, folder / NEWEST)
        return state
    if exists(folder):
        raise NoWayOn("; ".join(damaged) + "; there is no state to continue from; train again")
    return None


def _digest(content) -> bytes:
    """Return the digest at the end of the file; the checksums of .npz do not cover the number of arrays."""
    return hashlib.sha256(content).digest()


def _read(path: Path) -> State:
    """Read a state; ValueError if the file is damaged, or has numbers that `write` refuses."""
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
        with np.errstate(over="ignore"):  # A float64 value out of range of float32 would become infinite later.
            if array.dtype.kind == "f" and not np.isfinite(array.astype(np.float32, copy=False)).all():
                raise ValueError(f"{name} is not finite")
    facts.pop("format")
    return State(facts.pop("step"), facts, arrays)
