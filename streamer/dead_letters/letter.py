"""Here is a dead letter: which record was rejected, why, and what of it may be shown."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple, Self

from streamer.events.decoding import Record
from streamer.events.rules import SECOND
from streamer.readings.query import QueryError


class LetterError(Exception):
    """It cannot be done; the message says why."""


class Place(NamedTuple):
    """The coordinates of a record in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"

    @classmethod
    def of(cls, text: str) -> Self:
        """Raises QueryError."""
        topic, *numbers = text.rsplit(":", 2)
        if (
            not topic
            or len(numbers) != 2
            or not all(n.isascii() and n.isdecimal() and len(n) < 19 for n in numbers)
        ):
            raise QueryError(f"{text}: expected coordinates such as call-completed:0:17")
        return cls(topic, *map(int, numbers))


class Letter(NamedTuple):
    """`at` is the rejected record's timestamp in ms, `size` its bytes, None where a letter does not say;
    `shown` its redacted value; `partitions` where the letter lies, more than one if their number grew."""

    place: Place
    reason: str
    error: str
    at: int
    size: int | None
    customer: str | None
    shown: bytes
    partitions: tuple[int, ...]

    def is_about(self, record: Record) -> bool:
        """Whether the record is the one that was rejected, and not another at its coordinates, as in a
        log that was made anew."""
        return record.timestamp == self.at and self.size in (None, len(record.value or b""))

    @property
    def time(self) -> str:
        return when(self.at)


def when(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms // SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"


def opened(records: Iterable[Record]) -> list[Letter]:
    """The letters that are open, by all records of their topic in the order of each log. The last one of
    a key counts: written twice a letter is one, and a record without value closes it."""
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
    """Nothing where it is none of ours."""
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
