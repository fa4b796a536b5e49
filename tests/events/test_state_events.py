"""Tests: states of contacts and agents are decoded as the contract says, or rejected for one clear reason."""

import json
from typing import Any

import pytest

from streamer.events.adapters.source import OutgoingEvent
from streamer.events.counting_rules import DAY, MINUTE, CountingRules
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.models import (
    AGENT_STATES,
    CONTACT_STATES,
    AgentState,
    ContactState,
    FactIdentity,
    RejectedEvent,
    Tombstone,
)
from streamer.events.outgoing_records import OutgoingRecord, outgoing_record

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z
NOON = "2025-12-31T12:00:00Z"
NOON_MS = NOW - 12 * 60 * MINUTE
NOON_S = NOON_MS // 1000
DELETE = object()
RULES = CountingRules()
CONTACT = {"contact_id": "c1", "queue": "billing", "state": "queued", "at": NOON}
AGENT = {"agent_id": "a1", "state": "available", "at": NOON}


def decoded(topic: str, data: dict[str, Any]) -> Any:
    known = {name: value for name, value in data.items() if value is not DELETE}
    return decode(KafkaRecord(topic, 0, 0, NOW, None, json.dumps(known).encode(), ()), RULES)


def contact(**changes: Any) -> Any:
    return decoded("contact-state", {**CONTACT, **changes})


def agent(**changes: Any) -> Any:
    return decoded("agent-state", {**AGENT, **changes})


def answer(outcome: Any) -> str:
    return f"{outcome.reason}: {outcome.error}" if isinstance(outcome, RejectedEvent) else "accepted"


def test_the_states_and_their_order_are_these() -> None:
    assert CONTACT_STATES == ("queued", "offered", "connected", "held", "wrap_up", "ended")
    assert AGENT_STATES == ("available", "offered", "busy", "held", "wrap_up", "away", "offline")


def test_every_field_of_a_contact_state_arrives_in_its_place() -> None:
    dimensions = {"site": "madrid", "queue": "billing", "team": "t1", "agent_id": "a1", "channel": "chat"}
    words = {"reason": "invoice", "language": "es", "direction": "outbound", "segment_id": "s1"}
    fields = {**dimensions, **words, "version": 7, "customer_id": "k1", "state": "held", "priority": -3}
    assert contact(**fields, queued_at=NOON_S - 60.5) == ContactState(
        contact_id="c1", at=NOON_MS, queued_at=NOON_MS - 60_500, **fields
    )


def test_every_field_of_an_agent_state_arrives_in_its_place() -> None:
    texts = {"reason": "lunch", "team": "t1", "site": "madrid", "contact_id": "c1", "customer_id": "k1"}
    event = agent(
        **texts,
        version=7,
        state="away",
        seen_at=NOON_S + 60.25,
        queues=["tech", "billing"],
        channels=["voice", "chat"],
        heart_beat_s=120.5,
    )
    assert event == AgentState(
        **texts,
        version=7,
        agent_id="a1",
        state="away",
        at=NOON_MS,
        seen_at=NOON_MS + 60_250,
        queues=("billing", "tech"),
        channels=("chat", "voice"),
        heart_beat_ms=120_500,
    )
    assert event.time == NOON_MS + 60_250
    assert agent().time == NOON_MS


def test_states_of_only_the_required_fields_know_nothing_else() -> None:
    assert contact() == ContactState(
        contact_id="c1", queue="billing", state="queued", at=NOON_MS, channel="voice"
    )
    assert agent() == AgentState(agent_id="a1", state="available", at=NOON_MS)


def test_order_and_repetition_of_names_in_a_list_mean_nothing() -> None:
    one, other = (
        agent(queues=["b", "a", "b"], channels=["CHAT", "voice"]),
        agent(queues=["a", "b"], channels=["voice", "chat", "voice"]),
    )
    assert one == other
    assert one.digest() == other.digest()


def test_no_queues_is_not_the_same_as_queues_as_before() -> None:
    assert (agent(queues=[]).queues, agent(queues=None).queues) == ((), None)


def test_a_segment_named_as_its_contact_is_not_named() -> None:
    assert contact(segment_id="c1") == contact()
    assert contact().identity == FactIdentity("l", "", "c1")
    assert contact(segment_id="s1").identity == FactIdentity("l", "", "s1")


def test_an_agent_is_one_and_the_same_in_every_source() -> None:
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_type", b"t"), ("ce_source", b"/pbx")]
    record = KafkaRecord("agent-state", 0, 0, NOW, None, json.dumps(AGENT).encode(), headers)
    deleted = record._replace(value=b'{"agent_id": "a1", "version": 1, "deleted": true}')
    for one in (record, deleted):
        outcome = decode(one, RULES)
        assert not isinstance(outcome, RejectedEvent)
        assert outcome.identity == FactIdentity("a", "", "a1")


@pytest.mark.parametrize("state", CONTACT_STATES)
def test_a_contact_has_a_queue_until_it_has_ended(state: str) -> None:
    assert contact(state=state, queue="q").state == contact(state=state.upper(), queue="q").state == state
    without = answer(contact(state=state, queue=DELETE))
    needed = "missing: queue is missing, expected a string that is not empty"
    assert without == ("accepted" if state == "ended" else needed)


@pytest.mark.parametrize("state", AGENT_STATES)
def test_an_agent_may_be_in_each_state(state: str) -> None:
    assert agent(state=state).state == agent(state=state.upper()).state == state


_CONTACT_WORDS = "expected one of queued, offered, connected, held, wrap_up, ended"
_AGENT_WORDS = "expected one of available, offered, busy, held, wrap_up, away, offline"
CONTACTS = [
    ("no state", {"state": DELETE}, f"missing: state is missing, {_CONTACT_WORDS}"),
    ("an agent's state", {"state": "busy"}, f'unknown-value: state is "busy", {_CONTACT_WORDS}'),
    ("a number as state", {"state": 2}, f"wrong-type: state is 2, {_CONTACT_WORDS}"),
    ("waiting since later", {"queued_at": NOON_S + 0.001}, "wrong-order: queued_at"),
    ("waiting since beyond the horizon", {"queued_at": NOW / 1000 - 36 * 86_400}, "too-old: queued_at"),
    ("waiting since just then", {"queued_at": NOON_S}, "accepted"),
    ("waiting since nobody knows", {"queued_at": " "}, "accepted"),
    ("a fraction of a priority", {"priority": 1.5}, "wrong-type: priority is 1.5, expected an integer"),
    ("a text as priority", {"priority": "1"}, "wrong-type: priority"),
    ("a priority with a point", {"priority": 2.0}, "accepted"),
    ("the highest priority", {"priority": 2**31 - 1}, "accepted"),
    ("a higher one", {"priority": 2**31}, "too-much: priority"),
    ("the lowest priority", {"priority": -(2**31) + 1}, "accepted"),
    ("a lower one", {"priority": -(2**31)}, "too-much: priority"),
    ("fax as channel", {"channel": "fax"}, "unknown-value: channel"),
    ("a control sign", {"queue": "a\x00b"}, "control-character: queue"),
]
AGENTS = [
    ("no state", {"state": " "}, f"missing: state is missing, {_AGENT_WORDS}"),
    ("a contact's state", {"state": "queued"}, f'unknown-value: state is "queued", {_AGENT_WORDS}'),
    ("seen before it began", {"seen_at": NOON_S - 0.001}, "wrong-order: seen_at"),
    ("seen when it began", {"seen_at": NOON_S}, "accepted"),
    ("seen in the future", {"seen_at": NOW // 1000 + 301}, "future: seen_at"),
    ("seen at no time with a zone", {"seen_at": "2025-12-31T12:00:00"}, "no-time: seen_at"),
    ("a text of queues", {"queues": "billing"}, 'wrong-type: queues is "billing", expected a list'),
    ("an object of queues", {"queues": {"billing": 1}}, "wrong-type: queues is an object, expected a list"),
    ("a number as queue", {"queues": ["a", 17]}, "wrong-type: queues[1] is 17, expected a string"),
    ("a queue without a name", {"queues": [" "]}, "missing: queues[0] is missing"),
    ("an unknown queue", {"queues": ["a", None]}, "missing: queues[1] is missing"),
    ("a control sign in a queue", {"queues": ["a\u202eb"]}, "control-character: queues[0]"),
    ("the longest name of a queue", {"queues": ["q" * 256]}, "accepted"),
    ("a longer one", {"queues": ["q" * 257]}, "too-long: queues[0]"),
    ("500 queues", {"queues": [f"q{number}" for number in range(500)]}, "accepted"),
    (
        "501 queues",
        {"queues": [f"q{number}" for number in range(501)]},
        "too-much: the number of queues is 501, expected at most 500",
    ),
    ("no list of channels", {"channels": "voice"}, "wrong-type: channels"),
    ("fax among the channels", {"channels": ["voice", "fax"]}, 'unknown-value: channels[1] is "fax"'),
    (
        "a channel without a name",
        {"channels": [None]},
        "missing: channels[0] is missing, expected one of voice",
    ),
    ("501 channels", {"channels": ["voice"] * 501}, "too-much: the number of channels"),
    ("a negative heart beat", {"heart_beat_s": -1}, "negative: heart_beat_s"),
    ("a heart beat of a text", {"heart_beat_s": "120"}, "wrong-type: heart_beat_s"),
    ("a heart beat of over a week", {"heart_beat_s": 604_801}, "too-much: heart_beat_s"),
    ("no heart beat", {"heart_beat_s": 0}, "accepted"),
]


@pytest.mark.parametrize(("sentence", "changes", "expected"), CONTACTS)
def test_a_contact_state_is_accepted_or_refused(sentence: str, changes: dict, expected: str) -> None:
    assert answer(contact(**changes)).startswith(expected)


@pytest.mark.parametrize(("sentence", "changes", "expected"), AGENTS)
def test_an_agent_state_is_accepted_or_refused(sentence: str, changes: dict, expected: str) -> None:
    assert answer(agent(**changes)).startswith(expected)


def test_a_heart_beat_of_nothing_is_none() -> None:
    assert agent(heart_beat_s=0) == agent()


@pytest.mark.parametrize(
    ("topic", "name", "letter"), [("contact-state", "contact_id", "l"), ("agent-state", "agent_id", "a")]
)
def test_a_deletion_takes_back_all_states_or_those_of_a_moment(topic: str, name: str, letter: str) -> None:
    deletion = {name: "x", "version": 2, "deleted": True}
    whole, moment = decoded(topic, deletion), decoded(topic, {**deletion, "at": NOON})
    assert whole == Tombstone(FactIdentity(letter, "", "x"), 2)
    assert moment == Tombstone(FactIdentity(letter, "", "x"), 2, NOON_MS)
    assert decoded(topic, {**deletion, "at": 0}).at == 0  # however old
    assert answer(decoded(topic, {**deletion, "at": "2025-12-31"})).startswith("no-time: at")
    assert whole.digest() != moment.digest()


def test_a_deletion_without_a_moment_has_the_digest_it_always_had() -> None:
    digest = Tombstone(FactIdentity("s", "/crm", "c1"), 2).digest().hex()
    assert digest == "0305fccbae9d250c5b0b72211cc1736ddb1dbeeaeb059a045b9be57ecc42ad1d"


def published(topic: str, **data: Any) -> OutgoingRecord:
    record = outgoing_record(OutgoingEvent(topic, data), "connect")
    assert isinstance(record, OutgoingRecord)
    return record


def test_a_state_is_published_under_the_time_it_was_last_seen() -> None:
    """Else a snapshot of a state that began long ago would be in the future of its own record."""
    snapshot = {**AGENT, "at": NOON_S - 3 * 86_400, "seen_at": NOON_S}
    for data, time_ms in ((AGENT, NOON_MS), (snapshot, NOON_MS)):
        record = published("agent-state", **data)
        assert record.timestamp_ms == time_ms
        kafka_record = KafkaRecord(
            record.topic, 0, 0, record.timestamp_ms, None, record.value, record.headers
        )
        assert isinstance(decode(kafka_record, RULES), AgentState)
    assert published("contact-state", **CONTACT).timestamp_ms == NOON_MS


def test_a_state_beyond_the_horizon_is_too_old() -> None:
    assert answer(contact(at=NOON_S - 40 * DAY // 1000)).startswith("too-old: at")
    assert answer(agent(at=NOON_S - 40 * DAY // 1000)).startswith("too-old: at")
