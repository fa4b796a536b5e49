"""Parse dead letters: the rejected record, the reason, and its redacted value."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple, Self

from streamer.events.decoding import Record
from streamer.events.rules import SECOND
from streamer.readings.query import QueryError


class LetterError(Exception):
    """The operation on a dead letter is impossible; the message says why."""


class Place(NamedTuple):
    """Coordinates of a record in Kafka.

    >>> str(Place.of("call-completed:0:17"))
    'call-completed:0:17'
    """

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"

    @classmethod
    def of(cls, text: str) -> Self:
        """Parse TOPIC:PARTITION:OFFSET. Raise QueryError for anything else."""
        topic, *numbers = text.rsplit(":", 2)
        if (
            not topic
            or len(numbers) != 2
            or not all(n.isascii() and n.isdecimal() and len(n) < 19 for n in numbers)
        ):
            raise QueryError(f"{text}: expected coordinates such as call-completed:0:17")
        return cls(topic, *map(int, numbers))


class Letter(NamedTuple):
    """A dead letter about a rejected record.

    `timestamp_ms` is the record's timestamp, `size_bytes` the size of its value (None if the letter does not
    say), `redacted_value` what of it may be shown. `partitions` hold the letter: more than one if their
    number grew.
    """

    place: Place
    reason: str
    error: str
    at: int
    size: int | None
    customer: str | None
    shown: bytes
    partitions: tuple[int, ...]

    def is_about(self, record: Record) -> bool:
        """Tell whether this is the rejected record, and not another one at its coordinates.

        A topic that was deleted and created again has other records at the same offsets.
        """
        return record.timestamp == self.at and self.size in (None, len(record.value or b""))

    @property
    def time(self) -> str:
        return when(self.at)


def when(ms: int) -> str:
    """Format ms since the epoch as RFC 3339 in UTC, to the second.

    >>> when(1_795_255_200_500)
    '2026-11-21T10:00:00Z'
    """
    return f"{datetime.fromtimestamp(ms // SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"


def opened(records: Iterable[Record]) -> list[Letter]:
    """Return the open letters, from all records of their topic in log order.

    The last record of a key counts: a letter written twice is one, and a record without value closes it.

    >>> headers = [("reason", b"off-scale")]
    >>> letter = Record("streamer-dead-letters", 0, 0, 0, b"survey-completed:0:17", b"{}", headers)
    >>> [(str(one.place), one.reason) for one in opened([letter, letter._replace(offset=1)])]
    [('survey-completed:0:17', 'off-scale')]
    >>> opened([letter, letter._replace(offset=1, value=None)])
    []
    """
    latest: dict[tuple[bytes, int], Record] = {}
    for record in records:
        if record.key is not None:
            latest[record.key, record.partition] = record
    found: dict[Place, Letter] = {}
    for record in latest.values():
        for letter in _letter(record):
            known = found.get(letter.place)
            partitions = letter.partitions if known is None else (*known.partitions, *letter.partitions)
            found[letter.place] = letter._replace(partitions=partitions)
    return sorted(found.values(), key=lambda letter: (letter.at, letter.place))


def _letter(record: Record) -> Iterator[Letter]:
    """Yield the letter in a record, or nothing if it is no dead letter."""
    named = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    try:
        place = Place.of((record.key or b"").decode(errors="replace"))
    except QueryError:
        return
    if record.value is not None and "reason" in named:
        yield Letter(
            place,
            named["reason"],
            named.get("error", ""),
            record.timestamp if (at := _number(named.get("timestamp"))) is None else at,
            _number(named.get("bytes")),
            named.get("customer"),
            record.value,
            (record.partition,),
        )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 19 else None
