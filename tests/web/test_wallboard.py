"""The wallboard's verdict on a figure, on both sides of each boundary."""

from typing import Any

import msgspec
import pytest

from streamer.events.counting_rules import HOUR, MINUTE
from streamer.readings.figure_state import has_small_sample
from streamer.readings.query import Reading
from streamer.web.wallboard import (
    Tile,
    TileReadings,
    TileTargets,
    WallboardPage,
    build_tile,
    changed_tiles,
)
from tests.readings.small_center import NOW

AIMS = TileTargets(target=30, least_support=20, currency="EUR")


def reading(
    value: float | None = 50,
    lower: float | None = 40,
    upper: float | None = 60,
    support: int = 20,
    metric: str = "nps_score",
    better: str = "higher",
    unit: str = "points",
) -> Reading:
    return Reading(
        metric, "", unit, better, "1h", "queue", "billing", value, lower, upper, support,
        "2026-11-21T09:00:00Z", "2026-11-21T10:00:10Z", 0.2, 0.2,
    )  # fmt: skip


def wait_reading(value: float, lower: float | None, upper: float | None) -> Reading:
    return reading(value, lower, upper, metric="wait_time_seconds", better="lower", unit="seconds")


def tile_of(now: Reading, target: float | None = 30) -> Tile:
    return build_tile(TileReadings(now, None, []), AIMS._replace(target=target))


@pytest.mark.parametrize(
    ("sentence", "now", "target", "state"),
    [
        ("the whole interval is above", reading(50, 31, 60), 30, "met"),
        ("an interval that begins at the target has reached it", reading(50, 30, 60), 30, "met"),
        ("the interval contains the target", reading(50, 29.9, 60), 30, "unclear"),
        ("an interval that ends at the target contains it", reading(20, 10, 30), 30, "unclear"),
        ("the whole interval is below", reading(20, 10, 29.9), 30, "missed"),
        ("lower is better: the whole interval is below", wait_reading(20, 10, 29.9), 30, "met"),
        ("lower is better: an interval that ends at the target", wait_reading(20, 10, 30), 30, "met"),
        ("lower is better: the interval contains it", wait_reading(20, 10, 30.1), 30, "unclear"),
        ("lower is better: an interval that begins at the target", wait_reading(40, 30, 50), 30, "unclear"),
        ("lower is better: the whole interval is above", wait_reading(40, 30.1, 50), 30, "missed"),
        ("without an interval the figure decides", reading(30, None, None, metric="contacts"), 30, "met"),
        ("and is missed just below", reading(29.9, None, None, metric="contacts"), 30, "missed"),
        ("a target of 0 is one", reading(-5, -9, -1), 0, "missed"),
        ("no target", reading(), None, "no_target"),
        ("no data", reading(None, None, None, 0), 30, "no_data"),
        ("no data and no target", reading(None, None, None, 0), None, "no_data"),
        ("4 of 20 answers are few", reading(support=4), 30, "few"),
        ("19 of 20 are few", reading(support=19), 30, "few"),
        ("20 of 20 are enough", reading(support=20), 30, "met"),
        ("few, with no target", reading(support=4), None, "few"),
        ("a count is never few", reading(3, None, None, 3, metric="contacts"), 3, "met"),
    ],
)
def test_state(sentence: str, now: Reading, target: float | None, state: str) -> None:
    assert tile_of(now, target).state == state, sentence


def test_too_few_answers_are_counted_and_not_shown() -> None:
    shown = tile_of(reading(support=4))
    assert (shown.value, shown.lower, shown.upper) == (None, None, None)
    assert (shown.support, shown.least_support) == (4, 20)


def test_no_answers_are_no_data_not_few() -> None:
    assert not has_small_sample(reading(None, None, None, 0), 20)


@pytest.mark.parametrize(
    ("sentence", "now", "before", "trend", "good"),
    [
        ("apart, above", reading(50, 40.1, 60), reading(30, 20, 40), "up", True),
        ("touching", reading(50, 40, 60), reading(30, 20, 40), "same", None),
        ("one within the other", reading(50, 40, 60), reading(51, 45, 55), "same", None),
        ("touching from below", reading(10, 0, 20), reading(30, 20, 40), "same", None),
        ("apart, below", reading(10, 0, 19.9), reading(30, 20, 40), "down", False),
        ("lower is better: apart, above", wait_reading(50, 41, 60), wait_reading(30, 20, 40), "up", False),
        ("lower is better: apart, below", wait_reading(10, 0, 19), wait_reading(30, 20, 40), "down", True),
        ("nothing is known of last week", reading(), None, "unknown", None),
        ("no data last week", reading(), reading(None, None, None, 0), "unknown", None),
        ("no data now", reading(None, None, None, 0), reading(), "unknown", None),
        ("few now", reading(50, 41, 60, 19), reading(30, 20, 40), "unknown", None),
        ("few last week", reading(50, 41, 60), reading(30, 20, 40, 19), "unknown", None),
        ("just enough last week", reading(50, 41, 60), reading(30, 20, 40, 20), "up", True),
        (
            "a count has no interval to be apart",
            reading(90, None, None, 90, metric="contacts"),
            reading(30, None, None, 30, metric="contacts"),
            "unknown",
            None,
        ),
    ],
)
def test_trend(sentence: str, now: Reading, before: Reading | None, trend: str, good: bool | None) -> None:
    shown = build_tile(TileReadings(now, before, []), AIMS)
    assert (shown.trend, shown.trend_is_good) == (trend, good), sentence


def test_last_week_is_shown_only_where_it_may_be_compared() -> None:
    assert build_tile(TileReadings(reading(), reading(30, 20, 40, 20), []), AIMS).last_week is not None
    assert build_tile(TileReadings(reading(), reading(30, 20, 40, 19), []), AIMS).last_week is None


def test_history_leaves_out_what_rests_on_too_few() -> None:
    history = [
        (NOW - 2 * HOUR, reading(None, None, None, 0)),
        (NOW - HOUR, reading(10, 0, 20, 19)),
        (NOW, reading(20, 10, 30, 20)),
    ]
    assert build_tile(TileReadings(reading(), None, history), AIMS).history == [
        (NOW - 2 * HOUR, None),
        (NOW - HOUR, None),
        (NOW, 20),
    ]


def test_a_tile_has_exactly_the_fields_that_a_page_reads() -> None:
    sent: dict[str, Any] = msgspec.to_builtins(
        build_tile(TileReadings(reading(), reading(30, 20, 35, 40), [(NOW, reading())]), AIMS)
    )
    assert sent == {
        "id": "queue/billing/nps_score//1h", "metric": "nps_score", "stat": "", "unit": "points",
        "better": "higher", "window": "1h", "by": "queue", "key": "billing",
        "value": 50, "lower": 40, "upper": 60, "support": 20, "least_support": 20, "currency": None,
        "target": 30, "state": "met", "trend": "up", "trend_is_good": True,
        "last_week": {"value": 30, "lower": 20, "upper": 35, "support": 40}, "history": [(NOW, 50)],
        "label": "",
    }  # fmt: skip


def test_only_metrics_with_an_interval_have_a_least_support_and_only_money_a_currency() -> None:
    assert tile_of(reading(metric="contacts", unit="count")).least_support is None
    money = tile_of(reading(9, None, None, 3, metric="value_mean", unit="currency"))
    assert (money.least_support, money.currency) == (None, "EUR")


def page(*tiles: Tile) -> WallboardPage:
    return WallboardPage("queue", "billing", "Billing", list(tiles))


@pytest.mark.parametrize(
    ("sentence", "history", "sent"),
    [
        ("the newest point moved with the clock", [(NOW - HOUR, 1), (NOW + MINUTE, 2)], False),
        ("another point came", [(NOW - HOUR, 1), (NOW, 2), (NOW + MINUTE, 2)], True),
        ("an old point was corrected", [(NOW - HOUR, 3), (NOW, 2)], True),
    ],
)
def test_what_is_a_change(sentence: str, history: list[tuple[int, float | None]], sent: bool) -> None:
    before = msgspec.structs.replace(tile_of(reading()), history=[(NOW - HOUR, 1), (NOW, 2)])
    after = msgspec.structs.replace(before, history=history)
    assert bool(changed_tiles([page(before)], [page(after)])) == sent, sentence


def test_only_what_changed_is_sent() -> None:
    nps, wait = tile_of(reading()), tile_of(wait_reading(20, 10, 30))
    higher = tile_of(reading(51))
    assert changed_tiles([page(nps, wait)], [page(higher, wait)]) == [higher]
    assert changed_tiles([page(nps, wait)], [page(nps, wait)]) == []
