"""Whatever the bytes: one answer of the right type, no exception, no secret."""

import base64
import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import REASONS, TOPICS, KafkaRecord, decode
from streamer.events.envelopes import customer_id_of
from streamer.events.models import (
    AgentState,
    ContactState,
    CustomerValuation,
    QualityEvaluation,
    RejectedEvent,
    Segment,
    SurveyResponse,
    SurveySent,
    Tombstone,
)
from streamer.events.record_redaction import redact_record

NOW = 1_767_225_600_000
WHO, WHAT = "customer-4711", "the agent was rude"
RULES = CountingRules()
FACTS = dict(
    zip(
        TOPICS,
        (
            Segment,
            SurveySent,
            SurveyResponse,
            QualityEvaluation,
            CustomerValuation,
            ContactState,
            AgentState,
        ),
        strict=True,
    )
)
COMMON = {"customer_id": WHO, "contact_id": "c1", "version": 3, "queue": "billing", "channel": "chat"}
GOOD: dict[str, dict[str, Any]] = {
    "call-completed": {
        **COMMON,
        "segment_id": "s1",
        "outcome": "answered",
        "ended_at": "2025-12-31T23:00:00.5+01:00",
        "queued_at": 1767215000.25,
        "wait_s": 12.5,
        "talk_s": 100,
        "resolved": True,
        "customer_value": 10.25,
    },
    "survey-sent": {**COMMON, "survey_id": "v1", "sent_at": 1767225000},
    "survey-completed": {
        **COMMON,
        "response_id": "r1",
        "answered_at": 1767225000,
        "answers": {"nps": 9, "csat": "4", "ces": None, "resolved_first": True},
        "scale": {"nps": [0, 10]},
        "comment": WHAT,
    },
    "contact-evaluated": {**COMMON, "evaluation_id": "e1", "score": 87.5, "evaluated_at": 1767225000},
    "customer-valued": {**COMMON, "value": 99.5, "currency": "EUR", "as_of": 1767225000},
    "contact-state": {
        **COMMON,
        "segment_id": "s1",
        "state": "connected",
        "at": 1767225000,
        "queued_at": "2025-12-31T23:00:00.5+01:00",
        "priority": 2,
    },
    "agent-state": {
        **COMMON,
        "agent_id": "anna",
        "state": "away",
        "at": 1767225000,
        "seen_at": 1767225060,
        "reason": "lunch",
        "queues": ["billing", "tech"],
        "channels": ["voice"],
        "heart_beat_s": 120,
    },
}
ENVELOPE = {"specversion": "1.0", "id": "1", "type": "t", "source": "/s", "subject": WHO}
HEADERS = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_type", b"t"), ("ce_source", b"/s")]

TIMES = 10_000
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 2**53, 2**63, 2**64, 10**40, -0.0, 0.0005, 1e22, 1.7e308, 5e-324])
    | st.floats(allow_nan=True)
    | st.text(max_size=20)
    | st.sampled_from(["", " ", "9", "0-10", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "x" * 300])
    | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def decode_and_redact(
    topic: str, value: bytes | None, headers: list[tuple[str, bytes]], timestamp: int = NOW
) -> tuple[str, type]:
    """Return what the letter shows of a record, and the type that decode returned."""
    record = KafkaRecord(topic, 0, 0, timestamp, None, value, headers)
    outcome = decode(record, RULES)
    assert type(outcome) in (FACTS[topic], Tombstone, RejectedEvent)
    assert isinstance(customer_id_of(record), str | None)
    shown = redact_record(record).decode()
    assert len(shown.encode()) <= 16_384
    if isinstance(outcome, RejectedEvent):
        assert outcome.reason in REASONS
        assert outcome.error
        assert len(outcome.error) < 400
        outcome.error.encode()
        return unveiled_letter(shown) + outcome.error, RejectedEvent
    assert len(outcome.digest()) == 32
    assert len(outcome.identity) == 3
    return unveiled_letter(shown), type(outcome)


def unveiled_letter(letter: str) -> str:
    """Return the letter, followed by the content of its base64."""
    text = json.loads(letter).get("data_base64")
    hidden = isinstance(text, str) and text != "[redacted]"
    return letter + base64.b64decode(text).decode() if hidden else letter


def test_any_bytes_get_an_answer() -> None:
    random = Random("bytes")
    decode_and_redact(TOPICS[0], None, [])
    for _ in range(TIMES):
        value = random.randbytes(random.randrange(400))
        decode_and_redact(random.choice(TOPICS), value, random.choice([[], HEADERS]))


@settings(max_examples=800, database=None, derandomize=True)
@given(st.sampled_from(TOPICS), trees, st.integers(-1, 2**62))
def test_any_json_gets_an_answer(topic, tree, timestamp):
    decode_and_redact(topic, json.dumps(tree).encode(), [], timestamp)


# By a seeded chance alone, which is ten times as fast: what fails is in the trace.


def tree(random: Random, depth: int = 0) -> Any:
    """Any JSON, mostly a scalar."""
    kind = random.random()
    if depth > 2 or kind < 0.8:
        return random.choice(SCALARS) if kind < 0.5 else random.choice(MADE)(random)
    if kind < 0.9:
        return [tree(random, depth + 1) for _ in range(random.randrange(4))]
    return {random_text(random): tree(random, depth + 1) for _ in range(random.randrange(4))}


def random_text(random: Random) -> str:
    return "".join(chr(random.choice(RANGES)(random)) for _ in range(random.randrange(10)))


RANGES: tuple[Callable[[Random], int], ...] = (
    lambda random: random.randrange(0x20, 0x7F),
    lambda random: random.randrange(0x100),
    lambda random: random.randrange(0xD800),
    lambda random: random.randrange(0xE000, 0x110000),
)
SCALARS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 9, -1, 2**53, 2**63, 2**64, 10**40),
    *(-0.0, 0.0005, 1e22, 1.7e308, 5e-324, float("nan"), float("inf"), -float("inf")),
    *("", " ", "9", "0-10", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "x" * 300, "\ud800"),
)
MADE: tuple[Callable[[Random], Any], ...] = (
    lambda random: random.randrange(-(2**65), 2**65),
    lambda random: random.randrange(-20, 200),
    lambda random: random.uniform(-1e10, 1e10),
    lambda random: (
        f"{random.randrange(1, 9999):04}-0{random.randrange(1, 9)}-11T0{random.randrange(9)}:00:00Z"
    ),
    random_text,
)
ADDED = ("deleted", "updated_at", "team", "excluded", "specversion", "data")


def mutated(random: Random) -> tuple[str, dict[str, Any]]:
    topic = random.choice(TOPICS)
    body = copy.deepcopy(GOOD[topic])
    for _ in range(random.randrange(4)):
        name = random.choice([*body, *ADDED])
        action = random.choice(["replace", "replace", "delete", "nest", "rename"])
        if action == "replace":
            body[name] = tree(random)
        elif action == "nest":
            body[name] = {"value": body.get(name), "customer_id": WHO, "list": [{"comment": WHAT}]}
        elif name in body:
            value = body.pop(name)
            if action == "rename":
                body["x_" + random_text(random)] = value
    return topic, body


def wrapped(random: Random) -> tuple[str, bytes, list[tuple[str, bytes]]]:
    topic, body = mutated(random)
    form = random.choice(["bare", "structured", "base64", "binary"])
    if form == "bare":
        return topic, json.dumps(body).encode(), []
    if form == "binary":
        return topic, json.dumps(body).encode(), HEADERS
    envelope: dict[str, Any] = {**ENVELOPE, "data": body}
    if form == "base64":
        envelope["data_base64"] = base64.b64encode(json.dumps(envelope.pop("data")).encode()).decode()
    if random.random() < 0.5:
        envelope[random.choice([*envelope])] = tree(random)
    return topic, json.dumps(envelope).encode(), []


def test_mutated_events_get_an_answer_and_no_secret_shows() -> None:
    random = Random("mutated")
    outcomes = [hides_secrets(*wrapped(random)) for _ in range(TIMES)]
    # Else this would be a test of noise alone, or of events that hardly changed.
    assert TIMES / 10 < outcomes.count(RejectedEvent) < TIMES * 0.9


def test_broken_events_get_an_answer_and_no_secret_shows() -> None:
    random = Random("broken")
    for _ in range(TIMES):
        topic, value, headers = wrapped(random)
        at = random.randint(0, len(value))
        end = random.randint(at, min(len(value), at + 3))
        hides_secrets(topic, value[:at] + random.randbytes(random.randrange(4)) + value[end:], headers)


def hides_secrets(topic: str, value: bytes, headers: list[tuple[str, bytes]]) -> type:
    shown, kind = decode_and_redact(topic, value, headers)
    assert WHO not in shown
    assert WHAT not in shown
    return kind
