"""Read the rows of files as contract events, by a map, or as payloads of a known source."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from streamer.events.agent_directory import AgentDirectory
from streamer.events.envelopes import InvalidEventError, decode_json_object
from streamer.events.models import RejectedEvent
from streamer.replay.contract_reader import ContractReader, check_topic_option, topic_of_fields
from streamer.replay.file_rows import FileFormat, FileRow, FileRows, open_rows
from streamer.replay.input_files import FileType, InputFile
from streamer.replay.payload_reader import PayloadReader, replay_source
from streamer.replay.row_results import ReplayEntry, RowResult, SourcedEvent
from streamer.replay.table_map import TableMap, contract_names_map, load_table_map
from streamer.replay.usage_error import ReplayUsageError
from streamer.settings import Settings


class ReadOptions(NamedTuple):
    """Options that say how to read files. `file_type`: NDJSON, CSV or Parquet. `source_name`: a known source
    (--format). `map_path`: a map file. `topic`: of all rows."""

    file_type: FileType | None = None
    source_name: str | None = None
    map_path: str | None = None
    topic: str | None = None


class FileReader:
    """Reader of any number of files by the same options. Raises ReplayUsageError, for options already when it
    is made."""

    def __init__(self, read_options: ReadOptions, settings: Settings) -> None:
        if read_options.source_name and read_options.map_path:
            raise ReplayUsageError("--format and --map cannot be combined; give one of them")
        if read_options.topic and (read_options.source_name or read_options.map_path):
            raise ReplayUsageError(
                "--topic cannot be combined with --format or --map, which set it themselves"
            )
        self._options = read_options
        self._directory: AgentDirectory = settings.directory()
        self._topic = None if read_options.topic is None else check_topic_option(read_options.topic)
        self._table_map = load_table_map(read_options.map_path) if read_options.map_path else None
        self._payload_reader: PayloadReader | None = None
        options: Mapping[str, object] = {}
        if read_options.source_name:
            source, options = (
                replay_source(read_options.source_name),
                settings.source_options(read_options.source_name),
            )
            self._payload_reader = PayloadReader(source, options, self._directory)
            self._is_line_source = source.form == "line"
        map_bytes = Path(read_options.map_path).read_bytes() if read_options.map_path else b""
        option_bytes = repr(
            (read_options.file_type, read_options.source_name, read_options.topic, sorted(options.items()))
        ).encode()
        self.digest = hashlib.sha256(option_bytes + map_bytes).hexdigest()

    @contextmanager
    def open_entries(
        self, source: InputFile, start_entry: int = 0
    ) -> Iterator[tuple[FileRows, Iterator[ReplayEntry]]]:
        """Yield the file's rows and its entries, from entry number `start_entry` (0 is the first)."""
        with open_rows(source, self._detect_format(source)) as rows:
            if self._payload_reader is not None and self._payload_reader.assembles:
                yield rows, islice(self._payload_reader.assemble(rows.rows), start_entry, None)
            else:
                yield rows, self._row_entries(source, rows, islice(rows.rows, start_entry, None))

    def _detect_format(self, source: InputFile) -> FileFormat:
        suffixes = [suffix.lower() for suffix in Path(source.path).suffixes]
        delimiter = "\t" if ".tsv" in suffixes else ","
        if self._payload_reader is not None and self._is_line_source:
            return FileFormat("lines")
        file_type = source.detect_type(self._options.file_type)
        if self._table_map is None:
            return FileFormat(file_type, delimiter=delimiter)
        return FileFormat(
            file_type, self._table_map.file.encoding, self._table_map.file.delimiter or delimiter
        )

    def _row_entries(
        self, source: InputFile, rows: FileRows, remaining_rows: Iterable[FileRow]
    ) -> Iterator[ReplayEntry]:
        if self._payload_reader is not None:
            return map(self._payload_reader.read, remaining_rows)
        read = self._map_reader(source, rows) or ContractReader(self._topic).read
        return (ReplayEntry(row.line, (_read_row(read, row),)) for row in remaining_rows)

    def _map_reader(self, source: InputFile, rows: FileRows) -> Callable[[Any], RowResult] | None:
        """Return the reader of rows by a map; None for JSON objects without a map."""
        if rows.columns is not None:
            table_map = self._table_map or self._map_by_names(source, rows.columns)
            table_map.check_columns(rows.columns, source.name)
            return self._with_team(table_map.read) if self._table_map else table_map.read
        if self._table_map is None:
            return None
        read = self._with_team(self._table_map.read)
        return lambda line: read(decode_json_object(line, "line"))

    def _map_by_names(self, source: InputFile, columns: Any) -> TableMap:
        try:
            return contract_names_map(self._topic or topic_of_fields(tuple(columns)), columns)
        except InvalidEventError as error:
            message = error.error.replace("fields", "columns")
            raise ReplayUsageError(
                f"{source.name}: {message}; or give a --map for other column names"
            ) from None

    def _with_team(self, read: Callable[[Any], RowResult]) -> Callable[[Any], RowResult]:
        """Add the agent's team to each event if the settings know it."""

        def read_with_team(content: Any) -> RowResult:
            result = read(content)
            return (
                SourcedEvent(result.source, self._directory.with_membership(result.event))
                if isinstance(result, SourcedEvent)
                else result
            )

        return read_with_team


def _read_row(read: Callable[[Any], RowResult], row: FileRow) -> RowResult:
    if isinstance(row.content, RejectedEvent):
        return row.content
    try:
        return read(row.content)
    except InvalidEventError as error:
        return RejectedEvent(error.reason, error.error)
