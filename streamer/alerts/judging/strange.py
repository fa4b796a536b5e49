"""Here is what is strange about the data itself: it is old, tells of long ago, or its events are refused."""

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
"""Log likelihood for a share of refused events that is another one now."""


class Pulse(NamedTuple):
    """What workers say. `fresh_ms`: since all was counted, None: never. `lag`: records that wait.
    `record_at`: of the last record; `event_at`: of the youngest event counted (None: none); ms."""

    now: int
    fresh_ms: int | None
    lag: int
    record_at: int | None
    event_at: int | None


def stale(pulse: Pulse) -> str | None:
    """Why scores as of now say nothing; None: they do. A sentence."""
    if pulse.fresh_ms is None:
        return "Nobody counts yet: no worker has seen the end of its topics."
    if pulse.fresh_ms >= STALE_MS:
        waiting = f", {pulse.lag} records wait" if pulse.lag else ""
        return f"The data is {lasting(pulse.fresh_ms)} old{waiting}: no worker keeps up."
    return None


def late(pulse: Pulse) -> str | None:
    """Whether records come that tell of long ago only. A sentence; None: they do not."""
    if pulse.record_at is None or pulse.event_at is None or pulse.now - pulse.record_at > LATE_MS:
        return None
    behind = pulse.record_at - pulse.event_at
    if behind < LATE_MS:
        return None
    return f"Events come {lasting(behind)} late: a source sends what happened long ago."


# Refused events.


class Taken(NamedTuple):
    """Events of one topic: taken and refused, as counted up to a moment (ms)."""

    at: int
    taken: int
    refused: int


def refused(topic: str, samples: Sequence[Taken], recent_ms: int = RECENT_MS) -> str | None:
    """Whether the share of refused events jumped. `samples` ascend in time, counters never decrease but
    for a rebuild. A likelihood ratio test of the recent share against that before (Wilks 1938)."""
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
        f"{100 * share:.0f} % of the events of {topic} were refused in the last {lasting(recent_ms)}, "
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
    """By topic, of the store's plain counters."""
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
