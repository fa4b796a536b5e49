"""Here is which survey figures would tell what single customers said, and must not be shown to everybody.

A group of fewer than FEWEST answers is hidden, and what it would follow from:

- no hidden group's answers follow from those of others: of its grouping with `all`, of a pair with both
  its dimensions and `all` (network.py);
- the hidden groups that add up to something shown are two or more, of FEWEST answers together;
- in windows that lie in one another: where the longer has but a few answers more than the shorter, the
  shorter is hidden, as is whatever is hidden in the longer.

Not covered: windows that were not asked for together; the same group looked at again and again, as answers
come one by one; two groupings that happen to be the same people (the only team of a site); several pairs
taken together; and what somebody knows who is one of the few.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from streamer.panes.pane_keys import ALL, Grouping
from streamer.readings.network import Count, Network, networks
from streamer.readings.query import Query, Reading

FEWEST: Final = 5

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
"""The survey figures, and the metric whose support says how many answers (of sent surveys, customers at
risk) are behind them."""


COUNTED: Final = tuple(dict.fromkeys(ANSWERS.values()))


class Place(NamedTuple):
    """What is hidden together: all figures of the same answers in a window of a group."""

    answers: str
    window: str
    by: str
    key: str


Counts = dict[str, int]
"""Answers by key."""
Hidden = dict[str, set[str]]
"""Keys by grouping."""


def suppressed(readings: Sequence[Reading]) -> list[Reading]:
    """The readings, without what must be hidden: those are no data. They must be of whole groupings,
    with the single dimensions of a pair and what ANSWERS names: what is not there cannot be judged, and
    is hidden."""
    return without(readings, hidden(readings), judged(readings))


def without(readings: Iterable[Reading], places: frozenset[Place], known: frozenset[Place]) -> list[Reading]:
    """`places` are hidden, and all that is not `known`."""
    return [
        blank(reading) if (at := place(reading)) and (at in places or at not in known) else reading
        for reading in readings
    ]


def place(reading: Reading) -> Place | None:
    """None: not a survey figure."""
    answers = ANSWERS.get(reading.metric)
    return None if answers is None else Place(answers, reading.window, reading.by, reading.key)


def blank(reading: Reading) -> Reading:
    return msgspec.structs.replace(reading, value=None, lower=None, upper=None, support=0)


def judged(readings: Iterable[Reading]) -> frozenset[Place]:
    return frozenset(
        Place(one.metric, one.window, one.by, one.key)
        for one in readings
        if ANSWERS.get(one.metric) == one.metric
    )


def hidden(readings: Iterable[Reading], pause: Callable[[], None] = lambda: None) -> frozenset[Place]:
    """Which places are to be hidden, of whole groupings. `pause` is called often."""
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
    """What must be known of all groups, to say which of the readings asked for are hidden. `pairs`: all
    that who asks may see."""
    asked = [*dict.fromkeys((ALL, *query.by.split(","), *_linked(query.by, pairs)))]
    figures = query.metrics or tuple(ANSWERS)
    counted = tuple(dict.fromkeys(ANSWERS[name] for name in figures if name in ANSWERS))
    whole = msgspec.structs.replace(query, metrics=counted, key=None, stat=None)
    return [msgspec.structs.replace(whole, by=by) for by in asked]


def _linked(by: str, pairs: Iterable[Grouping]) -> list[str]:
    """All groupings that share a dimension, or are linked by those that do."""
    dimensions, found, left = set(by.split(",")), list[str](), list(pairs)
    while near := [pair for pair in left if dimensions & set(pair)]:
        for pair in near:
            left.remove(pair)
            dimensions |= set(pair)
            found += [*pair, ",".join(pair)]
    return found


def of_many(figures: Sequence[Reading], counted: Sequence[Reading]) -> list[Reading]:
    """Of one group at many moments, only those of enough answers. `counted` says how many, at each."""
    assert len(figures) == len(counted)
    return [
        blank(figure) if 0 < answers.support < FEWEST else figure
        for figure, answers in zip(figures, counted, strict=True)
    ]


def _too_close(groups: Mapping[str, Counts], longer: Mapping[str, Counts], keys: Hidden) -> Hidden:
    """Those hidden in the longer window, or of which it has but a few answers more."""
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
    """The few, and what must be hidden with them."""
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
    """The smallest that must be hidden as well, so that the sum of what is hidden tells of nobody."""
    answers = [table.counts[count] for count in addends if count in found]
    others = sorted((table.counts[count], count) for count in addends if count not in found)
    more: list[Count] = []
    for number, count in others if answers else ():
        if len(answers) > 1 and sum(answers) >= FEWEST:
            break
        answers.append(number)
        more.append(count)
    return more
