"""The `kcars` commands that report results of runs. Heavy modules are imported inside the commands."""

from pathlib import Path

import click

from kcars.cli.data import data_option
from kcars.cli.load import load_and_report
from kcars.cli.types import PATH
from kcars.core.errors import KcarsError
from kcars.core.plain_text import echo, echo_lines, warn


def scored(folders: tuple[Path, ...]) -> list[Path]:
    """Return the folders that are scored runs; report and skip the others, as when a shell expands `runs/*`.

    Raises KcarsError if none is a scored run.
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
            reasons[0] + (f" (and {len(reasons) - 1} more that are not scored runs)" if reasons[1:] else "")
        )
    for reason in reasons:
        warn(f"skipped: {reason}")
    return found


@click.command()
@click.argument("runs", type=PATH, nargs=-1, required=True)
def table(runs):
    """Compare the costs and scores of RUNS, one line each.

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

    Figures for which the runs lack data are skipped with a message.

    \b
    Example:
      kcars figures runs/start-classify-1 runs/start-verify-1 --out figures
    """
    from kcars.paper.figures import draw_figures

    for file in draw_figures(scored(runs), out, echo):
        echo(f"  {file}")


@click.command()
@click.argument("runs", type=PATH, nargs=-1, required=True)
@click.option("--out", type=PATH, help="File to write.  [default: report.html in the first of RUNS]")
def report(runs, out):
    """Write an HTML report of scored RUNS: scores, curves, confusions, pairs, and significant differences.

    \b
    Examples:
      kcars report runs/demo-verify
      kcars report runs/px-* --out sizes.html
    """
    from kcars.report.page import write_page

    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise KcarsError(f"--out {out}: is not an HTML file name, such as report.html")
    runs = scored(runs)
    out = out or runs[0] / "report.html"
    write_page(runs, out)
    echo(out)


@click.command()
@click.argument("table", type=click.Choice(["table-1", "table-2", "table-3", "table-4"]))
@data_option
@click.option("--strategies", metavar="A,B", default="", help="Rows of the table to train.  [default: all]")
@click.option("--epochs", type=click.IntRange(min=1), help="Override the epochs of each strategy.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting of every row; may be repeated."
)
@click.option(
    "--protocol", type=click.Choice(["honest", "paper", "both"]), default="both", show_default=True,
    help="honest: epoch and threshold are chosen on validation; paper: on the test split, as in the paper; both: one line each.",
)  # fmt: skip
@click.option("--out", type=PATH, help="Folder for runs and table.  [default: runs/TABLE]")
def reproduce(table, folder, strategies, epochs, overrides, protocol, out):
    """Train and score every strategy of one of the paper's tables, and write the table next to the paper's figures.

    Finished runs are skipped, and stopped runs are resumed. TABLE.html, TABLE.csv and TABLE.tex in --out are updated
    after each run.

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
    missing = fill(table, out, runs, load_and_report(folder, runs[0].settings, out=out), changes, echo)
    for kind in ("html", "csv", "tex"):
        echo(f"  {out / table}.{kind}")
    if missing:
        scratch = "; --set model.weights=none trains every row from scratch"
        raise KcarsError(
            f"{table}: {len(missing)} of {len(runs)} runs are missing: {'; '.join(map(str, missing))}; see the messages above"
            + scratch * any(one.settings.model.weights == "imagenet" for one in missing)
        )
