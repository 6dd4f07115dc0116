"""The `kcars` commands. Everything heavy is imported inside a command, so that --help answers at once."""

from pathlib import Path

import click

from kcars import __version__
from kcars.errors import KcarsError


class _Commands(click.Group):
    """A KcarsError ends any command with one line and exit code 2."""

    def invoke(self, context):
        try:
            return super().invoke(context)
        except KcarsError as error:
            click.echo(f"kcars: {error}", err=True)
            context.exit(2)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="kcars")
def main():
    """Recognise vehicles: name the make or model, or tell whether two photos show the same.

    \b
    Examples:
      kcars train --task verify --target model --difficulty hard
      kcars train --task classify --data /data/CompCars --out runs/first
      kcars evaluate runs/first
    """


@main.group()
def data():
    """Make and inspect datasets."""


def _drawn_is_none(context, option, value):
    return None if value == Path("drawn") else value


_data_option = click.option(
    "--data", "folder", envvar="KCARS_DATA", type=click.Path(path_type=Path), callback=_drawn_is_none,
    help="CompCars tree, CSV, or folder of class folders (or set KCARS_DATA); without it, or as `drawn`, drawn cars.",
)  # fmt: skip


@data.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--makes", default=12, show_default=True)
@click.option("--models-per-make", default=7, show_default=True)
@click.option("--photos-per-model", default=54, show_default=True, help="Mean; classes differ in size.")
@click.option("--imbalance", default=2.0, show_default=True, help="Photos of the largest class over the smallest.")
@click.option("--long-tail", is_flag=True, help="Few large and many small classes.")
@click.option("--night", default=0.0, show_default=True, help="Share of the photos taken by night.")
@click.option("--rain", default=0.0, show_default=True, help="Share of the photos taken in rain.")
@click.option("--occlusion", default=0.0, show_default=True, help="Share of the photos with something in front.")
@click.option("--seed", default=0, show_default=True, help="Other seeds draw other cars.")
def synth(folder, **settings):
    """Draw cars into FOLDER in CompCars layout: photos, labels, lists, pairs.

    \b
    Example:
      kcars data synth /tmp/drawn --photos-per-model 20
      kcars data synth /tmp/hard --imbalance 20 --long-tail --night 0.2 --rain 0.2 --occlusion 0.3
    """
    from kcars.data.synthetic import DrawnCars, draw

    draw(folder, DrawnCars(**settings))
    click.echo(f"drawn: {folder}")


@data.command()
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder):
    """Write FOLDER/photos.csv, a line for every photo below FOLDER, for you to complete.

    Make and model are filled in from folders make/model/ or class/; splits, boxes, viewpoints, years and groups are
    yours to add.

    \b
    Example:
      kcars data init /data/my-cars
    """
    from kcars.data.manifest import write

    click.echo(f"written: {write(folder)}")


@data.command()
@_data_option
@click.option(
    "--out", type=click.Path(path_type=Path), default="kcars-check", show_default=True, help="Folder for both files."
)
@click.pass_context
def check(context, folder, out):
    """Decode every photo once, compare the lists, and tell what is wrong.

    Writes findings.csv and findings.html into --out. Ends with exit code 1 where a finding spoils results.

    \b
    Example:
      kcars data check --data /data/CompCars
    """
    from kcars.data import check as doctor
    from kcars.data.check_page import write_page
    from kcars.data.faults import spoils
    from kcars.data.source import listed_faults, load_every_task
    from kcars.files import writable_folder

    datasets, passed_over = load_every_task(folder)
    for reason in passed_over:
        click.echo(f"not checked: {reason}", err=True)
    writable_folder(out, "--out")
    faults = doctor.check(datasets, listed_faults(folder))
    roots = list(dict.fromkeys(dataset.index.root for dataset in datasets.values()))
    photos = len({path for dataset in datasets.values() for path in dataset.index.paths})
    doctor.write_csv(out / "findings.csv", faults)
    write_page(out / "findings.html", next(iter(datasets.values())).source, roots, faults, photos)
    click.echo(doctor.summary(faults, photos))
    click.echo(f"  {out / 'findings.csv'}\n  {out / 'findings.html'}")
    context.exit(1 if any(spoils(fault.kind) for fault in faults) else 0)


@data.command()
@_data_option
@click.option("--all", "every", is_flag=True, help="Every photo of a CompCars release, not only the listed ones.")
@click.option("--pixels", is_flag=True, help="Decode up to 2,000 training photos for their mean and deviation.")
@click.option("--sheet", type=click.Path(path_type=Path), help="Write a contact sheet of twelve models (.png or .jpg).")
@click.option("--out", type=click.Path(path_type=Path), help="Write makes.csv and models.csv into this folder.")
def stats(folder, every, pixels, sheet, out):
    """Count photos per make, model, viewpoint and split.

    \b
    Example:
      kcars data stats --data /data/CompCars --pixels --sheet cars.png
    """
    from kcars.data import stats as statistics
    from kcars.data.source import load_every_task
    from kcars.files import csv_text, writable_folder, write_text, written_whole
    from kcars.images.store import Decoded
    from kcars.settings import DataSettings

    kind = {".png": "PNG", ".jpg": "JPEG"}.get(sheet.suffix) if sheet else None
    if sheet and not kind:
        raise KcarsError(f"--sheet {sheet}: ends in {sheet.suffix or 'nothing'}; .png and .jpg can be written")
    settings = DataSettings(size_px=128, cache="off", split="all" if every else "listed")
    datasets, passed_over = load_every_task(folder, settings)
    for reason in passed_over:
        click.echo(f"not counted: {reason}", err=True)
    click.echo(statistics.summary(datasets))
    dataset = next(iter(datasets.values()))
    if pixels:
        mean, deviation, photos = statistics.pixel_statistics(Decoded(dataset.index, settings), dataset.train)
        click.echo(
            f"pixels of {photos} training photos, RGB / 255: mean {mean.round(4)}, deviation {deviation.round(4)}"
        )
    if sheet:
        with written_whole(sheet, "wb") as file:
            statistics.contact_sheet(dataset.index, dataset.train).save(file, kind)
        click.echo(f"  {sheet}")
    if out:
        writable_folder(out, "--out")
        for target in ("make", "model"):
            write_text(out / f"{target}s.csv", csv_text(statistics.class_counts(datasets, target)))
            click.echo(f"  {out / f'{target}s.csv'}")


@main.group(invoke_without_command=True)
@click.pass_context
def strategies(context):
    """List the shipped strategies; `kcars strategies show NAME` prints one whole."""
    if context.invoked_subcommand:
        return
    from kcars.strategy import load_strategy, strategy_files

    for name in strategy_files():
        strategy = load_strategy(name)
        click.echo(
            f"{name:<24} {strategy.task:<9} {strategy.target:<6} {strategy.model.backbone:<20} "
            f"{strategy.loss.name:<14} {strategy.data.size_px:>4} px  {strategy.about}"
        )


@strategies.command()
@click.argument("name")
def show(name):
    """Print the settings of NAME with every default filled in."""
    from kcars.strategy import load_strategy, to_yaml

    click.echo(to_yaml(load_strategy(name)), nl=False)


@strategies.command()
def schema():
    """Print the JSON schema of strategy files, for editors."""
    from kcars.strategy import json_schema

    click.echo(json_schema(), nl=False)


@main.command()
@click.option("--task", type=click.Choice(["classify", "verify"]), help="Name it, or compare two photos.")
@click.option("--target", type=click.Choice(["make", "model"]), help="Which label is learned.  [default: model]")
@click.option(
    "--difficulty", type=click.Choice(["easy", "medium", "hard"]),
    help="verify: whose validation score chooses the best epoch and leads the table; all are scored.",
)  # fmt: skip
@_data_option
@click.option("--strategy", "name", metavar="NAME|FILE", help="See `kcars strategies`.  [default: demo/ or start/]")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting; may stand often.")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: the next free one in runs/]")
@click.option("--force", is_flag=True, help="Replace an earlier run in --out.")
@click.option("--dry-run", is_flag=True, help="Measure and print steps, time, memory and disk; train nothing.")
def train(task, target, difficulty, folder, name, overrides, out, force, dry_run):
    """Train, then score the test split, and print the table.

    \b
    Examples:
      kcars train --task verify --target model --difficulty hard
      kcars train --task classify --target make --data /data/CompCars
      kcars train --strategy Md_SRes_CE_B256 --set train.epochs=3 --dry-run
    """
    from kcars.strategy import load_strategy

    if name is None and task is None:
        raise KcarsError("--task: is missing; choose classify or verify, or name a --strategy")
    chosen = name or f"{'start' if folder else 'demo'}/{task}"
    strategy = load_strategy(chosen, overrides, task=task, target=target, difficulty=difficulty)
    changed = ", ".join(dict.fromkeys(text.partition("=")[0] for text in overrides))
    title = chosen + (f" (changed: {changed})" if changed else "")
    dataset = _load(folder, strategy)
    click.echo(f"strategy: {title}")
    if dry_run:
        _print_cost(strategy, dataset)
        return
    from kcars.evaluate import evaluate as score
    from kcars.train import train as learn

    run = learn(strategy, dataset, out or _next_run(chosen), title, force)
    _print_scores(run, score(run, dataset))


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--data", "folder", type=click.Path(path_type=Path), help="Where the dataset of the run lies now, if it moved."
)
def evaluate(run, folder):
    """Score the best epoch of RUN on the test split once more, and print the table.

    Without --data, on the dataset that it was trained on, where that still lies.

    \b
    Example:
      kcars evaluate runs/demo-verify
    """
    from kcars.evaluate import evaluate as score
    from kcars.run import Run

    opened = Run.open(run)
    folder = folder or Path(opened.facts()["data"]["source"])
    _print_scores(opened, score(opened, _load(folder, opened.strategy())))


def _load(folder, strategy):
    from kcars.data.source import load

    dataset = load(folder, strategy.task, strategy.data)
    click.echo(f"data: {dataset.source}" + ("" if folder else "  (drawn cars; --data or KCARS_DATA names your own)"))
    if dataset.split != "as listed":
        click.echo(f"split: {dataset.split}")
    if dataset.missing:
        first = ", ".join(dataset.missing[:3])
        click.echo(f"{len(dataset.missing)} listed photos are missing and left out, such as {first}", err=True)
    return dataset


def _next_run(name: str) -> Path:
    stem = Path(name).with_suffix("").name if name.endswith((".yaml", ".yml")) else name.replace("/", "-")
    taken = (Path("runs") / f"{stem}-{number}" for number in range(1, 10_000))
    return next(folder for folder in taken if not folder.exists())


def _print_scores(run, found: dict) -> None:
    from kcars.table import score_table

    click.echo("\n" + score_table(found) + "\n")
    for file in sorted(run.folder.iterdir()):
        click.echo(f"  {file}")


def _print_cost(strategy, dataset) -> None:
    from kcars.cost import describe

    click.echo(describe(strategy, dataset))


if __name__ == "__main__":
    main()
