import contextlib
import os

import numpy as np
import pytest

from kcars.core.errors import Diverged, KcarsError
from kcars.runs import state_file as module
from kcars.runs.state_file import NEWEST, PREVIOUS, State, read, write


def numbered(step: int) -> State:
    arrays = {
        "model/0": np.full((2, 3), step, np.float32),
        "model/1": np.zeros((0,), np.float32),
        "optimizer/0": np.int64(step),
        "metrics/0": np.arange(4, dtype=np.int32).reshape(2, 2),
    }
    return State(
        step, {"KeepBest": {"best": float("-inf"), "name": "ä"}}, {k: np.asarray(a) for k, a in arrays.items()}
    )


def same(one: State, other: State) -> bool:
    return (
        (one.step, one.facts) == (other.step, other.facts)
        and one.arrays.keys() == other.arrays.keys()
        and all(
            (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
            for a, b in zip(one.arrays.values(), other.arrays.values(), strict=True)
        )
    )


def test_what_is_written_comes_back_and_nothing_is_nothing(tmp_path):
    assert read(tmp_path, pytest.fail) is None
    write(tmp_path, numbered(7))
    assert same(read(tmp_path, pytest.fail), numbered(7))
    assert os.listdir(tmp_path) == [NEWEST]


def test_two_generations_are_kept(tmp_path):
    for step in (1, 2, 3):
        write(tmp_path, numbered(step))
    assert sorted(os.listdir(tmp_path)) == [NEWEST, PREVIOUS]
    assert read(tmp_path, pytest.fail).step == 3
    (tmp_path / NEWEST).unlink()
    told = []
    assert read(tmp_path, told.append).step == 2
    assert "state.npz: is missing; continuing from the previous one, step 2" in told[0]


def test_a_state_of_another_run_is_not_used(tmp_path):
    write(tmp_path, State(1, {"identity": "mine"}, {}))
    write(tmp_path, State(2, {"identity": "other"}, {}))
    told = []
    assert read(tmp_path, told.append, "mine").step == 1
    assert "cannot be used (belongs to another run)" in told[0]
    assert read(tmp_path, pytest.fail, "mine").step == 1
    with pytest.raises(KcarsError, match="belongs to another run.*train again"):
        read(tmp_path, told.append, "a third")


def test_whichever_byte_is_damaged_or_cut_off_no_wrong_state_is_read(tmp_path):
    write(tmp_path, numbered(1))
    write(tmp_path, numbered(2))
    whole, told = (tmp_path / NEWEST).read_bytes(), []
    damages = [whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :] for place in range(0, len(whole), 3)]
    damages += [whole[:length] for length in range(0, len(whole), 5)]
    previous = (tmp_path / PREVIOUS).read_bytes()
    for damage in damages:
        (tmp_path / NEWEST).write_bytes(damage)
        (tmp_path / PREVIOUS).write_bytes(previous)
        found = read(tmp_path, told.append)
        assert same(found, numbered(found.step))
        assert found.step == 1
    assert len(told) == len(damages)
    assert "state.npz: cannot be used" in told[0]
    assert "step 1" in told[0]


def test_what_cannot_be_used_never_becomes_the_state_before(tmp_path):
    write(tmp_path, numbered(1))
    write(tmp_path, numbered(2))
    os.truncate(tmp_path / NEWEST, 99)
    assert read(tmp_path, list).step == 1
    assert read(tmp_path, pytest.fail).step == 1
    write(tmp_path, numbered(3))
    os.truncate(tmp_path / NEWEST, 99)
    assert read(tmp_path, list).step == 1
    assert sorted(os.listdir(tmp_path)) == [NEWEST, "state.unusable.npz"]


def test_the_step_of_an_earlier_state_is_told_while_the_newest_still_says_that_it_is_none(tmp_path):
    """Killed in what is called with it, the next reading calls it again."""
    told = []

    def older(step: int) -> None:
        told.append(step)
        if len(told) == 1:
            raise InterruptedError

    write(tmp_path, numbered(1))
    write(tmp_path, numbered(2))
    assert read(tmp_path, pytest.fail, older=older).step == 2
    assert not told
    os.truncate(tmp_path / NEWEST, 99)
    with pytest.raises(InterruptedError):
        read(tmp_path, list, older=older)
    assert read(tmp_path, list, older=older).step == 1
    assert told == [1, 1]


def test_nothing_left_to_read_is_one_line(tmp_path):
    for name in (NEWEST, PREVIOUS):
        (tmp_path / name).write_bytes(b"half")
    with pytest.raises(KcarsError, match="state.npz: cannot be used.*state.previous.npz: cannot be used.*train again"):
        read(tmp_path, pytest.fail)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_replace_nothing(tmp_path, value):
    write(tmp_path, numbered(1))
    bad = numbered(2)
    bad.arrays["model/0"][1, 1] = value
    with pytest.raises(Diverged, match="model/0 is no longer finite at step 2"):
        write(tmp_path, bad)
    assert read(tmp_path, pytest.fail).step == 1
    assert os.listdir(tmp_path) == [NEWEST]


@pytest.mark.parametrize("call", ["link", "replace", "fsync"])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_dying_between_any_two_calls_leaves_a_whole_state(tmp_path, monkeypatch, call, after):
    write(tmp_path, numbered(1))
    write(tmp_path, numbered(2))
    real, calls = getattr(os, call), []

    def dies(*arguments):
        calls.append(arguments)
        if len(calls) > after:
            raise SystemExit
        return real(*arguments)

    monkeypatch.setattr(module.os, call, dies)
    with contextlib.suppress(SystemExit):
        write(tmp_path, numbered(3))
    monkeypatch.undo()
    assert read(tmp_path, pytest.fail).step in (2, 3)
    write(tmp_path, numbered(4))
    assert read(tmp_path, pytest.fail).step == 4
