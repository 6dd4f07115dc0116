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


@click.command()
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the figures.")
def figures(runs, out):
    """Draw the paper's Figures 2 to 8 from scored RUNS, each as SVG, PDF and PNG.

    A figure that the given runs cannot fill is left out, and a line says why.

    \b
    Example:
      kcars figures runs/start-classify-1 runs/start-verify-1 --out figures
    """
    from kcars.report.figures import draw_figures

    for file in draw_figures(runs, out, click.echo):
        click.echo(f"  {file}")


@click.command()
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), help="The file.  [default: report.html in the first of RUNS]")
def report(runs, out):
    """Write one HTML page of scored RUNS: scores, curves, confusions, pairs, and differences beyond chance.

    \b
    Examples:
      kcars report runs/demo-verify
      kcars report runs/px-* --out sizes.html
    """
    from kcars.report.page import write_page

    out = out or runs[0] / "report.html"
    write_page(runs, out)
    click.echo(out)


COMMANDS = [report, table, figures]
