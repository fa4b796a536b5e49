"""Suppress survey figures that would reveal what single customers said.

A group with fewer than MIN_ANSWERS answers is hidden, and so is any group from which it could be computed
(complementary suppression):

- no hidden group's count follows from others: neither from its grouping and `all`, nor from a pair with
  both its dimensions and `all` (count_network.py);
- the hidden groups that add up to something shown are at least two, with MIN_ANSWERS answers together;
- of nested windows, where the longer has fewer than MIN_ANSWERS answers more than the shorter, the shorter
  is hidden; whatever is hidden in the longer is hidden in the shorter.

Not covered: windows that were not queried together; the same group queried repeatedly as answers arrive one
by one; two groupings that are the same people (the only team of a site); several pairs combined; and what a
person knows who is one of the few.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from streamer.panes.pane_keys import ALL, Grouping
from streamer.readings.network import Count, Network, networks
from streamer.readings.query import Query, Reading

FEWEST: Final = 5
"""A group needs this many answers to be shown."""

ANSWERS: Final[Mapping[str, str]] = {
    "nps_score": "nps_score",
    "cnx_score": "cnx_score",
    "csat_ratio": "csat_ratio",
    "csat_mean": "csat_ratio",
    "ces_score": "ces_score",
    "ces_easy_ratio": "ces_score",
    "effort_score": "effort_score",
    "fcr_survey_ratio": "fcr_survey_ratio",
    "surveys": "surveys",
    "detractors": "nps_score",
    "comments": "surveys",
    "response_ratio": "response_ratio",
    "value_at_risk": "value_at_risk",
}
"""The survey metrics, each with the metric whose support counts the answers behind it (for some: surveys
sent, customers at risk)."""


COUNTED: Final = tuple(dict.fromkeys(ANSWERS.values()))


class Place(NamedTuple):
    """The unit of suppression: all figures of the same answers, of one group in one window."""

    answers: str
    window: str
    by: str
    key: str


Counts = dict[str, int]
"""Answers by key."""
Hidden = dict[str, set[str]]
"""Keys by grouping."""


def suppressed(readings: Sequence[Reading]) -> list[Reading]:
    """Return the readings; those that must be hidden have no data.

    The readings must cover whole groupings, with both dimensions of a pair and the metrics that
    ANSWER_METRIC_OF refers to: a figure whose answers are not among them is hidden.

    >>> def nps(queue, answers):
    ...     return Reading(
    ...         "nps_score", "", "points", "higher", "1h", "queue", queue, 50.0, 20.0, 70.0, answers,
    ...         "2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z", 0.0,
    ...     )
    >>> [reading.support for reading in suppressed([nps("billing", 4), nps("sales", 6), nps("tech", 9)])]
    [0, 0, 9]
    """
    return without(readings, hidden(readings), judged(readings))


def without(readings: Iterable[Reading], places: frozenset[Place], known: frozenset[Place]) -> list[Reading]:
    """Blank the readings of `hidden_groups`, and survey figures of groups not in `counted_groups`."""
    return [
        blank(reading) if (at := place(reading)) and (at in places or at not in known) else reading
        for reading in readings
    ]


def place(reading: Reading) -> Place | None:
    """Return the unit of suppression of a reading; None if it is no survey figure."""
    answers = ANSWERS.get(reading.metric)
    return None if answers is None else Place(answers, reading.window, reading.by, reading.key)


def blank(reading: Reading) -> Reading:
    """Return the reading with no data."""
    return msgspec.structs.replace(reading, value=None, lower=None, upper=None, support=0)


def judged(readings: Iterable[Reading]) -> frozenset[Place]:
    """Return the groups whose number of answers is among the readings."""
    return frozenset(
        Place(one.metric, one.window, one.by, one.key)
        for one in readings
        if ANSWERS.get(one.metric) == one.metric
    )


def hidden(readings: Iterable[Reading], pause: Callable[[], None] = lambda: None) -> frozenset[Place]:
    """Return the groups to hide, given readings of whole groupings. `pause` is called often."""
    counts: dict[tuple[str, str], dict[str, Counts]] = defaultdict(lambda: defaultdict(dict))
    begins: dict[tuple[str, str], str] = {}
    for one in readings:
        if ANSWERS.get(one.metric) == one.metric:
            counts[one.metric, one.window][one.by][one.key] = one.support
            begins[one.metric, one.window] = min(one.from_, begins.get((one.metric, one.window), one.from_))
    found: set[Place] = set()
    longer: dict[str, tuple[Mapping[str, Counts], Hidden]] = {}
    for answers, window in sorted(counts, key=lambda slot: begins[slot]):
        pause()
        groups = counts[answers, window]
        keys = _of_window(groups, _too_close(groups, *longer.get(answers, ({}, {}))), pause)
        longer[answers] = groups, keys
        found |= {Place(answers, window, by, key) for by, some in keys.items() for key in some}
    return frozenset(found)


def questions(query: Query, pairs: Iterable[Grouping]) -> list[Query]:
    """Return the queries whose readings decide which readings of `query` are hidden.

    `pairs`: the pairs that the user may see.

    >>> pairs = [("queue", "channel"), ("site", "reason")]
    >>> [each.by for each in questions(Query(now=0, by="queue"), pairs)]
    ['all', 'queue', 'channel', 'queue,channel']
    """
    asked = [*dict.fromkeys((ALL, *query.by.split(","), *_linked(query.by, pairs)))]
    figures = query.metrics or tuple(ANSWERS)
    counted = tuple(dict.fromkeys(ANSWERS[name] for name in figures if name in ANSWERS))
    whole = msgspec.structs.replace(query, metrics=counted, key=None, stat=None)
    return [msgspec.structs.replace(whole, by=by) for by in asked]


def _linked(by: str, pairs: Iterable[Grouping]) -> list[str]:
    """Return all groupings connected with `by` through shared dimensions, directly or by others."""
    dimensions, found, left = set(by.split(",")), list[str](), list(pairs)
    while near := [pair for pair in left if dimensions & set(pair)]:
        for pair in near:
            left.remove(pair)
            dimensions |= set(pair)
            found += [*pair, ",".join(pair)]
    return found


def of_many(figures: Sequence[Reading], counted: Sequence[Reading]) -> list[Reading]:
    """Blank the moments of one group's history with too few answers; `counted` has their number at each."""
    assert len(figures) == len(counted)
    return [
        blank(figure) if 0 < answers.support < FEWEST else figure
        for figure, answers in zip(figures, counted, strict=True)
    ]


def _too_close(groups: Mapping[str, Counts], longer: Mapping[str, Counts], keys: Hidden) -> Hidden:
    """Return the keys hidden in the longer window, and those of which it has only a few answers more."""
    return {
        by: keys.get(by, set()) & counts.keys()
        | {key for key, count in counts.items() if 0 < longer.get(by, {}).get(key, 0) - count < FEWEST}
        for by, counts in groups.items()
    }


def _of_window(groups: Mapping[str, Counts], begun: Hidden, pause: Callable[[], None]) -> Hidden:
    counts = {(by, key): answers for by, some in groups.items() for key, answers in some.items() if answers}
    few = {count for count, answers in counts.items() if answers < FEWEST}
    few |= {(by, key) for by, some in begun.items() for key in some if (by, key) in counts}
    found: Hidden = defaultdict(set)
    for by, key in _with_company(networks(counts), few, pause) if few else ():
        found[by].add(key)
    return found


def _with_company(tables: Sequence[Network], few: set[Count], pause: Callable[[], None]) -> set[Count]:
    """Return the counts below MIN_ANSWERS, and the complementary counts that must be hidden with them."""
    found, before = set(few), 0
    while len(found) > before:
        before = len(found)
        for table in tables:
            for count in sorted(table.computable(found) & few):
                pause()
                found.update(table.way_round(count, found))
            for total, addends in table.sums:
                pause()
                if total not in found:
                    found.update(_beside(table, addends, found))
    return found


def _beside(table: Network, addends: Sequence[Count], found: set[Count]) -> list[Count]:
    """Return the smallest addends to hide as well, until the sum of the hidden ones reveals nobody."""
    answers = [table.counts[count] for count in addends if count in found]
    others = sorted((table.counts[count], count) for count in addends if count not in found)
    more: list[Count] = []
    for number, count in others if answers else ():
        if len(answers) > 1 and sum(answers) >= FEWEST:
            break
        answers.append(number)
        more.append(count)
    return more
