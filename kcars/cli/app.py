"""The `kcars` command: loads its subcommands and reports each user error in one line with exit code 2."""

import errno
import importlib
import os
import signal
from importlib.metadata import EntryPoint, entry_points

import click

from kcars.core.errors import Interrupted, KcarsError
from kcars.core.plain_text import prepare_streams, warn
from kcars.training.interrupt import terminate
from kcars.version import __version__

SECTIONS = {
    "Data": {
        "data": ("data:data", "Draw, check, sample and describe datasets."),
    },
    "Train": {
        "strategies": ("strategies:strategies", "List the shipped strategies, or print one."),
        "train": ("train:train", "Train a network and score it on the test split."),
        "tune": ("tune:tune", "Find a learning rate, or search for settings."),
    },
    "Measure": {
        "evaluate": ("train:evaluate", "Score a run again, or on another dataset."),
        "report": ("report:report", "Write an HTML report of scored runs."),
        "table": ("report:table", "Compare scored runs, one line each."),
        "figures": ("report:figures", "Draw the paper's figures from scored runs."),
        "reproduce": ("report:reproduce", "Train and score all strategies of a table of the paper."),
    },
    "Use": {
        "predict": ("use:predict", "Name the cars in photos and videos."),
        "compare": ("use:compare", "Decide whether two photos show the same make or model."),
        "explain": ("explain:explain", "Show which parts of a photo a network used."),
        "export": ("use:export", "Export a run as SavedModel, ONNX and LiteRT."),
        "index": ("index:index_group", "Search, name and group photos."),
        "demo": ("demo:demo", "Serve a web page to try a model."),
        "limits": ("limits:limits_command", "List the limits on files and requests."),
    },
}
"""Sections of `kcars --help`: command -> its location in this package, and its summary.

A command's module is imported when the command is called.
"""
COMMANDS = {name: place for section in SECTIONS.values() for name, place in section.items()}
GROUP = "kcars.commands"
"""Entry point group with which installed packages add commands: name -> a click command, imported when it is called."""


class _Commands(click.Group):
    """Imports a command when it is called. A user error exits with one line and code 2, a signal with 128 + its number, as in shells."""

    def list_commands(self, context):
        """Return the command names in the order of the help."""
        return [*COMMANDS, *sorted({*self.commands, *_added()})]

    def get_command(self, context, name):
        """Import and return the command with this name; None if there is none."""
        if name not in COMMANDS:
            return super().get_command(context, name) or _load(name)
        module, _, attribute = COMMANDS[name][0].partition(":")
        return getattr(importlib.import_module(f"{__package__}.{module}"), attribute)

    def format_commands(self, context, formatter):
        """Write the help by section; only added commands are imported."""
        width = max(map(len, COMMANDS))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), summary) for name, (_, summary) in commands.items()])
        if added := [name for name in self.list_commands(context) if name not in COMMANDS]:
            with formatter.section("Added"):
                formatter.write_dl([(name.ljust(width), self._summary(name, context)) for name in added])

    def _summary(self, name: str, context) -> str:
        """Return the summary of an added command, or the error if it cannot be imported."""
        try:
            command = self.get_command(context, name)
            return command.get_short_help_str(80) if command else ""
        except KcarsError as error:
            return str(error)

    def parse_args(self, context, args):
        """Parse the options before the command's name."""
        try:
            return super().parse_args(context, args)
        except click.UsageError as error:
            _refuse(error, context)

    def invoke(self, context):
        """Run the command; report an error in one line."""
        signal.signal(signal.SIGTERM, terminate)
        prepare_streams()
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            warn("kcars: stopped")
            context.exit(128 + signal.SIGINT)
        except KcarsError as error:
            warn(f"kcars: {error}")
            context.exit(2)
        except click.UsageError as error:
            _refuse(error, context)
        except Interrupted as stop:
            warn(f"kcars: {stop}")
            context.exit(128 + stop.signal)
        except MemoryError as error:  # The input is not at fault.
            message = str(error) or "out of memory"
            warn(f"kcars: {message}; end other programs, or raise the memory limit")
            context.exit(2)
        except RecursionError:
            warn("kcars: the input is nested too deeply, such as folders a thousand levels deep")
            context.exit(2)
        except OSError as error:
            if error.filename is not None:
                warn(f"kcars: {_place(error.filename)}: cannot be read or written ({error.strerror})")
            elif error.errno == errno.ENOSPC:
                warn(f"kcars: standard output: cannot be written ({error.strerror})")
            else:
                raise
            context.exit(2)


def _added() -> dict[str, EntryPoint]:
    """Return the commands of installed packages; kcars' own names take precedence."""
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in COMMANDS}


def _load(name: str) -> click.Command | None:
    """Return the command that an installed package adds under this name; KcarsError if it cannot be loaded."""
    entry = _added().get(name)
    if entry is None:
        return None
    try:
        found = entry.load()
    except Exception as error:  # noqa: BLE001  Another package's module may raise anything.
        raise KcarsError(f"command {name}: {entry.value} ({GROUP}) cannot be loaded ({error})") from None
    if not isinstance(found, click.Command):
        raise KcarsError(f"command {name}: {entry.value} ({GROUP}) is not a click command")
    return found


def _place(name: str | bytes | int) -> str:
    return os.fsdecode(name) if isinstance(name, bytes) else str(name)


def _refuse(error: click.UsageError, context: click.Context) -> None:
    """Print one line instead of Click's four; without any argument, let Click show the help."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        raise error
    command = (error.ctx or context).command_path
    message = error.format_message().rstrip(".")
    warn(f"{command}: {message[:1].lower() + message[1:]}; see {command} --help")
    context.exit(2)


@click.group("kcars", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="kcars")
def main():
    """Recognise vehicles: name the make or model, or decide whether two photos show the same one.

    \b
    Examples:
      kcars train --task verify --target model --difficulty hard
      kcars train --task classify --data /data/CompCars --out runs/first
      kcars evaluate runs/first
      kcars predict car.jpg --model runs/first
    """
