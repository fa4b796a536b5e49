"""Warn about records that Kafka would delete soon or restamp, since they carry the events' own times."""

from collections.abc import Iterator, Mapping, Sequence

from streamer.events.counting_rules import DAY
from streamer.events.outgoing_records import OutgoingRecord
from streamer.events.topic_names import CONTRACT_NAMES, TopicNames
from streamer.replay.row_results import format_utc


class RetentionCheck:
    """Check of records against the broker's topic configuration; warns once per topic and problem.

    >>> configuration = {"call-completed": {"retention.ms": "604800000"}}
    >>> retention = RetentionCheck(configuration, now_ms=1_777_896_000_000)
    >>> new = OutgoingRecord("call-completed", b"k1", b"{}", (), 1_777_896_000_000)
    >>> old = new._replace(timestamp_ms=1_746_360_000_000)
    >>> [len(retention.warnings(record)) for record in (new, old, old)]
    [0, 1, 0]
    """

    def __init__(
        self,
        topic_configs: Mapping[str, Mapping[str, str]],
        now_ms: int,
        names: TopicNames = CONTRACT_NAMES,
    ) -> None:
        """`topic_configs`: by the topics' names on the broker."""
        self._names = names
        self._oldest_kept_ms: dict[str, int] = {}
        self._retention_ms: dict[str, int] = {}
        self._append_time_topics = {
            topic
            for topic, topic_config in topic_configs.items()
            if topic_config.get("message.timestamp.type") == "LogAppendTime"
        }
        for topic, topic_config in topic_configs.items():
            retention_ms = int(topic_config.get("retention.ms") or -1)
            if retention_ms >= 0:
                self._retention_ms[topic], self._oldest_kept_ms[topic] = retention_ms, now_ms - retention_ms

    def warnings(self, record: OutgoingRecord) -> Sequence[str]:
        topic = self._names.on_broker(record.topic)
        if topic not in self._append_time_topics and record.timestamp_ms >= self._oldest_kept_ms.get(
            topic, 0
        ):
            return ()  # the usual case, and checked for each record
        return list(self._warnings(topic, record.timestamp_ms))

    def _warnings(self, topic: str, record_ms: int) -> Iterator[str]:
        if topic in self._append_time_topics:
            self._append_time_topics.discard(topic)
            yield (
                f"topic {topic} replaces record times with arrival times (message.timestamp.type): "
                "workers will reject old events; set it to CreateTime (see `streamer check`)"
            )
        if record_ms < self._oldest_kept_ms.get(topic, 0):
            del self._oldest_kept_ms[topic]
            days = self._retention_ms[topic] / DAY
            yield (
                f"topic {topic} keeps records for {days:.3g} days (retention.ms), but some events are of "
                f"{format_utc(record_ms)}: Kafka will soon delete them, counted or not, and no "
                "rebuild can count them again; raise retention.ms, or move all times with --shift-to now"
            )
