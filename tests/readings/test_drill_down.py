"""Drilling down returns the contacts that a figure counts, as they are now."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streamer.events.counting_rules import DAY, HOUR, MINUTE, CountingRules
from streamer.events.models import Event, FactIdentity, QualityEvaluation, Segment, SurveyResponse, Tombstone
from streamer.panes.pane_keys import ALL
from streamer.readings import drill_down
from streamer.readings.drill_down import ContactDetails, Order
from streamer.readings.query import MetricQuery, QueryError
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from tests import strategies
from tests.counting import partition_processor, processing_context
from tests.messages import logs
from tests.strategies import START

NOW = START + 20 * HOUR
SEED = Segment(
    contact_id="k1", customer_id="ann", ended_at=NOW - HOUR, outcome="answered", queue="billing", team="red",
    agent_id="ben", channel="voice", wait_ms=5_000, talk_ms=60_000, acw_ms=30_000,
)  # fmt: skip


async def count_events(events: Sequence[Event], partitions: Sequence[int] | None = None) -> MemoryStore:
    """Count all events, each topic and partition in one batch."""
    store = MemoryStore()
    shared = processing_context(store, CountingRules(), NOW)
    placed = list(zip(events, partitions or [0] * len(events), strict=True))
    for (topic, number), log in logs(placed, lambda event: NOW).items():
        processor = await partition_processor(shared, topic, number)
        await processor.count(log, len(log))
    return store


async def reader_of(events: Sequence[Event], partitions: Sequence[int] | None = None) -> MetricsReader:
    reader = MetricsReader(await count_events(events, partitions), Settings())
    await reader.refresh(NOW)
    return reader


def call(contact: str, ago: int = HOUR, **other: object) -> Segment:
    return replace(SEED, contact_id=contact, customer_id=f"of {contact}", ended_at=NOW - ago, **other)


def survey_response(contact: str, nps: int, ago: int = HOUR, **other: object) -> SurveyResponse:
    return SurveyResponse(
        response_id=f"r {contact}", contact_id=contact, answered_at=NOW - ago, nps=nps, **other
    )


def metric_query(metric: str = "nps_score", window: str = "24h", by: str = ALL, key: str = "") -> MetricQuery:
    return MetricQuery(now=NOW, metrics=(metric,), windows=(window,), by=by, key=key)


async def contacts_behind(
    reader: MetricsReader,
    query: MetricQuery,
    order: Order = "newest",
    limit: int = 50,
    teams: frozenset[str] | None = None,
) -> list[ContactDetails]:
    return await reader.contacts(query, order, limit, teams)


async def contact_ids(
    reader: MetricsReader, query: MetricQuery, order: Order = "newest", limit: int = 50
) -> list[str | None]:
    return [contact.contact_id for contact in await contacts_behind(reader, query, order, limit)]


async def test_facts_of_a_shared_contact_are_behind_a_number_each_as_a_contact_of_its_own() -> None:
    legs = [replace(SEED, contact_id="N/A", segment_id=f"s{number}") for number in range(501)]
    reader = await reader_of(legs)
    behind = await contacts_behind(reader, metric_query("answered"), limit=600)
    assert [(contact.contact_id, contact.segments) for contact in behind] == [("N/A", 1)] * 501


async def test_a_contact_is_shown_with_what_was_said_and_how_long_it_took() -> None:
    reader = await reader_of(
        [SEED, survey_response("k1", 2, MINUTE, csat=1, comment="three calls for nothing")]
    )
    (contact,) = await contacts_behind(reader, metric_query())
    assert contact == ContactDetails(
        contact_id="k1", customer_id="ann", time="2025-06-16T19:59:00Z", ended_at="2025-06-16T19:00:00Z",
        site=None, queue="billing", team="red", agent="ben", channel="voice", reason=None, language=None,
        direction="inbound", outcome="answered", transfer="none", resolved=None,
        wait_s=5.0, talk_s=60.0, hold_s=None, acw_s=30.0, handle_s=90.0, segments=1,
        answers={"nps": 2, "csat": 1}, answered_at="2025-06-16T19:59:00Z", comment="three calls for nothing",
        comment_language=None, qa_score=None, repeat=False, first_contact_resolved=True,
        source=SEED.source,
    )  # fmt: skip


@pytest.mark.parametrize(("spoken", "written", "expected"), [("en", "es", "es"), ("pt", None, "pt")])
async def test_a_comment_has_the_language_of_its_response_else_that_of_the_contact(
    spoken: str, written: str | None, expected: str
) -> None:
    response = survey_response("k1", 2, MINUTE, comment="tres llamadas", language=written)
    (contact,) = await contacts_behind(
        await reader_of([replace(SEED, language=spoken), response]), metric_query()
    )
    assert (contact.language, contact.comment_language) == (spoken, expected)


async def test_the_score_shown_is_the_one_that_counts_not_one_for_calibration() -> None:
    at = NOW - 2 * MINUTE
    counted = QualityEvaluation(evaluation_id="e1", contact_id="k1", score=8_000, evaluated_at=at)
    calibrated = replace(counted, evaluation_id="e2", score=2_000, evaluated_at=at + MINUTE, calibration=True)
    reader = await reader_of([SEED, survey_response("k1", 2, MINUTE), counted, calibrated])
    (contact,) = await contacts_behind(reader, metric_query())
    assert contact.qa_score == 80


async def test_the_newest_come_first_or_the_worst_and_among_these_the_newest() -> None:
    scores = {"a": (10, 50), "b": (3, 40), "c": (8, 30), "d": (0, 20), "e": (9, 10)}
    reader = await reader_of(
        [
            event
            for name, (nps, ago) in scores.items()
            for event in (call(name), survey_response(name, nps, ago * MINUTE))
        ]
    )
    assert await contact_ids(reader, metric_query()) == ["e", "d", "c", "b", "a"]
    assert await contact_ids(reader, metric_query(), "worst") == ["d", "b", "c", "e", "a"]
    assert await contact_ids(reader, metric_query(), "worst", limit=2) == ["d", "b"]
    assert await contact_ids(reader, metric_query(), "newest", limit=1) == ["e"]


async def test_one_unhappy_answer_is_not_hidden_by_a_happy_one_of_the_same_ten_seconds() -> None:
    mixed = [call("a"), survey_response("a", 10, MINUTE), call("b"), survey_response("b", 0, MINUTE)]
    later = [event for name in "cd" for event in (call(name), survey_response(name, 8, 30_000))]
    reader = await reader_of([*mixed, *later])
    assert await contact_ids(reader, metric_query(), "worst", limit=1) == ["b"]


async def test_the_longest_call_is_the_worst_of_a_handle_time() -> None:
    reader = await reader_of([call(f"{talk} s", talk_ms=talk * 1000) for talk in (30, 300, 60)])
    assert await contact_ids(reader, metric_query("handle_time_seconds"), "worst") == [
        "300 s",
        "60 s",
        "30 s",
    ]


async def test_only_what_the_metric_counts_in_this_group_and_window() -> None:
    reader = await reader_of([
        call("k1"), call("k2", 2 * HOUR, queue="tech"), call("k3", outcome="abandoned", talk_ms=None),
        call("k4", direction="outbound"), call("k5", 5 * HOUR),
    ])  # fmt: skip
    assert await contact_ids(reader, metric_query("answered", "24h")) == ["k1", "k2", "k5"]
    assert await contact_ids(reader, metric_query("answered", "4h", "queue", "billing")) == ["k1"]
    assert await contact_ids(reader, metric_query("abandoned", "4h")) == ["k3"]
    assert await contact_ids(reader, metric_query("answered", "4h", "queue", "sales")) == []


async def test_a_score_corrected_is_shown_as_it_is_now_and_a_deleted_one_not_at_all() -> None:
    reader = await reader_of([
        call("k1"), survey_response("k1", 0), survey_response("k1", 10, version=1),
        call("k2"), survey_response("k2", 0), Tombstone(FactIdentity("r", "", "r k2"), 1),
    ])  # fmt: skip
    (contact,) = await contacts_behind(reader, metric_query())
    assert (contact.contact_id, contact.answers) == ("k1", {"nps": 10})
    assert await contact_ids(reader, metric_query("detractors")) == []


async def test_a_contact_that_turns_out_to_be_another_customers_is_found_there_once() -> None:
    reader = await reader_of([SEED, replace(SEED, version=1, customer_id="bob")], partitions=[0, 1])
    (contact,) = await contacts_behind(reader, metric_query("contacts"))
    assert contact.customer_id == "bob"


async def test_a_repeat_takes_the_earlier_resolution_back_here_too() -> None:
    reader = await reader_of([SEED, replace(SEED, contact_id="k2", ended_at=NOW - MINUTE)])
    again, first = await contacts_behind(reader, metric_query("contacts"))
    assert (first.repeat, first.first_contact_resolved) == (False, False)
    assert (again.repeat, again.first_contact_resolved) == (True, None)


async def test_only_contacts_of_the_teams_one_may_see() -> None:
    reader = await reader_of([call("k1"), call("k2", team="blue"), call("k3", team=None)])
    assert [
        contact.contact_id
        for contact in await contacts_behind(reader, metric_query("contacts"), teams=frozenset({"blue"}))
    ] == ["k2"]


async def test_ones_own_team_is_found_among_many_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill_down, "READ", 3)
    others = [call(f"k{number}", MINUTE * number, team="red") for number in range(9)]
    reader = await reader_of([*others, call("own", team="blue")])
    (contact,) = await contacts_behind(reader, metric_query("contacts"), teams=frozenset({"blue"}))
    assert contact.contact_id == "own"


async def test_a_question_about_more_than_one_number_is_refused() -> None:
    reader = await reader_of([SEED])
    with pytest.raises(QueryError, match="one metric"):
        await contacts_behind(reader, MetricQuery(now=NOW, metrics=("contacts", "answered")))
    with pytest.raises(QueryError, match="one key of queue"):
        await contacts_behind(reader, metric_query("contacts", by="queue"))


async def test_answers_are_spread_over_the_whole_scale() -> None:
    reader = await reader_of(
        [event for at in range(3) for event in (call(f"k{at}"), survey_response(f"k{at}", 9 * (at > 0)))]
    )
    (distribution,) = reader.distributions(metric_query(by="queue", key="billing"), "nps")
    assert (distribution.key, distribution.answers) == ("billing", 3)
    assert [(score.score, score.count) for score in distribution.scores if score.count] == [(0, 1), (9, 2)]
    assert [score.score for score in distribution.scores] == list(range(11))
    with pytest.raises(QueryError, match="question = 'mood'"):
        reader.distributions(metric_query(), "mood")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40)
@given(strategies.events(), st.data())
def test_whatever_happened_as_many_contacts_are_behind_the_number_as_it_says(
    events: list[Event], data: st.DataObject
) -> None:
    """Check a whole day, and each queue: contacts exactly, answers at least one and at most their support."""
    partitions = data.draw(st.lists(st.integers(0, 1), min_size=len(events), max_size=len(events)))

    async def compare() -> None:
        reader = await reader_of([move_to_today(event) for event in events], partitions)
        for by in (ALL, "queue"):
            for reading in reader.readings(replace(metric_query("contacts", by=by), key=None)):
                assert (
                    len(
                        await contact_ids(reader, metric_query("contacts", by=by, key=reading.key), limit=200)
                    )
                    == reading.support
                )
            for reading in reader.readings(replace(metric_query("nps_score", by=by), key=None)):
                contact_count = len(
                    await contact_ids(reader, metric_query("nps_score", by=by, key=reading.key), limit=200)
                )
                assert (
                    min(reading.support, 1) <= contact_count <= reading.support
                    if reading.support
                    else contact_count == 0
                )

    asyncio.run(compare())


def move_to_today(event: Event) -> Event:
    """Move an event into the last day, at the same hour."""
    if isinstance(event, Segment):
        return replace(event, ended_at=_today(event.ended_at), queued_at=None)
    if isinstance(event, SurveyResponse):
        return replace(event, answered_at=_today(event.answered_at))
    return (
        event if isinstance(event, Tombstone) or event.time <= NOW else replace(event, **_moved_fields(event))
    )


def _moved_fields(event: Event) -> dict[str, int]:
    name = {"v": "sent_at", "e": "evaluated_at", "c": "as_of"}[event.identity.kind]
    return {name: _today(event.time)} | ({"version": _today(event.time)} if name == "as_of" else {})


def _today(time: int) -> int:
    return START + (time - START) % DAY % (20 * HOUR)
