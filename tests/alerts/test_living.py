"""Promises hold while time goes on: with a rhythm, late bursts, after a restart, when a clock jumps."""

import numpy as np
import pytest

from streamer.alerts.judging.baseline import WEEK
from streamer.alerts.judging.dependence import learned
from streamer.alerts.judging.drops import drops
from streamer.alerts.judging.replay import Replay
from streamer.alerts.rules import Rule, rules
from streamer.alerts.states import Notice, turn
from streamer.alerts.watch import Watch
from streamer.delivery.record import Record, read, written
from streamer.events.rules import HOUR, MINUTE, SECOND
from streamer.metrics.tally import NUMBER
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from tests.alerts import simulated
from tests.alerts.living import Center, lived
from tests.alerts.simulated import NOW, NPS, Drawn, drawn, only, steady
from tests.alerts.test_drops import DROP, FEW, dropping, rule_of

SECONDS_2 = 2 * SECOND


def rule(**given: object) -> Rule:
    (found,) = rules(only(one={"kind": "drop", "metric": "nps_score", **given}))
    return found


@pytest.mark.parametrize("late", [0.0, 0.5], ids=["all at once", "half of the answers in bursts"])
def test_with_a_rhythm_of_the_week_that_is_but_learned_false_alarms_are_as_promised(late: float) -> None:
    """Every quarter of a day what arrived late changes what was judged. Within 20 % and three standard
    deviations of a Poisson number."""
    promised = 3.0
    life = lived(Center.drawn(80, 4, 0.1, seed=31, late=late), rule(false_alarms=promised))
    expected = promised * life.months
    assert expected > 25
    assert 0.8 * expected - 3 * expected**0.5 < life.rings() < 1.2 * expected + 3 * expected**0.5


def test_200_queues_that_share_a_budget_ring_no_more_often_than_one_would() -> None:
    center = Center.drawn(200, 2, 0.1, seed=32)
    life = lived(center, rule(false_alarms=12, shared=True))
    expected = 12 * life.months / 200
    assert expected < 2
    assert life.rings() < 1.2 * expected + 3 * expected**0.5


# Through a store.


async def watched(store: MemoryStore, settings: Settings, at: int) -> Watch:
    return Watch(await simulated.read(store, settings, at), settings, rules(settings))


async def test_what_is_judged_of_a_store_is_what_the_arrays_say() -> None:
    part = drawn(FEW, 200, NPS, simulated.swinging(0.2, 0.3, 0.5))
    watch = await simulated.watched(await simulated.written(part), only(one=DROP))
    found = watch.drops(rule_of(watch), NOW)
    assert found is not None
    series = found.series
    first = int(series.starts[0]) // HOUR - part.first
    # 1 January 1970 was a Thursday
    clock = np.repeat((np.arange(len(part.counts))[:, None] + part.first + 3 * 24) % WEEK, 3, axis=1)
    usual = learned(part.counts[:first][-56 * 24 :], clock[:first][-56 * 24 :], series.scores)
    assert (series.usual.by_hour == usual.by_hour).all()
    assert (series.hours == clock[series.starts // HOUR - part.first]).all()
    hours = np.zeros_like(part.counts)
    np.add.at(hours, series.starts // HOUR - part.first, series.counts)
    assert (hours[first:] == part.counts[first:]).all()
    assert (drops(series._replace(usual=usual), watch.rules[0]).evidence == found.evidence).all()


async def test_what_is_kept_of_a_replay_changes_nothing() -> None:
    """Whatever came meanwhile, and wherever it belongs, it is what a new replay says, to the last bit."""
    part, chance = drawn(FEW, 300, NPS, dropping(0.2, 0.5, 0.3, 0.2)), np.random.default_rng(3)
    watch = await simulated.watched(await simulated.written(part), only(one=DROP))
    found = watch.drops(rule_of(watch), NOW)
    assert found is not None
    replay, series = Replay(), found.series
    steps = [*chance.integers(1, len(series.starts), 20).tolist(), len(series.starts)]
    for last in (*sorted(steps), *steps):
        counts = series.counts[:last].copy()
        for back in chance.integers(1, min(last, 300) + 1, 2).tolist():
            counts[-back, chance.integers(3)] += chance.integers(0, 3, 3)
        now = series._replace(starts=series.starts[:last], hours=series.hours[:last], counts=counts)
        kept, new = replay.follow(now, found.lines), Replay().follow(now, found.lines)
        assert all((one == other).all() for one, other in zip(kept, new, strict=True))


class Story:
    """Turns of a watch one after another, with what was told."""

    def __init__(self, watch: Watch) -> None:
        self.watch, self.record = watch, Record()
        self.told: list[Notice] = []

    def turn(self, now: int) -> "Story":
        before = self.record.by_place()
        judged = self.watch.judged(now, fired={place: one for place, one in before.items() if one.fired_at})
        alerts, notices = turn(before, self.watch.rules, judged, now)
        self.record = Record(alerts=tuple(alerts.values()))
        self.told += notices
        return self

    @property
    def notices(self) -> list[tuple[str, str, str]]:
        return [(notice.alert.rule, notice.alert.key, notice.what) for notice in self.told]


def short_drop() -> Drawn:
    """Draw a center with a drop from 26 to 22 hours ago, by day."""
    return drawn(FEW, 2_000, NPS, dropping(26 / 24, 0.8, 0.1, 0.1, until=22 / 24))


async def test_after_a_restart_in_the_middle_the_same_is_told_and_nothing_twice() -> None:
    store, settings = await simulated.written(short_drop()), only(one=DROP | {"clear": "10m"})
    moments = range(NOW - 26 * HOUR, NOW - 16 * HOUR, 10 * MINUTE)
    through = Story(await watched(store, settings, NOW))
    for moment in moments:
        through.turn(moment)
    assert through.notices == [("one", "billing", "firing"), ("one", "billing", "resolved")]
    fired, over = (notice.alert.seen_at for notice in through.told)
    story = Story(await watched(store, settings, NOW))
    for moment in moments:
        if moment in (fired, fired + 30 * MINUTE, over):
            story.watch = await watched(store, settings, NOW)
            story.record = read(written(story.record))
        story.turn(moment)
    assert story.told == through.told


OFFERED = (NUMBER["offered"], NUMBER["answered"])


async def center(days: float = 1.0, until: float = 0.0) -> MemoryStore:
    dropped = dropping(days, 0.7, 0.2, 0.1, until=until)
    return await simulated.written(
        drawn(FEW, 400, NPS, dropped), drawn(FEW, 900, OFFERED, steady(0.5, 0.5), seed=3)
    )


@pytest.mark.parametrize(
    "behind", [True, False], ids=["the server's alone, for a moment", "the workers' as well"]
)
async def test_a_clock_that_jumps_an_hour_ahead_rings_no_bell(behind: bool) -> None:
    """If the workers' clocks jump as well, a call comes within a minute."""
    store, settings = await center(0.0), Settings()
    reader = await simulated.read(store, settings)
    story = Story(Watch(reader, settings, rules(settings)))
    for number in range(5):
        story.turn(NOW + number * SECONDS_2)
    after = NOW + HOUR
    for number in range(10):
        story.turn(after + number * SECONDS_2)
    back = NOW + MINUTE if behind else after + MINUTE
    if not behind:
        call = Drawn(after // HOUR, FEW, OFFERED, np.ones((1, 3, 2), np.int64))
        await simulated.written(call, now=after + 30 * SECOND, store=store)
        await reader.refresh(after + 30 * SECOND)
    for number in range(5):
        story.turn(back + number * SECONDS_2)
    assert story.notices == []


@pytest.mark.parametrize("days", [1.0, 0.0], ids=["a drop", "none"])
async def test_a_clock_that_jumps_an_hour_back_tells_and_takes_back_nothing(days: float) -> None:
    store, settings = await center(days), only(one=DROP | {"clear": "10m"})
    story = Story(await watched(store, settings, NOW))
    story.turn(NOW)
    told = story.notices
    for moment in range(NOW - HOUR, NOW + 1, 5 * MINUTE):
        story.turn(moment)
    assert story.notices == told
    assert told == [("one", "billing", "firing")] * (days == 1.0)


async def test_what_was_over_is_not_told_again_by_a_clock_that_jumps_back() -> None:
    store, settings = await simulated.written(short_drop()), only(one=DROP | {"clear": "10m"})
    story = Story(await watched(store, settings, NOW))
    for moment in range(NOW - 26 * HOUR, NOW, 10 * MINUTE):
        if story.turn(moment).notices[1:]:
            break
    told = [*story.told]
    assert [notice.what for notice in told] == ["firing", "resolved"]
    for back in range(moment - HOUR, moment + 1, 5 * MINUTE):
        story.turn(back)
    assert story.told == told
