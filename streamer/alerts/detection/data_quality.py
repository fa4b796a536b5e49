"""Data quality as a reader sees it: whether scores can be trusted, and other signs of trouble."""

from collections import deque
from typing import Final, NamedTuple

from streamer.alerts.detection import feed_health
from streamer.alerts.detection.feed_health import FeedHealth
from streamer.events.counting_rules import MINUTE
from streamer.panes.pane_keys import ALL, FINE_MS
from streamer.readings.reader import MetricsReader

MAX_SAMPLES: Final = 24 * 60
"""Samples of the counters of rejected events, one a minute."""


class DataIssues(NamedTuple):
    """Reason why scores say nothing (`stale`), and any other problem of the data (`suspicious`);
    sentences, None: no such problem."""

    stale: str | None = None
    suspicious: str | None = None


NO_ISSUES: Final = DataIssues()


class DataQualityMonitor:
    def __init__(self, reader: MetricsReader) -> None:
        self._reader = reader
        self._history_by_topic: dict[str, deque[feed_health.TopicCounts]] = {}

    def check(self, now_ms: int) -> DataIssues:
        health = self._feed_health(now_ms)
        for topic, counts in feed_health.counts_by_topic(self._reader.counters, now_ms).items():
            history = self._history_by_topic.setdefault(topic, deque(maxlen=MAX_SAMPLES))
            if not history or now_ms - history[-1].at_ms >= MINUTE or now_ms < history[-1].at_ms:
                history.append(counts)
        rejections = (
            feed_health.rejection_reason(topic, [*history])
            for topic, history in self._history_by_topic.items()
        )
        return DataIssues(
            feed_health.stale_reason(health),
            feed_health.late_reason(health) or next(filter(None, rejections), None),
        )

    def _feed_health(self, now_ms: int) -> FeedHealth:
        beats, age_s = self._reader.heartbeats.values(), self._reader.data_age_s(now_ms)
        latest = now_ms // FINE_MS + 30
        panes = self._reader.kept_panes(ALL, "fine", latest - 30 - 6 * 60 * 24, latest).panes
        return FeedHealth(
            now=now_ms,
            age_ms=None if age_s is None else round(age_s * 1000),
            lag=sum(beat.lag for beat in beats),
            record_at=max((beat.record_at for beat in beats), default=None),
            event_at=(max(panes) + 1) * FINE_MS if panes else None,
        )
