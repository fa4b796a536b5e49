"""A rehearsal tells what would have been told: moment by moment, and nothing that was not known by then."""

from collections.abc import Sequence

import numpy as np
import pytest

from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.reports.backtest import Backtester, BacktestResult, backtest_moments
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.alerts.states import Alert, advance_alerts
from streamer.events.counting_rules import DAY, HOUR, MINUTE
from streamer.metrics.tally import NUMBER
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from tests.alerts.simulated import NOW, NPS, Drawn, days_ago, drawn, only, read, steady, written

QUEUES = ["billing", "sales"]
RULES: dict[str, dict[str, object]] = {
    "fell": {"kind": "drop", "metric": "nps_score", "keep_firing_for": "1h"},
    "missed": {
        "kind": "threshold",
        "metric": "nps_score",
        "target": 10,
        "for": "10m",
        "keep_firing_for": "15m",
    },
    "hour": {"kind": "threshold", "metric": "nps_score", "target": 10, "window": "4h"},
    "shut": {"kind": "drop", "metric": "nps_score", "hours": {"mon-thu": "00:00-24:00"}},
    "quiet": {"kind": "no_data", "metric": "offered", "by": "all"},
}


def fallen(from_days: float, until_days: float) -> Drawn:
    """Billing's answers are worse for a while."""

    def chances(queue: str, hour: int) -> np.ndarray:
        bad = queue == "billing" and days_ago(from_days) <= hour < days_ago(until_days)
        return np.array([0.8, 0.15, 0.05] if bad else [0.2, 0.3, 0.5])

    return drawn(QUEUES, 300, NPS, chances)


def offered() -> Drawn:
    part = drawn(QUEUES, 300, (NUMBER["offered"],), steady(1.0), seed=3)
    counts = part.counts.copy()
    counts[days_ago(3.0) - part.first : days_ago(2.75) - part.first] = 0
    return part._replace(counts=counts)


async def center() -> MemoryStore:
    return await written(fallen(3.6, 1.7), offered())


async def stage(store: MemoryStore, settings: Settings) -> Backtester:
    in_force = load_alert_rules(settings)
    return Backtester(RuleEvaluator(await read(store, settings), settings, in_force), in_force, NOW)


async def stepped(
    store: MemoryStore, settings: Settings, looked_at: Sequence[int]
) -> list[tuple[object, ...]]:
    """The same, one moment after the other."""
    in_force, alerts, before = load_alert_rules(settings), dict[tuple[str, str], Alert](), looked_at[0]
    watch, told = (
        RuleEvaluator(await read(store, settings), settings, in_force),
        dict[str, tuple[object, ...]](),
    )
    for at in looked_at:
        alerts, notices = advance_alerts(
            alerts, in_force, watch.evaluate_rules(NOW, at), at, max(at - before, MINUTE)
        )
        before = at
        for one in notices:
            place = (one.alert.rule, one.alert.key, one.alert.began_at)
            if one.what == "firing":
                told[one.alert.id] = (*place, at, one.verdict.reason, one.verdict.figures, None, None)
            else:
                told[one.alert.id] = (*told[one.alert.id][:6], at, one.verdict.reason)
    return sorted(told.values(), key=lambda one: (one[3], one[0], one[1]))


def fired_alerts(found: BacktestResult) -> list[tuple[object, ...]]:
    return [
        (one.rule, one.key, one.began_at, one.fired_at, one.reason, one.figures, one.resolved_at, one.over)
        for one in found.rings
    ]


@pytest.mark.parametrize(
    ("from_h", "to_h", "expected"),
    [(88, 70, {"fell", "missed", "hour", "shut", "quiet"}), (50, 45, {"fell", "missed"}), (1.5, 0, set())],
)
async def test_it_tells_what_is_told_by_who_goes_from_moment_to_moment(
    from_h: float, to_h: float, expected: set[str]
) -> None:
    store, settings = await center(), only(**RULES)
    looked_at = backtest_moments(NOW - round(from_h * HOUR), NOW - round(to_h * HOUR), NOW)
    found = (await stage(store, settings)).run(looked_at)
    assert fired_alerts(found) == await stepped(store, settings, looked_at)
    assert {ring.rule for ring in found.rings} >= expected


async def test_what_came_after_a_moment_changes_nothing_of_what_was_told_until_then() -> None:
    settings, whole = only(**RULES), fallen(3.6, 1.7)
    last = (days_ago(2.5)) * HOUR
    cut = whole.counts.copy()
    cut[last // HOUR - whole.first :] = 0
    looked_at = backtest_moments(NOW - 4 * DAY, last, NOW)
    found = [
        (await stage(await written(part), settings)).run(looked_at).rings
        for part in (whole, whole._replace(counts=cut))
    ]
    assert found[0] == found[1]
    assert any(ring.rule == "fell" for ring in found[0])


@pytest.mark.parametrize(("until_h", "phase"), [(18.5, "firing"), (14.5, "clearing"), (8.0, "resolved")])
async def test_it_says_whether_it_lasts_at_the_end(until_h: float, phase: str) -> None:
    store = await written(fallen(1.5, 14 / 24))  # in the evening few answers come
    rule = {"kind": "threshold", "metric": "nps_score", "target": 20, "window": "1h", "keep_firing_for": "2h"}
    looked_at = backtest_moments(NOW - 20 * HOUR, NOW - round(until_h * HOUR), NOW)
    found = (await stage(store, only(one=rule))).run(looked_at)
    assert [ring.phase for ring in found.rings if ring.key == "billing"] == [phase]


@pytest.mark.parametrize(("for_", "minutes"), [("0s", 0), ("5m", 5), ("6m", 10), ("10m", 10)])
async def test_a_rule_fires_at_the_first_look_at_which_it_has_held_long_enough(
    for_: str, minutes: int
) -> None:
    rule = {"kind": "threshold", "metric": "nps_score", "target": 0, "window": "4h", "for": for_}
    store = await written(fallen(0.4, 0))
    found = (await stage(store, only(one=rule))).run(backtest_moments(NOW - 10 * HOUR, NOW, NOW))
    (ring,) = [ring for ring in found.rings if ring.key == "billing"][:1]
    assert ring.fired_at - ring.began_at == minutes * MINUTE


def test_every_hour_is_looked_at_and_of_the_last_two_days_every_5_minutes() -> None:
    found = backtest_moments(NOW - 50 * HOUR, NOW, NOW)
    fine = NOW // HOUR * HOUR - 47 * HOUR
    assert found[:3] == [fine - 2 * HOUR, fine - HOUR, fine]
    assert found[3] == fine + 5 * MINUTE
    assert found[-1] == NOW // (5 * MINUTE) * 5 * MINUTE
    assert backtest_moments(NOW - 4 * MINUTE, NOW - 1 * MINUTE, NOW) == []
    assert backtest_moments(NOW - 10 * DAY, NOW - 10 * DAY + HOUR, NOW) == [
        NOW // HOUR * HOUR - 10 * DAY + HOUR
    ]


async def test_the_promise_is_of_the_time_and_of_all_groups_or_of_each() -> None:
    settings = only(
        each={"kind": "drop", "metric": "nps_score", "false_alarms": 2},
        all_={"kind": "drop", "metric": "nps_score", "false_alarms": 2, "shared": True},
        mine={"kind": "drop", "metric": "nps_score", "false_alarms": 2, "key": "sales"},
        never={"kind": "drop", "metric": "csat_ratio"},
    )
    first = NOW // HOUR * HOUR - 10 * HOUR
    store = await written(drawn(QUEUES, 200, NPS, steady(0.2, 0.3, 0.5)))
    found = (await stage(store, settings)).run(backtest_moments(first, first + 6 * HOUR, NOW))
    outcomes = {one.rule: one for one in found.rules}
    a_budget = 2 * 6 / 730.5
    assert outcomes["each"].false_alarms == pytest.approx(2 * a_budget)
    assert outcomes["all-"].false_alarms == outcomes["mine"].false_alarms == pytest.approx(a_budget)
    assert [outcomes[name].series for name in ("each", "all-", "mine", "never")] == [2, 2, 1, 0]
    assert (outcomes["never"].judged_from, outcomes["each"].judged_from) == (None, first)


async def test_it_says_how_far_it_is() -> None:
    done: list[int] = []
    looked_at = backtest_moments(NOW - 3 * HOUR, NOW - 2 * HOUR, NOW)
    store = await written(drawn(QUEUES, 100, NPS, steady(0.2, 0.3, 0.5)))
    (await stage(store, only(fell=RULES["fell"]))).run(looked_at, done.append)
    assert done == [*range(1, len(looked_at) + 1)]
