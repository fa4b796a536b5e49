"""Drops through the whole way, from panes in a store to a verdict: rarely wrong, and the same again."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.detection.drop_evidence import DropEvidence, detect_drops, evidence_points
from streamer.alerts.detection.evidence_replay import OVER_SHARE
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.alerts.states import Alert, advance_alerts
from streamer.events.counting_rules import DAY, HOUR, MINUTE
from streamer.store.memory import MemoryStore
from tests.alerts.simulated import (
    CSAT,
    NOW,
    NPS,
    Chances,
    Drawn,
    by_key,
    days_ago,
    drawn,
    drop_evidence_now,
    only,
    read,
    steady,
    swinging,
    watched,
    written,
)

QUEUES = [f"queue {number}" for number in range(120)]
DROP = {"kind": "drop", "metric": "nps_score"}


def rule_of(watch: RuleEvaluator) -> AlertRule:
    (rule,) = watch.rules
    return rule


def evidence(watch: RuleEvaluator) -> DropEvidence:
    found = drop_evidence_now(watch, rule_of(watch))
    assert found is not None
    return found


def alarms(found: DropEvidence) -> int:
    """Each is over before the next begins."""
    number = 0
    for group, line in enumerate(found.lines):
        armed = True
        for one in found.evidence[:, group]:
            if armed and one >= line:
                number, armed = number + 1, False
            elif one < OVER_SHARE * line:
                armed = True
    return number


def to_expected(found: DropEvidence, a_month: float) -> float:
    """Alarms to those that were promised, of so many a month and series."""
    seen = found.series.counts.sum(axis=(0, 2)) / found.series.baseline.a_month
    expected = float(seen.sum()) * a_month
    assert expected > 100
    return alarms(found) / expected


class Case:
    """A center of these queues, and a rule that is to ring so often a month, each queue on its own."""

    def __init__(self, chances: Chances, numbers: Sequence[int] = NPS, metric: str = "nps_score") -> None:
        self.part = drawn(QUEUES, 200, numbers, chances)
        self.metric = metric
        self.store: MemoryStore | None = None

    async def watch(self, **given: object) -> RuleEvaluator:
        settings = only(one={"kind": "drop", "metric": self.metric, **given})
        self.store = self.store or await written(self.part)
        return await watched(self.store, settings)


@pytest.mark.parametrize(
    ("chances", "numbers", "metric"),
    [
        (steady(0.2, 0.3, 0.5), NPS, "nps_score"),
        (swinging(0.2, 0.3, 0.5), NPS, "nps_score"),
        (swinging(0.15, 0.85), CSAT, "csat_ratio"),
    ],
    ids=["steady", "a rhythm of the day and week", "a share with such a rhythm"],
)
async def test_a_whole_rule_rings_no_more_often_than_promised(
    chances: Chances, numbers: Sequence[int], metric: str
) -> None:
    """Less often here: older days are looked at hour by hour, and evidence begins with nothing."""
    watch = await Case(chances, numbers, metric).watch(false_alarms=2.5)
    assert to_expected(evidence(watch), 2.5) == pytest.approx(0.85, abs=0.35)


async def test_series_that_share_a_budget_fire_together_as_often_as_one() -> None:
    case = Case(swinging(0.2, 0.3, 0.5))
    alone, together = await case.watch(false_alarms=1), await case.watch(false_alarms=1, shared=True)
    assert alarms(evidence(alone)) > 20
    assert alarms(evidence(together)) <= 3
    lines = evidence(together).lines - evidence(alone).lines
    assert lines == pytest.approx(np.log(len(QUEUES)))


async def test_without_the_hour_of_the_week_it_fires_far_too_often() -> None:
    watch = await Case(swinging(0.2, 0.3, 0.5, by=0.3)).watch(false_alarms=1)
    series, rule = evidence(watch).series, rule_of(watch)
    mean = np.repeat(series.baseline.mean[:, None], 7 * 24, axis=1)
    blind = series._replace(baseline=series.baseline._replace(by_hour=mean, spread=np.ones(len(series.keys))))
    assert alarms(detect_drops(blind, rule)) > 3 * alarms(evidence(watch))


# One queue of a few drops.


def dropping(days: float, *after: float, queue: str = "billing", until: float = 0.0) -> Chances:
    """Return probabilities that change that many days ago."""

    def found(name: str, hour: int) -> np.ndarray:
        bad = name == queue and days_ago(days) <= hour < days_ago(until) + (until == 0)
        return np.array(after if bad else (0.2, 0.3, 0.5))

    return found


FEW = ["billing", "sales", "support"]


async def few(chances: Chances, days: int = 70) -> MemoryStore:
    return await written(drawn(FEW, 200, NPS, chances, days))


async def test_a_drop_is_told_with_since_when_and_what_is_usual_and_others_are_not() -> None:
    found = by_key(await watched(await few(dropping(1, 0.5, 0.3, 0.2)), only(one=DROP)))
    verdict = found["billing"].verdict
    assert [found[queue].verdict.state for queue in FEW] == ["fires", "holds", "holds"]
    figures = verdict.figures
    assert figures.value == pytest.approx(-30, abs=15)
    assert figures.usual == pytest.approx(30, abs=3)
    assert figures.since == pytest.approx(NOW - DAY, abs=5 * HOUR)
    assert figures.evidence is not None
    assert figures.line is not None
    assert figures.evidence > 0.75 * figures.line > 5
    assert verdict.reason.startswith("NPS of billing has fallen to −")
    assert "Fri 20 Nov" in verdict.reason
    assert "is usual at these hours" in verdict.reason


async def test_a_drop_that_ended_is_over_soon() -> None:
    watch = await watched(await few(dropping(6, 0.5, 0.3, 0.2, until=3)), only(one=DROP))
    assert by_key(watch)["billing"].verdict.state == "holds"
    assert by_key(watch, at=NOW - 4 * DAY)["billing"].verdict.state == "fires"


@pytest.mark.parametrize(("days", "state"), [(1, "no_baseline"), (2, "no_baseline"), (12, "fires")])
async def test_a_center_that_is_too_young_says_so(days: int, state: str) -> None:
    store = await few(dropping(1, 0.6, 0.3, 0.1), days)
    verdict = by_key(await watched(store, only(one=DROP)))["billing"].verdict
    assert verdict.state == state
    assert ("There is no baseline yet" in verdict.reason) is (state == "no_baseline")


async def test_the_evidence_over_time_ends_with_that_of_the_verdict() -> None:
    watch = await watched(await few(dropping(1, 0.5, 0.3, 0.2)), only(one=DROP))
    points = [*evidence_points(evidence(watch), "billing")]
    assert points[-1][1] == by_key(watch)["billing"].verdict.figures.evidence
    times = [at for at, _ in points]
    assert times == sorted(times)
    assert NOW - 5 * MINUTE < times[-1] <= NOW


async def test_after_a_restart_the_same_is_said_and_nobody_is_told_again() -> None:
    store, settings = await few(dropping(1, 0.5, 0.3, 0.2)), only(one=DROP)
    watch = await watched(store, settings)
    first = watch.evaluate_rules(NOW)
    alerts, notices = advance_alerts({}, watch.rules, first, NOW)
    assert [notice.alert.key for notice in notices] == ["billing"]
    restored = msgspec.json.decode(msgspec.json.encode([*alerts.values()]), type=list[Alert])
    again = await watched(store, settings)
    assert again.evaluate_rules(NOW) == first
    known = {(alert.rule, alert.key): alert for alert in restored}
    assert advance_alerts(known, again.rules, again.evaluate_rules(NOW + 1), NOW + 1)[1] == []


async def test_two_who_watch_the_same_store_tell_the_same() -> None:
    store, settings = await few(dropping(1, 0.5, 0.3, 0.2)), only(one=DROP)
    one, other = await watched(store, settings), await watched(store, settings)
    one.evaluate_rules(NOW - HOUR)  # one has been up for longer
    told = [advance_alerts({}, watch.rules, watch.evaluate_rules(NOW), NOW) for watch in (one, other)]
    assert told[0] == told[1]


def better(part: Drawn, hours: int) -> Drawn:
    """Turn all detractors of the last hours into promoters."""
    moved = np.zeros_like(part.counts)
    moved[-hours:, 0] = part.counts[-hours:, 0, :1] * np.array([-1, 0, 1])
    return part._replace(counts=moved)


async def test_a_drop_that_was_corrected_is_over_and_says_why() -> None:
    part = drawn(FEW, 200, NPS, dropping(1, 0.5, 0.3, 0.2))
    store, settings = await written(part), only(one=DROP)
    reader = await read(store, settings)
    watch = RuleEvaluator(reader, settings, load_alert_rules(settings))
    alerts, notices = advance_alerts({}, watch.rules, watch.evaluate_rules(NOW), NOW)
    assert [notice.what for notice in notices] == ["firing"]
    await written(better(part, 40), store=store)
    await reader.refresh(NOW)
    fired = {place: alert for place, alert in alerts.items() if alert.fired}
    alerts, notices = advance_alerts(alerts, watch.rules, watch.evaluate_rules(NOW, notified=fired), NOW)
    assert [(notice.what, notice.why) for notice in notices] == [("resolved", "corrected")]


async def test_while_nothing_is_corrected_an_alert_was_due() -> None:
    watch = await watched(await few(dropping(1, 0.5, 0.3, 0.2)), only(one=DROP))
    alerts, _ = advance_alerts({}, watch.rules, watch.evaluate_rules(NOW), NOW)
    judged = by_key(watch, NOW + MINUTE, fired=alerts)
    assert judged["billing"].state_at_firing == "fires"
    assert judged["sales"].state_at_firing is None


async def test_a_burst_of_late_answers_is_placed_where_they_belong_and_fires_nothing() -> None:
    part = drawn(FEW, 200, NPS, steady(0.2, 0.3, 0.5))
    early, late = part.counts.copy(), part.counts.copy()
    early[-40:-1], late[:-40], late[-1:] = 0, 0, 0
    store, settings = await written(part._replace(counts=early)), only(one=DROP)
    reader = await read(store, settings)
    watch = RuleEvaluator(reader, settings, load_alert_rules(settings))
    assert "fires" not in {judged.verdict.state for judged in watch.evaluate_rules(NOW)}
    await written(part._replace(counts=late), store=store)
    await reader.refresh(NOW)
    assert "fires" not in {judged.verdict.state for judged in watch.evaluate_rules(NOW)}
    whole = await watched(await written(part), settings)
    counts, expected = (drop_evidence_now(one, rule_of(one)) for one in (watch, whole))
    assert counts is not None
    assert expected is not None
    assert counts.series.counts.sum(axis=0).tolist() == expected.series.counts.sum(axis=0).tolist()
    assert counts.lines == pytest.approx(expected.lines)


@pytest.mark.parametrize("jump", [-3 * HOUR, 3 * HOUR])
async def test_a_clock_that_jumps_fires_nothing(jump: int) -> None:
    watch = await watched(await few(steady(0.2, 0.3, 0.5)), only(one=DROP))
    states = {judged.verdict.state for judged in watch.evaluate_rules(NOW + jump)}
    assert "fires" not in states
    assert ("no_data" in states) is (jump > 0)
    assert "fires" not in {judged.verdict.state for judged in watch.evaluate_rules(NOW)}
