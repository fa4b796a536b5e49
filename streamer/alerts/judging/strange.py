"""Checks of the data itself: it is stale, its events are late, or many of them are rejected."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from streamer.alerts.words import lasting
from streamer.events.rules import MINUTE
from streamer.panes.pane_keys import SEPARATOR

STALE_MS: Final = MINUTE
LATE_MS: Final = 30 * MINUTE
RECENT_MS: Final = 15 * MINUTE
LEAST_REFUSED: Final = 20
_JUMP: Final = 10.0
"""Log likelihood ratio from which on the share of rejected events has changed."""


class Pulse(NamedTuple):
    """State of the workers, as they report it. `age_ms`: time since all records were counted, None: never.
    `lag`: records that wait. `record_at`: time of the last record; `event_at`: time of the latest event
    counted (None: none); ms."""

    now: int
    fresh_ms: int | None
    lag: int
    record_at: int | None
    event_at: int | None


def stale(pulse: Pulse) -> str | None:
    """Return why current scores say nothing, as a sentence; None: they do say something.

    >>> stale(Pulse(1_795_255_203_000, 90_000, 12, None, None))
    'The data is 90 s old, 12 records wait: no worker keeps up.'
    """
    if pulse.fresh_ms is None:
        return "There is no current data: no worker has reached the end of its topics yet."
    if pulse.fresh_ms >= STALE_MS:
        waiting = f", {pulse.lag} records wait" if pulse.lag else ""
        return f"The data is {lasting(pulse.fresh_ms)} old{waiting}: no worker keeps up."
    return None


def late(pulse: Pulse) -> str | None:
    """Return that records tell of the distant past only, as a sentence; None: they do not."""
    if pulse.record_at is None or pulse.event_at is None or pulse.now - pulse.record_at > LATE_MS:
        return None
    behind = pulse.record_at - pulse.event_at
    if behind < LATE_MS:
        return None
    return f"Events arrive {lasting(behind)} late: a source sends old events."


# Rejected events.


class Taken(NamedTuple):
    """Events of one topic, accepted and rejected, as counted up to a moment (ms)."""

    at: int
    taken: int
    refused: int


def refused(topic: str, samples: Sequence[Taken], recent_ms: int = RECENT_MS) -> str | None:
    """Return that the share of rejected events jumped, as a sentence; None: it did not. `samples` ascend
    in time; counters decrease only with a rebuild. A likelihood ratio test compares the recent share with
    that before (Wilks 1938).

    >>> before, middle, now = Taken(0, 0, 0), Taken(45 * MINUTE, 5_000, 10), Taken(60 * MINUTE, 6_000, 400)
    >>> print(refused("survey-completed", [before, middle, now])[:86])
    28 % of the events of survey-completed were rejected in the last 15 min, 0.2 % before:
    """
    if not samples:
        return None
    now = samples[-1]
    earlier = [one for one in samples if one.at <= now.at - recent_ms]
    if not earlier:
        return None
    middle, first = earlier[-1], samples[0]
    new, old = _less(now, middle), _less(middle, first)
    if min(*new, *old) < 0 or new[1] < LEAST_REFUSED or not sum(old):
        return None
    share, before = new[1] / sum(new), old[1] / sum(old)
    if share <= before or _ratio(new, old) < _JUMP:
        return None
    return (
        f"{100 * share:.0f} % of the events of {topic} were rejected in the last {lasting(recent_ms)}, "
        f"{100 * before:.1f} % before: see `streamer dead-letters list`."
    )


def _less(one: Taken, other: Taken) -> tuple[int, int]:
    return one.taken - other.taken, one.refused - other.refused


def _ratio(new: tuple[int, int], old: tuple[int, int]) -> float:
    both = new[0] + old[0], new[1] + old[1]
    return _likelihood(new) + _likelihood(old) - _likelihood(both)


def _likelihood(parts: tuple[int, int]) -> float:
    whole = sum(parts)
    return float(sum(part * np.log(part / whole) for part in parts if part))


def taken(counts: Mapping[str, int], at: int) -> dict[str, Taken]:
    """Return the counts of each topic from the store's plain counters."""
    found: dict[str, Taken] = {}
    for name, amount in counts.items():
        kind, _, rest = name.partition(SEPARATOR)
        topic, _, result = rest.partition(SEPARATOR)
        if kind == "events" and result:
            before = found.get(topic, Taken(at, 0, 0))
            is_refused = result == "rejected"
            found[topic] = Taken(
                at, before.taken + (0 if is_refused else amount), before.refused + is_refused * amount
            )
    return found
