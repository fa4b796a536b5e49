"""Answer one window of a query: say which panes it needs, and compute its readings from their sums."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from streamer.events.rules import DAY, HOUR, MINUTE
from streamer.metrics.catalogue import Metric, Spans, evaluate
from streamer.metrics.formulas import NO_DATA, Context, Figure
from streamer.panes.windows import TODAY, Now, Run, Shift, length, midnight, run, week_before
from streamer.readings.answers import Distribution, scores
from streamer.readings.columns import Zones
from streamer.readings.query import Asked, Reading, dimensions
from streamer.readings.table import Table

NO_CONTEXT: Final = Context(window_s=0)
STALE_MS: Final = MINUTE
"""A count of nothing is 0 up to this long after the data was last complete; later it is no data."""


class Part(NamedTuple):
    """The part of a window that a metric reads: all of it, the window `shift` earlier, or (`mature_ms`) only
    what ended at least that many ms before the window's end."""

    shift: Shift | None = None
    mature_ms: int = 0


class ZoneRun(NamedTuple):
    """The panes of a window, for the queues of one zone (None: all queues)."""

    zone: str | None
    panes: Run


class Surroundings(NamedTuple):
    """All that a window query depends on beside the question. Times in ms; `caught_up_ms` None: never."""

    zones: Zones
    spans: Spans
    caught_up: int | None
    retention: int


class Look:
    """One window of a validated query. Fill `tables` for all `required_variants`, then call `readings`."""

    def __init__(self, asked: Asked, window: str, around: Surroundings) -> None:
        self.asked, self.window, self._around = asked, window, around
        self.tables: dict[Part, Table] = {}
        self._runs: dict[Part, list[ZoneRun]] = {}
        self._by = asked.query.by
        self._edges: dict[tuple[Part, str | None], tuple[int, int]] = {}
        self._times: dict[tuple[Part, str | None], tuple[str, str]] = {}
        caught_up = around.caught_up
        self._fresh_s = None if caught_up is None else fresh_s(caught_up, asked.query.now)

    def needs(self) -> Mapping[Part, bool]:
        """Return the variants to read, and for each whether its agents must be counted."""
        found: dict[Part, bool] = {Part(): False}
        for metric in self._metrics():
            part = self.part(metric)
            found[part] = found.get(part, False) or metric.measure.needs == "agents"
            if metric.measure.needs == "mature":
                found[self._mature()] = False
        return found

    def runs(self, part: Part) -> list[ZoneRun]:
        """Return the panes of a variant by zone; empty where there is no data."""
        if part not in self._runs:
            found = [(zone, self._run(part, zone or self._home())) for zone in self._zones()]
            self._runs[part] = [ZoneRun(zone, panes) for zone, panes in found if panes is not None]
        return self._runs[part]

    def readings(self) -> Iterator[Reading]:
        keys = self._keys()
        for metric, stats in self.asked.metrics:
            if self._serves(metric):
                for stat in stats:
                    yield from self._each(metric, stat, keys)
            elif self.asked.query.metrics:
                for stat in stats:
                    yield from (self._formed(metric, stat, key, NO_DATA, self.part(metric)) for key in keys)

    def distributions(self, question: str) -> Iterator[Distribution]:
        for key in self._keys():
            found = scores(question, self.tables[Part()].counts(key))
            start, end = map(rfc3339, self.edges(Part(), key))
            answers = sum(one.count for one in found)
            yield Distribution(question, self.window, self.asked.query.by, key, start, end, answers, found)

    def _metrics(self) -> list[Metric]:
        return [metric for metric, _ in self.asked.metrics if self._serves(metric)]

    def _serves(self, metric: Metric) -> bool:
        return metric.windows.serve(length(self.window), self._around.spans)

    def part(self, metric: Metric) -> Part:
        by_ms = self._around.spans.ms(metric.windows.shift)
        if not by_ms:
            return Part()
        return Part(Shift(by_ms, hours=self._around.spans.ms(metric.windows.at_least) >= DAY))

    def _mature(self) -> Part:
        return Part(mature_ms=self._around.spans.fcr_ms)

    def _zones(self) -> list[str | None]:
        """Return the zones to read one by one. Hour panes of groups cannot be separated by zone."""
        zones = self._around.zones.all()
        split = self.window == TODAY and len(zones) > 1 and not self.asked.query.week_before
        return [*zones] if split else [None]

    def _home(self) -> str:
        """Return the zone whose clock applies where panes are not separated by zone."""
        own = self._zone(self.asked.key) if self.asked.query.week_before and self.asked.key else None
        return own or self._around.zones.default

    def _run(self, part: Part, zone: str) -> Run | None:
        asked = self.asked
        placed = week_before if asked.query.week_before else run
        now = Now(asked.query.now, self._around.retention)
        found = placed(self.window, asked.at, now, ZoneInfo(zone), part.shift)
        if found is None or not part.mature_ms:
            return found
        assert found.family == "long"
        mature = max(found.first, (asked.at - part.mature_ms) // HOUR)
        return found._replace(last=min(found.last, mature))

    def _keys(self) -> list[str]:
        if self.asked.key is not None:
            return [self.asked.key]
        return sorted({key for table in self.tables.values() for key in table.keys})

    def _each(self, metric: Metric, stat: str, keys: Sequence[str]) -> Iterator[Reading]:
        part = self.part(metric)
        table = self.tables[part] if self.runs(part) else None
        for key in keys:
            figure = NO_DATA if table is None else self._figure(metric, stat, key, table, part)
            if metric.unit == "count" and not figure.value and not self._whole(self._seen(part, key)):
                figure = NO_DATA
            yield self._formed(metric, stat, key, figure, part)

    def _figure(self, metric: Metric, stat: str, key: str, table: Table, part: Part) -> Figure:
        counts = table.counts(key)
        if metric.measure.needs != "counts":
            return evaluate(metric, stat, counts, self._context(part, key))
        known = counts.figures.get((metric.name, stat))
        if known is None:
            known = counts.figures[metric.name, stat] = evaluate(metric, stat, counts, NO_CONTEXT)
        return known

    def _context(self, part: Part, key: str) -> Context:
        mature = self.tables.get(self._mature())
        return Context(
            window_s=max(0, self._seen(part, key) - self.edges(part, key)[0]) / 1000,
            active_agents=self.tables[part].agents(key),
            mature=None if mature is None else mature.counts(key),
        )

    def _seen(self, part: Part, key: str) -> int:
        """Return the window's end or now, whichever is earlier, in ms."""
        return min(self.edges(part, key)[1], self.asked.query.now)

    def _whole(self, moment: int) -> bool:
        """Tell whether everything before this moment is counted, so that a count of nothing means 0."""
        caught_up = self._around.caught_up
        return caught_up is not None and moment <= caught_up + STALE_MS

    def edges(self, part: Part, key: str) -> tuple[int, int]:
        """Return start and end in ms. `today` of several zones starts with the earliest, except for a queue
        that has its own zone."""
        own = self._zone(key) if self._around.zones.own else None
        if (part, own) not in self._edges:
            self._edges[part, own] = self._edges_of(part, own)
        return self._edges[part, own]

    def _edges_of(self, part: Part, own: str | None) -> tuple[int, int]:
        runs = self.runs(part)
        of_zone = [panes for zone, panes in runs if zone == own] or [panes for _, panes in runs]
        if of_zone:
            return min(panes.start for panes in of_zone), max(panes.end for panes in of_zone)
        return self._nominal(part, own or self._around.zones.default)

    def _zone(self, key: str) -> str | None:
        """Return the time zone of the queue in the key; None if the key has no queue."""
        queue = dimensions(self.asked.query.by, key).get("queue")
        return None if queue is None else self._around.zones.of(queue)

    def _nominal(self, part: Part, zone: str) -> tuple[int, int]:
        """Return the edges, in ms, of a window that has no panes."""
        at = self.asked.at
        start = midnight(at, ZoneInfo(zone)) if self.window == TODAY else at - length(self.window)
        by_ms = part.shift.by_ms if part.shift else 0
        return start - by_ms, at - by_ms

    def _formed(self, metric: Metric, stat: str, key: str, figure: Figure, part: Part) -> Reading:
        # Positional arguments are faster: there may be a hundred thousand readings.
        return Reading(
            metric.name, stat, metric.unit, metric.better, self.window, self._by, key,
            *figure, *self._times_of(part, key), self._fresh_s,
        )  # fmt: skip

    def _times_of(self, part: Part, key: str) -> tuple[str, str]:
        """Return start and end in RFC 3339."""
        own = self._zone(key) if self._around.zones.own else None
        if (part, own) not in self._times:
            start, end = self.edges(part, key)
            self._times[part, own] = rfc3339(start), rfc3339(end)
        return self._times[part, own]


def fresh_s(caught_up: int, now: int) -> float:
    """Return the age of the data in seconds, given the moment it was complete, and now, in ms.

    >>> fresh_s(1_795_255_200_500, 1_795_255_203_000)
    2.5
    """
    return max(0, now - caught_up) / 1000


@lru_cache(maxsize=1024)
def rfc3339(ms: int) -> str:
    """Return a time in ms since the epoch as RFC 3339 in UTC, whole seconds.

    >>> rfc3339(1_795_255_203_000)
    '2026-11-21T10:00:03Z'
    """
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
