"""Readings of now: who waits, who is served, what agents do, and how long a newcomer will wait."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import pytest

from streamer.events.counting_rules import DAY, HOUR, MINUTE
from streamer.events.models import AGENT_STATES
from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.tally import NUMBER
from streamer.panes.agent_time import AgentInterval, AgentProfile
from streamer.panes.live_index import FormerState, LiveAgent, LiveContact, merge_live
from streamer.panes.pane_keys import LIVE_AGENTS, LIVE_CONTACTS, PaneHour
from streamer.readings.query import MetricQuery, QueryError
from streamer.readings.reader import MetricsReader
from tests.readings.live_center import agent, contact, gone_agents, gone_deltas, live_deltas, time_deltas
from tests.readings.small_center import NOW, SETTINGS, SmallCenter, answered, cell, new_reader, pane

NOW_METRICS = (
    "waiting",
    "longest_wait_seconds",
    "waiting_over_target",
    "in_progress",
    "expected_wait_seconds",
    "agents_signed_in",
    "agents_available",
    "agents_busy",
    "agents_wrap_up",
    "agents_away",
    "agents_unknown",
    "contacts_lost",
)


async def live_reader(
    contacts: Iterable[LiveContact] = (),
    agents: Iterable[LiveAgent] = (),
    tallies: Mapping[tuple[int, tuple[str | None, ...]], dict[int, int]] | None = None,
    time: Mapping[PaneHour, bytes] | None = None,
) -> MetricsReader:
    center = SmallCenter()
    await center.beat(NOW)
    await center.add(dict(tallies or {}), more={**live_deltas(contacts, agents), **(time or {})})
    return await new_reader(center)


def now_values(reader: MetricsReader, *metrics: str, by: str = "all", now: int = NOW) -> dict[str, object]:
    """Return the values by key, or by metric and key where there are several metrics."""
    query = MetricQuery(now=now, metrics=metrics, windows=("now",), by=by)
    readings = reader.readings(query)
    if len(metrics) == 1:
        return {reading.key: reading.value for reading in readings}
    return {f"{reading.metric} {reading.key}".strip(): reading.value for reading in readings}


def single_value(reader: MetricsReader, metric: str, key: str | None = None, now: int = NOW) -> object:
    by = "queue" if key else "all"
    query = MetricQuery(now=now, metrics=(metric,), windows=("now",), by=by, key=key)
    (reading,) = reader.readings(query)
    return reading.value


# What there is.


async def test_contacts_count_by_what_they_are_in() -> None:
    contacts = [
        contact("queued", 5),
        contact("offered", 25),
        contact("connected", 5),
        contact("held", 5),
        contact("wrap_up", 5),
        contact("queued", 90, direction="outbound"),
        contact("queued", 5 * 3600),
        contact("connected", 5 * 3600, direction="outbound"),
        contact("queued", 3 * 86_400, channel="email"),
    ]
    reader = await live_reader(contacts)
    assert now_values(
        reader, "waiting", "longest_wait_seconds", "waiting_over_target", "in_progress", "contacts_lost"
    ) == {
        "waiting": 3,
        "longest_wait_seconds": 3 * 86_400,
        "waiting_over_target": 2,
        "in_progress": 2,
        "contacts_lost": 2,
    }


async def test_agents_count_by_what_they_do() -> None:
    states = ("available", "offered", "busy", "held", "wrap_up", "away", "away")
    agents = [agent(f"a{number}", state) for number, state in enumerate(states)]
    reader = await live_reader(agents=agents)
    metrics = [name for name in NOW_METRICS if name.startswith("agents")]
    assert now_values(reader, *metrics) == {
        "agents_signed_in": 7,
        "agents_available": 1,
        "agents_busy": 3,
        "agents_wrap_up": 1,
        "agents_away": 2,
        "agents_unknown": 0,
    }


async def test_after_call_work_shows_until_the_end_that_was_told_ahead() -> None:
    ends_at = NOW + 30_000
    former = FormerState(AGENT_STATES.index("wrap_up"), None, NOW - 5_000, NOW - 5_000, "c1")
    ann = agent("ann", since=ends_at, open_from=ends_at, heard_at=ends_at, former=former)
    reader = await live_reader(
        agents=[ann, agent("bob", since=NOW + 900, open_from=NOW + 900, former=former)]
    )
    metrics = ("agents_available", "agents_wrap_up")
    assert now_values(reader, *metrics) == {"agents_available": 1, "agents_wrap_up": 1}
    (shown,) = [one for one in reader.live_state().signed_in(NOW) if one.agent_id == "ann"]
    assert (shown.state, shown.since, shown.contact_id) == (former.state, NOW - 5_000, "c1")
    assert now_values(reader, *metrics, now=ends_at) == {"agents_available": 2, "agents_wrap_up": 0}


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("all", {"": 2}),
        ("queue", {"billing": 2, "sales": 1, "unknown": 0}),
        ("team", {"red": 1, "unknown": 1}),
        ("channel", {"chat": 1, "voice": 2}),
        ("agent", {"ann": 1, "bob": 1}),
        ("queue,channel", {"billing,voice": 2, "billing,chat": 1, "sales,voice": 1, "sales,chat": 1}),
    ],
)
async def test_an_agent_counts_once_in_all_and_in_each_queue_and_channel(
    by: str, expected: dict[str, int]
) -> None:
    ann = agent("ann", queues=("billing", "sales"), channels=("chat", "voice"), team="red")
    bob = agent("bob", channels=("voice",))
    reader = await live_reader(agents=[ann, bob])
    values = now_values(reader, "agents_available", by=by)
    assert values == {key: value for key, value in expected.items() if value}


async def test_a_reason_is_that_of_the_contact_or_why_the_agent_is_away() -> None:
    agents = [agent("ann", "away", reason="lunch"), agent("bob", "away"), agent("eve", reason="lunch")]
    reader = await live_reader([contact(reason="invoice")], agents)
    assert now_values(reader, "agents_away", "waiting", by="reason") == {
        "agents_away invoice": None,
        "agents_away lunch": 1,
        "agents_away unknown": 1,
        "waiting invoice": 1,
        "waiting lunch": None,
        "waiting unknown": None,
    }


async def test_waits_grow_and_pass_the_target_between_two_changes() -> None:
    reader = await live_reader([contact("queued", 20)])
    assert single_value(reader, "waiting_over_target") == 0  # a wait of exactly T is within
    assert single_value(reader, "waiting_over_target", now=NOW + 1) == 1
    assert single_value(reader, "longest_wait_seconds", now=NOW + 1_500) == 21.5


@pytest.mark.parametrize(
    ("silent_for_ms", "expected"),
    [(12 * HOUR - 1, (1, 0)), (12 * HOUR, (0, 1)), (36 * HOUR - 1, (0, 1)), (36 * HOUR, (0, 0))],
)
async def test_a_silent_agent_is_unknown_and_dropped_after_a_day(
    silent_for_ms: int, expected: tuple[int, int]
) -> None:
    reader = await live_reader(agents=[agent("ann", age_s=0), agent("bob", heard_at=NOW + 40 * HOUR)])
    before = single_value(reader, "agents_unknown", "billing")  # what was summed then is not used later
    now = NOW + silent_for_ms
    assert before == 0
    known, unknown = (
        single_value(reader, name, "billing", now=now) for name in ("agents_available", "agents_unknown")
    )
    assert (known, unknown or 0) == (1 + expected[0], expected[1])


async def test_a_later_delta_wins_and_what_ended_is_gone() -> None:
    waiting, other = contact("queued", 5), contact("queued", 3)
    center = SmallCenter()
    await center.beat(NOW)
    await center.add({}, more=live_deltas([waiting, other]))
    reader = await new_reader(center)
    assert single_value(reader, "waiting") == 2
    await center.add({}, more=gone_deltas([waiting]))
    await reader.refresh(NOW)
    assert single_value(reader, "waiting") == 1
    await center.add({}, more=gone_deltas([other]))
    assert single_value(await new_reader(center), "waiting") == 0


async def test_what_agents_did_before_is_not_read_again() -> None:
    center = SmallCenter()
    await center.beat(NOW)
    await center.add({}, more=live_deltas([], [agent("ann")]))
    reader = await new_reader(center)
    assert single_value(reader, "agents_available") == 1
    await center.add({}, more=live_deltas([], [agent("ann", "busy"), agent("bob")]))
    await reader.refresh(NOW)
    assert now_values(reader, "agents_available", "agents_busy") == {"agents_available": 1, "agents_busy": 1}


async def test_what_ended_while_deltas_were_merged_is_gone_too() -> None:
    """A merged delta replaces all that was read, since it no longer says what ended."""
    waiting, ann = contact("queued", 5), agent("ann")
    center = SmallCenter()
    await center.beat(NOW)
    await center.add({}, more=live_deltas([waiting], [ann, agent("bob")]))
    reader = await new_reader(center)
    await center.add({}, more={**gone_deltas([waiting]), **gone_agents([ann])})
    for pane_hour in (LIVE_CONTACTS, LIVE_AGENTS):
        await center.store.compact(pane_hour, merge_live)
    await reader.refresh(NOW)
    assert (single_value(reader, "waiting"), single_value(reader, "agents_available")) == (0, 1)


# No data is not zero.


async def test_without_states_nothing_has_a_value() -> None:
    reader = await live_reader(tallies={(pane(MINUTE), cell()): answered()})
    readings = reader.readings(MetricQuery(now=NOW, windows=("now",), by="queue"))
    assert {(reading.key, reading.value) for reading in readings} == {("billing", None)}
    assert [reading.metric for reading in readings] == list(NOW_METRICS)


async def test_nobody_waiting_is_0_in_a_group_that_states_are_sent_of_and_unknown_in_another() -> None:
    """Sales is a queue of the source that sends contacts' states, mail of one that sends none."""
    center = SmallCenter()
    await center.beat(NOW)
    within_target = answered() | {NUMBER["own_level_hits"]: 1, NUMBER["own_level_of"]: 1}
    tallies = {(pane(MINUTE), cell(queue)): within_target for queue in ("sales", "mail")}
    sales = contact(queue="sales", team="red", site="north")
    await center.add(tallies, more=live_deltas(agents=[agent("ann", queues=("tech",))], gone=[sales]))
    reader = await new_reader(center)
    counts = ("waiting", "longest_wait_seconds", "in_progress", "contacts_lost", "agents_away")
    assert {key: value for key, value in now_values(reader, *counts, by="queue").items() if value == 0} == {
        **{f"{name} sales": 0 for name in counts[:4]},
        "agents_away tech": 0,
    }
    for by, key, others in (
        ("all", "", ()),
        ("team", "red", ("blue",)),
        ("site", "north", ("south", "unknown")),
        ("channel", "voice", ("chat",)),
        ("queue,channel", "sales,voice", ("sales,chat", "tech,voice")),
        ("agent", "unknown", ("ann",)),
    ):
        for asked, expected in ((key, 0), *((other, None) for other in others)):
            query = MetricQuery(now=NOW, metrics=("in_progress",), windows=("now",), by=by, key=asked)
            assert [reading.value for reading in reader.readings(query)] == [expected], (by, asked)
    level = MetricQuery(now=NOW, metrics=("service_level_ratio",), stat="with_waiting", windows=("1h",))
    level = msgspec.structs.replace(level, by="queue")
    with_value = {one.key for one in reader.readings(level) if one.value is not None}
    assert with_value == {"sales"}


async def test_states_are_forgotten_after_the_retention() -> None:
    center, day = SmallCenter(), NOW // DAY
    retention_days = SETTINGS.counting_rules().retention_ms // DAY
    await center.beat(NOW)
    await center.add({}, more=live_deltas(gone=[contact()], day=day - retention_days))
    await center.add({}, more=live_deltas(gone=[contact(queue="sales")], day=day - retention_days - 1))
    reader = await new_reader(center)
    assert [single_value(reader, "waiting", queue) for queue in (None, "billing", "sales")] == [0, 0, None]
    assert single_value(reader, "waiting", now=NOW + DAY) is None


async def test_nothing_is_no_data_once_the_data_is_old() -> None:
    reader = await live_reader([contact("queued", 5)], [agent("ann")])
    later = NOW + 61_000
    assert single_value(reader, "waiting", now=later) == 1
    assert single_value(reader, "in_progress", now=later) is None
    assert single_value(reader, "agents_available", now=later) == 1


# Questions.


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ({"metrics": ("waiting",)}, "window = '1h': waiting is read over now$"),
        ({"metrics": ("offered",), "windows": ("now",)}, "window = 'now': offered is read over 5m, 15m"),
        ({"windows": ("now",), "at": NOW - HOUR}, "window = 'now': expected no other time than now"),
        ({"windows": ("now",), "week_before": True}, "window = 'now': expected no other time than now"),
        ({"metrics": ("waiting",), "windows": ("now",), "by": "agent"}, "by = 'agent': waiting cannot be"),
    ],
)
async def test_a_wrong_question_about_now(question: dict[str, object], error: str) -> None:
    reader = await live_reader()
    with pytest.raises(QueryError, match=f"^{error}"):
        reader.readings(MetricQuery(now=NOW, **question))  # type: ignore[arg-type]


async def test_a_figure_of_now_has_no_past_and_no_completed_contacts() -> None:
    reader = await live_reader()
    query = MetricQuery(now=NOW, metrics=("waiting",), windows=("now",))
    with pytest.raises(QueryError, match=r"^history: .* a window such as 1h: now has no past"):
        reader.history(query, NOW - HOUR, NOW, MINUTE)
    with pytest.raises(QueryError, match=r"^contacts: .* a window such as 1h"):
        await reader.contacts(query, "newest", 10)
    with pytest.raises(QueryError, match=r"^contacts: occupancy_ratio is agents' time"):
        await reader.contacts(MetricQuery(now=NOW, metrics=("occupancy_ratio",)), "newest", 10)


async def test_now_and_a_window_of_time_are_read_together() -> None:
    reader = await live_reader([contact()], tallies={(pane(MINUTE), cell()): answered()})
    query = MetricQuery(now=NOW, metrics=("waiting", "answered"), windows=("now", "1h"))
    readings = reader.readings(query)
    assert [(reading.metric, reading.window, reading.value) for reading in readings] == [
        ("waiting", "now", 1),
        ("answered", "1h", 1),
    ]
    assert (readings[0].from_, readings[0].to) == ("2026-11-21T10:00:03Z", "2026-11-21T10:00:03Z")


# Those who wait too long are misses of the service level.


LEVEL = {NUMBER["own_level_hits"]: 3, NUMBER["own_level_of"]: 4}


@pytest.mark.parametrize(("waits_s", "expected"), [((20,), 3 / 4), ((20.001,), 3 / 5), ((20.001, 90), 3 / 6)])
async def test_who_waits_longer_than_the_target_is_a_miss(
    waits_s: tuple[float, ...], expected: float
) -> None:
    contacts = [contact("queued", wait_s) for wait_s in waits_s]
    reader = await live_reader(contacts, tallies={(pane(MINUTE), cell()): LEVEL})
    query = MetricQuery(now=NOW, metrics=("service_level_ratio",), stat="with_waiting")
    (reading,) = reader.readings(query)
    assert reading.value == expected
    assert reading.lower is not None


@pytest.mark.parametrize("more", [{"at": NOW - 2 * MINUTE}, {"week_before": True}])
async def test_only_a_window_that_ends_now_counts_those_who_wait(more: dict[str, object]) -> None:
    reader = await live_reader([contact("queued", 90)], tallies={(pane(MINUTE), cell()): LEVEL})
    query = MetricQuery(now=NOW, metrics=("service_level_ratio",), stat="with_waiting", **more)  # type: ignore[arg-type]
    assert [reading.value for reading in reader.readings(query)] == [None]


async def test_a_queue_where_all_still_wait_has_a_service_level_of_0() -> None:
    reader = await live_reader([contact("queued", 90, queue="sales")])
    query = MetricQuery(now=NOW, metrics=("service_level_ratio",), stat="with_waiting", by="queue")
    assert [(reading.key, reading.value) for reading in reader.readings(query)] == [("sales", 0)]


# How long a newcomer will wait.


SERVED = [contact("connected", 60 + number, waited_s=20) for number in range(10)]
HEAD = contact("queued", 40)
AGENTS = [agent("ann", "busy", 70), agent("bob", "busy", 70)]


async def expected_wait(
    contacts: Iterable[LiveContact], agents: Iterable[LiveAgent] = AGENTS, **more: Any
) -> object:
    return single_value(await live_reader(contacts, agents, **more), "expected_wait_seconds", "billing")


async def test_it_is_the_wait_of_the_head_of_the_line() -> None:
    assert await expected_wait([*SERVED, contact("queued", 10), HEAD]) == 40


@pytest.mark.parametrize(("age_s", "expected"), [(40, 20), (40.001, None)])
async def test_without_a_line_it_is_that_of_the_last_to_enter_service(
    age_s: float, expected: float | None
) -> None:
    served = [contact("connected", age_s, waited_s=20), *SERVED[1:]]
    assert await expected_wait(served, [agent("ann", age_s=70)]) == expected


async def test_ten_starts_of_service_in_30_minutes_are_needed() -> None:
    old = contact("connected", 30 * 60 + 0.001)
    assert await expected_wait([*SERVED[1:], HEAD, old]) is None
    assert await expected_wait([*SERVED[1:], HEAD, contact("connected", 30 * 60)]) == 40
    completed = {(pane(MINUTE), cell()): answered()}
    assert await expected_wait([*SERVED[1:], HEAD], tallies=completed) == 40


@pytest.mark.parametrize(
    ("contacts", "agents"),
    [
        pytest.param([HEAD], [], id="nobody serves"),
        pytest.param([HEAD], [agent("ann", "away", 70)], id="the only agent is away"),
        pytest.param([HEAD, contact(priority=2)], AGENTS, id="somebody has priority"),
        pytest.param([HEAD, contact(channel="callback")], AGENTS, id="callbacks are among them"),
        pytest.param([HEAD], [*AGENTS, agent("eve", age_s=39)], id="somebody signed in since"),
    ],
)
async def test_there_is_no_value_where(contacts: list[LiveContact], agents: list[LiveAgent]) -> None:
    assert await expected_wait([*SERVED, *contacts], agents) is None


async def test_all_has_one_only_if_all_wait_in_one_queue() -> None:
    one = await live_reader([*SERVED, HEAD], AGENTS)
    two = await live_reader([*SERVED, HEAD, contact(queue="sales")], AGENTS)
    assert single_value(one, "expected_wait_seconds") == 40
    assert single_value(two, "expected_wait_seconds") is None
    assert single_value(two, "expected_wait_seconds", "billing") == 40


@pytest.mark.parametrize(
    ("state", "queues", "expected"),
    [
        pytest.param(2, ("billing",), 40, id="in another state that serves"),
        pytest.param(5, ("billing",), None, id="away"),
        pytest.param(2, ("sales",), None, id="in another queue"),
    ],
)
async def test_who_serves_in_a_new_state_served_before_if(
    state: int, queues: tuple[str, ...], expected: float | None
) -> None:
    before = AgentInterval(AgentProfile("eve", queues=queues), state, None, NOW - 70_000, NOW - 39_000)
    agents = [*AGENTS, agent("eve", age_s=39)]
    assert await expected_wait([*SERVED, HEAD], agents, time=time_deltas([(before, 1)])) == expected


async def test_every_metric_of_now_is_here() -> None:
    assert tuple(name for name, metric in CATALOGUE.items() if metric.windows.now) == NOW_METRICS
