"""Turn payloads of a known source into events, one by one or assembled in memory."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import Fragment, Options, OutgoingEvent, SourceAdapter
from streamer.events.adapters.source import read_payload as read_payload
from streamer.events.adapters.timelines import EVERYONE, assemble_events, relevant_sweeps
from streamer.events.agent_directory import EMPTY_DIRECTORY, AgentDirectory
from streamer.events.envelopes import InvalidEventError
from streamer.events.models import RejectedEvent
from streamer.events.outgoing_records import event_time_ms
from streamer.replay.file_rows import FileRow
from streamer.replay.row_results import ReplayEntry, RowResult, SourcedEvent
from streamer.replay.usage_error import ReplayUsageError
from streamer.runtime.choices import expected_choice


def replay_source(name: str) -> SourceAdapter:
    """Return the known source of this name. Raises ReplayUsageError if there is none."""
    if name not in SOURCES:
        raise ReplayUsageError(f"--format {name}: no such source, {expected_choice(name, SOURCES)}")
    return SOURCES[name]


class PayloadReader:
    """Reader of a source's payloads, by the source's options in the settings."""

    def __init__(
        self, source: SourceAdapter, options: Options, directory: AgentDirectory = EMPTY_DIRECTORY
    ) -> None:
        self._source, self._options, self._directory = source, options, directory

    @property
    def assembles(self) -> bool:
        return self._source.assembles

    def read(self, row: FileRow) -> ReplayEntry:
        """Read a payload that holds whole events; not for sources that assemble."""
        results: list[RowResult] = []
        for item in self._parse_row(row):
            assert not isinstance(item, Fragment), f"{self._source.name} sends notes and assembles nothing"
            results.append(item if isinstance(item, RejectedEvent) else self._sourced_event(item))
        return ReplayEntry(row.line, tuple(results))

    def assemble(self, rows: Iterable[FileRow]) -> Iterator[ReplayEntry]:
        """Yield one entry per row with its rejections, then one per event assembled from all rows, ordered by
        event time. Holds all rows' fragments in memory."""
        fragments_by_contact: dict[str, list[Fragment]] = {}
        events: list[OutgoingEvent] = []
        for row in rows:
            items = self._parse_row(row)
            for item in items:
                if isinstance(item, Fragment):
                    fragments_by_contact.setdefault(item.contact, []).append(item)
            events += [item for item in items if isinstance(item, OutgoingEvent)]
            yield ReplayEntry(row.line, tuple(item for item in items if isinstance(item, RejectedEvent)))
        sweeps = fragments_by_contact.pop(EVERYONE, [])
        for fragments in fragments_by_contact.values():
            fragments += relevant_sweeps(self._source, fragments, sweeps, self._options)
            events += assemble_events(self._source, fragments, self._options)
        for item in sorted(events, key=_event_ms):
            yield ReplayEntry(0, (self._sourced_event(item),))

    def _parse_row(self, row: FileRow) -> list[OutgoingEvent | Fragment | RejectedEvent]:
        content = row.content
        if isinstance(content, RejectedEvent):
            return [content]
        if isinstance(content, Mapping):
            content = _encode_row(content)
        return read_payload(self._source, content, self._options)

    def _sourced_event(self, event: OutgoingEvent) -> SourcedEvent:
        return SourcedEvent(self._source.name, self._directory.with_membership(event))


def _encode_row(cells: Mapping[str, Any]) -> bytes:
    """Encode a row of a table as a JSON object; an empty cell is no field."""
    return msgspec.json.encode({name: cell for name, cell in cells.items() if cell not in (None, "")})


def _event_ms(event: OutgoingEvent) -> int:
    try:
        return event_time_ms(event)
    except InvalidEventError:
        return 0  # rejected when its turn comes
