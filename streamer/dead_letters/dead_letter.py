"""Parse dead letters: the rejected record, the reason, and its redacted value."""

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


def letter_coordinates(record: KafkaRecord) -> RecordCoordinates | None:
    """Return the coordinates that a record of the letters' topic is about, None if it is about none."""
    try:
        return RecordCoordinates.parse((record.key or b"").decode(errors="replace"))
    except QueryError:
        return None


def is_letter(record: KafkaRecord) -> bool:
    """Tell whether a record about coordinates is a letter; one without value closes an earlier one."""
    return record.value is not None and any(name == "reason" for name, _ in record.headers)


def parse_letter(record: KafkaRecord, partitions: tuple[int, ...]) -> DeadLetter:
    """Parse a record that is a letter. `partitions` hold the letter."""
    coordinates = letter_coordinates(record)
    assert coordinates is not None
    assert record.value is not None
    texts_by_header = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    timestamp_ms = _parse_number(texts_by_header.get("timestamp"))
    return DeadLetter(
        coordinates,
        texts_by_header["reason"],
        texts_by_header.get("error", ""),
        record.timestamp if timestamp_ms is None else timestamp_ms,
        _parse_number(texts_by_header.get("bytes")),
        texts_by_header.get("customer"),
        record.value,
        partitions,
    )


def _parse_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 19 else None
