"""Checks of the data itself: it is stale, its events are late, or many of them are rejected."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from streamer.alerts.formatting import duration
from streamer.events.counting_rules import MINUTE
from streamer.metrics.counters import COUNTER_SEPARATOR

STALE_MS: Final = MINUTE
LATE_MS: Final = 30 * MINUTE
RECENT_MS: Final = 15 * MINUTE
LEAST_REJECTED: Final = 20
_LEAST_LOG_RATIO: Final = 10.0
"""Log likelihood ratio from which on the share of rejected events has changed."""


class FeedHealth(NamedTuple):
    """State of the workers, as they report it. `age_ms`: time since all records were counted, None: never.
    `lag`: records that wait. `record_at`: time of the last record; `event_at`: time of the latest event
    counted (None: none); ms."""

    now: int
    age_ms: int | None
    lag: int
    record_at: int | None
    event_at: int | None


def stale_reason(health: FeedHealth) -> str | None:
    """Return why current scores say nothing, as a sentence; None: they do say something.

    >>> stale_reason(FeedHealth(1_795_255_203_000, 90_000, 12, None, None))
    'The data is 90 s old, 12 records wait: no worker keeps up.'
    """
    if health.age_ms is None:
        return "There is no current data: no worker has reached the end of its topics yet."
    if health.age_ms >= STALE_MS:
        waiting = f", {health.lag} records wait" if health.lag else ""
        return f"The data is {duration(health.age_ms)} old{waiting}: no worker keeps up."
    return None


def late_reason(health: FeedHealth) -> str | None:
    """Return that records tell of the distant past only, as a sentence; None: they do not."""
    if health.record_at is None or health.event_at is None or health.now - health.record_at > LATE_MS:
        return None
    delay_ms = health.record_at - health.event_at
    if delay_ms < LATE_MS:
        return None
    return f"Events arrive {duration(delay_ms)} late: a source sends old events."


# Rejected events.


class TopicCounts(NamedTuple):
    """Events of one topic, accepted and rejected, as counted up to a moment (ms)."""

    at_ms: int
    accepted: int
    rejected: int


def rejection_reason(topic: str, samples: Sequence[TopicCounts], recent_ms: int = RECENT_MS) -> str | None:
    """Return that the share of rejected events jumped, as a sentence; None: it did not. `samples` ascend
    in time; counters decrease only with a rebuild. A likelihood ratio test compares the recent share with
    that before (Wilks 1938).

    >>> before, middle = TopicCounts(0, 0, 0), TopicCounts(45 * MINUTE, 5_000, 10)
    >>> now = TopicCounts(60 * MINUTE, 6_000, 400)
    >>> print(rejection_reason("survey-completed", [before, middle, now])[:86])
    28 % of the events of survey-completed were rejected in the last 15 min, 0.2 % before:
    """
    if not samples:
        return None
    latest = samples[-1]
    earlier = [sample for sample in samples if sample.at_ms <= latest.at_ms - recent_ms]
    if not earlier:
        return None
    middle, first = earlier[-1], samples[0]
    new, old = _count_difference(latest, middle), _count_difference(middle, first)
    if min(*new, *old) < 0 or new[1] < LEAST_REJECTED or not sum(old):
        return None
    share, share_before = new[1] / sum(new), old[1] / sum(old)
    if share <= share_before or _log_ratio(new, old) < _LEAST_LOG_RATIO:
        return None
    return (
        f"{100 * share:.0f} % of the events of {topic} were rejected in the last {duration(recent_ms)}, "
        f"{100 * share_before:.1f} % before: see `streamer dead-letters list`."
    )


def _count_difference(later: TopicCounts, earlier: TopicCounts) -> tuple[int, int]:
    return later.accepted - earlier.accepted, later.rejected - earlier.rejected


def _log_ratio(new: tuple[int, int], old: tuple[int, int]) -> float:
    combined = new[0] + old[0], new[1] + old[1]
    return _log_likelihood(new) + _log_likelihood(old) - _log_likelihood(combined)


def _log_likelihood(counts: tuple[int, int]) -> float:
    whole = sum(counts)
    return float(sum(count * np.log(count / whole) for count in counts if count))


def counts_by_topic(counts: Mapping[str, int], at_ms: int) -> dict[str, TopicCounts]:
    """Return the counts of each topic from the store's plain counters."""
    counts_so_far: dict[str, TopicCounts] = {}
    for name, amount in counts.items():
        kind, _, rest = name.partition(COUNTER_SEPARATOR)
        topic, _, result = rest.partition(COUNTER_SEPARATOR)
        if kind == "events" and result:
            previous = counts_so_far.get(topic, TopicCounts(at_ms, 0, 0))
            is_rejected = result == "rejected"
            counts_so_far[topic] = TopicCounts(
                at_ms,
                previous.accepted + (0 if is_rejected else amount),
                previous.rejected + is_rejected * amount,
            )
    return counts_so_far
