"""kcars by its command line within the process of the tests, with settings of the smallest training."""

import csv

from click.testing import CliRunner

from kcars.cli import main
from kcars.core.csv_files import restored

SMALL = [
    "data.size_px=32",
    "model.width=0.25",
    "train.epochs=2",
    "train.batch=16",
    "evaluate.resamples=100",
    "evaluate.folds=0",
]


def kcars(*arguments, code=0) -> str:
    """The output of `kcars ARGUMENTS`, which must end with this exit code and without a traceback.

    A task on given data is trained or tuned from scratch, where the command's own default needs weights of ImageNet.
    """
    given = [str(argument) for argument in arguments]
    if (
        given[:1] in (["train"], ["tune"])
        and {"--task", "--data"} <= set(given)
        and not {"--strategy", "--resume"} & set(given)
    ):
        given += ["--strategy", f"scratch/{given[given.index('--task') + 1]}"]
    result = CliRunner().invoke(main, given)
    assert result.exit_code == code, result.output + str(result.exception)
    if code == 2:
        assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


def small(*more) -> list[str]:
    """--set options of the smallest training, and more settings."""
    return [part for setting in [*SMALL, *more] for part in ("--set", setting)]


def rows(path) -> list[dict[str, str]]:
    """The rows of a CSV file by column, with the texts as they were before they were written."""
    with path.open(newline="") as file:
        return [{name: restored(cell) for name, cell in row.items()} for row in csv.DictReader(file)]
