"""Write rows as a workbook for Excel (XLSX) with one sheet, row by row into a file."""

from collections.abc import Iterable
from types import TracebackType
from typing import IO, Final, Self

from xlsxwriter import Workbook

from streamer.readings.table_columns import Cell

MAX_ROWS: Final = 100_000
"""Most rows of a workbook below its header: more take longer than a reader waits."""
_OPTIONS: Final = {"constant_memory": True}
_HEADER: Final = {"bold": True}


class XlsxTable:
    """A workbook that grows by rows; it is complete in `file` once its context ends.

    Texts are texts: none is taken for a formula, a link or a number."""

    def __init__(self, file: IO[bytes], names: Iterable[str]) -> None:
        self._workbook = Workbook(file, _OPTIONS)
        self._sheet, self._count = self._workbook.add_worksheet(), 1
        header = self._workbook.add_format(_HEADER)
        for place, name in enumerate(names):
            self._sheet.write_string(0, place, name, header)
        self._sheet.freeze_panes(1, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._workbook.close()

    def add(self, row: Iterable[Cell]) -> None:
        for place, cell in enumerate(row):
            if isinstance(cell, str):
                self._sheet.write_string(self._count, place, cell)
            elif isinstance(cell, bool):
                self._sheet.write_boolean(self._count, place, cell)
            elif cell is not None:
                self._sheet.write_number(self._count, place, cell)
        self._count += 1
