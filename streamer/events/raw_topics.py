"""Name the raw Kafka topics, which keep the payloads of each source unchanged."""

from typing import Final

from streamer.events.counting_rules import DAY

RAW_RETENTION_MS: Final = 7 * DAY
"""Retention of the raw topics that streamer creates."""


_PREFIX: Final = "ingest-"


def raw_topic(source: str) -> str:
    """Return the raw topic of a source.

    >>> raw_topic("twilio")
    'ingest-twilio'
    """
    return f"{_PREFIX}{source}"


def source_of_topic(topic: str) -> str:
    """Return the source of a raw topic; any other topic is returned unchanged."""
    return topic.removeprefix(_PREFIX)
