"""`kcars train` and `kcars evaluate`."""

import contextlib
import signal
from pathlib import Path

import click

from kcars.cli.load import chosen_strategy, load_and_report
from kcars.cli.run_names import next_run
from kcars.cli.strategy_options import strategy_options
from kcars.cli.types import PATH, GivenPath
from kcars.core.errors import Interrupted, KcarsError
from kcars.core.plain_text import echo, echo_lines, warn
from kcars.tasks.texts import task_texts


@click.command()
@strategy_options("verify: pairs that choose the best epoch and come first in the table; all are scored.")
@click.option("--out", type=PATH, help="Run folder.  [default: the next free one in runs/]")
@click.option("--force", is_flag=True, help="Replace an existing run in --out.")
@click.option("--dry-run", is_flag=True, help="Measure and print steps, time, memory and disk use without training.")
@click.option(
    "--resume", metavar="RUN", type=PATH,
    help="Resume a stopped run with its own settings; --set train.epochs=... extends it.",
)  # fmt: skip
@click.pass_context
def train(context, task, target, difficulty, folder, name, overrides, out, force, dry_run, resume):
    """Train a network, score it on the test split, and print the scores.

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
    dataset = load_and_report(folder, strategy, out=None if dry_run else out or Path("runs"))
    echo(f"strategy: {title}")
    if task_texts(strategy.task).of_pairs and strategy.monitored_difficulty != strategy.difficulty:
        echo(
            f"difficulty: {strategy.difficulty} pairs are all of the same make, so their scores by make are undefined; "
            f"{strategy.monitored_difficulty} pairs choose epoch and threshold"
        )
    if dry_run:
        _print_cost(strategy, dataset)
        return
    from kcars.training.train import train as learn

    with contextlib.nullcontext(out) if out else next_run(chosen) as place:
        run = learn(strategy, dataset, place, title, force)
    _score(run, dataset)


def _go_on(context, folder, data, overrides) -> None:
    from kcars.runs.resume import settings_to_go_on
    from kcars.runs.run import Run
    from kcars.training.train import go_on

    given = {option.opts[0] for option in context.command.params if _given(context, option.name)}
    if wrong := given - {"--resume", "--data", "--set"}:
        raise KcarsError(f"{min(wrong)}: cannot be combined with --resume, which allows only --data and --set")
    run = Run.open(folder)
    strategy = settings_to_go_on(run, overrides)
    echo(f"strategy: {run.facts()['strategy']}")
    dataset = load_and_report(data if "--data" in given else Path(run.facts()["data"]["source"]), strategy)
    go_on(run, strategy, dataset)
    _score(run, dataset)


def _given(context, name: str) -> bool:
    return context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE


@click.command()
@click.argument("run", type=PATH)
@click.option("--data", "folder", type=PATH, help="New location of the run's dataset, if it moved.")
@click.option(
    "--on", metavar="DATA", type=GivenPath(exists=True, path_type=Path),
    help="Test on another dataset instead; its classes are matched by name.",
)  # fmt: skip
def evaluate(run, folder, on):
    """Score the checkpoint of RUN (best epoch; last with train.keep=last) on the test split again, and print the scores.

    Without --data, the dataset that the run was trained on is used.

    \b
    Examples:
      kcars evaluate runs/demo-verify
      kcars evaluate runs/start-classify-1 --on my_photos
    """
    from kcars.runs.run import Run

    opened = Run.open(run)
    if on and folder:
        raise KcarsError("--on: cannot be combined with --data, which gives the new location of the run's own dataset")
    if on:
        _score_elsewhere(opened, load_and_report(on, opened.strategy(), whole=True))
        return
    if not opened.facts()["finished"]:
        epoch = f"its {opened.strategy().train.keep} epoch so far"
        warn(f"{run} is unfinished: {epoch} is scored; kcars train --resume {run} continues it")
    folder = folder or Path(opened.facts()["data"]["source"])
    _score(opened, load_and_report(folder, opened.strategy()), _stamps(opened.folder))


def _stamps(folder: Path) -> dict[Path, int]:
    """Return the modification time of each file and folder in a run folder."""
    return {file: file.lstat().st_mtime_ns for file in sorted(folder.iterdir()) if not file.name.startswith(".")}


def _score(run, dataset, before: dict[Path, int] | None = None) -> None:
    """Score the run, print the table, and list the run's files; with `before`, only those that changed."""
    from kcars.evaluation.evaluate import evaluate as score
    from kcars.evaluation.score_table import score_table

    try:
        found = score(run, dataset)
    except (KeyboardInterrupt, Interrupted) as stop:
        number = getattr(stop, "signal", signal.SIGINT)
        stand = "; its earlier scores are valid until then" if (run.folder / "scores.json").is_file() else ""
        raise Interrupted(number, f"stopped while scoring; kcars evaluate {run.folder} scores it{stand}") from None
    echo_lines("\n" + score_table(found) + "\n")
    for file, written in _stamps(run.folder).items():
        if (before or {}).get(file) != written:
            echo(f"  {file}")


def _score_elsewhere(run, dataset) -> None:
    from kcars.evaluation.cross_dataset import evaluate_on
    from kcars.evaluation.score_table import score_table

    found = evaluate_on(run, dataset)
    echo_lines("\n" + score_table(found) + "\n")
    echo(f"  {run.folder / ('on-' + found['data_fingerprint'])}")


def _print_cost(strategy, dataset) -> None:
    from kcars.training.cost import describe

    echo_lines(describe(strategy, dataset))
