"""The figures of a daily or weekly report: of all, of each group, a week earlier, and their course."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Final, Literal, NamedTuple

from streamer.metrics.catalogue import CATALOGUE
from streamer.panes.calendar_intervals import is_read_by
from streamer.panes.pane_keys import ALL
from streamer.readings.csv_table import csv_file
from streamer.readings.figure_state import FigureState, figure_state, has_small_sample
from streamer.readings.interval_report import IntervalQuery, IntervalReading
from streamer.readings.query import MetricQuery, QueryError, require_known
from streamer.readings.reader import MetricsReader
from streamer.settings import ReportKind, ReportSettings

ReportVerdict = FigureState | Literal["few"]


class ReportSpan(NamedTuple):
    """What a kind of report covers: its `days`, as one interval, and the intervals of its course."""

    days: int
    whole: str
    course: str


SPANS: Final[dict[ReportKind, ReportSpan]] = {
    "daily": ReportSpan(1, "1d", "1h"),
    "weekly": ReportSpan(7, "1w", "1d"),
}


class ReportPeriod(NamedTuple):
    """The days [first, end) that a report is about."""

    kind: ReportKind
    first: date

    @classmethod
    def containing(cls, kind: ReportKind, day: date) -> "ReportPeriod":
        """Return the period of a day; a week begins on Monday.

        >>> ReportPeriod.containing("weekly", date(2026, 11, 21)).first
        datetime.date(2026, 11, 16)
        """
        return cls(kind, day - timedelta(days=day.weekday()) if kind == "weekly" else day)

    @classmethod
    def last_before(cls, kind: ReportKind, today: date) -> "ReportPeriod":
        """Return the last period that is over when `today` begins."""
        return cls.containing(kind, cls.containing(kind, today).first - timedelta(days=1))

    @property
    def end(self) -> date:
        return self.first + timedelta(days=SPANS[self.kind].days)

    @property
    def title(self) -> str:
        last = self.end - timedelta(days=1)
        return f"{self.first}" if self.first == last else f"{self.first} – {last}"

    @property
    def file_name(self) -> str:
        """The name of its files, without an ending."""
        return f"report-{self.kind}-{self.first}"


class FigureReport(NamedTuple):
    """The readings of a report. `before`: of all, a week before, in the order of `total`. `course`: of all,
    by hour or day. `groups`: of each group of `by`."""

    period: ReportPeriod
    by: str
    total: list[IntervalReading]
    before: list[IntervalReading]
    course: list[IntervalReading]
    groups: list[IntervalReading]

    def csv(self) -> bytes:
        return csv_file(IntervalReading, [*self.total, *self.before, *self.course, *self.groups])


def read_report(
    reader: MetricsReader, period: ReportPeriod, settings: ReportSettings, now_ms: int
) -> FigureReport:
    """Read a report. Raise QueryError, also for a period that is not kept or has not begun."""
    span, week = SPANS[period.kind], timedelta(days=7)

    def read(interval: str, by: str, first: date) -> list[IntervalReading]:
        metrics = tuple(_readable(reader, settings.metrics, interval, by))
        query = MetricQuery(now=now_ms, metrics=metrics, by=by)
        end = first + timedelta(days=span.days)
        intervals = IntervalQuery(metrics=query, interval=interval, start=first, end=end)
        return [*reader.intervals(intervals)] if metrics else []

    total = read(span.whole, ALL, period.first)
    try:
        before = read(span.whole, ALL, period.first - week)
    except QueryError:  # not kept any more
        before = []
    course, groups = read(span.course, ALL, period.first), read(span.whole, settings.by, period.first)
    return FigureReport(period, settings.by, total, before, course, groups)


def _readable(reader: MetricsReader, names: Iterable[str], interval: str, by: str) -> Iterator[str]:
    """Yield the metrics that are read by these intervals and groups. Raise QueryError for unknown ones."""
    for name in names:
        require_known("metric", name, tuple(CATALOGUE))
        metric = CATALOGUE[name]
        is_served = not metric.windows.now and is_read_by(metric.windows, interval, reader.spans)
        if is_served and metric.can_group_by(by):
            yield name


def report_verdict(reading: IntervalReading, min_sample: int) -> ReportVerdict:
    """Return what a figure is called beside its target, as on the wall."""
    return "few" if has_small_sample(reading, min_sample) else figure_state(reading, reading.target)
