"""Write rows as CSV (RFC 4180, UTF-8): a header, lines that end in CR LF, quotes where they are needed.

No text becomes a formula in a spreadsheet: what a cell would begin with one is written after an apostrophe
(OWASP, CSV injection). That is so behind `;`, a tab and a line break too, at which a spreadsheet may part
cells where a comma is no separator.
"""

import csv
import io
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from streamer.readings.table_columns import Cell, TableColumns

_FORMULA_START: Final = re.compile(r"(?:^|(?<=[;\t\r\n]))(?=[=+\-@＝＋－＠\t\r])")
_WORDS: Final = {True: "true", False: "false"}


def csv_lines(rows: Iterable[Iterable[Cell]]) -> bytes:
    r"""Return the rows as lines of CSV.

    >>> csv_lines([["key", "value"], ["billing, Spain", -3.5], ["=1+1", None]])
    b'key,value\r\n"billing, Spain",-3.5\r\n\'=1+1,\r\n'
    """
    text = io.StringIO(newline="")
    csv.writer(text).writerows([_csv_cell(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def csv_file(item_type: type[msgspec.Struct], items: Iterable[msgspec.Struct]) -> bytes:
    """Return a whole file: a header, and a line for each item."""
    columns = TableColumns.of(item_type)
    return csv_lines([columns.names]) + csv_lines(columns.rows(items))


def _csv_cell(cell: Cell) -> Cell:
    if isinstance(cell, str):
        return _FORMULA_START.sub("'", cell)
    return _WORDS[cell] if isinstance(cell, bool) else cell
