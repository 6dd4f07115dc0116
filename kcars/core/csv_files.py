"""CSV as kcars writes and reads it: any name survives, and no cell is a formula where a spreadsheet opens the file.

Rows end in LF; a cell with a comma, a quote, CR or LF is quoted, so that csv, pandas and spreadsheets read it as it is.
A text that begins with = + - @ TAB or CR, and is no number, gets an apostrophe before it, and so does one that begins with
apostrophes and then such a sign: readers take one apostrophe away, and every text comes back.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NEUTRAL = re.compile(r"'+[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DELIMITERS = ",;\t"


def neutral(cell: object) -> object:
    """What is written of a cell: a text that a spreadsheet would compute behind an apostrophe, all else as it is."""
    if not isinstance(cell, str) or not _FORMULA.match(cell) or _NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}"


def restored(cell: str) -> str:
    """The text that `neutral` wrote as this cell."""
    return cell[1:] if _NEUTRAL.match(cell) else cell


class _Rows(list[str]):
    """What csv.writer writes to. Its line ends are CR LF, because only signs of the line end are quoted in a cell."""

    def write(self, row: str) -> None:
        self.append(row.removesuffix("\r\n"))


def csv_row(cells: Iterable[object]) -> str:
    """One row, without its line end."""
    csv.writer(rows := _Rows()).writerow(map(neutral, cells))
    return rows[0]


def csv_text(columns: Mapping[str, Sequence[object]], exact: bool = False) -> str:
    """Columns of equal length, by name, as CSV with a header line; exact: for kcars alone, with formulas as they are."""
    writer = csv.writer(rows := _Rows())
    cells = zip(*columns.values(), strict=True)
    writer.writerow(columns if exact else map(neutral, columns))
    writer.writerows(cells if exact else (map(neutral, row) for row in cells))
    return "\n".join([*rows, ""])


def delimiter(header: str) -> str:
    """Semicolon or tab where spreadsheets have used one in a header line instead of the comma."""
    return max(_DELIMITERS, key=header.count)
