"""Here are a worker's own meters, for Prometheus on STREAMER_METRICS_PORT."""

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from streamer.events.decoding import Record
from streamer.store.port import Beat, Partition

_DELAYS_S = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)


class Meters:
    """A Watch of the pipeline."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._lag = Gauge(
            "streamer_lag_records",
            "Records of the partition that are not counted yet.",
            ["topic", "partition"],
            registry=self.registry,
        )
        self._delay = Histogram(
            "streamer_event_to_commit_seconds",
            "From a record's Kafka timestamp to the commit that counted it.",
            buckets=_DELAYS_S,
            registry=self.registry,
        )
        self._last = Gauge(
            "streamer_last_event_timestamp_seconds",
            "Kafka timestamp of the last record counted.",
            ["topic"],
            registry=self.registry,
        )
        self._conflicts = Counter(
            "streamer_commit_conflicts",
            "Commits computed again because another changed the same journeys first.",
            registry=self.registry,
        )

    def conflict(self) -> None:
        self._conflicts.inc()

    def committed(self, records: Sequence[Record], now_ms: int) -> None:
        for record in records:
            self._delay.observe(max(0, now_ms - record.timestamp) / 1000)
        self._last.labels(records[-1].topic).set(records[-1].timestamp / 1000)

    def beats(self, beats: Mapping[Partition, Beat]) -> None:
        self._lag.clear()
        for partition, beat in beats.items():
            self._lag.labels(partition.topic, str(partition.number)).set(beat.lag)
