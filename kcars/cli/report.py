"""The `kcars` commands that show what runs gave. Everything heavy is imported inside a command."""

from pathlib import Path

import click

from kcars.cli.data import data_option
from kcars.cli.load import load_told
from kcars.cli.types import PATH
from kcars.core.errors import KcarsError
from kcars.core.plain_text import echo, echo_lines, warn


def scored(folders: tuple[Path, ...]) -> list[Path]:
    """Of several names, as a shell makes of `runs/*`, those that are scored runs; the others are told and passed over.

    KcarsError where none is, or where the only one named is not.
    """
    from kcars.report.read import Reported

    found, reasons = [], []
    for folder in folders:
        try:
            Reported(folder)
            found.append(folder)
        except KcarsError as error:
            reasons.append(str(error))
    if not found:
        raise KcarsError(
            reasons[0] + (f" (and {len(reasons) - 1} more that are no scored runs)" if reasons[1:] else "")
        )
    for reason in reasons:
        warn(f"passed over: {reason}")
    return found


@click.command()
@click.argument("runs", type=PATH, nargs=-1, required=True)
def table(runs):
    """Compare scored RUNS, a line each: what each cost and what it gave.

    \b
    Example:
      for px in 64 96 128; do kcars train --task verify --set data.size_px=$px --out runs/px-$px; done
      kcars table runs/px-*
    """
    from kcars.evaluation.score_table import run_table
    from kcars.runs.run import Run

    echo_lines(run_table({str(folder): Run.open(folder).scores() for folder in scored(runs)}))


@click.command()
@click.argument("runs", type=PATH, nargs=-1, required=True)
@click.option("--out", type=PATH, required=True, help="Folder for the figures.")
def figures(runs, out):
    """Draw the paper's Figures 2 to 8 from scored RUNS, each as SVG, PDF and PNG.

    A figure that the given runs cannot fill is left out, and a line says why.

    \b
    Example:
      kcars figures runs/start-classify-1 runs/start-verify-1 --out figures
    """
    from kcars.paper.figures import draw_figures

    for file in draw_figures(scored(runs), out, echo):
        echo(f"  {file}")


@click.command()
@click.argument("runs", type=PATH, nargs=-1, required=True)
@click.option("--out", type=PATH, help="The file.  [default: report.html in the first of RUNS]")
def report(runs, out):
    """Write one HTML page of scored RUNS: scores, curves, confusions, pairs, and differences beyond chance.

    \b
    Examples:
      kcars report runs/demo-verify
      kcars report runs/px-* --out sizes.html
    """
    from kcars.report.page import write_page

    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise KcarsError(f"--out {out}: is no HTML file by its name; such as report.html is")
    runs = scored(runs)
    out = out or runs[0] / "report.html"
    write_page(runs, out)
    echo(out)


@click.command()
@click.argument("table", type=click.Choice(["table-1", "table-2", "table-3", "table-4"]))
@data_option
@click.option("--strategies", metavar="A,B", default="", help="These rows of the table only.  [default: all]")
@click.option("--epochs", type=click.IntRange(min=1), help="In place of each strategy's own: a shorter look.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting in every row.")
@click.option(
    "--protocol", type=click.Choice(["honest", "paper", "both"]), default="both", show_default=True,
    help="honest: validation chooses epoch and threshold; paper: the test does, as in the paper; both: a line each.",
)  # fmt: skip
@click.option("--out", type=PATH, help="Folder for runs and table.  [default: runs/TABLE]")
def reproduce(table, folder, strategies, epochs, overrides, protocol, out):
    """Train and score every strategy of one of the paper's tables, and write the table with the paper's figures.

    Runs that are finished are skipped, stopped ones go on. After each run TABLE.html, TABLE.csv and TABLE.tex in
    --out are written anew.

    \b
    Examples:
      kcars reproduce table-1 --data /data/CompCars
      kcars reproduce table-3 --strategies Vr_SRes18_CT_B128_SCR --epochs 3 --set model.width=0.25
      kcars reproduce table-2 --set model.weights=none --protocol honest
    """
    from kcars.paper.reproduce import PROTOCOLS, wanted
    from kcars.paper.reproduce import reproduce as fill

    changes = ([f"train.epochs={epochs}"] if epochs else []) + list(overrides)
    out, chosen = out or Path("runs") / table, [name.strip() for name in strategies.split(",") if name.strip()]
    runs = wanted(table, out, chosen, changes, PROTOCOLS if protocol == "both" else (protocol,))
    missing = fill(table, out, runs, load_told(folder, runs[0].settings, out=out), changes, echo)
    for kind in ("html", "csv", "tex"):
        echo(f"  {out / table}.{kind}")
    if missing:
        scratch = "; --set model.weights=none begins every row from scratch"
        raise KcarsError(
            f"{table}: {len(missing)} of {len(runs)} runs are missing: {'; '.join(map(str, missing))}; see above why"
            + scratch * any(one.settings.model.weights == "imagenet" for one in missing)
        )
