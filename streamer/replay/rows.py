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

from streamer.events.models import Rejected
from streamer.replay.files import Form, Input, Opened
from streamer.replay.usage import WrongUseError

if TYPE_CHECKING:
    import pyarrow as pa

Content = bytes | Mapping[str, Any] | Rejected
_AT_ONCE = 4_096
_LONGEST_LINE = 16 * 1024 * 1024
_one = json.JSONDecoder()


class Row(NamedTuple):
    """One row. `line`: the line where it begins, from 1; in Parquet and in a JSON array the row number."""

    line: int
    content: Content


class Shape(NamedTuple):
    """Format of a file: its type, and for CSV the encoding and the delimiter."""

    form: Form
    encoding: str = "utf-8"
    delimiter: str = ","


class Rows(NamedTuple):
    """Rows of an open file. `columns`: names, for CSV and Parquet only. `completed` of `total`: bytes, for
    Parquet rows; `total` is None if unknown."""

    columns: Sequence[str] | None
    rows: Iterator[Row]
    done: Callable[[], int]
    total: int | None


@contextmanager
def reading(source: Input, shape: Shape) -> Iterator[Rows]:
    """Open a file and yield its rows. Raises ReplayUsageError, also while rows are read, if the file does not
    have this format."""
    with source.open() as opened:
        try:
            yield _READERS[shape.form](source.name, opened, shape)
        except (EOFError, zlib.error) as error:
            raise WrongUseError(f"{source.name}: its gzip data is broken ({error})") from None


def _lines(_name: str, opened: Opened, _shape: Shape) -> Rows:
    rows = (Row(number, line) for number, line in enumerate(_each(opened.content), 1) if line.strip())
    return Rows(None, rows, opened.done, opened.size)


def _json(name: str, opened: Opened, _shape: Shape) -> Rows:
    lines = _each(opened.content)
    first = next(lines, b"").removeprefix(codecs.BOM_UTF8)
    if first.lstrip().startswith(b"["):
        return Rows(None, _array(name, first, opened.content), opened.done, opened.size)
    return Rows(None, _objects(first, lines), opened.done, opened.size)


def _objects(first: bytes, lines: Iterator[bytes]) -> Iterator[Row]:
    rest = b""
    for number, line in enumerate(chain([first], lines), 1):
        found = rest + line
        rest = b""
        if b"}{" in found:
            objects, rest = _apart(found)
            yield from (Row(number, one) for one in objects)
            found, rest = (b"", rest) if len(line) == _LONGEST_LINE else (rest, b"")
        if found.strip():
            yield Row(number, found)
    if rest.strip():
        yield Row(number, rest)


def _apart(line: bytes) -> tuple[list[bytes], bytes]:
    """Split JSON objects that follow each other without a line break, as Amazon's delivery streams write
    them. Returns the whole objects and the rest.

    >>> _apart(b'{"id":1}{"id":2}{"id"')
    ([b'{"id":1}', b'{"id":2}'], b'{"id"')
    """
    text, place = line.decode(errors="surrogateescape"), 0
    found = []
    while place < len(text):
        try:
            _, end = _one.raw_decode(text, place)
        except (ValueError, RecursionError):
            break
        found.append(text[place:end].encode(errors="surrogateescape"))
        place = end
        while place < len(text) and text[place].isspace():
            place += 1
    return found, text[place:].encode(errors="surrogateescape")


def _each(content: IO[bytes]) -> Iterator[bytes]:
    """Return the lines. An endless line comes in pieces of 16 MiB, each rejected, to save memory."""
    return iter(lambda: content.readline(_LONGEST_LINE), b"")


def _array(name: str, first: bytes, content: IO[bytes]) -> Iterator[Row]:
    try:
        found = msgspec.json.decode(first + content.read(), type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise WrongUseError(f"{name}: {error}, expected a JSON array or one JSON object per line") from None
    return (Row(number, bytes(raw)) for number, raw in enumerate(found, 1))


def _csv(name: str, opened: Opened, shape: Shape) -> Rows:
    reader = csv.reader(_text(name, opened.content, shape.encoding), delimiter=shape.delimiter)
    columns = next(reader, None)
    if columns is None:
        raise WrongUseError(f"{name}: the file is empty, expected a header line with column names")
    if twice := {column for column in columns if columns.count(column) > 1}:
        raise WrongUseError(f"{name}: two columns are named {min(twice)!r}, expected different names")
    return Rows(columns, _cells(reader, columns), opened.done, opened.size)


def _text(name: str, content: IO[bytes], encoding: str) -> Iterator[str]:
    """Yield the decoded lines with their ends. Raises ReplayUsageError if the encoding is wrong."""
    line = 0
    try:
        if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):  # line breaks of several bytes
            yield from io.StringIO(content.read().decode(encoding), newline="")
            return
        for line, found in enumerate(_each(content)):
            text = found.decode(encoding)
            yield text.removeprefix("\ufeff") if line == 0 else text
    except UnicodeDecodeError:
        raise WrongUseError(
            f"{name}: line {line + 1} is not {encoding}; "
            'set the encoding in a map, such as encoding = "latin-1"'
        ) from None


def _cells(reader: Any, columns: Sequence[str]) -> Iterator[Row]:
    width = len(columns)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, Rejected("not-csv", f"the line cannot be read: {error}"))
            continue
        if len(cells) == width:
            yield Row(line, dict(zip(columns, cells, strict=True)))
        elif cells:
            yield Row(line, Rejected("not-csv", f"the line has {len(cells)} cells, expected {width}"))


def _parquet(name: str, opened: Opened, _shape: Shape) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # A Parquet file has its metadata at the end: a stream that cannot seek is read whole.
    seekable = opened.content is opened.raw and opened.size is not None
    try:
        file = pq.ParquetFile(opened.content if seekable else io.BytesIO(opened.content.read()))
    except pa.ArrowInvalid as error:
        raise WrongUseError(f"{name}: {error}, expected a Parquet file") from None
    done = 0

    def rows() -> Iterator[Row]:
        nonlocal done
        for batch in file.iter_batches(_AT_ONCE):
            for cells in _in_microseconds(batch).to_pylist():
                done += 1
                yield Row(done, cells)

    return Rows(file.schema_arrow.names, rows(), lambda: done, file.metadata.num_rows)


def _in_microseconds(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    """Cut nanoseconds to microseconds, the resolution of Python's times."""
    import pyarrow as pa

    for place, field in enumerate(batch.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            exact = batch.column(place).cast(pa.timestamp("us", field.type.tz), safe=False)
            batch = batch.set_column(place, field.name, exact)
    return batch


_READERS: Mapping[Form, Callable[[str, Opened, Shape], Rows]] = {
    "ndjson": _json,
    "lines": _lines,
    "csv": _csv,
    "parquet": _parquet,
}
