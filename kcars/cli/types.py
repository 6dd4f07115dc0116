"""Kinds of arguments that commands share."""

from pathlib import Path

import click


class GivenPath(click.Path):
    """As click's, but an empty text is refused: it would mean the current folder."""

    def convert(self, value, param, ctx):
        """The path; a usage error for an empty one."""
        if not value:
            self.fail('an empty path was given (the current folder is ".")', param, ctx)
        return super().convert(value, param, ctx)


PATH = GivenPath(path_type=Path)
