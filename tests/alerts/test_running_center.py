"""Promises hold while time goes on: with a rhythm, late bursts, after a restart, when a clock jumps."""

import numpy as np
import pytest

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.detection.baseline import WEEK_H
from streamer.alerts.detection.dependence import learn_baseline
from streamer.alerts.detection.drop_evidence import detect_drops
from streamer.alerts.detection.evidence_replay import EvidenceReplay
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.alerts.states import AlertNotice, advance_alerts
from streamer.delivery.alert_state import AlertState, decode_state, encode_state
from streamer.events.counting_rules import HOUR, MINUTE, SECOND
from streamer.metrics.tally import NUMBER
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from tests.alerts import simulated
from tests.alerts.running_center import RunningCenter, run_center
from tests.alerts.simulated import NOW, NPS, Drawn, drawn, drop_evidence_now, only, steady
from tests.alerts.test_drops import DROP, FEW, dropping, rule_of

SECONDS_2 = 2 * SECOND


def rule(**given: object) -> AlertRule:
    (found,) = load_alert_rules(only(one={"kind": "drop", "metric": "nps_score", **given}))
    return found


@pytest.mark.parametrize("late", [0.0, 0.5], ids=["all at once", "half of the answers in bursts"])
def test_with_a_rhythm_of_the_week_that_is_but_learned_false_alarms_are_as_promised(late: float) -> None:
    """Every quarter of a day what arrived late changes what was judged. Within 20 % and three standard
    deviations of a Poisson number."""
    promised = 3.0
    life = run_center(RunningCenter.draw(80, 4, 0.1, seed=31, late=late), rule(false_alarms=promised))
    expected = promised * life.months
    assert expected > 25
    assert 0.8 * expected - 3 * expected**0.5 < life.alert_count() < 1.2 * expected + 3 * expected**0.5


def test_200_queues_that_share_a_budget_fire_no_more_often_than_one_would() -> None:
    center = RunningCenter.draw(200, 2, 0.1, seed=32)
    life = run_center(center, rule(false_alarms=12, shared=True))
    expected = 12 * life.months / 200
    assert expected < 2
    assert life.alert_count() < 1.2 * expected + 3 * expected**0.5


# Through a store.


async def watched(store: MemoryStore, settings: Settings, at: int) -> RuleEvaluator:
    return RuleEvaluator(await simulated.read(store, settings, at), settings, load_alert_rules(settings))


async def test_what_is_judged_of_a_store_is_what_the_arrays_say() -> None:
    part = drawn(FEW, 200, NPS, simulated.swinging(0.2, 0.3, 0.5))
    watch = await simulated.watched(await simulated.written(part), only(one=DROP))
    found = drop_evidence_now(watch, rule_of(watch))
    assert found is not None
    series = found.series
    first = int(series.starts[0]) // HOUR - part.first
    # 1 January 1970 was a Thursday
    clock = np.repeat((np.arange(len(part.counts))[:, None] + part.first + 3 * 24) % WEEK_H, 3, axis=1)
    usual = learn_baseline(part.counts[:first][-56 * 24 :], clock[:first][-56 * 24 :], series.scores)
    assert (series.baseline.by_hour == usual.by_hour).all()
    assert (series.hours == clock[series.starts // HOUR - part.first]).all()
    hours = np.zeros_like(part.counts)
    np.add.at(hours, series.starts // HOUR - part.first, series.counts)
    assert (hours[first:] == part.counts[first:]).all()
    assert (detect_drops(series._replace(baseline=usual), watch.rules[0]).evidence == found.evidence).all()


async def test_what_is_kept_of_a_replay_changes_nothing() -> None:
    """Whatever came meanwhile, and wherever it belongs, it is what a new replay says, to the last bit."""
    part, chance = drawn(FEW, 300, NPS, dropping(0.2, 0.5, 0.3, 0.2)), np.random.default_rng(3)
    watch = await simulated.watched(await simulated.written(part), only(one=DROP))
    found = drop_evidence_now(watch, rule_of(watch))
    assert found is not None
    replay, series = EvidenceReplay(), found.series
    steps = [*chance.integers(1, len(series.starts), 20).tolist(), len(series.starts)]
    for last in (*sorted(steps), *steps):
        counts = series.counts[:last].copy()
        for back in chance.integers(1, min(last, 300) + 1, 2).tolist():
            counts[-back, chance.integers(3)] += chance.integers(0, 3, 3)
        now = series._replace(starts=series.starts[:last], hours=series.hours[:last], counts=counts)
        kept, new = replay.follow(now, found.lines), EvidenceReplay().follow(now, found.lines)
        assert all((one == other).all() for one, other in zip(kept, new, strict=True))


class EvaluatorRun:
    """Turns of a watch one after another, with what was told."""

    def __init__(self, watch: RuleEvaluator) -> None:
        self.watch, self.record = watch, AlertState()
        self.notices_so_far: list[AlertNotice] = []

    def advance(self, now: int) -> "EvaluatorRun":
        before = self.record.alerts_by_group()
        judged = self.watch.evaluate_rules(
            now, notified={place: one for place, one in before.items() if one.fired_at}
        )
        alerts, notices = advance_alerts(before, self.watch.rules, judged, now)
        self.record = AlertState(alerts=tuple(alerts.values()))
        self.notices_so_far += notices
        return self

    @property
    def notices(self) -> list[tuple[str, str, str]]:
        return [(notice.alert.rule, notice.alert.key, notice.what) for notice in self.notices_so_far]


def short_drop() -> Drawn:
    """Draw a center with a drop from 26 to 22 hours ago, by day."""
    return drawn(FEW, 2_000, NPS, dropping(26 / 24, 0.8, 0.1, 0.1, until=22 / 24))


async def test_after_a_restart_in_the_middle_the_same_is_told_and_nothing_twice() -> None:
    store, settings = await simulated.written(short_drop()), only(one=DROP | {"keep_firing_for": "10m"})
    moments = range(NOW - 26 * HOUR, NOW - 16 * HOUR, 10 * MINUTE)
    through = EvaluatorRun(await watched(store, settings, NOW))
    for moment in moments:
        through.advance(moment)
    assert through.notices == [("one", "billing", "firing"), ("one", "billing", "resolved")]
    fired, over = (notice.alert.seen_at for notice in through.notices_so_far)
    story = EvaluatorRun(await watched(store, settings, NOW))
    for moment in moments:
        if moment in (fired, fired + 30 * MINUTE, over):
            story.watch = await watched(store, settings, NOW)
            story.record = decode_state(encode_state(story.record))
        story.advance(moment)
    assert story.notices_so_far == through.notices_so_far


OFFERED = (NUMBER["offered"], NUMBER["answered"])


async def center(days: float = 1.0, until: float = 0.0) -> MemoryStore:
    dropped = dropping(days, 0.7, 0.2, 0.1, until=until)
    return await simulated.written(
        drawn(FEW, 400, NPS, dropped), drawn(FEW, 900, OFFERED, steady(0.5, 0.5), seed=3)
    )


@pytest.mark.parametrize(
    "behind", [True, False], ids=["the server's alone, for a moment", "the workers' as well"]
)
async def test_a_clock_that_jumps_an_hour_ahead_fires_nothing(behind: bool) -> None:
    """If the workers' clocks jump as well, a call comes within a minute."""
    store, settings = await center(0.0), Settings()
    reader = await simulated.read(store, settings)
    story = EvaluatorRun(RuleEvaluator(reader, settings, load_alert_rules(settings)))
    for number in range(5):
        story.advance(NOW + number * SECONDS_2)
    after = NOW + HOUR
    for number in range(10):
        story.advance(after + number * SECONDS_2)
    back = NOW + MINUTE if behind else after + MINUTE
    if not behind:
        call = Drawn(after // HOUR, FEW, OFFERED, np.ones((1, 3, 2), np.int64))
        await simulated.written(call, now=after + 30 * SECOND, store=store)
        await reader.refresh(after + 30 * SECOND)
    for number in range(5):
        story.advance(back + number * SECONDS_2)
    assert story.notices == []


@pytest.mark.parametrize("days", [1.0, 0.0], ids=["a drop", "none"])
async def test_a_clock_that_jumps_an_hour_back_tells_and_takes_back_nothing(days: float) -> None:
    store, settings = await center(days), only(one=DROP | {"keep_firing_for": "10m"})
    story = EvaluatorRun(await watched(store, settings, NOW))
    story.advance(NOW)
    told = story.notices
    for moment in range(NOW - HOUR, NOW + 1, 5 * MINUTE):
        story.advance(moment)
    assert story.notices == told
    assert told == [("one", "billing", "firing")] * (days == 1.0)


async def test_what_was_over_is_not_told_again_by_a_clock_that_jumps_back() -> None:
    store, settings = await simulated.written(short_drop()), only(one=DROP | {"keep_firing_for": "10m"})
    story = EvaluatorRun(await watched(store, settings, NOW))
    for moment in range(NOW - 26 * HOUR, NOW, 10 * MINUTE):
        if story.advance(moment).notices[1:]:
            break
    told = [*story.notices_so_far]
    assert [notice.what for notice in told] == ["firing", "resolved"]
    for back in range(moment - HOUR, moment + 1, 5 * MINUTE):
        story.advance(back)
    assert story.notices_so_far == told
