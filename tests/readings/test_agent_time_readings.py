"""Time of agents in states, over any window and group, equals a plain sum over their intervals, to the ms."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.events.counting_rules import HOUR, MINUTE, SECOND
from streamer.events.models import AGENT_STATES
from streamer.metrics.tally import NUMBER, TIMED_STATES
from streamer.panes.agent_time import UNANSWERED, AgentInterval, AgentProfile
from streamer.panes.live_index import LiveAgent
from streamer.panes.pane_delta import LongSums
from streamer.panes.pane_keys import FINE_MS, SEPARATOR, format_key
from streamer.readings.query import MetricQuery, Reading
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from tests.readings.live_center import agent, live_deltas, time_deltas
from tests.readings.small_center import NOW, SETTINGS, SmallCenter

AWAY = AGENT_STATES.index("away")
METRICS = (
    "occupancy_ratio",
    "signed_in_seconds",
    "available_seconds",
    "wrap_up_seconds",
    "away_seconds",
    "offered_seconds",
    "offered_unanswered",
)
GROUPINGS = ("all", "queue", "team", "site", "channel", "agent", "queue,channel")
OCCUPIED = ("busy", "held", "wrap_up")

profiles = st.builds(
    AgentProfile,
    st.sampled_from(["ann", "bob"]),
    st.sampled_from([None, "red"]),
    st.sampled_from([None, "north"]),
    st.sampled_from([(), ("billing",), ("billing", "sales")]),
    st.sampled_from([(), ("voice",), ("chat", "voice")]),
)


def _interval(
    profile: AgentProfile, state: int, reason: str | None, ago_ms: int, length_ms: int
) -> AgentInterval:
    start_ms = NOW - ago_ms
    end_ms = start_ms if state == UNANSWERED else min(start_ms + length_ms, NOW)
    return AgentInterval(profile, state, reason if state == AWAY else None, start_ms, end_ms)


lengths = st.integers(0, 20 * SECOND) | st.integers(0, 5 * HOUR)
closed_intervals = st.builds(
    _interval,
    profiles,
    st.sampled_from([*range(len(TIMED_STATES)), UNANSWERED]),
    st.sampled_from([None, "lunch"]),
    st.integers(0, 2 * MINUTE) | st.integers(0, 26 * HOUR),
    lengths,
)
live_agents = st.builds(
    lambda name, state, reason, ago_ms, silence_ms, queues: agent(
        name,
        AGENT_STATES[state],
        ago_ms / 1000,
        reason=reason if state == AWAY else None,
        silence_ms=silence_ms,
        queues=queues,
    ),
    st.sampled_from(["ann", "bob"]),
    st.sampled_from(range(len(TIMED_STATES))),
    st.sampled_from([None, "lunch"]),
    st.integers(0, 2 * MINUTE) | st.integers(0, 30 * HOUR),
    st.sampled_from([5 * MINUTE, 12 * HOUR]),
    st.sampled_from([(), ("billing", "sales")]),
)

# Brute force.


def all_intervals(
    weighted: Iterable[tuple[AgentInterval, int]], agents: Iterable[LiveAgent], now: int = NOW
) -> list[tuple[AgentInterval, int]]:
    """Return the closed intervals and the open ones, each with its weight."""
    present = [
        AgentInterval(
            AgentProfile(one.agent_id, one.team, one.site, one.queues, one.channels),
            one.state,
            one.reason,
            one.open_from,
            max(one.open_from, min(now, one.heard_at + one.silence_ms)),
        )
        for one in agents
    ]
    return [*weighted, *((interval, 1) for interval in present)]


def keys_of(interval: AgentInterval, by: str) -> list[str]:
    profile = interval.profile
    values: dict[str, Sequence[str]] = {
        "queue": profile.queues or ("unknown",),
        "channel": profile.channels or ("unknown",),
        "team": (profile.team or "unknown",),
        "site": (profile.site or "unknown",),
        "agent": (profile.agent_id,),
        "reason": (interval.reason or "unknown",) if interval.state == AWAY else (),
    }
    return [""] if by == "all" else [format_key(key) for key in product(*(values[d] for d in by.split(",")))]


def brute_force(
    weighted: Iterable[tuple[AgentInterval, int]], by: str, start: int, end: int
) -> Mapping[str, dict[str, int]]:
    """Return the ms in each state, and the offers that were not answered, by key."""
    totals: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for interval, weight in weighted:
        if interval.state == UNANSWERED:
            name, amount = "unanswered", int(start <= interval.start_ms < end)
        else:
            name = TIMED_STATES[interval.state]
            amount = max(0, min(interval.end_ms, end) - max(interval.start_ms, start))
        if amount:
            for key in keys_of(interval, by):
                totals[key][name] += weight * amount
    return {key: total for key, total in totals.items() if any(total.values())}


def expected_values(total: Mapping[str, int]) -> dict[str, float | None]:
    states = {state: total.get(state, 0) for state in TIMED_STATES}
    signed_in, unanswered = sum(states.values()), total.get("unanswered", 0)
    serving = signed_in - states["away"]
    if not signed_in:
        return dict.fromkeys(METRICS) | {"offered_unanswered": unanswered or None}
    return {
        "occupancy_ratio": sum(states[state] for state in OCCUPIED) / serving if serving else None,
        "signed_in_seconds": signed_in / 1000,
        "available_seconds": states["available"] / 1000,
        "wrap_up_seconds": states["wrap_up"] / 1000,
        "away_seconds": states["away"] / 1000,
        "offered_seconds": states["offered"] / 1000,
        "offered_unanswered": unanswered,
    }


async def time_reader(
    weighted: Iterable[tuple[AgentInterval, int]],
    agents: Iterable[LiveAgent] = (),
    reader_settings: Settings = SETTINGS,
) -> MetricsReader:
    center = SmallCenter()
    await center.beat(NOW)
    await center.add({}, more={**time_deltas(weighted), **live_deltas(agents=agents)})
    reader = MetricsReader(center.store, reader_settings)
    await reader.refresh(NOW)
    return reader


def ms_of(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def values_by_key(readings: Iterable[Reading]) -> dict[str, dict[str, float | None]]:
    values: dict[str, dict[str, float | None]] = defaultdict(dict)
    for reading in readings:
        values[reading.key][reading.metric] = reading.value
    return values


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(closed_intervals, st.sampled_from([1, 1, -1])), max_size=8),
    st.lists(live_agents, max_size=2, unique_by=lambda one: one.agent_id),
    st.sampled_from(["5m", "15m", "1h", "4h", "today", "24h"]),
    st.sampled_from(GROUPINGS),
    st.sampled_from([0, 10 * SECOND, 3 * HOUR + 1]),
)
async def test_time_is_that_of_brute_force(
    weighted: list[tuple[AgentInterval, int]], agents: list[LiveAgent], window: str, by: str, age_ms: int
) -> None:
    reader = await time_reader(weighted, agents)
    query = MetricQuery(now=NOW, metrics=METRICS, windows=(window,), by=by, at=NOW - age_ms)
    readings = reader.readings(query)
    if not readings:
        return
    start, end = ms_of(readings[0].from_), ms_of(readings[0].to)
    totals = brute_force(all_intervals(weighted, agents), by, start, end)
    values = values_by_key(readings)
    assert values.keys() == totals.keys() | ({""} if by == "all" else set())
    for key, figures in values.items():
        expected = expected_values(totals.get(key, {}))
        if figures["offered_unanswered"] is None:  # the data may be too old for a count of nothing
            expected["offered_unanswered"] = expected["offered_unanswered"] or None
        assert figures == expected


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(closed_intervals, st.just(1)), max_size=8), st.lists(live_agents, max_size=1))
async def test_time_away_by_reason_is_that_of_brute_force(
    weighted: list[tuple[AgentInterval, int]], agents: list[LiveAgent]
) -> None:
    reader = await time_reader(weighted, agents)
    readings = reader.readings(MetricQuery(now=NOW, metrics=("away_seconds",), windows=("4h",), by="reason"))
    start = (NOW - 4 * HOUR) // FINE_MS * FINE_MS
    totals = brute_force(all_intervals(weighted, agents), "reason", start, NOW)
    assert {reading.key: reading.value for reading in readings} == {
        key: total["away"] / 1000 for key, total in totals.items()
    }


async def test_time_that_was_taken_back_moves_between_panes() -> None:
    ann = AgentProfile("ann", queues=("billing",))
    busy = AgentInterval(ann, 2, None, NOW - 30 * MINUTE, NOW - 20 * MINUTE)
    shorter = busy._replace(end_ms=NOW - 25 * MINUTE)
    center = SmallCenter()
    await center.beat(NOW)
    await center.add({}, more=time_deltas([(busy, 1)]))
    reader = MetricsReader(center.store, SETTINGS)
    await reader.refresh(NOW)
    query = MetricQuery(now=NOW, metrics=("signed_in_seconds",), windows=("1h",), by="queue")
    assert [reading.value for reading in reader.readings(query)] == [600]
    await center.add({}, more=time_deltas([(busy, -1), (shorter, 1)]))
    await reader.refresh(NOW)
    assert [reading.value for reading in reader.readings(query)] == [300]


@pytest.mark.parametrize(("window", "has_present"), [("7d", True), ("24h", False)])
async def test_hours_and_the_present_interval_add_up_in_long_windows(window: str, has_present: bool) -> None:
    hour, no_links = NOW // HOUR - 30, np.empty(0, np.int64)
    numbers, amounts = np.array([NUMBER["busy_ms"], NUMBER["away_ms"]]), np.array([600_000, 300_000])
    sums = LongSums([SEPARATOR.join(("agent", "ann"))], np.zeros(2, int), numbers, amounts, *[no_links] * 3)
    center = SmallCenter()
    await center.beat(NOW)
    present = agent("bob", "available", 2 * 3600)
    await center.add({}, more={("long", hour): sums.packed(), **live_deltas(agents=[present])})
    reader = MetricsReader(center.store, SETTINGS)
    await reader.refresh(NOW)
    at = NOW if window == "7d" else (hour + 2) * HOUR
    query = MetricQuery(
        now=NOW, metrics=("occupancy_ratio", "signed_in_seconds"), windows=(window,), by="agent", at=at
    )
    values = values_by_key(reader.readings(query))
    expected = {"ann": {"occupancy_ratio": 1, "signed_in_seconds": 900}}
    if has_present:
        expected["bob"] = {"occupancy_ratio": 0, "signed_in_seconds": 7200}
    assert values == expected


async def test_today_of_queues_in_two_zones_is_each_queues_own() -> None:
    two_zones = Settings(timezone="UTC", queues={"tokyo": {"timezone": "Asia/Tokyo"}})  # type: ignore[dict-item]
    profile = AgentProfile("ann", queues=("billing", "tokyo"))
    busy = AgentInterval(profile, 2, None, NOW - 9 * HOUR - 30 * MINUTE, NOW - 8 * HOUR)
    early = AgentInterval(profile, 2, None, NOW - 13 * HOUR, NOW - 12 * HOUR)
    reader = await time_reader([(busy, 1), (early, 1)], reader_settings=two_zones)
    query = MetricQuery(now=NOW, metrics=("signed_in_seconds",), windows=("today",), by="queue")
    assert {reading.key: reading.value for reading in reader.readings(query)} == {
        "billing": 5400,
        "tokyo": 9000,
    }
