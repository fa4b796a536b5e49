"""Parse dead letters: the rejected record, the reason, and its redacted value."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple, Self

from streamer.events.counting_rules import SECOND
from streamer.events.decoding import KafkaRecord
from streamer.readings.query import QueryError


class DeadLetterError(Exception):
    """The operation on a dead letter is impossible; the message says why."""


class RecordCoordinates(NamedTuple):
    """Coordinates of a record in Kafka.

    >>> str(RecordCoordinates.parse("call-completed:0:17"))
    'call-completed:0:17'
    """

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse TOPIC:PARTITION:OFFSET. Raise QueryError for anything else."""
        topic, *numbers = text.rsplit(":", 2)
        if (
            not topic
            or len(numbers) != 2
            or not all(number.isascii() and number.isdecimal() and len(number) < 19 for number in numbers)
        ):
            raise QueryError(f"{text}: expected coordinates such as call-completed:0:17")
        return cls(topic, *map(int, numbers))


class DeadLetter(NamedTuple):
    """A dead letter about a rejected record.

    `timestamp_ms` is the record's timestamp, `size_bytes` the size of its value (None if the letter does not
    say), `redacted_value` what of it may be shown. `partitions` hold the letter: more than one if their
    number grew.
    """

    coordinates: RecordCoordinates
    reason: str
    error: str
    timestamp_ms: int
    size_bytes: int | None
    customer: str | None
    redacted_value: bytes
    partitions: tuple[int, ...]

    def is_about(self, record: KafkaRecord) -> bool:
        """Tell whether this is the rejected record, and not another one at its coordinates.

        A topic that was deleted and created again has other records at the same offsets.
        """
        return record.timestamp == self.timestamp_ms and self.size_bytes in (None, len(record.value or b""))

    @property
    def time_utc(self) -> str:
        return format_letter_time(self.timestamp_ms)


def format_letter_time(timestamp_ms: int) -> str:
    """Format ms since the epoch as RFC 3339 in UTC, to the second.

    >>> format_letter_time(1_795_255_200_500)
    '2026-11-21T10:00:00Z'
    """
    return f"{datetime.fromtimestamp(timestamp_ms // SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"


def fold_open_letters(records: Iterable[KafkaRecord]) -> list[DeadLetter]:
    """Return the open letters, from all records of their topic in log order.

    The last record of a key counts: a letter written twice is one, and a record without value closes it.

    >>> headers = [("reason", b"off-scale")]
    >>> letter = KafkaRecord("streamer-dead-letters", 0, 0, 0, b"survey-completed:0:17", b"{}", headers)
    >>> [(str(one.coordinates), one.reason) for one in fold_open_letters([letter, letter._replace(offset=1)])]
    [('survey-completed:0:17', 'off-scale')]
    >>> fold_open_letters([letter, letter._replace(offset=1, value=None)])
    []
    """
    latest: dict[tuple[bytes, int], KafkaRecord] = {}
    for record in records:
        if record.key is not None:
            latest[record.key, record.partition] = record
    letters_by_coordinates: dict[RecordCoordinates, DeadLetter] = {}
    for record in latest.values():
        for letter in _parse_letter(record):
            earlier_letter = letters_by_coordinates.get(letter.coordinates)
            partitions = (
                letter.partitions
                if earlier_letter is None
                else (*earlier_letter.partitions, *letter.partitions)
            )
            letters_by_coordinates[letter.coordinates] = letter._replace(partitions=partitions)
    return sorted(
        letters_by_coordinates.values(), key=lambda letter: (letter.timestamp_ms, letter.coordinates)
    )


def _parse_letter(record: KafkaRecord) -> Iterator[DeadLetter]:
    """Yield the letter in a record, or nothing if it is no dead letter."""
    texts_by_header = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    try:
        coordinates = RecordCoordinates.parse((record.key or b"").decode(errors="replace"))
    except QueryError:
        return
    if record.value is not None and "reason" in texts_by_header:
        yield DeadLetter(
            coordinates,
            texts_by_header["reason"],
            texts_by_header.get("error", ""),
            record.timestamp
            if (timestamp_ms := _parse_number(texts_by_header.get("timestamp"))) is None
            else timestamp_ms,
            _parse_number(texts_by_header.get("bytes")),
            texts_by_header.get("customer"),
            record.value,
            (record.partition,),
        )


def _parse_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 19 else None
