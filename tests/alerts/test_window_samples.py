"""Window counts of the past: as readings have them while they can, then from whole hours."""

import numpy as np
import pytest

from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.detection.window_samples import WindowSampler, WindowSpan, window_span
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.alerts.states import advance_alerts
from streamer.events.counting_rules import DAY, HOUR, MINUTE
from streamer.readings.pane_families import QueueZones
from streamer.readings.query import MetricQuery
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from tests.alerts.simulated import NOW, NPS, Drawn, by_key, drawn, only, read, steady, written

QUEUES = ["billing", "sales"]
NAMES = ("nps_0", "nps_7", "nps_10")
AUCKLAND = {"billing": "Pacific/Auckland"}


def answers() -> Drawn:
    return drawn(QUEUES, 300, NPS, steady(0.2, 0.3, 0.5), days=9)


async def samples(by: str, own: dict[str, str] | None = None) -> tuple[MetricsReader, WindowSampler]:
    zones = own or {}
    queues = {name: {"timezone": zone} for name, zone in zones.items()}
    reader = await read(await written(answers()), Settings(queues=queues))  # type: ignore[arg-type]
    return reader, WindowSampler(reader, QueueZones("UTC", zones), by)


@pytest.mark.parametrize("by", ["queue", "all", "channel"])
@pytest.mark.parametrize("own", [{}, AUCKLAND])
@pytest.mark.parametrize("window", ["15m", "4h", "today", "24h"])
@pytest.mark.parametrize("ago", [0, 5 * MINUTE, 17 * HOUR + 20_000, DAY])
async def test_of_the_last_day_it_is_what_readings_say(
    by: str, own: dict[str, str], window: str, ago: int
) -> None:
    reader, found = await samples(by, own)
    asked = MetricQuery(now=NOW, metrics=("nps_score",), windows=(window,), by=by, at=NOW - ago)
    expected = {one.key: [counts[name] for name in NAMES] for one, counts in reader.samples(asked)}
    sampled = found.counts_at(window, NOW - ago, NOW)
    assert sampled is not None
    assert {key: [counts[name] for name in NAMES] for key, counts in sampled.counts.items()} == expected
    assert any(sum(counts) for counts in expected.values())


@pytest.mark.parametrize(
    ("window", "ago_h", "hours"), [("today", 72, 10), ("4h", 72, 4), ("24h", 72, 24), ("7d", 30, 7 * 24)]
)
async def test_of_days_before_it_is_all_of_the_whole_hours(window: str, ago_h: int, hours: int) -> None:
    part, at = answers(), NOW // HOUR * HOUR - ago_h * HOUR
    _, found = await samples("queue")
    sampled = found.counts_at(window, at, NOW)
    assert sampled is not None
    last = at // HOUR - part.first
    expected = part.counts[last - hours : last].sum(axis=0)
    counts = [[sampled.counts[queue][name] for name in NAMES] for queue in QUEUES]
    assert counts == expected.tolist()
    assert sampled.exact


FINE = NOW // HOUR + 1 - 50  # the first hour of which 10 s panes are kept


@pytest.mark.parametrize(
    ("window", "at", "expected"),
    [
        ("15m", FINE * HOUR + 15 * MINUTE, WindowSpan(FINE, FINE, FINE * 360, FINE * 360 + 90, exact=True)),
        ("15m", FINE * HOUR + 15 * MINUTE - 1, None),
        ("1h", FINE * HOUR, WindowSpan(FINE - 1, FINE, FINE * 360, FINE * 360, exact=True)),
        ("1h", FINE * HOUR + 600_000, WindowSpan(FINE - 1, FINE, FINE * 360, FINE * 360 + 60, exact=False)),
        (
            "1h",
            FINE * HOUR - 600_000,
            WindowSpan(FINE - 2, FINE - 1, FINE * 360 - 360, FINE * 360 - 360, False),
        ),
    ],
)
def test_hours_are_taken_where_ten_seconds_are_not_kept_and_nothing_younger_than_the_end(
    window: str, at: int, expected: WindowSpan | None
) -> None:
    assert window_span(window, at, NOW, "UTC") == expected


async def test_a_days_old_alert_on_today_is_not_taken_back_because_nobody_can_read_it_any_more() -> None:
    part = drawn(QUEUES, 200, NPS, steady(0.6, 0.3, 0.1))
    settings = only(one={"kind": "threshold", "metric": "nps_score", "keep_firing_for": "1h"})
    reader = await read(await written(part), settings)
    watch = RuleEvaluator(reader, settings, load_alert_rules(settings))
    then = NOW - 3 * DAY + 7 * MINUTE
    alerts, _ = advance_alerts({}, watch.rules, watch.evaluate_rules(NOW, then), then)
    assert {alert.phase for alert in alerts.values()} == {"firing"}
    assert {judged.state_at_firing for judged in watch.evaluate_rules(NOW, notified=alerts)} == {None}


async def test_short_windows_of_long_ago_are_said_to_be_forgotten() -> None:
    settings = only(one={"kind": "threshold", "metric": "nps_score", "window": "30m"})
    watch = RuleEvaluator(
        await read(await written(answers()), settings), settings, load_alert_rules(settings)
    )
    found = by_key(watch, at=NOW - 3 * DAY)
    assert {one.verdict.state for one in found.values()} == {"no_data"}
    assert found["sales"].verdict.reason.startswith("The counts of the last 30m are no longer kept")


async def test_what_was_asked_is_not_summed_again_until_something_came_in() -> None:
    part, settings = answers(), Settings()
    store = await written(part)
    reader = await read(store, settings)
    found = WindowSampler(reader, QueueZones("UTC", {}), "queue")
    before = found.counts_at("4h", NOW, NOW)
    assert found.counts_at("4h", NOW, NOW) is before
    more = np.zeros_like(part.counts)
    more[-1, 0, 0] = 5
    await written(part._replace(counts=more), store=store)
    await reader.refresh(NOW)
    after = found.counts_at("4h", NOW, NOW)
    assert before is not None
    assert after is not None
    assert after.counts["billing"]["nps_0"] == before.counts["billing"]["nps_0"] + 5
