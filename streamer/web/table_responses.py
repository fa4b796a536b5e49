"""Answer with a table as a file: CSV is sent piece by piece as it is made, a workbook once it is whole.

A thread makes a piece only when the one before is sent, so a client that reads slowly holds none.
"""

import io
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from streamer.readings.csv_table import csv_lines
from streamer.readings.query import QueryError
from streamer.readings.table_columns import Cell, TableColumns
from streamer.readings.xlsx_table import MAX_ROWS, XlsxTable
from streamer.web.connection import transport_of
from streamer.web.heavy_questions import HeavyQuestions

CHUNK_ROWS: Final = 500
MEDIA_TYPES: Final[Mapping[str, str]] = {
    "csv": "text/csv; charset=utf-8; header=present",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""Media types by format."""


class ApiTable(NamedTuple):
    """The columns of a list, and its items, which may be made one by one."""

    columns: TableColumns
    items: Iterable[Any]

    def rows(self) -> Iterator[list[Cell]]:
        return self.columns.rows(self.items)


async def table_response(
    request: Request, table: ApiTable, file_format: str, questions: HeavyQuestions
) -> Response:
    """Answer with a file to keep. Raise what making the first rows raises; of `xlsx` QueryError for too
    many."""
    name = request.scope["path"].rpartition("/")[2]
    headers = {
        "cache-control": "no-store",
        "content-disposition": f'attachment; filename="{name}.{file_format}"',
        "content-type": MEDIA_TYPES[file_format],
    }
    if file_format == "xlsx":
        pause = questions.pause(request)

        def paused_rows() -> Iterator[list[Cell]]:
            for row in table.rows():
                pause()
                yield row

        return Response(
            await questions.run(lambda: _workbook(table.columns.names, paused_rows())), headers=headers
        )
    header: list[Cell] = [*table.columns.names]
    rows = chain([header], table.rows())
    first = await questions.run(lambda: csv_lines(islice(rows, CHUNK_ROWS)))
    return StreamingResponse(_pieces(request, first, rows, questions), headers=headers)


def _workbook(names: Iterable[str], rows: Iterable[list[Cell]]) -> bytes:
    file = io.BytesIO()
    with XlsxTable(file, names) as workbook:
        for count, row in enumerate(rows):
            if count == MAX_ROWS:
                raise QueryError(
                    f"format = 'xlsx': expected at most {MAX_ROWS} rows: ask for less, or for csv"
                )
            workbook.add(row)
    return file.getvalue()


async def _pieces(
    request: Request, first: bytes, rows: Iterator[list[Cell]], questions: HeavyQuestions
) -> AsyncIterator[bytes]:
    """Yield CSV. If it cannot be made to its end, drop the connection: half a table must not look whole."""
    piece, transport = first, transport_of(request.scope)
    while piece:
        yield piece
        try:
            piece = await questions.run(lambda: csv_lines(islice(rows, CHUNK_ROWS)))
        except HTTPException:
            if transport is None:
                raise
            transport.abort()
            return
