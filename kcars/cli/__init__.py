"""The `kcars` commands, a file for each group of them; `app` finds them."""

from kcars.cli.app import main

__all__ = ["main"]
