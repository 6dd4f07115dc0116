"""A name that would clear a screen and forge a line, and whether it did."""

from click.testing import CliRunner

from kcars.cli import main
from kcars.core.plain_text import printable

HOSTILE = "\x1b[2J\x1b]52;c;cm0=\x07\x9b1A\r\u202e\u2066\x7f\nFORGED"


def run(*arguments) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of a command."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    return done.exit_code, done.stdout, done.stderr


def assert_shown(text: str):
    """No character but line ends moves a cursor, and no name has begun a line."""
    assert [character for character in text if printable(character) != character and character != "\n"] == []
    assert not any(line.startswith("FORGED") for line in text.splitlines())
