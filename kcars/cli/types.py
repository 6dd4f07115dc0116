"""Parameter types that commands share."""

from pathlib import Path

import click


class GivenPath(click.Path):
    """A `click.Path` that refuses an empty text, which would mean the current folder."""

    def convert(self, value, param, ctx):
        """Return the path; usage error if it is empty."""
        if not value:
            self.fail('an empty path was given (the current folder is ".")', param, ctx)
        return super().convert(value, param, ctx)


PATH = GivenPath(path_type=Path)
