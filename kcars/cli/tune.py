"""`kcars tune`: finds a learning rate, or searches for settings. Heavy modules are imported inside functions."""

import importlib.util
import math
from pathlib import Path

import click

from kcars.cli.load import chosen_strategy, load_and_report, stem
from kcars.cli.strategy_options import strategy_options
from kcars.cli.types import PATH
from kcars.core.errors import KcarsError
from kcars.core.number_range import bounds
from kcars.core.plain_text import echo, echo_lines

RATES, STEPS, TRIALS = "1e-5..1e-1", 100, 20


@click.command()
@strategy_options("verify: pairs whose validation score is optimised.")
@click.option("--out", type=PATH, help="Output folder.  [default: runs/tune-STRATEGY]")
@click.option("--rates", metavar="LOW..HIGH", help=f"Learning rates to test.  [default: {RATES}]")
@click.option("--steps", type=int, help=f"Number of steps of the range test.  [default: {STEPS}]")
@click.option(
    "--search", "searched", multiple=True, metavar="KEY=LOW..HIGH|A,B",
    help="Search over values of a setting; may be repeated. LOW..HIGH:log and :linear choose the scale.",
)  # fmt: skip
@click.option("--trials", type=int, help=f"With --search: total number of runs.  [default: {TRIALS}]")
@click.option("--minutes", type=float, help="With --search: start no further run after this time.")
def tune(task, target, difficulty, folder, name, overrides, out, rates, steps, searched, trials, minutes):
    """Find a learning rate with a range test, or with --search, search for settings by their validation score.

    The range test discards the network that it trains. A search never uses the test split; after a stop, the same
    command continues it. Both write their results to --out.

    \b
    Examples:
      kcars tune --task verify --data CompCars
      kcars tune --task classify --search train.learning_rate=1e-4..1e-2 --search train.batch=32,64 --trials 10
    """
    _refuse_mixed(searched, {"--rates": rates, "--steps": steps}, {"--trials": trials, "--minutes": minutes})
    if not searched:
        from kcars.tuning.rate_test import rising_rates

        tested = rising_rates(*bounds(rates or RATES, "--rates"), STEPS if steps is None else steps)
    chosen, title, strategy = chosen_strategy(name, task, folder, overrides, target=target, difficulty=difficulty)
    out = out or Path("runs") / f"tune-{stem(chosen)}"
    if searched:
        _search(strategy, folder, searched, TRIALS if trials is None else trials, minutes, out, title)
    else:
        _test_rates(strategy, folder, tested, out, title)


def _refuse_mixed(searched: tuple[str, ...], of_test: dict, of_search: dict) -> None:
    wrong, relation = (of_test, "cannot be combined with") if searched else (of_search, "requires")
    for option, value in wrong.items():
        if value is not None:
            raise KcarsError(f"{option}: {relation} --search")


def _test_rates(strategy, folder, rates, out: Path, title: str) -> None:
    from kcars.tuning.rate_curve import suggest
    from kcars.tuning.rate_test import PICTURE, TABLE, rate_test, report

    if (out / "run.json").exists():
        raise KcarsError(f"--out {out}: is a run; choose another folder")
    dataset = load_and_report(folder, strategy, out=out)
    echo(f"strategy: {title}")
    curve = rate_test(strategy, dataset, rates, out, title)
    echo_lines("\n" + report(curve, suggest(curve), strategy.train.schedule) + "\n")
    for file in (TABLE, PICTURE):
        echo(f"  {out / file}")


def _search(strategy, folder, searched, trials: int, minutes: float | None, out: Path, title: str) -> None:
    from kcars.tuning.search_space import parse

    if trials < 1:
        raise KcarsError(f"--trials {trials}: is too few; give 1 or more")
    if minutes is not None and not 0 < minutes < math.inf:
        raise KcarsError(f"--minutes {minutes:g}: is not a duration; give minutes above 0")
    space = parse(searched, strategy)
    if importlib.util.find_spec("optuna") is None:
        raise KcarsError("--search: needs Optuna, which is not installed; run: pip install 'kcars[tune]'")
    from kcars.tasks import task_module
    from kcars.tuning.search import refuse_paper, search
    from kcars.tuning.search_record import BEST, TABLE, Record

    refuse_paper(strategy)
    dataset = load_and_report(folder, strategy, out=out)
    echo(f"strategy: {title}")
    record = Record(out, strategy, space, dataset.fingerprint(), task_module(strategy.task).monitor(strategy))
    changed = f"{title} (searched: {', '.join(one.key for one in space)})"
    try:
        search(record, dataset, changed, trials, minutes, echo)
    finally:
        if record.ended:
            echo_lines("\n" + record.best_table() + "\n")
    if not record.ranked:
        raise KcarsError(f"--search: no trial succeeded; {out / TABLE} has the reasons")
    for file in (TABLE, BEST):
        echo(f"  {out / file}")
    echo()
    echo(f"kcars train --strategy {out / BEST}{f' --data {folder}' if folder else ''}  trains and scores it")
