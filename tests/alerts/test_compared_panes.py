"""The panes of an alert and those before it lie next to each other, as far as they are kept."""

import pytest

from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.messages.compared_panes import (
    LEAST_BEFORE_MS,
    ComparedPanes,
    panes_of_window,
    panes_since,
)
from streamer.events.counting_rules import DAY, HOUR, MINUTE
from streamer.metrics.catalogue import WindowSpans
from streamer.panes.pane_keys import FINE_MS, FINE_RETENTION_MS, WIDTH
from streamer.panes.windows import QueryClock
from tests.alerts.simulated import NOW, only

MOMENT = QueryClock(NOW)


def ms(found: ComparedPanes | None) -> tuple[str, int, int, int]:
    """Family, and how long before now it begins, is divided and ends."""
    assert found is not None
    width = WIDTH[found.family]
    first, middle, last = (NOW - edge * width for edge in found[1:])
    return found.family, first, middle, last


def target(window: str, metric: str = "nps_score", **other: object) -> ComparedPanes | None:
    settings = only(one={"kind": "threshold", "metric": metric, "window": window, "target": 0.5, **other})
    (rule,) = load_alert_rules(settings)
    return panes_of_window(rule, MOMENT, "UTC", WindowSpans())


@pytest.mark.parametrize(("span", "before"), [(HOUR, DAY), (DAY - MINUTE, DAY), (30 * HOUR, 20 * HOUR)])
def test_since_a_moment_it_is_until_now_and_a_day_before_as_far_as_kept(span: int, before: int) -> None:
    family, first, middle, last = ms(panes_since(NOW - span, MOMENT))
    assert family == "fine"
    assert span <= middle < span + FINE_MS
    assert -FINE_MS < last <= 0
    assert abs(first - middle - before) <= FINE_MS


@pytest.mark.parametrize(("more", "family"), [(-2 * FINE_MS, "fine"), (2 * FINE_MS, "long")])
def test_where_too_little_before_is_kept_hours_are_looked_at(more: int, family: str) -> None:
    assert ms(panes_since(NOW - (FINE_RETENTION_MS - LEAST_BEFORE_MS) - more, MOMENT))[0] == family


def test_of_hours_it_is_as_long_before() -> None:
    found = panes_since(NOW // HOUR * HOUR - 240 * HOUR, MOMENT)
    assert found is not None
    assert found.middle == NOW // HOUR - 240
    assert found.last == NOW // HOUR + 1
    assert found.middle - found.first == found.last - found.middle


def test_of_what_is_no_longer_kept_only_what_is_known_is_compared() -> None:
    found = panes_since(NOW - 90 * DAY, QueryClock(NOW, 100 * DAY))
    assert found is not None
    assert (NOW - found.first * HOUR) // DAY == 100
    assert (NOW - found.middle * HOUR) // DAY == 90


def test_of_a_moment_that_is_not_yet_there_is_nothing() -> None:
    assert panes_since(NOW + HOUR, MOMENT) is None


@pytest.mark.parametrize(
    ("window", "span", "before"), [("1h", HOUR, DAY), ("24h", DAY, DAY), ("today", 10 * HOUR, DAY)]
)
def test_of_a_target_it_is_the_window(window: str, span: int, before: int) -> None:
    family, first, middle, _ = ms(target(window))
    assert family == "fine"
    assert abs(middle - span) <= FINE_MS
    assert abs(first - middle - before) <= FINE_MS


def test_a_window_of_days_is_compared_with_as_many_days() -> None:
    family, first, middle, last = ms(target("7d"))
    assert family == "long"
    assert middle - last == first - middle >= 7 * DAY


def test_a_window_that_ends_earlier_does_so_here() -> None:
    family, _, middle, last = ms(target("24h", "response_ratio"))
    assert DAY <= last < DAY + HOUR
    assert 2 * DAY <= middle < 2 * DAY + HOUR
    assert family == "fine" or middle > FINE_RETENTION_MS - HOUR
