"""The `kcars` commands that show what runs gave. Everything heavy is imported inside a command."""

from pathlib import Path

import click


@click.command()
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True)
def table(runs):
    """Compare scored RUNS, a line each: what each cost and what it gave.

    \b
    Example:
      for px in 64 96 128; do kcars train --task verify --set data.size_px=$px --out runs/px-$px; done
      kcars table runs/px-*
    """
    from kcars.run import Run
    from kcars.table import run_table

    click.echo(run_table({str(folder): Run.open(folder).scores() for folder in runs}))


COMMANDS = [table]
