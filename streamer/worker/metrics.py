"""Export the worker's own metrics to Prometheus, on STREAMER_METRICS_PORT."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector
from prometheus_client.metrics_core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from streamer.events.decoding import KafkaRecord
from streamer.runtime.redis_errors import REDIS_REASONS
from streamer.runtime.retry import BROKER, OUTAGES
from streamer.store.port import Heartbeat, Partition

_DELAYS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_DELAYS_MS: Final = [round(1000 * delay) for delay in _DELAYS_S]


class DelayHistogram(Collector):
    """Histogram of the delays from a record's Kafka timestamp to its commit. A batch is observed at once,
    without the lock that prometheus_client's own histogram takes for each record.

    >>> histogram = DelayHistogram()
    >>> histogram.observe_ms([20, 90, 120])
    >>> (family,) = histogram.collect()
    >>> [sample.value for sample in family.samples if sample.labels.get("le") in ("0.1", "+Inf")]
    [2.0, 3.0]
    """

    def __init__(self) -> None:
        self._counts = [0] * (len(_DELAYS_MS) + 1)
        self._sum_ms = 0

    def observe_ms(self, delays_ms: Iterable[int]) -> None:
        for delay_ms in delays_ms:
            self._counts[bisect_left(_DELAYS_MS, delay_ms)] += 1
            self._sum_ms += delay_ms

    def collect(self) -> Iterator[Metric]:
        bounds = [*(str(float(delay)) for delay in _DELAYS_S), "+Inf"]
        yield HistogramMetricFamily(
            "streamer_event_to_commit_seconds",
            "From a record's Kafka timestamp to the commit that counted it.",
            buckets=[*zip(bounds, map(float, accumulate(self._counts)), strict=True)],
            sum_value=self._sum_ms / 1000,
        )


class OutageGauges(Collector):
    """Gauges of what the process waits for now: 1 by reason, else 0.

    >>> store, broker = OutageGauges().collect()
    >>> store.name, {sample.value for sample in store.samples}, len(broker.samples)
    ('streamer_store_unavailable', {0.0}, 1)
    """

    def collect(self) -> Iterator[Metric]:
        reasons = OUTAGES.reasons()
        family = GaugeMetricFamily(
            "streamer_store_unavailable",
            "1 while calls wait because Redis cannot answer, by reason.",
            labels=["reason"],
        )
        for reason in REDIS_REASONS:
            family.add_metric([reason], float(reason in reasons))
        yield family
        yield GaugeMetricFamily(
            "streamer_broker_unavailable",
            "1 while calls wait because Kafka cannot answer.",
            value=float(BROKER in reasons),
        )


class WorkerMetrics:
    """Pipeline observer that keeps lag, delays, conflicts and last timestamps."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._delays = DelayHistogram()
        self.registry.register(self._delays)
        self._lag = Gauge(
            "streamer_lag_records",
            "Records of the partition that are not counted yet.",
            ["topic", "partition"],
            registry=self.registry,
        )
        self._last_timestamp = Gauge(
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

        self._clock_ahead = Gauge(
            "streamer_clock_ahead_seconds",
            "How far this worker's clock is ahead of that of Redis, by which ages are told.",
            registry=self.registry,
        )
        self._maintenance_failures = Counter(
            "streamer_maintenance_failures",
            "Steps of maintenance (merging, forgetting) that failed; the log says why.",
            ["step"],
            registry=self.registry,
        )
        self._maintenance_at = Gauge(
            "streamer_maintenance_last_success_timestamp_seconds",
            "Last time that all steps of maintenance had succeeded.",
            registry=self.registry,
        )
        self.registry.register(OutageGauges())
        ProcessCollector(registry=self.registry)

    def maintenance_failed(self, step: str) -> None:
        self._maintenance_failures.labels(step).inc()

    def maintenance_done(self, now_ms: int) -> None:
        self._maintenance_at.set(now_ms / 1000)

    def clock_ahead(self, ahead_ms: int) -> None:
        self._clock_ahead.set(ahead_ms / 1000)

    def conflict(self) -> None:
        self._conflicts.inc()

    def committed(self, records: Sequence[KafkaRecord], now_ms: int) -> None:
        self._delays.observe_ms(max(0, now_ms - record.timestamp) for record in records)
        self._last_timestamp.labels(records[-1].topic).set(records[-1].timestamp / 1000)

    def heartbeats(self, heartbeats: Mapping[Partition, Heartbeat]) -> None:
        self._lag.clear()
        for partition, heartbeat in heartbeats.items():
            self._lag.labels(partition.topic, str(partition.number)).set(heartbeat.lag)
