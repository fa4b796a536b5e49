"""Verdicts on a whole center: targets, missing data, hours of operation, and incomplete data."""

import numpy as np
import pytest

from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.detection import feed_health
from streamer.alerts.detection.feed_health import FeedHealth, TopicCounts
from streamer.alerts.detection.series import SeriesBuilder, hours_of_week
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.alerts.states import advance_alerts
from streamer.alerts.statistics.observation_classes import metric_classes
from streamer.events.counting_rules import DAY, HOUR, MINUTE
from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.formulas import ObservationClasses
from streamer.metrics.tally import NUMBER
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.port import Heartbeat
from tests.alerts.simulated import (
    NOW,
    NPS,
    PARTITION,
    Drawn,
    by_key,
    drawn,
    only,
    read,
    steady,
    watched,
    written,
)

FEW = ["billing", "sales"]
TARGET = {"kind": "threshold", "metric": "nps_score", "window": "24h"}
OFFERED = (NUMBER["offered"],)


async def center(*chances: float, a_day: float = 200) -> MemoryStore:
    return await written(drawn(FEW, a_day, NPS, steady(*chances)))


# Targets.


@pytest.mark.parametrize(
    ("chances", "state"),
    [((0.2, 0.3, 0.5), "holds"), ((0.6, 0.3, 0.1), "fires"), ((0.27, 0.3, 0.43), "unclear")],
)
async def test_a_target_is_missed_only_where_chance_does_not_explain_it(
    chances: tuple[float, ...], state: str
) -> None:
    settings = only(one=TARGET | {"target": 20})
    verdict = by_key(await watched(await center(*chances, a_day=150), settings))["billing"].verdict
    assert verdict.state == state
    assert verdict.reason.startswith("NPS of billing is ")
    assert "20" in verdict.reason
    figures = verdict.figures
    assert figures.lower is not None
    assert figures.upper is not None
    assert figures.value is not None
    assert figures.z is not None
    assert figures.lower <= figures.value <= figures.upper
    assert 2 < figures.z < 6
    assert (figures.upper < 20) is (state == "fires")


async def test_of_few_answers_only_their_number_is_said() -> None:
    verdict = by_key(await watched(await center(0.6, 0.3, 0.1, a_day=8), only(one=TARGET)))["billing"].verdict
    assert verdict.state == "few"
    assert "20 are needed" in verdict.reason


async def test_a_series_that_shares_a_budget_must_be_surer() -> None:
    store, z = await center(0.2, 0.3, 0.5), []
    for shared in (False, True):
        found = by_key(await watched(store, only(one=TARGET | {"shared": shared})))
        z.append(found["billing"].verdict.figures.z or 0)
    assert z[0] < z[1] < z[0] + 1


async def test_a_target_that_was_missed_by_answers_since_corrected_is_over_and_says_why() -> None:
    part = drawn(FEW, 200, NPS, steady(0.6, 0.3, 0.1))
    store, settings = await written(part), only(one=TARGET)
    reader = await read(store, settings)
    watch = RuleEvaluator(reader, settings, load_alert_rules(settings))
    alerts, notices = advance_alerts({}, watch.rules, watch.evaluate_rules(NOW), NOW)
    assert [notice.what for notice in notices] == ["firing", "firing"]
    moved = np.zeros_like(part.counts)
    moved[-40:, 0] = part.counts[-40:, 0, :1] * np.array([-1, 0, 1])
    await written(part._replace(counts=moved), store=store)
    await reader.refresh(NOW)
    alerts, notices = advance_alerts(alerts, watch.rules, watch.evaluate_rules(NOW, notified=alerts), NOW)
    assert [(notice.alert.key, notice.why) for notice in notices] == [("billing", "corrected")]


async def test_a_name_and_a_zone_of_a_queue_are_its_own() -> None:
    settings = only(one=TARGET).model_copy(
        update={"names": {"queue": {"billing": "Rechnungen"}}, "timezone": "Europe/Madrid"}
    )
    verdict = by_key(await watched(await center(0.2, 0.3, 0.5), settings))["billing"].verdict
    assert "of Rechnungen" in verdict.reason


# When nothing is said.


@pytest.mark.parametrize(("age", "state"), [(59_999, "holds"), (60_000, "no_data")])
async def test_of_data_that_is_old_no_score_is_judged(age: int, state: str) -> None:
    watch = await watched(await center(0.1, 0.2, 0.7), only(one=TARGET))
    verdict = by_key(watch, NOW + age)["billing"].verdict
    assert verdict.state == state
    assert ("no worker keeps up" in verdict.reason) is (state == "no_data")


async def test_out_of_hours_nothing_is_said() -> None:
    store = await center(0.6, 0.3, 0.1)
    closed = only(one=TARGET | {"hours": {"mon-fri": "08:00-20:00"}})  # it is a Saturday
    assert by_key(await watched(store, closed))["billing"].verdict.state == "closed"
    open_ = only(one=TARGET | {"hours": {"sat": "10:00-20:00"}})
    assert by_key(await watched(store, open_))["billing"].verdict.state == "fires"


async def test_an_empty_center_has_only_silence_to_tell_of() -> None:
    settings = Settings()
    watch = RuleEvaluator(await read(MemoryStore(), settings), settings, load_alert_rules(settings))
    judged, *of_now = watch.evaluate_rules(NOW)
    assert {one.verdict.state for one in of_now} == {"no_data"}  # no source sends states
    assert (judged.rule.name, judged.verdict.state) == ("silence", "fires")
    assert (
        judged.verdict.reason == "There is no current data: no worker has reached the end of its topics yet."
    )


# Silence.


def quiet(part: Drawn, hours: int) -> Drawn:
    counts = part.counts.copy()
    counts[-hours:] = 0
    return part._replace(counts=counts)


@pytest.mark.parametrize(("hours", "state"), [(0, "holds"), (2, "fires")])
async def test_no_events_where_the_hour_promises_some_are_told(hours: int, state: str) -> None:
    part = drawn(FEW, 400, OFFERED, steady(1.0))
    store = await written(quiet(part, hours) if hours else part)
    await store.beat({PARTITION: Heartbeat(NOW, 0, NOW - hours * HOUR)})
    settings = only(one={"kind": "no_data", "metric": "offered", "by": "all"})
    verdict = by_key(await watched(store, settings))[""].verdict
    assert verdict.state == state
    assert verdict.reason.startswith("No contacts in the whole center since") is (state == "fires")


async def test_a_quiet_night_is_not_silence() -> None:
    night = NOW // DAY * DAY + 3 * HOUR
    store = await written(drawn(FEW, 400, OFFERED, steady(1.0)))
    settings = only(one={"kind": "no_data", "metric": "offered", "by": "all"})
    watch = await watched(store, settings)
    states = [by_key(watch, at=night + number * 5 * MINUTE)[""].verdict.state for number in range(24)]
    assert states == ["holds"] * 24


PULSE = FeedHealth(now=NOW, age_ms=0, lag=0, record_at=NOW, event_at=NOW)


@pytest.mark.parametrize(
    ("pulse", "said"),
    [
        (PULSE, None),
        (PULSE._replace(age_ms=None), "There is no current data"),
        (PULSE._replace(age_ms=59_999), None),
        (PULSE._replace(age_ms=60_000, lag=7), "The data is 60 s old, 7 records wait"),
    ],
)
def test_data_is_old_from_a_minute_on(pulse: FeedHealth, said: str | None) -> None:
    found = feed_health.stale_reason(pulse)
    assert found is None if said is None else (found or "").startswith(said)


@pytest.mark.parametrize(
    ("pulse", "is_late"),
    [
        (PULSE._replace(event_at=NOW - 30 * MINUTE + 1), False),
        (PULSE._replace(event_at=NOW - 30 * MINUTE), True),
        (PULSE._replace(event_at=NOW - 5 * HOUR, record_at=NOW - 4 * HOUR), False),
        (PULSE._replace(event_at=None), False),
    ],
)
def test_events_are_late_where_what_comes_now_is_of_long_ago(pulse: FeedHealth, is_late: bool) -> None:
    assert (feed_health.late_reason(pulse) is not None) is is_late


@pytest.mark.parametrize(
    ("recent", "jumped"),
    [((1_000, 10), False), ((900, 100), True), ((20, 19), False), ((0, 20), True), ((-5_000, -50), False)],
)
def test_a_share_of_refused_events_that_jumps_is_told(recent: tuple[int, int], jumped: bool) -> None:
    samples = [
        TopicCounts(0, 0, 0),
        TopicCounts(HOUR, 10_000, 100),
        TopicCounts(HOUR + 15 * MINUTE, 10_000 + recent[0], 100 + recent[1]),
    ]
    assert (feed_health.rejection_reason("call-completed", samples) is not None) is jumped


def test_results_are_counted_by_topic() -> None:
    counts = {"events\x1fa\x1fapplied": 5, "events\x1fa\x1frejected": 2, "segments\x1fq\x1fvoice\x1fx": 9}
    assert feed_health.counts_by_topic(counts, 7) == {"a": TopicCounts(7, 5, 2)}


# What is gathered.


async def test_what_is_gathered_is_all_that_came_in_and_kept_up_is_the_same_as_new() -> None:
    part = drawn(FEW, 200, NPS, steady(0.2, 0.3, 0.5), days=20)
    half = part.counts // 2
    store, settings, metrics = await written(part._replace(counts=half)), Settings(), {"nps": nps()}
    reader = await read(store, settings)
    kept_up = SeriesBuilder(reader, settings, "queue", metrics)
    kept_up.build(NOW, NOW)
    await written(part._replace(counts=part.counts - half), store=store)
    await reader.refresh(NOW)
    found = kept_up.build(NOW, NOW)["nps"]
    new = SeriesBuilder(reader, settings, "queue", metrics).build(NOW, NOW)["nps"]
    assert (found.counts == new.counts).all()
    assert found.keys == ("billing", "sales")
    first = int(found.starts[0]) // HOUR - part.first
    assert found.counts.sum(axis=0).tolist() == part.counts[first:].sum(axis=0).tolist()
    later = kept_up.build(NOW + HOUR, NOW + HOUR)["nps"]  # what is usual is learned once an hour
    assert later.baseline.support.tolist() == new.baseline.support.tolist()
    seen = new.baseline.support + new.counts.sum(axis=(0, 2))
    assert seen.tolist() == part.counts.sum(axis=(0, 2)).tolist()
    assert (np.diff(found.starts) > 0).all()


async def test_a_past_that_is_counted_all_at_once_is_learned_at_once() -> None:
    part = drawn(FEW, 200, NPS, steady(0.2, 0.3, 0.5), days=20)
    begun = part.counts.copy()
    begun[: -24 * 3, :, 1:] = 0  # hours of the past are known already, but not whole
    store, settings, metrics = await written(part._replace(counts=begun)), Settings(), {"nps": nps()}
    reader = await read(store, settings)
    gatherer = SeriesBuilder(reader, settings, "queue", metrics)
    assert gatherer.build(NOW, NOW)["nps"].baseline.mean[0, 2] < 0.01
    await written(part._replace(counts=part.counts - begun), store=store)
    await reader.refresh(NOW)
    assert gatherer.build(NOW, NOW)["nps"].baseline.mean[0, 2] == pytest.approx(0.5, abs=0.05)


async def test_what_is_usual_is_the_same_object_all_hour_long_though_an_old_answer_is_corrected() -> None:
    part = drawn(FEW, 200, NPS, steady(0.2, 0.3, 0.5), days=20)
    store, settings = await written(part), Settings()
    reader = await read(store, settings)
    gatherer = SeriesBuilder(reader, settings, "queue", {"nps": nps()})
    usual = gatherer.build(NOW, NOW)["nps"].baseline
    corrected = np.zeros_like(part.counts)
    corrected[30, 0] = [1, 0, -1]
    await written(part._replace(counts=corrected), store=store)
    await reader.refresh(NOW)
    assert gatherer.build(NOW + MINUTE, NOW + MINUTE)["nps"].baseline is usual


async def test_of_a_long_history_what_is_usual_is_learned_of_the_same_hours_all_day_long() -> None:
    part = drawn(FEW, 2_000, NPS, steady(0.2, 0.3, 0.5), days=80)
    settings = Settings()
    gatherer = SeriesBuilder(await read(await written(part), settings), settings, "queue", {"nps": nps()})
    begun = {gatherer.build(NOW - hour * HOUR, NOW)["nps"].first_ms for hour in range(10)}
    assert begun == {NOW // DAY * DAY - 70 * DAY}


async def test_a_moment_of_the_past_does_not_see_what_came_after_it() -> None:
    part, at = drawn(FEW, 2_000, NPS, steady(0.2, 0.3, 0.5), days=20), NOW - 2 * MINUTE
    settings = Settings()
    gatherer = SeriesBuilder(await read(await written(part), settings), settings, "queue", {"nps": nps()})
    past, present = gatherer.build(at, NOW)["nps"], gatherer.build(NOW, NOW)["nps"]
    assert int(past.starts[-1]) + 5 * MINUTE <= at
    assert int(present.starts[-1]) <= NOW < int(present.starts[-1]) + 5 * MINUTE


def nps() -> ObservationClasses:
    found = metric_classes(CATALOGUE["nps_score"])
    assert found is not None
    return found


@pytest.mark.parametrize(("zone", "hour"), [("UTC", 10), ("Europe/Madrid", 11), ("America/New_York", 5)])
def test_the_hour_of_the_week_is_that_of_the_zone(zone: str, hour: int) -> None:
    assert hours_of_week(np.array([NOW]), zone).tolist() == [5 * 24 + hour]
