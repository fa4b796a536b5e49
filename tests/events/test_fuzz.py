"""Whatever the bytes: one answer of the right type, no exception, no secret."""

import base64
import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamer.events.decoding import REASONS, TOPICS, Record, decode, redact
from streamer.events.envelopes import customer_of
from streamer.events.models import (
    Evaluation,
    Rejected,
    Response,
    Segment,
    SurveySent,
    Tombstone,
    Valuation,
)
from streamer.events.rules import Rules

NOW = 1_767_225_600_000
WHO, WHAT = "customer-4711", "the agent was rude"
RULES = Rules()
FACTS = dict(zip(TOPICS, (Segment, SurveySent, Response, Evaluation, Valuation), strict=True))
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
}
ENVELOPE = {"specversion": "1.0", "id": "1", "type": "t", "source": "/s", "subject": WHO}
HEADERS = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_type", b"t"), ("ce_source", b"/s")]

cases = settings(
    max_examples=10_000,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
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


def answered(topic: str, value: bytes | None, headers: list[tuple[str, bytes]], timestamp: int = NOW) -> str:
    record = Record(topic, 0, 0, timestamp, None, value, headers)
    outcome = decode(record, RULES)
    assert type(outcome) in (FACTS[topic], Tombstone, Rejected)
    assert isinstance(customer_of(record), str | None)
    shown = redact(record).decode()
    assert len(shown.encode()) <= 16_384
    if isinstance(outcome, Rejected):
        assert outcome.reason in REASONS
        assert outcome.error
        assert len(outcome.error) < 400
        outcome.error.encode()
        return opened(shown) + outcome.error
    assert len(outcome.digest()) == 32
    assert len(outcome.identity) == 3
    return opened(shown)


def opened(shown: str) -> str:
    """The letter, with what its base64 holds beside it."""
    text = json.loads(shown).get("data_base64")
    hidden = isinstance(text, str) and text != "[redacted]"
    return shown + base64.b64decode(text).decode() if hidden else shown


@cases
@given(st.sampled_from(TOPICS), st.none() | st.binary(max_size=400), st.sampled_from([[], HEADERS]))
def test_any_bytes_get_an_answer(topic, value, headers):
    answered(topic, value, headers)


@settings(cases, max_examples=2_000)
@given(st.sampled_from(TOPICS), trees, st.integers(-1, 2**62))
def test_any_json_gets_an_answer(topic, tree, timestamp):
    answered(topic, json.dumps(tree).encode(), [], timestamp)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    topic = draw(st.sampled_from(TOPICS))
    body = copy.deepcopy(GOOD[topic])
    for _ in range(draw(st.integers(0, 3))):
        name = draw(
            st.sampled_from([*body, "deleted", "updated_at", "team", "excluded", "specversion", "data"])
        )
        action = draw(st.sampled_from(["replace", "replace", "delete", "nest", "rename"]))
        if action == "replace":
            body[name] = draw(trees)
        elif action == "nest":
            body[name] = {"value": body.get(name), "customer_id": WHO, "list": [{"comment": WHAT}]}
        elif name in body:
            value = body.pop(name)
            if action == "rename":
                body["x_" + draw(st.text(max_size=10))] = value
    return topic, body


@st.composite
def wrapped(draw: st.DrawFn) -> tuple[str, bytes, list[tuple[str, bytes]]]:
    topic, body = draw(mutated())
    form = draw(st.sampled_from(["bare", "structured", "base64", "binary"]))
    if form == "bare":
        return topic, json.dumps(body).encode(), []
    if form == "binary":
        return topic, json.dumps(body).encode(), HEADERS
    envelope: dict[str, Any] = {**ENVELOPE, "data": body}
    if form == "base64":
        envelope["data_base64"] = base64.b64encode(json.dumps(envelope.pop("data")).encode()).decode()
    if draw(st.booleans()):
        envelope[draw(st.sampled_from([*envelope]))] = draw(trees)
    return topic, json.dumps(envelope).encode(), []


@cases
@given(wrapped())
def test_mutated_events_get_an_answer_and_no_secret_shows(case):
    shown = answered(*case)
    assert WHO not in shown
    assert WHAT not in shown


@settings(cases, max_examples=3_000)
@given(wrapped(), st.data())
def test_broken_events_get_an_answer_and_no_secret_shows(case, data):
    topic, value, headers = case
    at = data.draw(st.integers(0, len(value)))
    end = data.draw(st.integers(at, min(len(value), at + 3)))
    broken = value[:at] + data.draw(st.binary(max_size=3)) + value[end:]
    shown = answered(topic, broken, headers)
    assert WHO not in shown
    assert WHAT not in shown
