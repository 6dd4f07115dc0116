"""Writes and reads CSV files: every name survives, and spreadsheets take no cell for a formula.

Rows end in LF; cells with a comma, a quote, CR or LF are quoted, as csv, pandas and spreadsheets expect. A text that begins
with = + - @ TAB or CR and is not a number is prefixed with an apostrophe, and so is a text that begins with apostrophes and
then such a character: readers remove one apostrophe, which restores every text.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NEUTRAL = re.compile(r"'+[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DELIMITERS = ",;\t"


def neutral(cell: object) -> object:
    """The cell as it is written: a text that a spreadsheet would compute gets an apostrophe, all else is unchanged."""
    if not isinstance(cell, str) or not _FORMULA.match(cell) or _NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}"


def restored(cell: str) -> str:
    """The text of a cell that `neutral` wrote."""
    return cell[1:] if _NEUTRAL.match(cell) else cell


class _Rows(list[str]):
    """The output of csv.writer, whose line ends are CR LF, because it quotes only characters of the line end in cells."""

    def write(self, row: str) -> None:
        self.append(row.removesuffix("\r\n"))


def csv_row(cells: Iterable[object]) -> str:
    """One row without its line end."""
    csv.writer(rows := _Rows()).writerow(map(neutral, cells))
    return rows[0]


def csv_text(columns: Mapping[str, Sequence[object]], exact: bool = False) -> str:
    """Columns of equal length, by name, as CSV with a header line; exact: for kcars only, with formulas unchanged."""
    writer = csv.writer(rows := _Rows())
    cells = zip(*columns.values(), strict=True)
    writer.writerow(columns if exact else map(neutral, columns))
    writer.writerows(cells if exact else (map(neutral, row) for row in cells))
    return "\n".join([*rows, ""])


def delimiter(header: str) -> str:
    """The delimiter of a header line: a comma, or the semicolon or tab of some spreadsheets."""
    return max(_DELIMITERS, key=header.count)
