"""Rows of CSV files that somebody else may have made: bounded in length, as a row of empty cells takes nine times its size in memory."""

import csv
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

ROW_CHARACTERS = 2**16  # Two paths and three names of the largest length fit.

Row = TypeVar("Row")


class Lines:
    """The lines of a text, for `csv.reader` and `csv.DictReader`; csv.Error where the lines of one row have more than ROW_CHARACTERS."""

    def __init__(self, text: TextIO):
        self._text, self._left = text, ROW_CHARACTERS

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self._text.readline(self._left + 1)
        if len(line) > self._left:
            raise csv.Error(f"a row of more than {ROW_CHARACTERS:,} characters")
        if not line:
            raise StopIteration
        if line.strip():  # Readers pass over many empty lines at once.
            self._left -= len(line)
        return line

    def rows(self, reader: Iterable[Row]) -> Iterator[Row]:
        """What a reader of these lines gives, each row with as many characters as the others."""
        self._left = ROW_CHARACTERS
        for row in reader:
            yield row
            self._left = ROW_CHARACTERS
