import os
import subprocess
import sys

import click
import pytest
from support.commands import kcars, small

from kcars.cli import main
from kcars.cli.app import COMMANDS
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
        (["evaluate", "."], "is not a run folder"),
        (["strategies", "show", "nothing"], "is not known"),
        (["index", "build", "cars"], "kcars index build: missing option '--out'; see kcars index build --help"),
        (["train", "--task", "name"], "kcars train: invalid value for '--task': 'name' is not one of"),
        (["predict", ""], "an empty path was given (the current folder is"),
        (["index", "build", "cars", "--out", ""], "an empty path was given"),
        (["train", "--task", "verify", "--data", ""], "an empty path was given"),
        (["nothing"], "kcars: no such command 'nothing'; see kcars --help"),
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
    assert "is not empty" in kcars(*train, tmp_path / "full", code=2)
    assert "is not a run folder" in kcars(*train, tmp_path / "full", "--force", code=2)
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
        "--strategy",
        "scratch/classify",
        "--data",
        drawn,
        "--dry-run",
        *small(),
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_", "GRPC_"))}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def every_command(group=main, path=()):
    """(words, command) of each command below a group."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))
        yield (*path, name), command


@pytest.mark.parametrize(
    ("words", "command"), every_command(), ids=lambda one: "-".join(one) if isinstance(one, tuple) else ""
)
def test_every_command_and_option_says_what_it_does(words, command):
    assert command.help
    lacking = [one.opts[0] for one in command.params if isinstance(one, click.Option) and not one.help]
    assert lacking == []


def test_help_lists_every_command_without_importing_one():
    program = (
        "import sys; from kcars.cli import main; from click.testing import CliRunner\n"
        "out = CliRunner().invoke(main, ['--help']).output; print(out)\n"
        "assert not [name for name in sys.modules if name.startswith('kcars.cli.') and name != 'kcars.cli.app'], sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
