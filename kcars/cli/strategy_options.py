"""The options that select a strategy and its data, shared by `kcars train` and `kcars tune`."""

from collections.abc import Callable

import click

from kcars.cli.data import data_option


def strategy_options(difficulty: str) -> Callable:
    """Return a decorator that adds --task, --target, --difficulty, --data, --strategy and --set; difficulty: its help text."""
    options = (
        click.option("--task", type=click.Choice(["classify", "verify"]), help="Name the vehicle, or compare two photos."),
        click.option("--target", type=click.Choice(["make", "model"]), help="Label to recognise.  [default: model]"),
        click.option("--difficulty", type=click.Choice(["easy", "medium", "hard"]), help=difficulty),
        data_option,
        click.option("--strategy", "name", metavar="NAME|FILE", help="See `kcars strategies`.  [default: demo/ or start/]"),
        click.option(
            "--set", "overrides", multiple=True, metavar="KEY=VALUE",
            help="Change a setting (=null unsets it); may be repeated.",
        ),
    )  # fmt: skip

    def add(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return add
