"""Read the rows of files as contract events, by a map, or as payloads of a known source."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from streamer.events.directory import Directory
from streamer.events.envelopes import WrongError
from streamer.events.models import Rejected
from streamer.replay.contract import Contract, check_topic, topic_by
from streamer.replay.facts import Entry, Fact, Said
from streamer.replay.files import Form, Input
from streamer.replay.mapping import Map, by_name, loaded
from streamer.replay.rows import Row, Rows, Shape, reading
from streamer.replay.sources import Payloads, named
from streamer.replay.usage import WrongUseError
from streamer.settings import Settings


class How(NamedTuple):
    """Options that say how to read files. `file_type`: NDJSON, CSV or Parquet. `source_name`: a known source
    (--format). `map_path`: a map file. `topic`: of all rows."""

    form: Form | None = None
    format: str | None = None
    map: str | None = None
    topic: str | None = None


class Reader:
    """Reader of any number of files by the same options. Raises ReplayUsageError, for options already when it
    is made."""

    def __init__(self, how: How, settings: Settings) -> None:
        if how.format and how.map:
            raise WrongUseError("--format and --map cannot be combined; give one of them")
        if how.topic and (how.format or how.map):
            raise WrongUseError("--topic cannot be combined with --format or --map, which set it themselves")
        self._how = how
        self._directory: Directory = settings.directory()
        self._topic = None if how.topic is None else check_topic(how.topic)
        self._map = loaded(how.map) if how.map else None
        self._payloads: Payloads | None = None
        options: Mapping[str, object] = {}
        if how.format:
            source, options = named(how.format), settings.source_options(how.format)
            self._payloads = Payloads(source, options, self._directory)
            self._line_form = source.form == "line"
        map_text = Path(how.map).read_bytes() if how.map else b""
        said = repr((how.form, how.format, how.topic, sorted(options.items()))).encode()
        self.digest = hashlib.sha256(said + map_text).hexdigest()

    @contextmanager
    def entries(self, source: Input, start: int = 0) -> Iterator[tuple[Rows, Iterator[Entry]]]:
        """Yield the file's rows and its entries, from entry number `start_entry` (0 is the first)."""
        with reading(source, self._shape(source)) as rows:
            if self._payloads is not None and self._payloads.assembles:
                yield rows, islice(self._payloads.assemble(rows.rows), start, None)
            else:
                yield rows, self._each(source, rows, islice(rows.rows, start, None))

    def _shape(self, source: Input) -> Shape:
        suffixes = [suffix.lower() for suffix in Path(source.path).suffixes]
        delimiter = "\t" if ".tsv" in suffixes else ","
        if self._payloads is not None and self._line_form:
            return Shape("lines")
        form = source.form(self._how.form)
        if self._map is None:
            return Shape(form, delimiter=delimiter)
        return Shape(form, self._map.file.encoding, self._map.file.delimiter or delimiter)

    def _each(self, source: Input, rows: Rows, taken: Iterable[Row]) -> Iterator[Entry]:
        if self._payloads is not None:
            return map(self._payloads.read, taken)
        read = self._by_map(source, rows) or self._by_contract()
        return (Entry(row.line, (_read(read, row),)) for row in taken)

    def _by_contract(self) -> Callable[[Any], Said]:
        return Contract(self._topic).read

    def _by_map(self, source: Input, rows: Rows) -> Callable[[Any], Said] | None:
        """Return the reader of rows by a map; None for JSON objects without a map."""
        if rows.columns is not None:
            table = self._map or self._named_columns(source, rows.columns)
            table.check_columns(rows.columns, source.name)
            return self._completed(table.read) if self._map else table.read
        if self._map is None:
            return None
        read = self._completed(self._map.read)
        return lambda line: read(_object(line))

    def _named_columns(self, source: Input, columns: Any) -> Map:
        try:
            return by_name(self._topic or topic_by(tuple(columns)), columns)
        except WrongError as error:
            said = error.error.replace("fields", "columns")
            raise WrongUseError(f"{source.name}: {said}; or give a --map for other column names") from None

    def _completed(self, read: Callable[[Any], Said]) -> Callable[[Any], Said]:
        """Add the agent's team to each event if the settings know it."""

        def complete(content: Any) -> Said:
            said = read(content)
            return Fact(said.source, self._directory.completed(said.sent)) if isinstance(said, Fact) else said

        return complete


def _read(read: Callable[[Any], Said], row: Row) -> Said:
    if isinstance(row.content, Rejected):
        return row.content
    try:
        return read(row.content)
    except WrongError as error:
        return Rejected(error.reason, error.error)


def _object(line: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WrongError("not-json", f"{error or 'nested too deeply'}, expected a JSON object") from None
