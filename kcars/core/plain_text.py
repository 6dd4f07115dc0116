"""Prints text safely: control characters in untrusted names are escaped. The only module that prints."""

import json
import re
import sys
import traceback
import unicodedata
import warnings
from io import TextIOWrapper
from typing import Any, cast

import click

LONGEST_LINE = 20_000  # Of standard error; three paths of maximum length fit.
# Controls, formats and separators that move the cursor, start escape sequences, or turn the direction of writing.
_ESCAPED_KINDS = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# Joiners are part of words in Persian, Indic scripts and emoji; the others are visible number signs.
_KEPT = {*"\u200c\u200d", *map(chr, range(0x600, 0x606)), *"\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"}


class _Escapes(dict[int, str]):
    """Replacements of characters for `str.translate`, each computed once."""

    def __missing__(self, code: int) -> str:
        self[code] = escaped = _escape(chr(code))
        return escaped


def _escape(character: str) -> str:
    code = ord(character)
    if unicodedata.category(character) not in _ESCAPED_KINDS or character in _KEPT:
        return character
    if 0xDC80 <= code <= 0xDCFF:  # A byte of a file name that is not UTF-8.
        return f"\\x{code - 0xDC00:02x}"
    if character in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_ESCAPES = _Escapes()


def printable(text: object) -> str:
    """One line of text with control and format characters escaped, such as `\\x1b`; letters of all scripts are kept."""
    text = str(text)
    return text if text.isascii() and text.isprintable() else text.translate(_ESCAPES)


def in_figure(text: str) -> str:
    """As `printable`, for matplotlib, which reads text between two dollar signs as mathematics."""
    return printable(text).replace("$", "\\$")


def echo(text: object = "", err: bool = False) -> None:
    """Print one line, with any content."""
    click.echo(printable(text), err=err)


def echo_lines(text: str, nl: bool = True) -> None:
    """Print a text of several lines, each `printable`.

    Make names `printable` before adding them to such a text: a newline in a name would begin another line.
    """
    click.echo("\n".join(map(printable, text.split("\n"))), nl=nl)


def warn(text: object) -> None:
    """Print one line on standard error; a very long one is shortened in the middle."""
    text = str(text)
    if len(text) > LONGEST_LINE:
        text = f"{text[: LONGEST_LINE // 2]} ... {text[-LONGEST_LINE // 2 :]}"
    echo(text, err=True)


def echo_exact(line: str) -> None:
    """Print a line in a machine-readable format unchanged, in UTF-8; on a terminal it is made `printable`."""
    click.echo(printable(line) if sys.stdout.isatty() else line.encode("utf-8", "backslashreplace"))


def prepare_streams() -> None:
    """Make a command's streams safe: escape characters that their encoding lacks, also in Python's own reports."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            cast(TextIOWrapper, stream).reconfigure(errors="backslashreplace")
    sys.excepthook = lambda _, error, __: tell_error(error)
    warnings.showwarning = _show_warning


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
) -> None:
    _report(warnings.formatwarning(message, category, filename, lineno))


def tell_error(error: BaseException) -> None:
    """Print an error with its traceback on standard error."""
    _report("".join(traceback.format_exception(error)))


def _report(text: str) -> None:
    click.echo("\n".join(map(printable, text.rstrip("\n").split("\n"))), err=True)


def json_line(value: object) -> str:
    """JSON in one line that reads back as the same value, with control characters escaped."""
    return re.sub(r"[^ -~]", _json_escape, json.dumps(value, ensure_ascii=False))


def _json_escape(found: re.Match[str]) -> str:
    character = found[0]
    if _ESCAPES[ord(character)] == character:
        return character
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]
