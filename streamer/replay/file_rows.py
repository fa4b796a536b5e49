"""Read the rows of a file, each with its line: JSON bytes, a line of text, or cells by column."""

import codecs
import csv
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import msgspec

from streamer.events.models import RejectedEvent
from streamer.replay.input_files import FileType, InputFile, OpenedInput
from streamer.replay.usage_error import ReplayUsageError
from streamer.runtime.distribution import install_command

if TYPE_CHECKING:
    import pyarrow as pa

RowContent = bytes | Mapping[str, Any] | RejectedEvent
_PARQUET_BATCH_ROWS = 4_096
_LONGEST_LINE = 16 * 1024 * 1024
_json_decoder = json.JSONDecoder()


class FileRow(NamedTuple):
    """One row. `line`: the line where it begins, from 1; in Parquet and in a JSON array the row number."""

    line: int
    content: RowContent


class FileFormat(NamedTuple):
    """Format of a file: its type, and for CSV the encoding and the delimiter."""

    file_type: FileType
    encoding: str = "utf-8"
    delimiter: str = ","


class FileRows(NamedTuple):
    """Rows of an open file. `columns`: names, for CSV and Parquet only. `completed` of `total`: bytes, for
    Parquet rows; `total` is None if unknown."""

    columns: Sequence[str] | None
    rows: Iterator[FileRow]
    completed: Callable[[], int]
    total: int | None


@contextmanager
def open_rows(source: InputFile, file_format: FileFormat) -> Iterator[FileRows]:
    """Open a file and yield its rows. Raises ReplayUsageError, also while rows are read, if the file does not
    have this format."""
    with source.open() as opened:
        try:
            yield _OPENERS[file_format.file_type](source.name, opened, file_format)
        except (EOFError, zlib.error) as error:
            raise ReplayUsageError(f"{source.name}: its gzip data is broken ({error})") from None


def _open_lines(_name: str, opened: OpenedInput, _file_format: FileFormat) -> FileRows:
    rows = (
        FileRow(number, line) for number, line in enumerate(_read_lines(opened.content), 1) if line.strip()
    )
    return FileRows(None, rows, opened.bytes_read, opened.size)


def _open_json(name: str, opened: OpenedInput, _file_format: FileFormat) -> FileRows:
    lines = _read_lines(opened.content)
    first = next(lines, b"").removeprefix(codecs.BOM_UTF8)
    if first.lstrip().startswith(b"["):
        return FileRows(None, _array_rows(name, first, opened.content), opened.bytes_read, opened.size)
    return FileRows(None, _json_rows(first, lines), opened.bytes_read, opened.size)


def _json_rows(first: bytes, lines: Iterator[bytes]) -> Iterator[FileRow]:
    remainder = b""
    for number, line in enumerate(chain([first], lines), 1):
        buffer = remainder + line
        remainder = b""
        if b"}{" in buffer:
            objects, remainder = _split_objects(buffer)
            yield from (FileRow(number, object_bytes) for object_bytes in objects)
            buffer, remainder = (b"", remainder) if len(line) == _LONGEST_LINE else (remainder, b"")
        if buffer.strip():
            yield FileRow(number, buffer)
    if remainder.strip():
        yield FileRow(number, remainder)


def _split_objects(line: bytes) -> tuple[list[bytes], bytes]:
    """Split JSON objects that follow each other without a line break, as Amazon's delivery streams write
    them. Returns the whole objects and the rest.

    >>> _split_objects(b'{"id":1}{"id":2}{"id"')
    ([b'{"id":1}', b'{"id":2}'], b'{"id"')
    """
    text, position = line.decode(errors="surrogateescape"), 0
    objects = []
    while position < len(text):
        try:
            _, end = _json_decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            break
        objects.append(text[position:end].encode(errors="surrogateescape"))
        position = end
        while position < len(text) and text[position].isspace():
            position += 1
    return objects, text[position:].encode(errors="surrogateescape")


def _read_lines(content: IO[bytes]) -> Iterator[bytes]:
    """Return the lines. An endless line comes in pieces of 16 MiB, each rejected, to save memory."""
    return iter(lambda: content.readline(_LONGEST_LINE), b"")


def _array_rows(name: str, first: bytes, content: IO[bytes]) -> Iterator[FileRow]:
    try:
        elements = msgspec.json.decode(first + content.read(), type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ReplayUsageError(
            f"{name}: {error}, expected a JSON array or one JSON object per line"
        ) from None
    return (FileRow(number, bytes(element)) for number, element in enumerate(elements, 1))


def _open_csv(name: str, opened: OpenedInput, file_format: FileFormat) -> FileRows:
    reader = csv.reader(
        _decode_lines(name, opened.content, file_format.encoding), delimiter=file_format.delimiter
    )
    columns = next(reader, None)
    if columns is None:
        raise ReplayUsageError(f"{name}: the file is empty, expected a header line with column names")
    if duplicates := {column for column in columns if columns.count(column) > 1}:
        raise ReplayUsageError(f"{name}: two columns are named {min(duplicates)!r}, expected different names")
    return FileRows(columns, _csv_rows(reader, columns), opened.bytes_read, opened.size)


def _decode_lines(name: str, content: IO[bytes], encoding: str) -> Iterator[str]:
    """Yield the decoded lines with their ends. Raises ReplayUsageError if the encoding is wrong."""
    line_index = 0
    try:
        if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):  # line breaks of several bytes
            yield from io.StringIO(content.read().decode(encoding), newline="")
            return
        for line_index, line_bytes in enumerate(_read_lines(content)):
            text = line_bytes.decode(encoding)
            yield text.removeprefix("\ufeff") if line_index == 0 else text
    except UnicodeDecodeError:
        raise ReplayUsageError(
            f"{name}: line {line_index + 1} is not {encoding}; "
            'set the encoding in a map, such as encoding = "latin-1"'
        ) from None


def _csv_rows(reader: Any, columns: Sequence[str]) -> Iterator[FileRow]:
    width = len(columns)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield FileRow(line, RejectedEvent("not-csv", f"the line cannot be read: {error}"))
            continue
        if len(cells) == width:
            yield FileRow(line, dict(zip(columns, cells, strict=True)))
        elif cells:
            yield FileRow(
                line, RejectedEvent("not-csv", f"the line has {len(cells)} cells, expected {width}")
            )


def _open_parquet(name: str, opened: OpenedInput, _file_format: FileFormat) -> FileRows:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ReplayUsageError(
            f"{name}: reading Parquet needs pyarrow: {install_command('parquet')}"
        ) from None

    # A Parquet file has its metadata at the end: a stream that cannot seek is read whole.
    seekable = opened.content is opened.raw and opened.size is not None
    try:
        file = pq.ParquetFile(opened.content if seekable else io.BytesIO(opened.content.read()))
    except pa.ArrowInvalid as error:
        raise ReplayUsageError(f"{name}: {error}, expected a Parquet file") from None
    completed = 0

    def iterate_rows() -> Iterator[FileRow]:
        nonlocal completed
        for batch in file.iter_batches(_PARQUET_BATCH_ROWS):
            for cells in _in_microseconds(batch).to_pylist():
                completed += 1
                yield FileRow(completed, cells)

    return FileRows(file.schema_arrow.names, iterate_rows(), lambda: completed, file.metadata.num_rows)


def _in_microseconds(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    """Cut nanoseconds to microseconds, the resolution of Python's times."""
    import pyarrow as pa

    for column_index, field in enumerate(batch.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            column = batch.column(column_index).cast(pa.timestamp("us", field.type.tz), safe=False)
            batch = batch.set_column(column_index, field.name, column)
    return batch


_OPENERS: Mapping[FileType, Callable[[str, OpenedInput, FileFormat], FileRows]] = {
    "ndjson": _open_json,
    "lines": _open_lines,
    "csv": _open_csv,
    "parquet": _open_parquet,
}
