"""Series of a grouping: its counts step by step, and their baseline.

The last days are split into steps of 5 minutes, the days before that into hours: in quiet series a drop
becomes evident over weeks. The baseline comes from the 8 weeks before those days, or, in a center that has
not run that long, from all but the last fifth: evidence and baseline share no observation.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from streamer.alerts.judging.baseline import Baseline
from streamer.alerts.judging.classes import BINS, NONE, Bins, Classes, binned
from streamer.alerts.judging.counted import Columns, Counted
from streamer.alerts.judging.dependence import learned
from streamer.alerts.judging.evidence import Floats, Integers
from streamer.events.rules import DAY, HOUR, MINUTE
from streamer.metrics.tally import BUCKETS, FIRST_BUCKET_OF, NUMBERS
from streamer.panes.pane_keys import FINE_KEPT_MS, FINE_MS
from streamer.readings.columns import Zones
from streamer.readings.pyramid import Entries
from streamer.readings.query import dimensions
from streamer.readings.reader import Reader
from streamer.settings import Settings

STEP_MS: Final = 5 * MINUTE
FINE_STEPS_MS: Final = 48 * HOUR
BASELINE_DAYS: Final = 56
MEMORY_DAYS: Final = 14
LEAST_MEMORY_DAYS: Final = 2
MUCH: Final = 0.03
"""Share of the baseline's hours: if more than that changed, it is learned again at once. A new day brings
24."""
LEAST_CHANGED: Final = 24


class Span(NamedTuple):
    """Edges of the time covered: `first`, `learned` and `hours` in hours since the epoch, `steps` and
    `last` in steps of STEP_MS."""

    first: int
    learned: int
    """Hours before it belong to the baseline, hours from it on to the evidence."""
    hours: int
    steps: int
    last: int

    @property
    def starts(self) -> Integers:
        """Starts of the steps of evidence, ms since the epoch: hours, then 5 minutes."""
        hours = np.arange(self.learned, self.hours, dtype=np.int64) * HOUR
        return np.concatenate((hours, np.arange(self.steps, self.last, dtype=np.int64) * STEP_MS))


class Series(NamedTuple):
    """One metric by group, as of `at` (ms). `starts` of T steps, `counts` T × G × C, `hours` of the week T
    × G; `scores` G × C, higher is better, and `values` G × C, whose mean is the metric."""

    metric: str
    keys: Sequence[str]
    at: int
    starts: Integers
    counts: Integers
    hours: Integers
    scores: Floats
    values: Floats
    usual: Baseline
    begun: int
    """Start of the first hour with any data, in ms."""


class Gatherer:
    """Builds the series of one grouping and keeps them up to date with a reader. Use it from one thread at
    a time."""

    def __init__(self, reader: Reader, settings: Settings, by: str, metrics: Mapping[str, Classes]) -> None:
        self._reader, self._by, self._metrics = reader, by, metrics
        self._zones = Zones(settings.timezone, settings.zones())
        self._long = Counted(by, "long", 1)
        self._fine = Counted(by, "fine", STEP_MS // FINE_MS)
        self._columns: Mapping[str, Columns] = {}
        self._bins: dict[str, tuple[Sequence[str], Bins]] = {}
        self._binned: tuple[int, int] | None = None
        self._usual: tuple[object, Mapping[str, Baseline]] | None = None
        self._learned_of: Mapping[int, Entries] = {}

    def gather(self, at: int, now: int) -> dict[str, Series]:
        """Return the series by name, as of `at_ms`, with today's knowledge; empty as long as there is no
        data."""
        earliest = 24 * (at // DAY - BASELINE_DAYS - MEMORY_DAYS)  # the same all day long
        hours = self._reader.kept(self._by, "long", earliest, at // HOUR + 1)
        if not hours.panes:
            return {}
        span = spanned(min(hours.panes), at, now)
        if self._is_outdated(hours.panes, span):
            self._binned, self._usual = None, None
        self._bin(span)
        self._long.follow(self._reader, self._columns, span.first, span.hours)
        self._fine.follow(self._reader, self._columns, span.steps, span.last)
        keys = tuple(sorted({*self._long.keys, *self._fine.keys}))
        clock = self._clock(keys, span.starts)
        usual = self._learn(keys, span)
        return {name: self._series(name, keys, at, span, clock, usual[name]) for name in self._metrics}

    def _series(
        self, name: str, keys: Sequence[str], at: int, span: Span, clock: Integers, usual: Baseline
    ) -> Series:
        long = self._long.table(name, keys, span.learned, span.hours)
        fine = self._fine.table(name, keys, span.steps, span.last)
        counts = self._classed(name, np.concatenate((long, fine)))
        scores, values = self._scored(name, keys)
        return Series(name, keys, at, span.starts, counts, clock, scores, values, usual, span.first * HOUR)

    def _is_outdated(self, panes: Mapping[int, Entries], span: Span) -> bool:
        """Tell whether much of the baseline's data has changed: a past was counted, all at once."""
        before = self._learned_of
        changed = sum(
            1
            for hour, held in panes.items()
            if span.first <= hour < span.learned and before.get(hour) is not held
        )
        return changed > max(LEAST_CHANGED, (span.learned - span.first) * MUCH)

    def _learn(self, keys: Sequence[str], span: Span) -> Mapping[str, Baseline]:
        """Learn the baselines once an hour, or when much of their data changed; older data hardly changes
        otherwise."""
        place = keys, span.first, span.learned, span.last * STEP_MS // HOUR, self._binned
        if self._usual is None or self._usual[0] != place:
            hours = self._clock(keys, np.arange(span.first, span.learned, dtype=np.int64) * HOUR)
            self._learned_of = self._reader.kept(self._by, "long", span.first, span.learned).panes
            self._usual = (
                place,
                {
                    name: learned(
                        self._classed(name, self._long.table(name, keys, span.first, span.learned)),
                        hours,
                        self._scored(name, keys)[0],
                    )
                    for name in self._metrics
                },
            )
        return self._usual[1]

    def _bin(self, span: Span) -> None:
        """Cut the bins of durations, once a day."""
        if self._binned == (span.first, span.learned) and self._columns:
            return
        self._binned = span.first, span.learned
        self._columns = {name: self._columns_of(name, one, span) for name, one in self._metrics.items()}

    def _columns_of(self, name: str, classes: Classes, span: Span) -> Columns:
        if not classes.duration:
            return Columns(classes.columns()[None], len(classes.counts))
        total, names = self._reader.summed(self._by, "long", span.first, span.learned)
        rows, numbers = np.divmod(total.keys, NUMBERS)
        buckets = numbers - FIRST_BUCKET_OF[classes.duration]
        mine = (buckets >= 0) & (buckets < BUCKETS)
        histograms = np.zeros((len(names), BUCKETS), np.int64)
        histograms[rows[mine], buckets[mine]] = total.values[mine]
        bins = binned(histograms)
        self._bins[name] = tuple(names), bins
        of = np.full((max(len(names), 2), NUMBERS), NONE, np.int64)
        first = FIRST_BUCKET_OF[classes.duration]
        of[: len(names), first : first + BUCKETS] = bins.of
        return Columns(of, BINS, tuple(names))

    def _classed(self, name: str, counts: Integers) -> Integers:
        classes = self._metrics[name]
        if classes.duration:
            return counts
        return counts @ np.array(classes.weights, np.int64)

    def _scored(self, name: str, keys: Sequence[str]) -> tuple[Floats, Floats]:
        """Return the scores and the values of the classes, by group."""
        classes = self._metrics[name]
        if not classes.duration:
            scores, values = (
                np.tile(np.array(one), (len(keys), 1)) for one in (classes.scores, classes.values)
            )
            return scores, values
        names, bins = self._bins[name]
        known = {key: number for number, key in enumerate(names)}
        found = np.tile(np.arange(BINS, dtype=np.float64), (2, len(keys), 1))
        for place, key in enumerate(keys):
            if key in known:
                found[:, place] = bins.scores[known[key]], bins.values[known[key]]
        return found[0], found[1]

    def _clock(self, keys: Sequence[str], starts: Integers) -> Integers:
        """Return the hour of the week, T × G, by the clock of each group."""
        zones = [self._zones.of(queue_of(self._by, key)) for key in keys]
        of = {zone: hours_of_week(starts, zone) for zone in set(zones)}
        return np.stack([of[zone] for zone in zones], axis=1)


def queue_of(by: str, key: str) -> str:
    """Return the queue in a key; "" if the grouping has none.

    >>> queue_of("queue,channel", "billing,chat"), queue_of("site", "madrid")
    ('billing', '')
    """
    return dimensions(by, key).get("queue", "")


def spanned(first: int, at: int, now: int) -> Span:
    """Plan the span as of `at_ms`; `first_hour` is the first hour with any data."""
    memory = min(max((at // DAY - first * HOUR // DAY) // 5, LEAST_MEMORY_DAYS), MEMORY_DAYS)
    learned = max((at // DAY - memory) * 24, first)
    fine = -(-max(at - FINE_STEPS_MS, now - FINE_KEPT_MS + HOUR) // HOUR)
    hours = max(min(fine, at // HOUR), learned)
    steps = hours * HOUR // STEP_MS
    last = at // STEP_MS + (at >= now) if fine * HOUR <= at else steps
    return Span(max(first, learned - BASELINE_DAYS * 24), learned, hours, steps, max(last, steps))


def hours_of_week(starts: Integers, zone: str) -> Integers:
    """Return hours of the week; 0 is Monday, 00:00 to 01:00.

    >>> hours_of_week(np.array([1_795_168_800_000]), "Europe/Madrid").tolist()  # a Friday, 10:00 UTC
    [107]
    """
    return np.array([_hour_of_week(start // HOUR * HOUR, zone) for start in starts.tolist()], np.int64)


@lru_cache(maxsize=20_000)
def _hour_of_week(start: int, zone: str) -> int:
    moment = datetime.fromtimestamp(start // 1000, UTC).astimezone(ZoneInfo(zone))
    return moment.weekday() * 24 + moment.hour
