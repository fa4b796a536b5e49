"""Observations in the time that an alert is about: as a whole, and by subgroup."""

from collections.abc import Sequence
from typing import NamedTuple

from streamer.alerts.judging.series import queue_of
from streamer.alerts.rules import Rule
from streamer.alerts.saying.amount import interval, weights
from streamer.alerts.saying.contributors import Named, largest
from streamer.alerts.saying.parts import Cells, Group, Hours
from streamer.alerts.saying.stretch import Stretch, of_window, since
from streamer.alerts.verdict import Figures
from streamer.events.rules import DAY
from streamer.metrics.catalogue import Metric
from streamer.metrics.formulas import NO_DATA, Figure
from streamer.panes.pane_keys import FINE_MS, oldest
from streamer.panes.windows import Now
from streamer.readings.query import Query
from streamer.readings.reader import Reader, spans
from streamer.settings import Settings


class Case(NamedTuple):
    """A group of a rule, and the figures of its verdict."""

    rule: Rule
    key: str
    figures: Figures

    @property
    def group(self) -> Group:
        return Group(self.rule.by, self.key)


class Observed:
    """Observations as of one moment; lookups are shared between cases. Without data it returns no figure
    and no subgroups."""

    def __init__(self, reader: Reader, settings: Settings, now: int) -> None:
        self._reader, self._settings = reader, settings
        self._now = Now(now, settings.rules().retention_ms)
        self._spans, self._zones = spans(settings), settings.zones()
        self._known: dict[tuple[str, str], Cells | Hours | None] = {}

    def figure(self, case: Case) -> Figure:
        """Return the metric with its ordinary interval: over a target's window, as any reading; for a drop
        since it began."""
        if case.rule.kind == "target":
            return self._reading(case)
        stretch = self._stretch(case)
        source = stretch and self._source(case.rule.metric, stretch)
        if not stretch or not source:
            return NO_DATA
        found = source.whole(case.group, stretch.middle, stretch.last)
        lower, upper = interval(case.rule.metric, found) or (None, None)
        return Figure(found.mean, lower, upper, round(found.of))

    def _reading(self, case: Case) -> Figure:
        rule = case.rule
        query = Query(
            now=self._now.ms, metrics=(rule.metric.name,), windows=(rule.window,), by=rule.by, key=case.key
        )
        (one,) = self._reader.readings(query)
        return Figure(one.value, one.lower, one.upper, one.support)

    def moved(self, case: Case) -> Sequence[Named]:
        """Return the subgroups that moved the figure most, for the worse."""
        stretch = self._stretch(case)
        source = stretch and self._source(case.rule.metric, stretch)
        if not stretch or not source:
            return []
        return largest(source.divided(case.group, stretch), case.rule.metric.better, case.figures.target)

    def _stretch(self, case: Case) -> Stretch | None:
        if case.rule.kind == "target":
            zone = self._zones.get(queue_of(*case.group), self._settings.timezone)
            return of_window(case.rule, self._now, zone, self._spans)
        begun = case.figures.since
        return None if begun is None or case.rule.kind == "silence" else since(begun, self._now)

    def _source(self, metric: Metric, stretch: Stretch) -> Cells | Hours | None:
        place = metric.name, stretch.family
        if place not in self._known:
            self._known[place] = self._looked_up(metric, stretch)
        return self._known[place]

    def _looked_up(self, metric: Metric, stretch: Stretch) -> Cells | Hours | None:
        found = weights(metric)
        if found is None:
            return None
        if stretch.family == "long":
            return Hours(self._reader, found)
        first = oldest("fine", self._now.ms, self._now.retention_ms)
        return Cells(self._reader, found, first, (self._now.ms + DAY) // FINE_MS)
