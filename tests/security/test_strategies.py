"""Strategy files that somebody else wrote: bombs, deep nesting, pipes, numbers that read otherwise than they look."""

import copy
import os
import random
import time

import pytest
import yaml
from support.run_mutations import DEEP, VALUES
from support.strategies import MINIMAL, written

from kcars.core.errors import KcarsError
from kcars.settings.strategy import check, load_strategy, strategy_files, value_of
from kcars.settings.strategy_yaml import load_yaml

ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{number + 1}: &a{number + 1} [{', '.join([f'*a{number}'] * 10)}]\n" for number in range(12)
)
MERGES = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{number + 1}: &a{number + 1} {{<<: [{', '.join([f'*a{number}'] * 10)}], k{number}: 1}}\n" for number in range(8)
)


def refused(tmp_path, text: str) -> str:
    """The one line of the refusal, in no time."""
    (tmp_path / "theirs.yaml").write_text(text)
    begun = time.monotonic()
    with pytest.raises(KcarsError) as found:
        load_strategy(str(tmp_path / "theirs.yaml"))
    assert time.monotonic() - begun < 20
    assert len(str(found.value).splitlines()) == 1
    return str(found.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (ALIASES, "contains more than 10,000 values, with aliases expanded (yaml_nodes)"),
        (MERGES, "contains more than 10,000 values"),
        ("about: [" + "x, " * 200_000 + "]", "contains more than 10,000 values"),
        ("about: " + "[" * 100_000, "is nested deeper than 32 levels (yaml_depth)"),
        ("about: " + "{a: " * 50_000, "is nested deeper than 32 levels"),
        ("- " * 20_000, "is nested deeper than 32 levels"),
        ("about: &a [*a]", "a value contains itself"),
        ("about: " + "x" * 2**21, "bytes; at most 1,048,576 are read"),
        ("about: " + "9" * 100_000, "not valid YAML"),
        ("task: classify\ntask: verify", "key 'task' is given twice"),
        ("? [task]\n: classify", "a key is not a text"),
        ("about: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
    ],
)
def test_bombs_are_refused_at_once(tmp_path, text, told):
    assert told in refused(tmp_path, text)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_only_files_are_opened(tmp_path, kind):
    path = tmp_path / "theirs.yaml"
    {"pipe": os.mkfifo, "folder": os.mkdir, "device": lambda place: os.symlink("/dev/zero", place)}[kind](path)
    with pytest.raises(KcarsError, match="there is no such file|regular file"):
        load_strategy(str(path))


@pytest.mark.parametrize(
    "text", ["epochs: 1:30", "epochs: 010", "epochs: 0b11", "epochs: 0o17", "learning_rate: 1:30.5"]
)
def test_numbers_that_are_not_what_they_look_like_are_texts(tmp_path, text):
    settings = yaml.safe_load(MINIMAL)
    lines = yaml.safe_dump({key: value for key, value in settings.items() if key != "train"})
    assert "train." in refused(tmp_path, f"{lines}train: {{{text}}}")


def test_numbers_are_read_as_ever():
    found = load_yaml(
        "[1, -2, +3, 1_000, 0, 1.5, .5, 1e-3, -1.5E+2, 1., .inf, 0x10, true, on, 1:30, 08, 1.2.3, 2020-1]"
    )
    assert found == [
        1,
        -2,
        3,
        1000,
        0,
        1.5,
        0.5,
        0.001,
        -150.0,
        1.0,
        float("inf"),
        16,
        True,
        "on",
        "1:30",
        "08",
        "1.2.3",
        "2020-1",
    ]
    for file in strategy_files().values():
        ours, theirs = load_yaml(file.read_text()), yaml.safe_load(file.read_text())
        assert ours.keys() == theirs.keys()


def test_set_is_bounded_too():
    with pytest.raises(KcarsError, match="nested deeper"):
        value_of("[" * 5000)


def test_no_edit_of_settings_ends_in_a_traceback(tmp_path):
    chance, refusals = random.Random(0), 0
    settings = load_strategy(written(tmp_path, MINIMAL)).model_dump()
    for _ in range(1500):
        edited = copy.deepcopy(settings)
        section = chance.choice([edited, *(part for part in edited.values() if isinstance(part, dict))])
        key = chance.choice([*section, "unknown"])
        section[key] = copy.deepcopy(chance.choice([*VALUES, DEEP, float("nan"), float("inf"), "9" * 50]))
        try:
            check(edited, "theirs.yaml")
        except KcarsError:
            refusals += 1
    assert refusals > 700
