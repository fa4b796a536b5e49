"""Data quality as a reader sees it: whether scores can be trusted, and other signs of trouble."""

from collections import deque
from typing import Final, NamedTuple

from streamer.alerts.judging import strange
from streamer.alerts.judging.strange import Pulse
from streamer.events.rules import MINUTE
from streamer.panes.pane_keys import ALL, FINE_MS
from streamer.readings.reader import Reader

SAMPLES: Final = 24 * 60
"""Samples of the counters of rejected events, one a minute."""


class Oddities(NamedTuple):
    """Reason why scores say nothing (`stale`), and any other problem of the data (`suspicious`);
    sentences, None: no such problem."""

    stale: str | None = None
    strange: str | None = None


NOTHING_ODD: Final = Oddities()


class Oddness:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._taken: dict[str, deque[strange.Taken]] = {}

    def found(self, now: int) -> Oddities:
        pulse = self._pulse(now)
        for topic, taken in strange.taken(self._reader.counts, now).items():
            known = self._taken.setdefault(topic, deque(maxlen=SAMPLES))
            if not known or now - known[-1].at >= MINUTE or now < known[-1].at:
                known.append(taken)
        refused = (strange.refused(topic, [*known]) for topic, known in self._taken.items())
        return Oddities(strange.stale(pulse), strange.late(pulse) or next(filter(None, refused), None))

    def _pulse(self, now: int) -> Pulse:
        beats, fresh = self._reader.beats.values(), self._reader.fresh_s(now)
        latest = now // FINE_MS + 30
        panes = self._reader.kept(ALL, "fine", latest - 30 - 6 * 60 * 24, latest).panes
        return Pulse(
            now=now,
            fresh_ms=None if fresh is None else round(fresh * 1000),
            lag=sum(beat.lag for beat in beats),
            record_at=max((beat.record_at for beat in beats), default=None),
            event_at=(max(panes) + 1) * FINE_MS if panes else None,
        )
