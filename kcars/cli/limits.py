"""`kcars limits`: what files and requests may cost."""

import click

from kcars.core.limits import VARIABLE, Limits, limits
from kcars.core.plain_text import echo


@click.command("limits")
def limits_command():
    """List the limits on what a file or a request may cost: name, value in force, what it bounds.

    KCARS_LIMITS changes them for a process.

    \b
    Example:
      KCARS_LIMITS="photo_mib=128 photo_megapixels=200" kcars predict photos/ --model runs/first
    """
    values, width = limits(), max(map(len, Limits.model_fields))
    for name, field in Limits.model_fields.items():
        value = getattr(values, name)
        changed = "" if value == field.default else f" ({VARIABLE}; the default is {field.default})"
        echo(f"{name:<{width}}  {value:>8}  {field.description}{changed}")
