"""Tallies: the names of all counts, their numbers in the store, and the histogram of durations.

A tally maps the number of a count to an integer. Tallies add up in any order and subtract exactly; a count of
0 is absent. Numbers are positions in COUNTS, then the histograms' buckets. Both are stored: names may only be
added at the end of COUNTS, which has room up to FIRST_BUCKET, and never moved.
"""

from bisect import bisect_left
from itertools import chain
from typing import Final

Tally = dict[int, int]

DURATIONS: Final = ("handle", "talk", "hold", "acw", "wait", "abandon", "outbound_handle")

TIMED_STATES: Final = ("available", "offered", "busy", "held", "wrap_up", "away")
"""States of agents whose time is counted."""

SCALES: Final = {
    "nps": range(11),
    "csat": range(1, 6),
    "ces": range(1, 8),
    "effort": range(1, 6),
    "cnx": range(1, 11),
}

# Inbound segments, unless said; contacts and surveys under the contact's dimensions.
COUNTS: Final[tuple[str, ...]] = (
    "answered",
    "abandoned",
    "timeout",
    "voicemail",
    "overflow",
    "callback",
    "offered",
    "transferred",
    "outbound",
    # service level: answered and abandoned segments whose wait is known
    "answered_waited",
    "answered_within",
    "abandoned_waited",
    "abandoned_within",
    "abandoned_short",
    "own_level_hits",
    "own_level_of",
    # contacts
    "contacts",
    "disposed",
    "disposed_resolved",
    "fcr_contacts",
    "fcr_repeats",
    "fcr_firsts",
    "fcr_kept",
    "valued_contacts",
    "valued_sum",
    # surveys
    "surveys_sent",
    "surveys_sent_answered",
    "surveys",
    "comments",
    "first_yes",
    "first_no",
    "risk_customers",
    "risk_sum",
    *(f"{question}_{score}" for question, scale in SCALES.items() for score in scale),
    # evaluations: hundredths of a point, and squares in whole points
    "qa",
    "qa_sum",
    "qa_squares",
    # durations: segments, milliseconds, squares in whole seconds
    *chain.from_iterable((f"{name}_n", f"{name}_ms", f"{name}_s2") for name in DURATIONS),
    # agents: milliseconds in each state, and offers that were not answered
    *(f"{state}_ms" for state in TIMED_STATES),
    "offered_unanswered",
)
NUMBER: Final = {name: number for number, name in enumerate(COUNTS)}

HANDLE_LIMITS_S: Final = (15, 30, 60, 120, 180, 240, 300, 420, 600, 900, 1200, 1800, 3600)
"""Upper bounds of the plain histogram of handle times that Prometheus gets, in seconds."""

FIRST_BUCKET: Final = 256
BUCKETS: Final = 544
assert len(COUNTS) <= FIRST_BUCKET


def _bounds() -> list[int]:
    """Return the upper bounds in ms, inclusive, each at most 4 % above the last: 0, 1, 2, … 25, 26, 27, …."""
    bounds = [0]
    while len(bounds) < BUCKETS - 1:
        bounds.append(max(bounds[-1] + 1, bounds[-1] * 26 // 25))
    return bounds


BOUNDS: Final = _bounds()
FIRST_BUCKET_OF: Final = {name: FIRST_BUCKET + number * BUCKETS for number, name in enumerate(DURATIONS)}
NUMBERS: Final = FIRST_BUCKET + len(DURATIONS) * BUCKETS
"""Number of all counts and buckets: the numbers of a tally are below it."""


def bucket(ms: int) -> int:
    """Return the histogram bucket of a duration: 0 for 0 ms, at most BUCKETS - 1.

    >>> bucket(0), bucket(1), bucket(20_000), bucket(20_001)
    (0, 1, 210, 210)
    """
    return bisect_left(BOUNDS, ms)


def bucket_value(number: int) -> float:
    """Return a bucket's duration in ms: its middle, within 2 % of every duration in it.

    >>> bucket_value(bucket(20_000))
    20126.0
    """
    if number >= len(BOUNDS):
        return float(BOUNDS[-1])
    low = BOUNDS[number - 1] + 1 if number else 0
    return (low + BOUNDS[number]) / 2


def squared(amount: int, unit: int) -> int:
    """Return `amount`² in whole `unit`², rounded to the nearest: sums of squares stay far below 2^53.

    >>> squared(1_500, 1_000)  # 1.5 s in s²
    2
    """
    return (amount * amount + unit * unit // 2) // (unit * unit)
