"""Here is whether Kafka would keep what is replayed: records bear the events' own times."""

from collections.abc import Iterator, Mapping, Sequence

from streamer.events.outgoing import Outgoing
from streamer.events.rules import DAY
from streamer.replay.facts import rfc3339


class Retention:
    """What the broker says of its topics, held against each record, once for each topic."""

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
            return ()  # as good as always, and asked for each record
        return list(self._warnings(topic, record.timestamp_ms))

    def _warnings(self, topic: str, at_ms: int) -> Iterator[str]:
        if topic in self._stamped:
            self._stamped.discard(topic)
            yield (
                f"topic {topic} replaces times by those of arrival (message.timestamp.type): events of long "
                "ago will be rejected as too old; set it to CreateTime (see `streamer check`)"
            )
        if at_ms < self._oldest.get(topic, 0):
            del self._oldest[topic]
            days = self._kept[topic] / DAY
            yield (
                f"topic {topic} keeps records for {days:.3g} days (retention.ms), and there are events of "
                f" {rfc3339(at_ms)}: Kafka soon deletes these, counted or not, and no "
                "rebuild can count them again; raise retention.ms, or move them by --shift-to now"
            )
