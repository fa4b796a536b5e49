"""Warn about records that Kafka would delete soon or restamp, since they carry the events' own times."""

from collections.abc import Iterator, Mapping, Sequence

from streamer.events.outgoing import Outgoing
from streamer.events.rules import DAY
from streamer.replay.facts import rfc3339


class Retention:
    """Check of records against the broker's topic configuration; warns once per topic and problem.

    >>> configuration = {"call-completed": {"retention.ms": "604800000"}}
    >>> retention = Retention(configuration, now_ms=1_777_896_000_000)
    >>> new = Outgoing("call-completed", b"k1", b"{}", (), 1_777_896_000_000)
    >>> old = new._replace(timestamp_ms=1_746_360_000_000)
    >>> [len(retention.warnings(record)) for record in (new, old, old)]
    [0, 1, 0]
    """

    def __init__(self, configuration: Mapping[str, Mapping[str, str]], now_ms: int) -> None:
        self._oldest: dict[str, int] = {}
        self._kept: dict[str, int] = {}
        self._stamped = {
            topic
            for topic, said in configuration.items()
            if said.get("message.timestamp.type") == "LogAppendTime"
        }
        for topic, said in configuration.items():
            kept = int(said.get("retention.ms") or -1)
            if kept >= 0:
                self._kept[topic], self._oldest[topic] = kept, now_ms - kept

    def warnings(self, record: Outgoing) -> Sequence[str]:
        topic = record.topic
        if topic not in self._stamped and record.timestamp_ms >= self._oldest.get(topic, 0):
            return ()  # the usual case, and checked for each record
        return list(self._warnings(topic, record.timestamp_ms))

    def _warnings(self, topic: str, at_ms: int) -> Iterator[str]:
        if topic in self._stamped:
            self._stamped.discard(topic)
            yield (
                f"topic {topic} replaces record times with arrival times (message.timestamp.type): "
                "workers will reject old events; set it to CreateTime (see `streamer check`)"
            )
        if at_ms < self._oldest.get(topic, 0):
            del self._oldest[topic]
            days = self._kept[topic] / DAY
            yield (
                f"topic {topic} keeps records for {days:.3g} days (retention.ms), but some events are of "
                f"{rfc3339(at_ms)}: Kafka will soon delete them, counted or not, and no "
                "rebuild can count them again; raise retention.ms, or move all times with --shift-to now"
            )
