"""How every command that trains or scores loads its dataset, and what it says of it."""

from pathlib import Path

import click


def load_told(folder: Path | None, strategy, whole: bool = False):
    """The Dataset at `folder`, or for None drawn cars; its split and missing photos are told.

    whole: one without lists is not split, but tested whole.
    """
    from kcars.data.source import load

    dataset = load(folder, strategy.task, strategy.data)
    click.echo(f"data: {dataset.source}" + ("" if folder else "  (drawn cars; --data or KCARS_DATA names your own)"))
    if dataset.split != "as listed":
        click.echo("no list says what to test on: all of it" if whole else f"split: {dataset.split}")
    if dataset.missing:
        first = ", ".join(dataset.missing[:3])
        click.echo(f"{len(dataset.missing)} listed photos are missing and left out, such as {first}", err=True)
    return dataset
