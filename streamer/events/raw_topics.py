"""Here is where what sources send is kept as it came: a Kafka topic for each."""

from typing import Final

from streamer.events.rules import DAY

RAW_KEPT_MS: Final = 7 * DAY
"""Retention of the raw topics that we create."""


_PREFIX: Final = "ingest-"


def raw_topic(source: str) -> str:
    return f"{_PREFIX}{source}"


def source_of(topic: str) -> str:
    """Whose raw topic it is; a topic that is none stands for itself."""
    return topic.removeprefix(_PREFIX)
