"""Tests: the declarations of the kinds of events hold together, and name what the contract names."""

import pytest

from streamer.events.kinds import KINDS, TOPICS, EventKind
from streamer.events.models import LIVE_KINDS
from streamer.journeys.journey import NO_FACTS
from tests.events.contract_names import REQUIRED

LETTERS = {
    "call-completed": "s",
    "survey-sent": "v",
    "survey-completed": "r",
    "contact-evaluated": "e",
    "customer-valued": "c",
    "contact-state": "l",
    "agent-state": "a",
}
TIMES = {
    "call-completed": "ended_at",
    "survey-sent": "sent_at",
    "survey-completed": "answered_at",
    "contact-evaluated": "evaluated_at",
    "customer-valued": "as_of",
    "contact-state": "at",
    "agent-state": "at",
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=TOPICS)


def test_topics_letters_and_times_are_these() -> None:
    assert {topic: kind.letter for topic, kind in KINDS.items()} == LETTERS
    assert {topic: kind.time_field for topic, kind in KINDS.items()} == TIMES


@each_kind
def test_a_kind_needs_an_id_its_time_and_what_the_contract_says(kind: EventKind) -> None:
    assert set(kind.required) == REQUIRED[kind.topic]
    assert kind.time_field in kind.required
    assert kind.required[0] in kind.ids


@each_kind
def test_column_hints_name_fields_that_a_table_may_state(kind: EventKind) -> None:
    assert [hints.field for hints in kind.columns if kind.value_type(hints.field) is None] == []


@each_kind
def test_the_body_holds_all_fields_of_the_fact_but_for_units_and_answers(kind: EventKind) -> None:
    members = {member for object_members in kind.objects.values() for member in object_members}
    stated = {name.removesuffix("_s") for name in {*kind.fields, *members, "source"}}
    assert {name.removesuffix("_ms") for name in kind.fact.__struct_fields__} <= stated


def test_facts_of_a_contact_are_kept_by_their_kind() -> None:
    contact_kinds = [
        kind
        for kind in KINDS.values()
        if "contact_id" in kind.fact.__struct_fields__ and kind.letter not in LIVE_KINDS
    ]
    for field, kind in zip(NO_FACTS.__struct_fields__, contact_kinds, strict=True):
        fact = kind.fact(**dict.fromkeys(kind.fact.__struct_fields__, "1"))  # type: ignore[arg-type]
        facts = NO_FACTS.added(fact)
        assert getattr(facts, field) == facts.of_kind(kind.letter) == facts.all() == (fact,)
        assert facts.removed([fact]) == NO_FACTS
