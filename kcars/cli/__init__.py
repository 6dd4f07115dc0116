"""The `kcars` commands, one file per group; `app` loads them."""

from kcars.cli.app import main

__all__ = ["main"]
