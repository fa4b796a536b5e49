"""Here is one look at the numbers: one window of a question, the panes it needs, and its readings."""

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
"""What ended later than this after the data was last seen whole is not taken for 0."""


class Part(NamedTuple):
    """What a metric reads of a window: all of it, the window that far back, or (`mature_ms`) only what
    ended that long before its end."""

    shift: Shift | None = None
    mature_ms: int = 0


class ZoneRun(NamedTuple):
    """The panes of a window, for the queues of one zone (None: for all)."""

    zone: str | None
    panes: Run


class Surroundings(NamedTuple):
    """What a look depends on beside the question, in ms. `caught_up`: None is never."""

    zones: Zones
    spans: Spans
    caught_up: int | None
    retention: int


class Look:
    """One window of a question. Fill `tables` with every part of `needs`, then ask for `readings`."""

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
        """The parts to be read, and whether agents are to be counted in them."""
        found: dict[Part, bool] = {Part(): False}
        for metric in self._metrics():
            part = self.part(metric)
            found[part] = found.get(part, False) or metric.measure.needs == "agents"
            if metric.measure.needs == "mature":
                found[self._mature()] = False
        return found

    def runs(self, part: Part) -> list[ZoneRun]:
        """The panes of a part; none where there is no data."""
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
        """Hours of groups cannot be told apart by zone."""
        zones = self._around.zones.all()
        split = self.window == TODAY and len(zones) > 1 and not self.asked.query.week_before
        return [*zones] if split else [None]

    def _home(self) -> str:
        """The zone whose clock counts where the panes are not told apart by zone."""
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
        """The end of what can have happened yet."""
        return min(self.edges(part, key)[1], self.asked.query.now)

    def _whole(self, moment: int) -> bool:
        """Whether all that happened before the moment is counted, so that none is 0."""
        caught_up = self._around.caught_up
        return caught_up is not None and moment <= caught_up + STALE_MS

    def edges(self, part: Part, key: str) -> tuple[int, int]:
        """In ms. `today` of several zones begins with the first of them, but for a queue with its own."""
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
        """The time zone of the queue that the key names, if it names one."""
        queue = dimensions(self.asked.query.by, key).get("queue")
        return None if queue is None else self._around.zones.of(queue)

    def _nominal(self, part: Part, zone: str) -> tuple[int, int]:
        """The edges of a window that has no panes."""
        at = self.asked.at
        start = midnight(at, ZoneInfo(zone)) if self.window == TODAY else at - length(self.window)
        by_ms = part.shift.by_ms if part.shift else 0
        return start - by_ms, at - by_ms

    def _formed(self, metric: Metric, stat: str, key: str, figure: Figure, part: Part) -> Reading:
        # By position: there may be a hundred thousand of them.
        return Reading(
            metric.name, stat, metric.unit, metric.better, self.window, self._by, key,
            *figure, *self._times_of(part, key), self._fresh_s,
        )  # fmt: skip

    def _times_of(self, part: Part, key: str) -> tuple[str, str]:
        """RFC 3339 of the edges."""
        own = self._zone(key) if self._around.zones.own else None
        if (part, own) not in self._times:
            start, end = self.edges(part, key)
            self._times[part, own] = rfc3339(start), rfc3339(end)
        return self._times[part, own]


def fresh_s(caught_up: int, now: int) -> float:
    return max(0, now - caught_up) / 1000


@lru_cache(maxsize=1024)
def rfc3339(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
