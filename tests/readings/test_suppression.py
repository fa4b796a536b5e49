"""Nobody can compute what a few customers said from what is shown to everybody."""

from collections.abc import Iterable, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.metrics.catalogue import CATALOGUE
from streamer.panes.pane_keys import ALL
from streamer.readings.query import MetricQuery, Reading
from streamer.readings.suppression import (
    ANSWER_METRIC_OF,
    MIN_ANSWERS,
    required_queries,
    suppress_history,
    suppress_readings,
)

Counts = Mapping[str, int]
BEGINS = {"15m": "2026-11-21T09:45:00Z", "1h": "2026-11-21T09:00:00Z", "today": "2026-11-21T00:00:00Z"}


def reading(
    count: int, by: str = "queue", key: str = "a", window: str = "1h", metric: str = "nps_score"
) -> Reading:
    value = 50.0 if count else None
    return Reading(
        metric, "", "points", "higher", window, by, key, value, value, value, count,
        BEGINS[window], "2026-11-21T10:00:00Z", 0.0, 0.0,
    )  # fmt: skip


def grouping(counts: Counts, by: str = "queue", window: str = "1h") -> list[Reading]:
    return [reading(count, by, key, window) for key, count in counts.items()]


def visible_counts(readings: Iterable[Reading], by: str = "queue", window: str = "1h") -> dict[str, int]:
    """Return the number of answers of each group that is not hidden."""
    return {
        survey_reading.key: survey_reading.support
        for survey_reading in readings
        if (survey_reading.by, survey_reading.window) == (by, window) and survey_reading.support
    }


@pytest.mark.parametrize(
    ("sentence", "counts", "expected"),
    [
        ("five are enough", {"a": 5, "b": 6}, {"a": 5, "b": 6}),
        ("four are not, nor what they could be subtracted from", {"a": 4, "b": 6, "c": 7}, {"c": 7}),
        ("of several the smallest", {"a": 4, "b": 9, "c": 6, "d": 8}, {"b": 9, "d": 8}),
        ("two few of five together need nobody", {"a": 1, "b": 4, "c": 7}, {"c": 7}),
        ("two few of four together are few still", {"a": 1, "b": 3, "c": 7, "d": 8}, {"d": 8}),
        ("three few of five need nobody", {"a": 1, "b": 1, "c": 3, "d": 7}, {"d": 7}),
        ("an empty group hides nobody", {"a": 4, "b": 0, "c": 7, "d": 8}, {"d": 8}),
        ("nobody is left to hide beside", {"a": 4}, {}),
        ("the order of keys decides between equals", {"b": 6, "a": 6, "few": 1}, {"b": 6}),
        ("nothing is nothing", {"a": 0}, {}),
    ],
)
def test_in_a_grouping(sentence: str, counts: Counts, expected: Counts) -> None:
    assert visible_counts(suppress_readings(grouping(counts))) == expected, sentence


def test_what_is_hidden_says_nothing() -> None:
    (hidden,) = suppress_readings([reading(4)])
    assert (hidden.value, hidden.lower, hidden.upper, hidden.support) == (None, None, None, 0)


@pytest.mark.parametrize(
    ("sentence", "readings", "expected"),
    [
        ("detractors by the answers to NPS", [reading(4), reading(2, metric="detractors")], [0, 0]),
        ("few detractors of many are shown", [reading(9), reading(2, metric="detractors")], [9, 2]),
        ("comments by the responses", [reading(9, metric="surveys"), reading(1, metric="comments")], [9, 1]),
        ("what was not counted is hidden", [reading(2, metric="detractors")], [0]),
        ("other figures are no survey's", [reading(1, metric="answered")], [1]),
        ("others' answers are others", [reading(9), reading(4, metric="csat_ratio")], [9, 0]),
    ],
)
def test_by_what_a_figure_is_judged(sentence: str, readings: list[Reading], expected: list[int]) -> None:
    assert [survey_reading.support for survey_reading in suppress_readings(readings)] == expected, sentence


def test_every_figure_placed_by_an_answer_is_a_survey_figure() -> None:
    placed = {name for name, metric in CATALOGUE.items() if metric.placed in ("answered_at", "sent_at")}
    assert set(ANSWER_METRIC_OF) == placed
    assert set(ANSWER_METRIC_OF.values()) <= set(ANSWER_METRIC_OF)


@pytest.mark.parametrize(
    ("sentence", "counts", "expected"),
    [
        ("both lines of a few lose one more",
         {"a,x": 4, "a,y": 9, "b,x": 9, "b,y": 9, "c,y": 9}, {"c,y": 9}),
        ("all of a hidden queue's", {"few,x": 4, "a,x": 6, "b,x": 7, "b,y": 7}, {"b,x": 7, "b,y": 7}),
        ("nobody is few", {"a,x": 5, "a,y": 5, "b,x": 5, "b,y": 5}, {"a,x": 5, "a,y": 5, "b,x": 5, "b,y": 5}),
    ],
)  # fmt: skip
def test_in_a_pair(sentence: str, counts: Counts, expected: Counts) -> None:
    readings = suppress_readings([*grouping(counts, "queue,channel"), *sums(counts)])
    assert visible_counts(readings, "queue,channel") == expected, sentence


def sums(counts: Counts, window: str = "1h") -> list[Reading]:
    """Return the readings of `all` and of both dimensions."""
    queues: dict[str, int] = {}
    channels: dict[str, int] = {}
    for key, count in counts.items():
        queue, channel = key.split(",")
        queues[queue] = queues.get(queue, 0) + count
        channels[channel] = channels.get(channel, 0) + count
    return [
        reading(sum(counts.values()), ALL, "", window),
        *grouping(queues, "queue", window),
        *grouping(channels, "channel", window),
    ]


@pytest.mark.parametrize(
    ("sentence", "quarter", "hour", "day", "expected"),
    [
        ("five more are enough", 10, 15, 20, (10, 15, 20)),
        ("the same are the same", 10, 10, 10, (10, 10, 10)),
        ("four more would be known", 11, 15, 20, (0, 15, 20)),
        ("four more than in the hour, which is hidden", 7, 11, 15, (0, 0, 15)),
        ("nine more than in the day are enough, but hidden stays hidden", 6, 11, 15, (0, 0, 15)),
        ("few of many", 4, 10, 20, (0, 10, 20)),
    ],
)
def test_in_windows_that_lie_in_one_another(
    sentence: str, quarter: int, hour: int, day: int, expected: tuple[int, int, int]
) -> None:
    counts = {"15m": quarter, "1h": hour, "today": day}
    readings = suppress_readings([reading(count, ALL, "", window) for window, count in counts.items()])
    assert tuple(survey_reading.support for survey_reading in readings) == expected, sentence


def test_of_one_group_at_many_moments_only_those_of_enough_answers() -> None:
    figures = [reading(count, metric="detractors") for count in (1, 2, 3)]
    counted = [reading(count) for count in (4, 5, 0)]
    assert [survey_reading.support for survey_reading in suppress_history(figures, counted)] == [0, 2, 3]


PAIRS = (("queue", "channel"), ("team", "channel"), ("site", "reason"))


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("all", ["all"]),
        ("language", ["all", "language"]),
        ("site", ["all", "site", "reason", "site,reason"]),
        ("queue", ["all", "queue", "channel", "queue,channel", "team", "team,channel"]),
        ("queue,channel", ["all", "queue", "channel", "queue,channel", "team", "team,channel"]),
    ],
)
def test_a_question_needs_whole_groupings_and_what_they_are_linked_with(by: str, expected: list[str]) -> None:
    queries = required_queries(
        MetricQuery(now=0, metrics=("detractors",), by=by, key="a", stat="*", at=7), PAIRS
    )
    assert [query.by for query in queries] == expected
    assert {(query.key, query.stat, query.at, "nps_score" in query.metrics) for query in queries} == {
        (None, None, 7, True)
    }


# Whatever the counts are.

keys = st.builds("{},{}".format, st.sampled_from("abcdef"), st.sampled_from("wxyz"))
cells = st.dictionaries(keys, st.integers(0, 12), max_size=24)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text("abcdefgh", max_size=2), st.integers(0, 12), max_size=12))
def test_within_a_grouping_no_hidden_count_can_be_computed(counts: Counts) -> None:
    total = sum(counts.values())
    readings = suppress_readings([reading(total, ALL, ""), *grouping(counts)])
    visible = visible_counts(readings)
    assert all(count >= MIN_ANSWERS for count in visible.values())
    assert visible_counts(readings, ALL) == ({"": total} if total >= MIN_ANSWERS else {})
    hidden = [count for key, count in counts.items() if count and key not in visible]
    if hidden and total >= MIN_ANSWERS:
        assert len(hidden) > 1
        assert sum(hidden) == total - sum(visible.values()) >= MIN_ANSWERS


@settings(max_examples=150, deadline=None)
@given(cells)
def test_no_count_of_a_few_follows_from_a_pair_its_dimensions_and_all(counts: Counts) -> None:
    readings = [*grouping(counts, "queue,channel"), *sums(counts)]
    few = {
        (survey_reading.by, survey_reading.key)
        for survey_reading in readings
        if 0 < survey_reading.support < MIN_ANSWERS
    }
    visible = {
        (survey_reading.by, survey_reading.key)
        for survey_reading in suppress_readings(readings)
        if survey_reading.support
    }
    assert not few & visible
    assert not few & computable(readings, visible)


Group = tuple[str, str]


def computable(readings: Iterable[Reading], visible: set[Group]) -> set[Group]:
    """Return the hidden counts that linear algebra determines: those equal in every solution of all sums,
    given the visible counts."""
    counts = {
        (survey_reading.by, survey_reading.key) for survey_reading in readings if survey_reading.support
    }
    hidden = sorted(counts - visible)
    if not hidden:
        return set()
    coefficients = np.array([[weight(count, total) for count in hidden] for total in equations(counts)])
    rank = np.linalg.matrix_rank(coefficients)
    unit_rows = np.eye(len(hidden))
    return {
        count
        for index, count in enumerate(hidden)
        if np.linalg.matrix_rank(np.vstack([coefficients, unit_rows[index]])) == rank
    }


def equations(counts: Iterable[Group]) -> list[tuple[Group, str]]:
    """List the sums: each total, and the grouping that adds up to it."""
    of_cells = [((by, key), "queue,channel") for by, key in counts if by in ("queue", "channel")]
    return [*of_cells, ((ALL, ""), "queue"), ((ALL, ""), "channel")]


def weight(count: Group, equation: tuple[Group, str]) -> float:
    """Return the coefficient of a count in the equation "total = sum of its parts"."""
    (by, key), parts = equation
    if count == (by, key):
        return -1
    within = count[0] == parts and (by == ALL or key == count[1].split(",")[by == "channel"])
    return float(within)


def test_what_follows_is_what_linear_algebra_says() -> None:
    readings = [
        *grouping({"a,x": 4, "a,y": 9, "b,x": 9, "b,y": 9}, "queue,channel"),
        *sums({"a,x": 4, "a,y": 9, "b,x": 9, "b,y": 9}),
    ]
    everything = {(survey_reading.by, survey_reading.key) for survey_reading in readings}
    cell = {("queue,channel", "a,x")}
    assert computable(readings, everything - cell) == cell
    line = cell | {("queue,channel", "a,y")}
    assert computable(readings, everything - line) == line
    circle = line | {("queue,channel", "b,x"), ("queue,channel", "b,y")}
    assert computable(readings, everything - circle) == set()


@settings(max_examples=100, deadline=None)
@given(cells, st.fractions(0, 1))
def test_what_a_longer_window_has_more_is_nothing_or_not_few(counts: Counts, fraction: float) -> None:
    less = {key: int(count * fraction) for key, count in counts.items()}
    readings = suppress_readings([
        *grouping(counts, "queue,channel", "1h"), *sums(counts, "1h"),
        *grouping(less, "queue,channel", "15m"), *sums(less, "15m"),
    ])  # fmt: skip
    for by in (ALL, "queue", "channel", "queue,channel"):
        hour = visible_counts(readings, by)
        for key, count in visible_counts(readings, by, "15m").items():
            assert key in hour
            assert not 0 < hour[key] - count < MIN_ANSWERS
