"""Observations in the time that an alert is about: as a whole, and by subgroup."""

from collections.abc import Sequence
from typing import NamedTuple

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection.detectors import DETECTORS
from streamer.alerts.detection.series import queue_of
from streamer.alerts.messages.compared_panes import ComparedPanes, panes_of_window, panes_since
from streamer.alerts.messages.contributors import NamedSubgroup, largest_contributors
from streamer.alerts.messages.divisions import AlertGroup, CellDivisions, HourDivisions
from streamer.alerts.messages.observation_sum import count_weights
from streamer.alerts.verdict import VerdictFigures
from streamer.events.counting_rules import DAY
from streamer.metrics.catalogue import Metric
from streamer.metrics.formulas import NO_DATA, MetricFigure
from streamer.panes.pane_keys import FINE_MS, oldest_pane
from streamer.panes.windows import QueryClock
from streamer.readings.metric_spans import window_spans
from streamer.readings.query import MetricQuery
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings


class AlertCase(NamedTuple):
    """A group of a rule, and the figures of its verdict."""

    rule: AlertRule
    key: str
    figures: VerdictFigures

    @property
    def group(self) -> AlertGroup:
        return AlertGroup(self.rule.by, self.key)


class AlertObservations:
    """Observations as of one moment; lookups are shared between cases. Without data it returns no figure
    and no subgroups."""

    def __init__(self, reader: MetricsReader, settings: Settings, now_ms: int) -> None:
        self._reader, self._settings = reader, settings
        self._now = QueryClock(now_ms, settings.counting_rules().retention_ms)
        self._spans, self._zones = window_spans(settings), settings.zones()
        self._sources: dict[tuple[str, str], CellDivisions | HourDivisions | None] = {}

    def figure(self, case: AlertCase) -> MetricFigure:
        """Return the metric with its ordinary interval: over a target's window, as any reading; for a drop
        since it began."""
        if DETECTORS[case.rule.kind].stretch == "window":
            return self._read_figure(case)
        stretch = self._stretch(case)
        source = stretch and self._source(case.rule.metric, stretch)
        mean = case.rule.metric.formula.mean
        if not stretch or not source or not mean:
            return NO_DATA
        return mean.figure(mean.sample_of(*source.total(case.group, stretch.middle, stretch.last)))

    def _read_figure(self, case: AlertCase) -> MetricFigure:
        rule = case.rule
        query = MetricQuery(
            now=self._now.ms, metrics=(rule.metric.name,), windows=(rule.window,), by=rule.by, key=case.key
        )
        (reading,) = self._reader.readings(query)
        return MetricFigure(reading.value, reading.lower, reading.upper, reading.support)

    def largest_contributors(self, case: AlertCase) -> Sequence[NamedSubgroup]:
        """Return the subgroups that moved the figure most, for the worse."""
        stretch = self._stretch(case)
        source = stretch and self._source(case.rule.metric, stretch)
        if not stretch or not source:
            return []
        return largest_contributors(
            source.divide(case.group, stretch), case.rule.metric.better, case.figures.target
        )

    def _stretch(self, case: AlertCase) -> ComparedPanes | None:
        detector = DETECTORS[case.rule.kind]
        if detector.stretch == "window":
            zone = self._zones.get(queue_of(*case.group), self._settings.timezone)
            return panes_of_window(case.rule, self._now, zone, self._spans)
        since_ms = case.figures.since
        return None if since_ms is None or detector.stretch == "none" else panes_since(since_ms, self._now)

    def _source(self, metric: Metric, stretch: ComparedPanes) -> CellDivisions | HourDivisions | None:
        source_key = metric.name, stretch.family
        if source_key not in self._sources:
            self._sources[source_key] = self._new_source(metric, stretch)
        return self._sources[source_key]

    def _new_source(self, metric: Metric, stretch: ComparedPanes) -> CellDivisions | HourDivisions | None:
        metric_weights = count_weights(metric)
        if metric_weights is None:
            return None
        if stretch.family == "long":
            return HourDivisions(self._reader, metric_weights)
        first = oldest_pane("fine", self._now.ms, self._now.retention_ms)
        return CellDivisions(self._reader, metric_weights, first, (self._now.ms + DAY) // FINE_MS)
