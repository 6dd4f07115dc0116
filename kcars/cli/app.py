"""The `kcars` command: finds its commands, and ends each mistake with one line and exit code 2."""

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
        "report": ("report:report", "Write one HTML page of scored runs."),
        "table": ("report:table", "Compare scored runs, a line each."),
        "figures": ("report:figures", "Draw the paper's figures from scored runs."),
        "reproduce": ("report:reproduce", "Train and score all strategies of one of the paper's tables."),
    },
    "Use": {
        "predict": ("use:predict", "Name the cars in photos and videos."),
        "compare": ("use:compare", "Decide whether two photos show the same make or model."),
        "explain": ("explain:explain", "Show where a network looked."),
        "export": ("use:export", "Write a run as SavedModel, ONNX and LiteRT."),
        "index": ("index:index_group", "Search among photos, and name and group them."),
        "demo": ("demo:demo", "Serve a page to try a model."),
        "limits": ("limits:limits_command", "List what a file or a request may cost."),
    },
}
"""Sections of `kcars --help`: command -> where it is in this package, and its line there.

A command's module is imported when the command is called.
"""
COMMANDS = {name: place for section in SECTIONS.values() for name, place in section.items()}
GROUP = "kcars.commands"
"""Of the entry points by which an installed package adds commands: name -> a click command, imported when it is called."""


class _Commands(click.Group):
    """Imports a command when it is called. A mistake ends any command with one line and exit code 2; a signal with 128 + its number, as in shells."""

    def list_commands(self, context):
        """Names, in the order of the help."""
        return [*COMMANDS, *sorted({*self.commands, *_added()})]

    def get_command(self, context, name):
        """The command of a name, imported now; None for other names."""
        if name not in COMMANDS:
            return super().get_command(context, name) or _load(name)
        module, _, attribute = COMMANDS[name][0].partition(":")
        return getattr(importlib.import_module(f"{__package__}.{module}"), attribute)

    def format_commands(self, context, formatter):
        """A part of the help for each section, without an import of any command but added ones."""
        width = max(map(len, COMMANDS))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), told) for name, (_, told) in commands.items()])
        if added := [name for name in self.list_commands(context) if name not in COMMANDS]:
            with formatter.section("Added"):
                formatter.write_dl([(name.ljust(width), self._told_of(name, context)) for name in added])

    def _told_of(self, name: str, context) -> str:
        """The line of an added command, which is imported for it; what is wrong with it where it cannot be."""
        try:
            command = self.get_command(context, name)
            return command.get_short_help_str(80) if command else ""
        except KcarsError as error:
            return str(error)

    def parse_args(self, context, args):
        """Take what stands before a command's name."""
        try:
            return super().parse_args(context, args)
        except click.UsageError as error:
            _refuse(error, context)

    def invoke(self, context):
        """Run the command; what ends it is told in one line."""
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
        except MemoryError as error:  # Whatever was being read is not to blame.
            told = str(error) or "memory is too short"
            warn(f"kcars: {told}; end other programs, or raise the limit on memory")
            context.exit(2)
        except RecursionError:
            warn("kcars: what was given is nested too deeply, such as folders a thousand deep")
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
    """Commands of installed packages; none takes the name of one of kcars."""
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in COMMANDS}


def _load(name: str) -> click.Command | None:
    """The command that an installed package adds by a name; KcarsError, which names the package's, where there is none in it."""
    entry = _added().get(name)
    if entry is None:
        return None
    try:
        found = entry.load()
    except Exception as error:  # noqa: BLE001  Whatever another package's module raises.
        raise KcarsError(f"command {name}: {entry.value} ({GROUP}) cannot be loaded ({error})") from None
    if not isinstance(found, click.Command):
        raise KcarsError(f"command {name}: {entry.value} ({GROUP}) is no click command")
    return found


def _place(name: str | bytes | int) -> str:
    return os.fsdecode(name) if isinstance(name, bytes) else str(name)


def _refuse(error: click.UsageError, context: click.Context) -> None:
    """One line in the place of Click's four; without any argument, the help as Click shows it."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        raise error
    command = (error.ctx or context).command_path
    told = error.format_message().rstrip(".")
    warn(f"{command}: {told[:1].lower() + told[1:]}; {command} --help tells what is allowed")
    context.exit(2)


@click.group("kcars", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="kcars")
def main():
    """Recognise vehicles: name the make or model, or tell whether two photos show the same.

    \b
    Examples:
      kcars train --task verify --target model --difficulty hard
      kcars train --task classify --data /data/CompCars --out runs/first
      kcars evaluate runs/first
      kcars predict car.jpg --model runs/first
    """
