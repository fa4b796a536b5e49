"""Counts of each group over a window that ended at some moment of the past.

Readings of short windows end where 10 s panes do. A window here is put together of whole hours for the
time where only those are kept, and of 10 s panes from there on: nothing in it is younger than its end.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from streamer.alerts.judging.series import queue_of
from streamer.events.rules import DAY, HOUR
from streamer.metrics.formulas import Counts
from streamer.metrics.tally import NUMBERS
from streamer.panes.pane_keys import FINE_KEPT_MS, FINE_MS
from streamer.panes.windows import TODAY, length, midnight
from streamer.readings.columns import Numbered, Zones
from streamer.readings.pyramid import Entries, summed
from streamer.readings.reader import Reader
from streamer.readings.table import Table


class Stretch(NamedTuple):
    """Panes of a window: hours [first, hour), then 10 s panes [fine, last). `exact`: they are the window,
    to ten seconds."""

    first: int
    hour: int
    fine: int
    last: int
    exact: bool


class Sampled(NamedTuple):
    """Counts by key."""

    counts: Mapping[str, Counts]
    exact: bool


def stretch(window: str, at: int, now: int, zone: str) -> Stretch | None:
    """Return the panes of a window that ends at `at_ms`; None: it can no longer be put together from what
    is kept.

    >>> friday_10_00 = 1_795_168_800_000
    >>> panes = stretch("1h", friday_10_00, friday_10_00, "UTC")
    >>> panes.last - panes.fine, panes.exact
    (360, True)
    >>> stretch("15m", friday_10_00, friday_10_00 + 7 * DAY, "UTC") is None
    True
    """
    start = midnight(at, ZoneInfo(zone)) if window == TODAY else at - length(window)
    kept = -(-(now - FINE_KEPT_MS) // HOUR)
    if start >= kept * HOUR:
        return Stretch(kept, kept, start // FINE_MS, -(-at // FINE_MS), exact=True)
    if window != TODAY and length(window) < HOUR:
        return None
    hour = min(max(kept, start // HOUR), at // HOUR)
    whole, is_long = start % HOUR == 0, length(window) > DAY
    fine = hour * HOUR // FINE_MS
    last = -(-at // FINE_MS) if at >= kept * HOUR else fine
    return Stretch(start // HOUR, hour, fine, last, (whole or is_long) and last * FINE_MS >= at)


class Samples:
    """Window counts of one grouping. The last answer is cached, since several rules ask for the same
    window."""

    def __init__(self, reader: Reader, zones: Zones, by: str) -> None:
        self._reader, self._zones, self._by = reader, zones, by
        self._last: tuple[tuple[object, ...], Sampled | None] | None = None

    def ended(self, window: str, at: int, now: int) -> Sampled | None:
        """Return the counts of a window that ended at `at_ms`; None: they are no longer kept."""
        asked = window, at, now, self._reader.edition
        if self._last is None or self._last[0] != asked:
            self._last = asked, self._ended(window, at, now)
        return self._last[1]

    def _ended(self, window: str, at: int, now: int) -> Sampled | None:
        if window != TODAY or not self._zones.own:
            return self._of_zone(stretch(window, at, now, self._zones.default))
        places = {zone: stretch(window, at, now, zone) for zone in self._zones.all()}
        if "queue" in self._by.split(","):
            return self._each(places)
        cells = {zone: place for zone, place in places.items() if place and place.first == place.hour}
        if len(cells) < len(places):  # hours of other groups are not divided by zone
            found = self._of_zone(places[self._zones.default])
            return found and found._replace(exact=False)
        return Sampled(
            self._counts([part for one in cells.items() for part in self._parts(*one)]), exact=True
        )

    def _of_zone(self, place: Stretch | None) -> Sampled | None:
        return place and Sampled(self._counts(self._parts(None, place)), place.exact)

    def _each(self, places: Mapping[str, Stretch | None]) -> Sampled | None:
        """Sum each queue over the day by its own clock."""
        found = {zone: sampled for zone, place in places.items() if (sampled := self._of_zone(place))}
        return Sampled(
            {
                key: counts
                for zone, sampled in found.items()
                for key, counts in sampled.counts.items()
                if self._zones.of(queue_of(self._by, key)) == zone
            },
            all(sampled.exact for sampled in found.values()),
        )

    def _parts(self, zone: str | None, place: Stretch) -> "list[_Part]":
        hours = self._reader.summed(self._by, "long", place.first, place.hour)
        panes = self._reader.summed(self._by, "fine", place.fine, place.last, zone)
        return [_Part(*hours), _Part(*panes)]

    def _counts(self, parts: "Sequence[_Part]") -> dict[str, Counts]:
        """Merge the families' sums; each family numbers its rows in its own way."""
        rows = Numbered()
        moved = []
        for entries, names in parts:
            of = np.array([rows.add(name) for name in names] or [0], np.int64)
            place, number = np.divmod(entries.keys, NUMBERS)
            moved.append(Entries(of[place] * NUMBERS + number, entries.values))
        table = Table(summed(moved), rows)
        return {key: table.counts(key) for key in table.keys}


class _Part(NamedTuple):
    entries: Entries
    names: Sequence[str]
