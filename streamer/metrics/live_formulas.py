"""Formulas of what is going on now, and of the time that agents spend in each state.

No data is not zero: without a source that sends states there is no value, and a group without any agent's
time has none either. With states, a count of nothing is 0.
"""

from typing import ClassVar, Final

from streamer.metrics.formulas import (
    NO_DATA,
    CountRatio,
    MetricFigure,
    MetricFormula,
    NamedCounts,
    ReadingContext,
    WindowCounts,
)
from streamer.metrics.samples import ProportionSample

OCCUPIED: Final = ("busy_ms", "held_ms", "wrap_up_ms")
"""Counts of the time in which agents work on contacts."""
SERVING: Final = (*OCCUPIED, "available_ms", "offered_ms")
"""Counts of the time in which agents take contacts."""
SIGNED_IN: Final = (*SERVING, "away_ms")
"""Counts of all time of agents."""


class ContactsNow(MetricFormula, frozen=True):
    """Number of contacts under way: a field of `LiveGroup`.

    >>> from streamer.metrics.live_group import LiveGroup
    >>> group = LiveGroup(has_contact_states=True, waiting=3)
    >>> ContactsNow("waiting")(None, ReadingContext(0, live=group)).value
    3
    """

    of: str

    needs: ClassVar = "live"

    def __call__(self, counts: WindowCounts | None, context: ReadingContext) -> MetricFigure:
        live = context.live
        if live is None or not live.has_contact_states:
            return NO_DATA
        count: int = getattr(live, self.of)
        return MetricFigure(count, None, None, count)


class AgentsNow(MetricFormula, frozen=True):
    """Number of agents in some states: a field of `LiveGroup`."""

    of: str

    needs: ClassVar = "live"

    def __call__(self, counts: WindowCounts | None, context: ReadingContext) -> MetricFigure:
        live = context.live
        if live is None or not live.has_agent_states:
            return NO_DATA
        count: int = getattr(live, self.of)
        return MetricFigure(count, None, None, count)


class LongestWait(MetricFormula, frozen=True):
    """Wait so far, in seconds, of the contact that has waited longest; 0 while none waits."""

    unit: ClassVar = "seconds"
    needs: ClassVar = "live"

    def __call__(self, counts: WindowCounts | None, context: ReadingContext) -> MetricFigure:
        live = context.live
        if live is None or not live.has_contact_states:
            return NO_DATA
        return MetricFigure(live.longest_wait_ms / 1000, None, None, live.waiting)


class ExpectedWait(MetricFormula, frozen=True):
    """Expected wait in seconds; its support is the number of starts of service it rests on."""

    unit: ClassVar = "seconds"
    needs: ClassVar = "live"

    def __call__(self, counts: WindowCounts | None, context: ReadingContext) -> MetricFigure:
        live = context.live
        if live is None or live.expected_wait_ms is None:
            return NO_DATA
        return MetricFigure(live.expected_wait_ms / 1000, None, None, live.service_starts)


class WaitingRatio(CountRatio, frozen=True):
    """Ratio in which contacts that wait longer than the queue's T now are misses already."""

    needs: ClassVar = "live"

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        live = context.live
        if live is None or not live.has_contact_states:
            return NO_DATA
        hits, total = self.hits_and_total(counts)
        return self.figure(ProportionSample(hits, total + live.waiting_over_target))

    @property
    def terms(self) -> None:
        """None: those who wait are in no count."""
        return None


class TimeShare(MetricFormula, frozen=True):
    """Share of agents' time; its support is that time in seconds, rounded up.

    >>> from streamer.metrics.formulas import TallyCounts
    >>> from streamer.metrics.tally import NUMBER
    >>> counts = TallyCounts({NUMBER["busy_ms"]: 45_000, NUMBER["available_ms"]: 15_000})
    >>> TimeShare(OCCUPIED, SERVING)(counts, ReadingContext(60))
    MetricFigure(value=0.75, lower=None, upper=None, support=60)
    """

    part: tuple[str, ...]
    of: tuple[str, ...]

    unit: ClassVar = "ratio"
    needs: ClassVar = "time"

    @property
    def bounds(self) -> tuple[float, float]:
        return 0, 1

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        whole_ms = _sum_ms(counts, self.of)
        if not whole_ms:
            return NO_DATA
        return MetricFigure(_sum_ms(counts, self.part) / whole_ms, None, None, _seconds_up(whole_ms))


class TimeTotal(MetricFormula, frozen=True):
    """Seconds that agents spent in some states; 0 where they were signed in, but never in these."""

    of: tuple[str, ...]

    unit: ClassVar = "seconds"
    needs: ClassVar = "time"

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        if not _sum_ms(counts, SIGNED_IN):
            return NO_DATA
        total_ms = _sum_ms(counts, self.of)
        return MetricFigure(total_ms / 1000, None, None, _seconds_up(total_ms))


class OfferCount(MetricFormula, frozen=True):
    """Number of offers to agents with some end; 0 where agents were signed in."""

    of: str

    needs: ClassVar = "time"

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        offers = counts[self.of]
        if not offers and not _sum_ms(counts, SIGNED_IN):
            return NO_DATA
        return MetricFigure(offers, None, None, offers)


def _sum_ms(counts: NamedCounts, names: tuple[str, ...]) -> int:
    return sum(map(counts.__getitem__, names))


def _seconds_up(ms: int) -> int:
    return -(-ms // 1000)
