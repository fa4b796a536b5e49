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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec

from streamer.panes.pane_keys import ALL, Grouping
from streamer.readings.count_network import Count, CountNetwork, count_networks
from streamer.readings.interval_report import IntervalReading
from streamer.readings.query import MetricQuery, Reading

R = TypeVar("R", bound=Reading)

MIN_ANSWERS: Final = 5
"""A group needs this many answers to be shown."""

ANSWER_METRIC_OF: Final[Mapping[str, str]] = {
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


ANSWER_METRICS: Final = tuple(dict.fromkeys(ANSWER_METRIC_OF.values()))


class AnswerGroup(NamedTuple):
    """The unit of suppression: all figures of the same answers, of one group in one window."""

    answers: str
    window: str
    by: str
    key: str


AnswerCounts = dict[str, int]
"""Answers by key."""
HiddenKeys = dict[str, set[str]]
"""Keys by grouping."""


def suppress_readings(readings: Sequence[Reading]) -> list[Reading]:
    """Return the readings; those that must be hidden have no data.

    The readings must cover whole groupings, with both dimensions of a pair and the metrics that
    ANSWER_METRIC_OF refers to: a figure whose answers are not among them is hidden.

    >>> def nps(queue, answers):
    ...     return Reading(
    ...         "nps_score", "", "points", "higher", "1h", "queue", queue, 50.0, 20.0, 70.0, answers,
    ...         "2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z", 0.0, 0.0,
    ...     )
    >>> readings = suppress_readings([nps("billing", 4), nps("sales", 6), nps("tech", 9)])
    >>> [reading.support for reading in readings]
    [0, 0, 9]
    """
    return [*blank_hidden(readings, hidden_groups(readings), counted_groups(readings))]


def blank_hidden(
    readings: Iterable[Reading], hidden_groups: frozenset[AnswerGroup], counted_groups: frozenset[AnswerGroup]
) -> Iterator[Reading]:
    """Blank the readings of `hidden_groups`, and survey figures of groups not in `counted_groups`."""
    for reading in readings:
        group = answer_group(reading)
        is_hidden = group is not None and (group in hidden_groups or group not in counted_groups)
        yield blank_reading(reading) if is_hidden else reading


def answer_group(reading: Reading) -> AnswerGroup | None:
    """Return the unit of suppression of a reading; None if it is no survey figure."""
    answers = ANSWER_METRIC_OF.get(reading.metric)
    return None if answers is None else AnswerGroup(answers, reading.window, reading.by, reading.key)


def blank_reading(reading: R) -> R:
    """Return the reading with no data."""
    return msgspec.structs.replace(reading, value=None, lower=None, upper=None, support=0)


def counted_groups(readings: Iterable[Reading]) -> frozenset[AnswerGroup]:
    """Return the groups whose number of answers is among the readings."""
    return frozenset(
        AnswerGroup(reading.metric, reading.window, reading.by, reading.key)
        for reading in readings
        if ANSWER_METRIC_OF.get(reading.metric) == reading.metric
    )


def hidden_groups(
    readings: Iterable[Reading], pause: Callable[[], None] = lambda: None
) -> frozenset[AnswerGroup]:
    """Return the groups to hide, given readings of whole groupings. `pause` is called often."""
    counts: dict[tuple[str, str], dict[str, AnswerCounts]] = defaultdict(lambda: defaultdict(dict))
    window_starts: dict[tuple[str, str], str] = {}
    for reading in readings:
        if ANSWER_METRIC_OF.get(reading.metric) == reading.metric:
            counts[reading.metric, reading.window][reading.by][reading.key] = reading.support
            window_starts[reading.metric, reading.window] = min(
                reading.from_, window_starts.get((reading.metric, reading.window), reading.from_)
            )
    groups: set[AnswerGroup] = set()
    longer: dict[str, tuple[Mapping[str, AnswerCounts], HiddenKeys]] = {}
    for answers, window in sorted(counts, key=lambda slot: window_starts[slot]):
        pause()
        counts_by_grouping = counts[answers, window]
        keys = _hidden_in_window(
            counts_by_grouping, _hidden_by_longer(counts_by_grouping, *longer.get(answers, ({}, {}))), pause
        )
        longer[answers] = counts_by_grouping, keys
        groups |= {
            AnswerGroup(answers, window, by, key) for by, hidden_keys in keys.items() for key in hidden_keys
        }
    return frozenset(groups)


def required_queries(query: MetricQuery, pairs: Iterable[Grouping]) -> list[MetricQuery]:
    """Return the queries whose readings decide which readings of `query` are hidden.

    `pairs`: the pairs that the user may see.

    >>> pairs = [("queue", "channel"), ("site", "reason")]
    >>> [each.by for each in required_queries(MetricQuery(now=0, by="queue"), pairs)]
    ['all', 'queue', 'channel', 'queue,channel']
    """
    required_groupings = [*dict.fromkeys((ALL, *query.by.split(","), *_linked_groupings(query.by, pairs)))]
    metric_names = query.metrics or tuple(ANSWER_METRIC_OF)
    counted = tuple(
        dict.fromkeys(ANSWER_METRIC_OF[name] for name in metric_names if name in ANSWER_METRIC_OF)
    )
    whole = msgspec.structs.replace(query, metrics=counted, key=None, keys=None, stat=None)
    return [msgspec.structs.replace(whole, by=by) for by in required_groupings]


def _linked_groupings(by: str, pairs: Iterable[Grouping]) -> list[str]:
    """Return all groupings connected with `by` through shared dimensions, directly or by others."""
    dimensions, linked, remaining = set(by.split(",")), list[str](), list(pairs)
    while touching := [pair for pair in remaining if dimensions & set(pair)]:
        for pair in touching:
            remaining.remove(pair)
            dimensions |= set(pair)
            linked += [*pair, ",".join(pair)]
    return linked


def suppress_history(figures: Sequence[Reading], counted: Sequence[Reading]) -> list[Reading]:
    """Blank the moments of one group's history with too few answers; `counted` has their number at each."""
    assert len(figures) == len(counted)
    return [
        blank_reading(figure) if 0 < answers.support < MIN_ANSWERS else figure
        for figure, answers in zip(figures, counted, strict=True)
    ]


def suppress_intervals(
    figures: Iterable[IntervalReading], counted: Iterable[IntervalReading]
) -> list[IntervalReading]:
    """Blank the survey figures of intervals with too few answers; `counted` has their number in each."""
    few = {(answers.metric, answers.from_) for answers in counted if 0 < answers.support < MIN_ANSWERS}
    return [
        blank_reading(figure) if (ANSWER_METRIC_OF.get(figure.metric), figure.from_) in few else figure
        for figure in figures
    ]


def _hidden_by_longer(
    groups: Mapping[str, AnswerCounts], longer: Mapping[str, AnswerCounts], keys: HiddenKeys
) -> HiddenKeys:
    """Return the keys hidden in the longer window, and those of which it has only a few answers more."""
    return {
        by: keys.get(by, set()) & counts.keys()
        | {key for key, count in counts.items() if 0 < longer.get(by, {}).get(key, 0) - count < MIN_ANSWERS}
        for by, counts in groups.items()
    }


def _hidden_in_window(
    groups: Mapping[str, AnswerCounts], hidden_before: HiddenKeys, pause: Callable[[], None]
) -> HiddenKeys:
    counts = {
        (by, key): answers for by, values in groups.items() for key, answers in values.items() if answers
    }
    few = {count for count, answers in counts.items() if answers < MIN_ANSWERS}
    few |= {(by, key) for by, values in hidden_before.items() for key in values if (by, key) in counts}
    hidden_keys: HiddenKeys = defaultdict(set)
    for by, key in _with_complementary(count_networks(counts), few, pause) if few else ():
        hidden_keys[by].add(key)
    return hidden_keys


def _with_complementary(
    tables: Sequence[CountNetwork], few: set[Count], pause: Callable[[], None]
) -> set[Count]:
    """Return the counts below MIN_ANSWERS, and the complementary counts that must be hidden with them."""
    hidden_counts, previous_size = set(few), 0
    while len(hidden_counts) > previous_size:
        previous_size = len(hidden_counts)
        for table in tables:
            for count in sorted(table.computable_counts(hidden_counts) & few):
                pause()
                hidden_counts.update(table.cheapest_cycle(count, hidden_counts))
            for total, addends in table.sums:
                pause()
                if total not in hidden_counts:
                    hidden_counts.update(_complementary_counts(table, addends, hidden_counts))
    return hidden_counts


def _complementary_counts(
    table: CountNetwork, addends: Sequence[Count], hidden_counts: set[Count]
) -> list[Count]:
    """Return the smallest addends to hide as well, until the sum of the hidden ones reveals nobody."""
    answers = [table.counts[count] for count in addends if count in hidden_counts]
    others = sorted((table.counts[count], count) for count in addends if count not in hidden_counts)
    additions: list[Count] = []
    for answer_count, count in others if answers else ():
        if len(answers) > 1 and sum(answers) >= MIN_ANSWERS:
            break
        answers.append(answer_count)
        additions.append(count)
    return additions
