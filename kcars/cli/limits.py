"""`kcars limits`: the limits on files and requests."""

import click

from kcars.core.limits import VARIABLE, Limits, limits
from kcars.core.plain_text import echo


@click.command("limits")
def limits_command():
    """List the limits on files and requests: name, current value, meaning.

    Set KCARS_LIMITS to change them.

    \b
    Example:
      KCARS_LIMITS="photo_mib=128 photo_megapixels=200" kcars predict photos/ --model runs/first
    """
    values, width = limits(), max(map(len, Limits.model_fields))
    for name, field in Limits.model_fields.items():
        value = getattr(values, name)
        changed = "" if value == field.default else f" ({VARIABLE}; the default is {field.default})"
        echo(f"{name:<{width}}  {value:>8}  {field.description}{changed}")
