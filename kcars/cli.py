"""The `kcars` commands. Everything heavy is imported inside a command, so that --help answers at once."""

import contextlib
import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import click

from kcars import __version__, cli_demo, cli_explain, cli_index, cli_limits, cli_report, cli_tune, cli_use
from kcars.cli_data import data, data_option
from kcars.cli_load import chosen_strategy, load_told, stem
from kcars.cli_types import PATH, GivenPath
from kcars.errors import Interrupted, KcarsError
from kcars.interrupt import terminate
from kcars.plain_text import echo, echo_lines, prepare_streams, warn


class _Commands(click.Group):
    """A mistake ends any command with one line and exit code 2; a signal with 128 + its number, as in shells."""

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


main.add_command(data)
for command in (
    *cli_report.COMMANDS,
    *cli_use.COMMANDS,
    *cli_explain.COMMANDS,
    *cli_index.COMMANDS,
    *cli_demo.COMMANDS,
    *cli_tune.COMMANDS,
    *cli_limits.COMMANDS,
):
    main.add_command(command)


@main.group(invoke_without_command=True)
@click.pass_context
def strategies(context):
    """List the shipped strategies; `kcars strategies show NAME` prints one whole."""
    if context.invoked_subcommand:
        return
    from kcars.listing import listing

    echo_lines(listing())


@strategies.command()
@click.argument("name")
def show(name):
    """Print the settings of NAME with every default filled in."""
    from kcars.strategy import load_strategy, to_yaml

    echo_lines(to_yaml(load_strategy(name)), nl=False)


@strategies.command()
def schema():
    """Print the JSON schema of strategy files, for editors."""
    from kcars.strategy import json_schema

    echo_lines(json_schema(), nl=False)


@main.command()
@click.option("--task", type=click.Choice(["classify", "verify"]), help="Name it, or compare two photos.")
@click.option("--target", type=click.Choice(["make", "model"]), help="Which label is told.  [default: model]")
@click.option(
    "--difficulty", type=click.Choice(["easy", "medium", "hard"]),
    help="verify: whose validation score chooses the best epoch and leads the table; all are scored.",
)  # fmt: skip
@data_option
@click.option("--strategy", "name", metavar="NAME|FILE", help="See `kcars strategies`.  [default: demo/ or start/]")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting (=null unsets it); may stand often.",
)
@click.option("--out", type=PATH, help="Run folder.  [default: the next free one in runs/]")
@click.option("--force", is_flag=True, help="Replace an earlier run in --out.")
@click.option("--dry-run", is_flag=True, help="Measure and print steps, time, memory and disk; train nothing.")
@click.option(
    "--resume", metavar="RUN", type=PATH,
    help="Go on with a run that was stopped, with its own settings; --set train.epochs=... extends it.",
)  # fmt: skip
@click.pass_context
def train(context, task, target, difficulty, folder, name, overrides, out, force, dry_run, resume):
    """Train, then score the test split, and print the table.

    \b
    Examples:
      kcars train --task verify --target model --difficulty hard
      kcars train --task classify --target make --data /data/CompCars
      kcars train --strategy Md_SRes_CE_B256 --set train.epochs=3 --dry-run
      kcars train --resume runs/start-verify-1
    """
    if resume:
        _go_on(context, resume, folder, overrides)
        return
    chosen, title, strategy = chosen_strategy(name, task, folder, overrides, target=target, difficulty=difficulty)
    dataset = load_told(folder, strategy)
    echo(f"strategy: {title}")
    if strategy.task == "verify" and strategy.deciding != strategy.difficulty:
        echo(
            f"difficulty: {strategy.difficulty} pairs are all of one make, so that by make their scores are undefined; "
            f"{strategy.deciding} pairs choose epoch and threshold"
        )
    if dry_run:
        _print_cost(strategy, dataset)
        return
    from kcars.train import train as learn

    with contextlib.nullcontext(out) if out else _next_run(chosen) as place:
        run = learn(strategy, dataset, place, title, force)
    _score(run, dataset)


def _go_on(context, folder, data, overrides) -> None:
    from kcars.resume import settings_to_go_on
    from kcars.run import Run
    from kcars.train import go_on

    given = {option.opts[0] for option in context.command.params if _given(context, option.name)}
    if wrong := given - {"--resume", "--data", "--set"}:
        raise KcarsError(f"{min(wrong)}: does not go with --resume, beside which only --data and --set may stand")
    run = Run.open(folder)
    strategy = settings_to_go_on(run, overrides)
    echo(f"strategy: {run.facts()['strategy']}")
    dataset = load_told(data if "--data" in given else Path(run.facts()["data"]["source"]), strategy)
    go_on(run, strategy, dataset)
    _score(run, dataset)


def _given(context, name: str) -> bool:
    return context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE


@main.command()
@click.argument("run", type=PATH)
@click.option("--data", "folder", type=PATH, help="Where the dataset of the run lies now, if it moved.")
@click.option(
    "--on", metavar="DATA", type=GivenPath(exists=True, path_type=Path),
    help="Test on another dataset instead, whose classes are told by their names.",
)  # fmt: skip
def evaluate(run, folder, on):
    """Score the epoch that RUN keeps (its best; train.keep=last: its last) on the test split once more, and print the table.

    Without --data, on the dataset that it was trained on, where that still lies.

    \b
    Examples:
      kcars evaluate runs/demo-verify
      kcars evaluate runs/start-classify-1 --on my_photos
    """
    from kcars.run import Run

    opened = Run.open(run)
    if on and folder:
        raise KcarsError("--on: does not go with --data, which says where the run's own dataset lies now")
    if on:
        _score_elsewhere(opened, load_told(on, opened.strategy(), whole=True))
        return
    if not opened.facts()["finished"]:
        epoch = f"its {opened.strategy().train.keep} epoch so far"
        warn(f"{run} is unfinished: {epoch} is scored; kcars train --resume {run} goes on")
    folder = folder or Path(opened.facts()["data"]["source"])
    _score(opened, load_told(folder, opened.strategy()), _stamps(opened.folder))


@contextlib.contextmanager
def _next_run(name: str) -> Iterator[Path]:
    """The next free folder in runs/, made at once so that no other process takes it; removed where it stays empty."""
    first = not Path("runs").exists()
    folder = _claimed(stem(name))
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):  # It holds a run.
            folder.rmdir()
            if first:
                folder.parent.rmdir()


def _claimed(name: str) -> Path:
    number, runs = 1, Path("runs")
    try:
        runs.mkdir(exist_ok=True)
        while True:
            folder = runs / f"{name}-{number}"
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                number += 1
    except OSError as error:
        told = f"{runs}: no run can be made there ({error.strerror})"
        raise KcarsError(f"{told}; name another folder with --out") from None


def _stamps(folder: Path) -> dict[Path, int]:
    """When each file of a run folder was written, and each folder in it changed."""
    return {file: file.lstat().st_mtime_ns for file in sorted(folder.iterdir()) if not file.name.startswith(".")}


def _score(run, dataset, before: dict[Path, int] | None = None) -> None:
    """Score, print the table, and name the run's files: those that are not as they were before, where that is given."""
    from kcars.evaluate import evaluate as score
    from kcars.table import score_table

    try:
        found = score(run, dataset)
    except (KeyboardInterrupt, Interrupted) as stop:
        number = getattr(stop, "signal", signal.SIGINT)
        stand = "; its earlier scores stand until then" if (run.folder / "scores.json").is_file() else ""
        raise Interrupted(number, f"stopped while scoring; kcars evaluate {run.folder} scores it{stand}") from None
    echo_lines("\n" + score_table(found) + "\n")
    for file, written in _stamps(run.folder).items():
        if (before or {}).get(file) != written:
            echo(f"  {file}")


def _score_elsewhere(run, dataset) -> None:
    from kcars.elsewhere import evaluate_on
    from kcars.table import score_table

    found = evaluate_on(run, dataset)
    echo_lines("\n" + score_table(found) + "\n")
    echo(f"  {run.folder / ('on-' + found['data_fingerprint'])}")


def _print_cost(strategy, dataset) -> None:
    from kcars.cost import describe

    echo_lines(describe(strategy, dataset))


if __name__ == "__main__":
    main()
