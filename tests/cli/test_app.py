import os
import subprocess
import sys

import pytest
from support.commands import kcars, small

from kcars.settings.strategy import strategy_files


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["train"],
        ["evaluate"],
        ["data"],
        ["data", "synth"],
        ["strategies"],
        ["tune"],
        ["explain"],
        ["demo"],
        ["index", "build"],
        ["index", "enroll"],
    ],
)
def test_help_has_an_example(command):
    output = kcars(*command, "--help")
    assert "Usage:" in output
    if command and command[0] in ("train", "evaluate", "tune", "explain", "demo", "index"):
        assert "Example" in output


def test_strategies_are_listed_and_shown():
    output = kcars("strategies")
    assert all(name in output for name in strategy_files())
    assert "validation_models: 8" in kcars("strategies", "show", "demo/verify")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "--task: is missing"),
        (["train", "--task", "verify", "--data", "/no/such"], "no such folder"),
        (["train", "--task", "verify", "--strategy", "nothing"], "is not known; choose one of"),
        (["train", "--task", "verify", "--set", "train.epoch=1"], "unknown setting"),
        (["evaluate", "/no/such"], "does not exist"),
        (["evaluate", "."], "is no run folder"),
        (["strategies", "show", "nothing"], "is not known"),
        (["index", "build", "cars"], "kcars index build: missing option '--out'; kcars index build --help tells"),
        (["train", "--task", "name"], "kcars train: invalid value for '--task': 'name' is not one of"),
        (["predict", ""], "an empty path was given (the current folder is"),
        (["index", "build", "cars", "--out", ""], "an empty path was given"),
        (["train", "--task", "verify", "--data", ""], "an empty path was given"),
        (["nothing"], "kcars: no such command 'nothing'; kcars --help tells"),
        (["--nothing"], "kcars: no such option '--nothing'"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments, message):
    output = kcars(*arguments, code=2)
    (line,) = output.splitlines()
    assert message in line


def test_a_full_or_unwritable_output_folder(drawn, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("keep me")
    (tmp_path / "file").write_text("")
    train = ["train", "--task", "verify", "--data", drawn, "--out"]
    assert "holds something already" in kcars(*train, tmp_path / "full", code=2)
    assert "is no run folder" in kcars(*train, tmp_path / "full", "--force", code=2)
    assert (tmp_path / "full" / "letter.txt").read_text() == "keep me"
    assert "cannot be written" in kcars(*train, tmp_path / "file" / "run", code=2)


def test_without_tensorflow_the_extra_is_named(drawn, tmp_path):
    program = (
        "import sys, importlib.util as u; find = u.find_spec;"
        "u.find_spec = lambda name, *rest: None if name == 'tensorflow' else find(name, *rest);"
        "from kcars.cli import main; main()"
    )
    command = [sys.executable, "-c", program, "train", "--task", "verify", "--data", drawn, "--out", tmp_path / "run"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 2
    assert "kcars[cpu]" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_start_up_is_quiet(drawn, tmp_path):
    command = [
        sys.executable,
        "-m",
        "kcars.cli",
        "train",
        "--task",
        "classify",
        "--data",
        drawn,
        "--dry-run",
        *small(),
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_", "GRPC_"))}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
