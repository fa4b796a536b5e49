"""Turn payloads of a known source into events, one by one or assembled in memory."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from streamer.events.adapters import SOURCES, listing
from streamer.events.adapters.source import Note, Options, Sent, Source, known
from streamer.events.adapters.source import read as read_payload
from streamer.events.directory import NOBODY, Directory
from streamer.events.envelopes import WrongError
from streamer.events.models import Rejected
from streamer.events.outgoing import happened_ms
from streamer.replay.facts import Entry, Fact, Said
from streamer.replay.rows import Row
from streamer.replay.usage import WrongUseError


def named(name: str) -> Source:
    """Return the known source of this name. Raises ReplayUsageError if there is none."""
    if name not in SOURCES:
        raise WrongUseError(f"--format: {listing.unknown(name, SOURCES)}")
    return SOURCES[name]


class Payloads:
    """Reader of a source's payloads, by the source's options in the settings."""

    def __init__(self, source: Source, options: Options, directory: Directory = NOBODY) -> None:
        self._source, self._options, self._directory = source, options, directory

    @property
    def assembles(self) -> bool:
        return self._source.assemble is not None

    def read(self, row: Row) -> Entry:
        """Read a payload that holds whole events; not for sources that assemble."""
        said: list[Said] = []
        for one in self._read(row):
            assert not isinstance(one, Note), f"{self._source.name} sends notes and assembles nothing"
            said.append(one if isinstance(one, Rejected) else self._fact(one))
        return Entry(row.line, tuple(said))

    def assemble(self, rows: Iterable[Row]) -> Iterator[Entry]:
        """Yield one entry per row with its rejections, then one per event assembled from all rows, ordered by
        event time. Holds all rows' fragments in memory."""
        notes: dict[str, list[Note]] = {}
        sent: list[Sent] = []
        for row in rows:
            found = self._read(row)
            for one in found:
                if isinstance(one, Note):
                    notes.setdefault(one.contact, []).append(one)
            sent += [one for one in found if isinstance(one, Sent)]
            yield Entry(row.line, tuple(one for one in found if isinstance(one, Rejected)))
        for contact in notes.values():
            sent += known(self._source, contact, self._options)
        for one in sorted(sent, key=_when):
            yield Entry(0, (self._fact(one),))

    def _read(self, row: Row) -> list[Sent | Note | Rejected]:
        content = row.content
        if isinstance(content, Rejected):
            return [content]
        if isinstance(content, Mapping):
            content = _object(content)
        return read_payload(self._source, content, self._options)

    def _fact(self, sent: Sent) -> Fact:
        return Fact(self._source.name, self._directory.completed(sent))


def _object(cells: Mapping[str, Any]) -> bytes:
    """Encode a row of a table as a JSON object; an empty cell is no field."""
    return msgspec.json.encode({name: cell for name, cell in cells.items() if cell not in (None, "")})


def _when(sent: Sent) -> int:
    try:
        return happened_ms(sent)
    except WrongError:
        return 0  # rejected when its turn comes
