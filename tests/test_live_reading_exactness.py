"""Readings of now and of agents' time equal the oracle's, in whatever order states were counted and read."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.events.counting_rules import DAY, HOUR, CountingRules
from streamer.events.models import AGENT_STATES, ContactState
from streamer.panes.agent_time import AgentInterval, AgentProfile
from streamer.panes.live_index import AHEAD_MS
from streamer.readings.query import MetricQuery
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.port import Heartbeat, Partition
from tests import live_oracle
from tests.counting import partition_processor, processing_context
from tests.live_oracle import TimedEvent
from tests.readings.test_agent_time_readings import (
    METRICS,
    brute_force,
    expected_values,
    ms_of,
    values_by_key,
)
from tests.strategies import START
from tests.test_exactness import SLOW
from tests.test_live_exactness import LiveDelivery, compact_live, live_deliveries, timed_events

NOW = START + 32 * HOUR + 3_000
GROUPINGS = ("all", "queue", "team", "agent", "channel")
_STATES = (*AGENT_STATES, "unanswered")
WAITING, IN_PROGRESS = ("queued", "offered"), ("connected", "held")
Entry = dict[str, Any]


def settings_of(rules: CountingRules) -> Settings:
    silence = timedelta(milliseconds=rules.agent_silence_ms)
    return Settings(agent_silence=silence, dimension_pairs=[",".join(pair) for pair in rules.dimension_pairs])


def values_now(reader: MetricsReader, metric: str, by: str) -> dict[str, float]:
    """Return the values that are not 0 by key."""
    query = MetricQuery(now=NOW, metrics=(metric,), windows=("now",), by=by)
    return {reading.key: reading.value for reading in reader.readings(query) if reading.value}


def contact_counts(events: Sequence[TimedEvent], by: str) -> dict[str, Counter[str]]:
    """Return who waits, is in progress, and is lost, by metric and key."""
    counts: dict[str, Counter[str]] = {
        "waiting": Counter(),
        "in_progress": Counter(),
        "contacts_lost": Counter(),
    }
    for entry in live_oracle.live_contacts(events).values():
        key = "" if by == "all" else entry[by] or "unknown"
        is_waiting = entry["state"] in WAITING
        start = entry["waiting_since" if is_waiting else "connected_at"]
        limit, horizon = (
            (4 * HOUR, DAY) if entry["channel"] in ("voice", "chat", None) else (7 * DAY, 8 * DAY)
        )
        if NOW - entry["since"] > limit + horizon:
            continue
        if NOW - (entry["since"] if start is None else start) > limit:
            counts["contacts_lost"][key] += 1
        elif not entry["is_outbound"]:
            counts["waiting"][key] += is_waiting
            counts["in_progress"][key] += entry["state"] in IN_PROGRESS
    return counts


def agent_counts(entries: Sequence[Entry], by: str) -> dict[str, Counter[str]]:
    """Return what agents do, by metric and key."""
    counts: dict[str, Counter[str]] = {
        "agents_away": Counter(),
        "agents_busy": Counter(),
        "agents_unknown": Counter(),
    }
    for entry in entries:
        silent = entry["heard_at"] + entry["silence_ms"]
        if silent + DAY <= NOW:
            continue
        metric = "agents_unknown" if silent <= NOW else f"agents_{state_now(entry)}"
        metric = "agents_busy" if metric in ("agents_held", "agents_offered") else metric
        values = {
            "all": ("",),
            "queue": entry["queues"] or ("unknown",),
            "channel": entry["channels"] or ("unknown",),
            "team": (entry["team"] or "unknown",),
            "agent": (entry["agent_id"],),
        }
        counts.setdefault(metric, Counter()).update(values[by])
    return {metric: counts[metric] for metric in ("agents_away", "agents_busy", "agents_unknown")}


def state_now(entry: Entry) -> str:
    """Return the last state, or the former one while the last is yet to begin: a late record may have been
    made after NOW."""
    former = entry["former"]
    if former is not None and entry["open_from"] > NOW + AHEAD_MS:
        return AGENT_STATES[former["state"]]
    state: str = entry["state"]
    return state


def intervals(events: Sequence[TimedEvent], rules: CountingRules) -> list[tuple[AgentInterval, int]]:
    closed = [
        AgentInterval(
            AgentProfile(one.agent_id, one.team, one.site, one.queues, one.channels),
            _STATES.index(one.state), one.reason, one.start, one.end,
        )
        for one in live_oracle.agent_spans(events, rules)
    ]  # fmt: skip
    return [(interval, 1) for interval in [*closed, *map(open_interval, signed_in(events, rules))]]


def signed_in(events: Sequence[TimedEvent], rules: CountingRules) -> list[Entry]:
    return [*live_oracle.live_agents(events, rules).values()]


def open_interval(entry: Entry) -> AgentInterval:
    end = max(entry["open_from"], min(NOW, entry["heard_at"] + entry["silence_ms"]))
    profile = AgentProfile(
        entry["agent_id"], entry["team"], entry["site"], entry["queues"], entry["channels"]
    )
    reason = entry["reason"] if entry["state"] == "away" else None
    return AgentInterval(profile, AGENT_STATES.index(entry["state"]), reason, entry["open_from"], end)


async def read_after(delivery: LiveDelivery) -> tuple[MetricsReader, list[TimedEvent]]:
    """Count all turns, and let a reader follow them; compact meanwhile."""
    store = MemoryStore(delivery.rules)
    shared = processing_context(store, delivery.rules, NOW)
    processors = {place: await partition_processor(shared, *place) for place in delivery.logs}
    reader, counted = MetricsReader(store, settings_of(delivery.rules)), []
    for number, (place, size) in enumerate(delivery.turns):
        first = processors[place].position.next
        batch = delivery.logs[place][first : first + size]
        await processors[place].count(batch, first + size)
        counted += batch
        if number % 3 == 1:
            await compact_live(store)
        if number % 2:
            await reader.refresh(NOW)
            for by in GROUPINGS:  # what is summed now is changed, and not summed anew, later
                values_now(reader, "agents_busy", by)
    await store.beat({Partition(*place): Heartbeat(NOW, 0, NOW) for place in delivery.logs})
    await reader.refresh(NOW)
    return reader, timed_events(counted, delivery.rules)


@settings(SLOW, max_examples=18)
@given(live_deliveries(), st.sampled_from(GROUPINGS))
async def test_who_waits_and_what_agents_do_is_what_the_oracle_says(delivery: LiveDelivery, by: str) -> None:
    reader, events = await read_after(delivery)
    counts = agent_counts(signed_in(events, delivery.rules), by)
    if by in ("all", "queue", "team", "channel"):
        counts |= contact_counts(events, by)
    for metric, expected in counts.items():
        assert values_now(reader, metric, by) == {key: n for key, n in expected.items() if n}, metric
    check_stated_keys(reader, events, delivery.rules)


def check_stated_keys(reader: MetricsReader, events: Sequence[TimedEvent], rules: CountingRules) -> None:
    """Check that every group is known that a state was sent of, and of contacts no other."""
    states = [event for event, _ in events if isinstance(event, ContactState) and event.queue is not None]
    queue_keys, team_keys = (reader.stated_keys(by, NOW) for by in ("queue", "team"))
    assert queue_keys.contacts == {state.queue for state in states}
    assert team_keys.contacts == {state.team or "unknown" for state in states}
    for interval, _ in intervals(events, rules):
        assert {*(interval.profile.queues or ("unknown",))} <= queue_keys.agents
        assert (interval.profile.team or "unknown") in team_keys.agents


@settings(SLOW, max_examples=18)
@given(
    live_deliveries(), st.sampled_from(GROUPINGS), st.sampled_from(["15m", "4h", "24h", "today", "7d", "30d"])
)
async def test_agents_time_is_what_the_oracle_says(delivery: LiveDelivery, by: str, window: str) -> None:
    reader, events = await read_after(delivery)
    readings = reader.readings(MetricQuery(now=NOW, metrics=METRICS, windows=(window,), by=by))
    if not readings:
        return
    start, end = ms_of(readings[0].from_), ms_of(readings[0].to)
    totals = brute_force(intervals(events, delivery.rules), by, start, end)
    values = values_by_key(readings)
    for key in values.keys() | totals.keys():
        expected = expected_values(totals.get(key, {}))
        assert values.get(key, expected_values({})) == expected
