"""An id that was forgotten and is stated again counts as new: live, in a replay and in a rebuild alike."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streamer.events.counting_rules import DAY, HOUR, CountingRules
from streamer.events.decoding import decode
from streamer.events.models import CustomerValuation, Event, RejectedEvent, Segment, SurveyResponse, Tombstone
from streamer.panes.pane_keys import LONG_MS
from streamer.store.memory import MemoryStore
from tests import strategies
from tests.counting import Tallies, partition_processor, processing_context, stored_tallies
from tests.messages import record, topic_of
from tests.test_exactness import SLOW, at_once, expected_tallies

RULES = CountingRules()
YEARS_MS = 2 * 365 * DAY


def year_ms(year: int) -> int:
    return int(datetime(year, 3, 1, tzinfo=UTC).timestamp() * 1000)


def answers_of(year: int, **named: str) -> list[Event]:
    """Return 40 responses without versions. Their ids are the same each year."""
    return [
        SurveyResponse(
            response_id=f"r{number}", answered_at=year_ms(year) + number * HOUR, nps=number % 11, **named
        )
        for number in range(40)
    ]


def calls_of(year: int) -> list[Event]:
    """Return 40 calls and what was answered to them. Their ids are the same each year."""
    answers = [replace(answer, contact_id=f"c{number}") for number, answer in enumerate(answers_of(year))]
    calls: list[Event] = [
        Segment(
            contact_id=f"c{number}",
            customer_id=f"p{number % 7}",
            ended_at=year_ms(year) + number * DAY,
            outcome="answered",
            queue="billing",
            channel="voice",
            talk_ms=year * 10,
        )
        for number in range(40)
    ]
    return [*calls, *answers]


async def count(events: Sequence[Event], rules: CountingRules, size: int, is_live: bool) -> Tallies:
    """Count events in that order, in batches of one topic and at most `size`, as if published at their times.

    `is_live`: the watermark follows the records.
    """
    store = MemoryStore()
    shared = processing_context(store, rules, min(event.time for event in events) - DAY)
    while events:
        topic = topic_of(events[0])
        at = await partition_processor(shared, topic, 0)
        same_topic = takewhile(lambda event: topic_of(event) == topic, events[:size])  # noqa: B023
        batch = [record(event, 0, at.position.next + n, event.time) for n, event in enumerate(same_topic)]
        if is_live:
            shared.watermark_ms = max(shared.watermark_ms, batch[-1].timestamp)
        await at.count(batch, batch[-1].offset + 1)
        events = events[len(batch) :]
    return await stored_tallies(store)


def yearly_count(tallies: Tallies, name: str) -> dict[int, int]:
    counts: dict[int, int] = {}
    for (family, hour, row), tally in tallies.items():
        if (family, row) == ("long", "all") and name in tally:
            year = datetime.fromtimestamp(hour * LONG_MS / 1000, UTC).year
            counts[year] = counts.get(year, 0) + tally[name]
    return counts


WAYS = [
    ("live, one by one", 1, True),
    ("a replay at once", 1_000, False),
    ("a rebuild in batches", 30, False),
]


@pytest.mark.parametrize(("way", "size", "is_live"), WAYS, ids=[row[0] for row in WAYS])
@pytest.mark.parametrize(
    ("year_of", "name"),
    [
        (answers_of, "surveys"),
        (lambda year: answers_of(year, customer_id="ann"), "surveys"),
        (lambda year: answers_of(year, survey_id="v1"), "surveys"),
        (calls_of, "surveys"),
        (calls_of, "contacts"),
    ],
    ids=["alone", "of one customer", "of one survey", "of contacts", "contacts"],
)
def test_40_ids_of_2012_stated_again_in_2014_are_40_and_40(
    year_of: Callable[[int], list[Event]], name: str, way: str, size: int, is_live: bool
) -> None:
    events = [*year_of(2012), *year_of(2014)]
    tallies = at_once(count(events, RULES, size, is_live))
    assert yearly_count(tallies, name) == {2012: 40, 2014: 40}
    assert tallies == expected_tallies(events, RULES)


def restated(events: Sequence[Event]) -> list[Event]:
    """Return the facts that bear a time of their own and say nothing of a customer's value."""
    facts = [event for event in events if not isinstance(event, Tombstone | CustomerValuation)]
    return [replace(fact, customer_value=None) if isinstance(fact, Segment) else fact for fact in facts]


def as_read(events: Sequence[Event], rules: CountingRules) -> list[Event]:
    decoded_events = [decode(record(event, 0, 0, event.time), rules) for event in events]
    return [event for event in decoded_events if not isinstance(event, RejectedEvent)]


def years_later(event: Event) -> Event:
    times = ("ended_at", "sent_at", "answered_at", "evaluated_at")
    return replace(event, **{name: getattr(event, name) + YEARS_MS for name in times if hasattr(event, name)})


@settings(SLOW, max_examples=40)
@given(
    strategies.events().map(restated),
    strategies.events().map(restated),
    strategies.rules().map(lambda rules: replace(rules, shared_id_limit=500)),
    st.integers(1, 20),
    st.booleans(),
)
def test_whatever_is_stated_again_two_years_later_counts_as_the_oracle_says(
    former: list[Event], latter: list[Event], rules: CountingRules, size: int, is_live: bool
) -> None:
    events = [*former, *map(years_later, latter)]
    if events:
        assert at_once(count(events, rules, size, is_live)) == expected_tallies(as_read(events, rules), rules)


@pytest.mark.parametrize(("past", "expected"), [(0, 1), (1, 2)], ids=["two horizons", "a millisecond more"])
def test_a_fact_is_forgotten_after_two_horizons(past: int, expected: int) -> None:
    former = SurveyResponse(response_id="r1", answered_at=year_ms(2012), nps=0)
    latter = replace(former, answered_at=former.answered_at + 2 * RULES.horizon_ms + past, version=1)
    tallies = at_once(count([former, latter], RULES, 1, is_live=True))
    assert sum(yearly_count(tallies, "surveys").values()) == expected
    assert tallies == expected_tallies([former, latter], RULES)
