"""Drilling down returns the contacts that a figure counts, as they are now."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streamer.events.models import Event, Identity, Response, Segment, Tombstone
from streamer.events.rules import DAY, HOUR, MINUTE, Rules
from streamer.panes.pane_keys import ALL
from streamer.readings import contacts
from streamer.readings.contacts import Contact, Order
from streamer.readings.query import Query, QueryError
from streamer.readings.reader import Reader
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from tests import strategies
from tests.counting import context, processor
from tests.messages import logs
from tests.strategies import START

NOW = START + 20 * HOUR
SEED = Segment(
    contact_id="k1", customer_id="ann", ended_at=NOW - HOUR, outcome="answered", queue="billing", team="red",
    agent_id="ben", channel="voice", wait_ms=5_000, talk_ms=60_000, acw_ms=30_000,
)  # fmt: skip


async def counted(events: Sequence[Event], partitions: Sequence[int] | None = None) -> MemoryStore:
    """Count all events, each topic and partition in one batch."""
    store = MemoryStore()
    shared = context(store, Rules(), NOW)
    placed = list(zip(events, partitions or [0] * len(events), strict=True))
    for (topic, number), log in logs(placed, lambda event: NOW).items():
        one = await processor(shared, topic, number)
        await one.count(log, len(log))
    return store


async def center(events: Sequence[Event], partitions: Sequence[int] | None = None) -> Reader:
    reader = Reader(await counted(events, partitions), Settings())
    await reader.refresh(NOW)
    return reader


def call(contact: str, ago: int = HOUR, **other: object) -> Segment:
    return replace(SEED, contact_id=contact, customer_id=f"of {contact}", ended_at=NOW - ago, **other)


def answer(contact: str, nps: int, ago: int = HOUR, **other: object) -> Response:
    return Response(response_id=f"r {contact}", contact_id=contact, answered_at=NOW - ago, nps=nps, **other)


def asked(metric: str = "nps_score", window: str = "24h", by: str = ALL, key: str = "") -> Query:
    return Query(now=NOW, metrics=(metric,), windows=(window,), by=by, key=key)


async def behind(
    reader: Reader,
    query: Query,
    order: Order = "newest",
    limit: int = 50,
    teams: frozenset[str] | None = None,
) -> list[Contact]:
    return await reader.contacts(query, order, limit, teams)


async def ids(reader: Reader, query: Query, order: Order = "newest", limit: int = 50) -> list[str | None]:
    return [one.contact_id for one in await behind(reader, query, order, limit)]


async def test_a_contact_is_shown_with_what_was_said_and_how_long_it_took() -> None:
    reader = await center([SEED, answer("k1", 2, MINUTE, csat=1, comment="three calls for nothing")])
    (found,) = await behind(reader, asked())
    assert found == Contact(
        contact_id="k1", customer_id="ann", time="2025-06-16T19:59:00Z", ended_at="2025-06-16T19:00:00Z",
        site=None, queue="billing", team="red", agent="ben", channel="voice", reason=None, language=None,
        direction="inbound", outcome="answered", transfer="none", resolved=None,
        wait_s=5.0, talk_s=60.0, hold_s=None, acw_s=30.0, handle_s=90.0, segments=1,
        answers={"nps": 2, "csat": 1}, answered_at="2025-06-16T19:59:00Z", comment="three calls for nothing",
        qa_score=None, repeat=False, first_contact_resolved=True,
    )  # fmt: skip


async def test_the_newest_come_first_or_the_worst_and_among_these_the_newest() -> None:
    scores = {"a": (10, 50), "b": (3, 40), "c": (8, 30), "d": (0, 20), "e": (9, 10)}
    reader = await center(
        [
            event
            for name, (nps, ago) in scores.items()
            for event in (call(name), answer(name, nps, ago * MINUTE))
        ]
    )
    assert await ids(reader, asked()) == ["e", "d", "c", "b", "a"]
    assert await ids(reader, asked(), "worst") == ["d", "b", "c", "e", "a"]
    assert await ids(reader, asked(), "worst", limit=2) == ["d", "b"]
    assert await ids(reader, asked(), "newest", limit=1) == ["e"]


async def test_one_unhappy_answer_is_not_hidden_by_a_happy_one_of_the_same_ten_seconds() -> None:
    mixed = [call("a"), answer("a", 10, MINUTE), call("b"), answer("b", 0, MINUTE)]
    later = [event for name in "cd" for event in (call(name), answer(name, 8, 30_000))]
    reader = await center([*mixed, *later])
    assert await ids(reader, asked(), "worst", limit=1) == ["b"]


async def test_the_longest_call_is_the_worst_of_a_handle_time() -> None:
    reader = await center([call(f"{talk} s", talk_ms=talk * 1000) for talk in (30, 300, 60)])
    assert await ids(reader, asked("handle_time_seconds"), "worst") == ["300 s", "60 s", "30 s"]


async def test_only_what_the_metric_counts_in_this_group_and_window() -> None:
    reader = await center([
        call("k1"), call("k2", 2 * HOUR, queue="tech"), call("k3", outcome="abandoned", talk_ms=None),
        call("k4", direction="outbound"), call("k5", 5 * HOUR),
    ])  # fmt: skip
    assert await ids(reader, asked("answered", "24h")) == ["k1", "k2", "k5"]
    assert await ids(reader, asked("answered", "4h", "queue", "billing")) == ["k1"]
    assert await ids(reader, asked("abandoned", "4h")) == ["k3"]
    assert await ids(reader, asked("answered", "4h", "queue", "sales")) == []


async def test_a_score_corrected_is_shown_as_it_is_now_and_a_deleted_one_not_at_all() -> None:
    reader = await center([
        call("k1"), answer("k1", 0), answer("k1", 10, version=1),
        call("k2"), answer("k2", 0), Tombstone(Identity("r", "", "r k2"), 1),
    ])  # fmt: skip
    (found,) = await behind(reader, asked())
    assert (found.contact_id, found.answers) == ("k1", {"nps": 10})
    assert await ids(reader, asked("detractors")) == []


async def test_a_contact_that_turns_out_to_be_another_customers_is_found_there_once() -> None:
    reader = await center([SEED, replace(SEED, version=1, customer_id="bob")], partitions=[0, 1])
    (found,) = await behind(reader, asked("contacts"))
    assert found.customer_id == "bob"


async def test_a_repeat_takes_the_earlier_resolution_back_here_too() -> None:
    reader = await center([SEED, replace(SEED, contact_id="k2", ended_at=NOW - MINUTE)])
    again, first = await behind(reader, asked("contacts"))
    assert (first.repeat, first.first_contact_resolved) == (False, False)
    assert (again.repeat, again.first_contact_resolved) == (True, None)


async def test_only_contacts_of_the_teams_one_may_see() -> None:
    reader = await center([call("k1"), call("k2", team="blue"), call("k3", team=None)])
    assert [one.contact_id for one in await behind(reader, asked("contacts"), teams=frozenset({"blue"}))] == [
        "k2"
    ]


async def test_ones_own_team_is_found_among_many_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts, "READ", 3)
    others = [call(f"k{number}", MINUTE * number, team="red") for number in range(9)]
    reader = await center([*others, call("own", team="blue")])
    (found,) = await behind(reader, asked("contacts"), teams=frozenset({"blue"}))
    assert found.contact_id == "own"


async def test_a_question_about_more_than_one_number_is_refused() -> None:
    reader = await center([SEED])
    with pytest.raises(QueryError, match="one metric"):
        await behind(reader, Query(now=NOW, metrics=("contacts", "answered")))
    with pytest.raises(QueryError, match="one key of queue"):
        await behind(reader, asked("contacts", by="queue"))


async def test_answers_are_spread_over_the_whole_scale() -> None:
    reader = await center(
        [event for at in range(3) for event in (call(f"k{at}"), answer(f"k{at}", 9 * (at > 0)))]
    )
    (found,) = reader.distribution(asked(by="queue", key="billing"), "nps")
    assert (found.key, found.answers) == ("billing", 3)
    assert [(one.score, one.count) for one in found.scores if one.count] == [(0, 1), (9, 2)]
    assert [one.score for one in found.scores] == list(range(11))
    with pytest.raises(QueryError, match="question = 'mood'"):
        reader.distribution(asked(), "mood")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(strategies.events(), st.data())
def test_whatever_happened_as_many_contacts_are_behind_the_number_as_it_says(
    told: list[Event], data: st.DataObject
) -> None:
    """Check a whole day, and each queue: contacts exactly, answers at least one and at most their support."""
    partitions = data.draw(st.lists(st.integers(0, 1), min_size=len(told), max_size=len(told)))

    async def compare() -> None:
        reader = await center([moved(event) for event in told], partitions)
        for by in (ALL, "queue"):
            for one in reader.readings(replace(asked("contacts", by=by), key=None)):
                assert len(await ids(reader, asked("contacts", by=by, key=one.key), limit=200)) == one.support
            for one in reader.readings(replace(asked("nps_score", by=by), key=None)):
                found = len(await ids(reader, asked("nps_score", by=by, key=one.key), limit=200))
                assert min(one.support, 1) <= found <= one.support if one.support else found == 0

    asyncio.run(compare())


def moved(event: Event) -> Event:
    """Move an event into the last day, at the same hour."""
    if isinstance(event, Segment):
        return replace(event, ended_at=_today(event.ended_at), queued_at=None)
    if isinstance(event, Response):
        return replace(event, answered_at=_today(event.answered_at))
    return event if isinstance(event, Tombstone) or event.time <= NOW else replace(event, **_moved(event))


def _moved(event: Event) -> dict[str, int]:
    name = {"v": "sent_at", "e": "evaluated_at", "c": "as_of"}[event.identity.kind]
    return {name: _today(event.time)} | ({"version": _today(event.time)} if name == "as_of" else {})


def _today(time: int) -> int:
    return START + (time - START) % DAY % (20 * HOUR)
