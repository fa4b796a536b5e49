"""Here is where what sources send is kept as it came: a Kafka topic for each."""

from typing import Final

from streamer.events.rules import DAY

RAW_KEPT_MS: Final = 7 * DAY
"""Retention of the raw topics that we create."""


def raw_topic(source: str) -> str:
    return f"ingest-{source}"
