"""`kcars strategies`: lists the shipped strategies, prints one, or prints the schema of their files."""

import click

from kcars.core.plain_text import echo_lines


@click.group(invoke_without_command=True)
@click.pass_context
def strategies(context):
    """List the shipped strategies; `kcars strategies show NAME` prints one."""
    if context.invoked_subcommand:
        return
    from kcars.paper.listing import listing

    echo_lines(listing())


@strategies.command()
@click.argument("name")
def show(name):
    """Print all settings of NAME, including defaults."""
    from kcars.settings.strategy import load_strategy, to_yaml

    echo_lines(to_yaml(load_strategy(name)), nl=False)


@strategies.command()
def schema():
    """Print the JSON schema of strategy files, for use in editors."""
    from kcars.settings.strategy import json_schema

    echo_lines(json_schema(), nl=False)
