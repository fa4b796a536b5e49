"""Tests: the schemas agree with `decode` in everything that a schema can say."""

import gzip
import hashlib
import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator

from streamer.events.asyncapi import asyncapi_document, example_attributes
from streamer.events.counting_rules import DAY, CountingRules
from streamer.events.decoding import REASONS, SCALES, TOPICS, KafkaRecord, decode
from streamer.events.event_bodies import NOT_BLANK
from streamer.events.kinds import KINDS
from streamer.events.models import RejectedEvent
from streamer.events.schema import event_schema
from tests.events.contract_names import ANSWERS, FIELDS, REQUIRED

NOW = 1_795_305_600_000  # 2026-11-22T00:00:00Z
SECONDS = NOW // 1000
RULES = CountingRules(horizon_ms=20 * DAY)
VALIDATORS = {topic: Draft202012Validator(event_schema(topic, RULES)) for topic in TOPICS}
ASYNCAPI = Path(__file__).with_name("asyncapi")
cases = settings(
    max_examples=200,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def reason(topic: str, body: Any, rules: CountingRules = RULES) -> tuple[str, str]:
    outcome = decode(KafkaRecord(topic, 0, 0, NOW, None, json.dumps(body).encode(), ()), rules)
    return (outcome.reason, outcome.error) if isinstance(outcome, RejectedEvent) else ("", "")


@pytest.mark.parametrize("topic", TOPICS)
def test_a_schema_has_these_fields_and_needs_these(topic):
    fact, tombstone = event_schema(topic, RULES)["anyOf"]
    assert set(fact["properties"]) == FIELDS[topic]
    assert set(fact["required"]) == REQUIRED[topic]
    assert tombstone["required"] == ["deleted"]


@pytest.mark.parametrize("topic", TOPICS)
def test_every_field_of_a_schema_says_what_it_means(topic):
    fact, _ = event_schema(topic, RULES)["anyOf"]
    assert [name for name, schema in fact["properties"].items() if not schema.get("description")] == []


def test_the_answers_of_a_survey_are_these():
    fact, _ = event_schema("survey-completed", RULES)["anyOf"]
    questions = fact["properties"]["answers"]["properties"]
    assert set(questions) == ANSWERS


@pytest.mark.parametrize("topic", TOPICS)
def test_a_schema_is_one_of_both_dialects(topic):
    schema = event_schema(topic, RULES)
    Draft202012Validator.check_schema(schema)
    Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("topic", TOPICS)
def test_the_examples_are_accepted_by_decode_and_schema(topic):
    for example in KINDS[topic].examples:
        assert reason(topic, example, CountingRules()) == ("", "")
        assert VALIDATORS[topic].is_valid(example)


def test_blank_is_what_python_strips():
    blank = re.compile(NOT_BLANK)
    differing = [
        code for code in range(sys.maxunicode) if bool(chr(code).strip()) != bool(blank.match(chr(code)))
    ]
    assert differing == []


# Whether schema and `decode` agree: bodies in which every field may hold what fits it, nearly fits it or
# fits another.

UNKNOWN = ["", " ", "\t", "\u3000", None]
TEXTS = [
    "billing",
    "q" * 256,
    "q" * 257,
    "a\nb",
    "a\x85b",
    "請求",
    17,
    10**39,
    10**40,
    -(10**40),
    2**70,
    *UNKNOWN,
]
TIMES = [
    SECONDS, SECONDS - 0.5, str(SECONDS), "2026-11-21T10:00:00Z", "2026-11-21 10:00:00.25z",
    "2026-11-21T10:00:00+0230", "2026-11-21T10:00:00", "2026-11-21", "20261121T100000Z",
    "2026-13-21T10:00:00Z",
    "2026-02-30T10:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T10:00:60Z", "2026-11-21T10:00:00+24:00",
    "2026-11-21T10:00Z", " 2026-11-21T10:00:00Z", NOW, -NOW, 253_402_300_799, 253_402_300_800, 0, *UNKNOWN,
]  # fmt: skip
NUMBERS = [
    0, 1, 5, 7, 10, 11, 100, 101, 12.5, 9.0, -1, -0.5, 2**53 - 1, 2**53, 604_800, 604_800.5, 20 * 86_400,
    20 * 86_400 + 0.5, 10**9, 10**9 + 1, -(10**9), -(10**9) - 0.5, 1e300,
]  # fmt: skip
DIGITS = ["0", "5", "9", "09", "000000010", "0000000010", "11", "100", "101", "6.5", "-1", "٩", *UNKNOWN]
WORDS = [
    "voice",
    "CHAT",
    "task",
    "tas\u212a",
    "fax",
    "answered",
    "Abandoned",
    "queue",
    "none",
    "inbound",
    "lost",
]
ODD = [True, False, {}, [], {"a": 1}, ["x"], None]
GIVEN = st.dictionaries(
    st.sampled_from([*SCALES, "resolved_first", "other"]), st.sampled_from(NUMBERS + DIGITS + ODD), max_size=3
)
ITEMS = st.dictionaries(
    st.sampled_from(["greeting", "請求", " ", "a\nb", "q" * 256, "q" * 257]),
    st.sampled_from(NUMBERS + DIGITS + ODD),
    max_size=3,
)
SCALE = st.sampled_from(["0-10", "1-5", "1-7", "1-10", "0-5", " ", 5, None]) | st.dictionaries(
    st.sampled_from([*SCALES, "other"]),
    st.sampled_from([[0, 10], [1, 5], [1, 7], [1, 10], 10, 5, 7, "0-10", "1-5", "", None, [1]]),
    max_size=3,
)
LISTS = [
    [], ["billing"], ["voice", "CHAT", "tas\u212a"], ["voice", "billing"], ["q" * 256], ["q" * 257], ["a\nb"],
    ["voice", 1], ["voice", None], [" "], ["voice"] * 500, ["voice"] * 501,
]  # fmt: skip
POOLS = {
    **dict.fromkeys(("channel", "direction", "outcome", "transfer"), WORDS),
    **dict.fromkeys(("wait_s", "talk_s", "hold_s", "acw_s", "customer_value", "value", "version"), NUMBERS),
    **dict.fromkeys(("deleted", "excluded", "resolved"), (True, False, None)),
    "score": NUMBERS + DIGITS,
    "state": ["queued", "Ended", "busy", "AWAY", "wrap_up", "lost", *UNKNOWN],
    "priority": [3, -(2**31) + 1, -(2**31), 2**31 - 1, 2**31, *NUMBERS],
    "heart_beat_s": NUMBERS,
    "queues": LISTS,
    "channels": LISTS,
    "currency": ["EUR", "eur", "USD", *TEXTS],
    "comment": ["x" * 3000, "a\nb", *UNKNOWN],
}


def candidate_values(name: str) -> list[Any]:
    """Return values that fit this field, nearly fit it, or fit another.

    Whole numbers with a point are left out where JSON Schema cannot tell the difference: 17.0 is no id.
    """
    others = [value for value in (*TEXTS, *TIMES, *NUMBERS, *ODD) if type(value) is not float]
    return [*(TIMES if name.endswith("_at") or name in ("as_of", "at") else POOLS.get(name, TEXTS)), *others]


@cache
def values(name: str) -> st.SearchStrategy[Any]:
    if name == "answers":
        return GIVEN | st.sampled_from(ODD)
    if name == "items":
        return ITEMS | st.sampled_from([*ODD, dict.fromkeys(map(str, range(101)), 1)])
    return SCALE if name == "scale" else st.sampled_from(candidate_values(name))


@st.composite
def bodies(draw: st.DrawFn, topic: str) -> dict[str, Any]:
    """An example, with a few fields changed, added or left out."""
    body = dict(draw(st.sampled_from(KINDS[topic].examples)))
    for name in draw(st.lists(st.sampled_from(sorted(FIELDS[topic])), max_size=4)):
        if draw(st.sampled_from((True, True, True, False))):
            body[name] = draw(values(name))
        else:
            body.pop(name, None)
    return body


def needs_more_than_data(rejection: tuple[str, str]) -> bool:
    """Tell whether a rejection needs more than the data: the record, the settings, a calendar."""
    why, error = rejection
    name = error.split()[0]
    return (
        why in ("future", "too-old", "wrong-order", "other-currency")
        or (why == "no-time" and "2026-02-30" in error)
        or (why == "negative" and name in ("updated_at", "as_of"))
    )


def validity(topic: str, body: dict[str, Any]) -> tuple[bool, bool]:
    """Return whether schema and decode accept the body; fail if they disagree."""
    rejection, valid = reason(topic, body), VALIDATORS[topic].is_valid(body)
    if not valid:
        assert rejection != ("", ""), body
    elif rejection != ("", ""):
        assert needs_more_than_data(rejection), (body, rejection)
    return valid, rejection == ("", "")


@pytest.mark.parametrize("topic", TOPICS)
def test_decode_and_schema_agree_on_any_few_fields(topic):
    seen = set()

    @cases
    @given(bodies(topic))
    def agree(body):
        seen.add(validity(topic, body))

    agree()
    assert {(True, True), (False, False)} <= seen


@pytest.mark.parametrize("topic", TOPICS)
def test_decode_and_schema_agree_on_every_value_of_every_field(topic):
    for example in KINDS[topic].examples:
        for name in FIELDS[topic]:
            for value in candidate_values(name):
                validity(topic, {**example, name: value})


@pytest.mark.parametrize("question", sorted(ANSWERS))
def test_decode_and_schema_agree_on_every_answer(question):
    seen = {
        validity("survey-completed", {**KINDS["survey-completed"].examples[0], "answers": {question: value}})
        for value in (*NUMBERS, *DIGITS, *ODD)
    }
    assert {(True, True), (False, False)} <= seen


def test_decode_and_schema_agree_on_every_item():
    example = KINDS["contact-evaluated"].examples[0]
    seen = {
        validity("contact-evaluated", {**example, "items": {name: value}})
        for name in ("greeting", "請求", " ", "a\nb", "q" * 256, "q" * 257)
        for value in (*NUMBERS, *DIGITS, *ODD)
    }
    for count in (100, 101):
        seen.add(
            validity("contact-evaluated", {**example, "items": dict.fromkeys(map(str, range(count)), 1)})
        )
    assert {(True, True), (False, False)} <= seen


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("value", ["x", 1, [], None, True])
def test_no_object_is_refused_by_both(topic, value):
    assert reason(topic, value)[0] in REASONS
    assert not VALIDATORS[topic].is_valid(value)


def test_the_longest_wait_is_a_setting():
    fact, _ = event_schema("call-completed", CountingRules(horizon_ms=DAY))["anyOf"]
    assert fact["properties"]["wait_s"]["anyOf"][0]["maximum"] == 86_400
    assert fact["properties"]["talk_s"]["anyOf"][0]["maximum"] == 604_800


# The AsyncAPI document.

DOCUMENT = asyncapi_document(RULES)


def test_the_document_is_valid_by_the_official_schema():
    packed = (ASYNCAPI / "asyncapi-3.0.0.json.gz").read_bytes()  # of the npm package @asyncapi/specs 6.11.1
    text = gzip.decompress(packed)
    digest = "abe96881dbfaad495ccbb6bd8d3fb43ca18a13b9d7564849ccb66f39d5e5b20f"
    assert hashlib.sha256(text).hexdigest() == digest
    errors = Draft7Validator(json.loads(text)).iter_errors(DOCUMENT)
    assert [f"{list(error.absolute_path)}: {error.message}" for error in errors] == []


def test_the_document_names_these_topics_and_messages():
    addresses = {channel["address"]: set(channel["messages"]) for channel in DOCUMENT["channels"].values()}
    assert addresses == {
        **{topic: {"structured", "binary", "bare"} for topic in TOPICS},
        "streamer-dead-letters": {"letter", "closed"},
        "ingest-{source}": {"raw"},
    }


def test_the_headers_of_a_letter_are_these():
    headers = DOCUMENT["components"]["messages"]["letter"]["headers"]
    always = {"reason", "error", "topic", "partition", "offset", "timestamp", "bytes"}
    assert set(headers["properties"]) == always | {"customer"}
    assert set(headers["required"]) == always


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own_references = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own_references + [reference for value in node.values() for reference in references(value)]
    return [reference for value in node for reference in references(value)] if isinstance(node, list) else []


def test_every_reference_leads_somewhere():
    for reference in references(DOCUMENT):
        node = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            node = node[name]


def validator(part: str, message: str) -> Draft7Validator:
    schema = DOCUMENT["components"]["messages"][message][part]
    return Draft7Validator({**schema, "components": DOCUMENT["components"]})


@pytest.mark.parametrize("message", DOCUMENT["components"]["messages"])
def test_the_examples_of_a_message_fit_its_schemas(message):
    for example in DOCUMENT["components"]["messages"][message].get("examples", ()):
        for part, value in example.items():
            validator(part, message).validate(value)


ENVELOPES = [
    ("our type", {}, True),
    ("a type without a version", {"type": "com.example.survey"}, True),
    ("a minor version", {"type": "streamer.survey-completed.v1.7"}, True),
    ("the next major version", {"type": "streamer.survey-completed.v2"}, False),
    ("the one before", {"type": "streamer.survey-completed.v0.9"}, False),
    ("in upper case", {"type": "streamer.survey-completed.V2"}, False),
    ("one that begins alike", {"type": "streamer.survey-completed.v10"}, False),
    ("with a zero in front", {"type": "streamer.survey-completed.v01"}, False),
    ("a version in the midst", {"type": "streamer.v2.survey"}, True),
    ("a word that ends alike", {"type": "streamer.rev2"}, True),
    ("a v and nothing", {"type": "streamer.v"}, True),
    ("a schema of this version", {"dataschema": "https://example.org/survey/v1"}, True),
    ("of a minor one", {"dataschema": "https://example.org/survey/v1.2"}, True),
    ("of the next", {"dataschema": "https://example.org/survey/v2.0"}, False),
    ("of the next, beside our type", {"dataschema": "/v2"}, False),
    ("a schema without a version", {"dataschema": "https://example.org/v2/survey.json"}, True),
    ("a schema that is none", {"dataschema": 5}, True),
    ("a later CloudEvents", {"specversion": "1.1"}, True),
    ("another CloudEvents", {"specversion": "2.0"}, False),
    ("no id", {"id": " "}, False),
    ("a source of 256 characters", {"source": "/" * 256}, True),
    ("a source of 257 characters", {"source": "/" * 257}, False),
]


@pytest.mark.parametrize(("sentence", "changes", "accepted"), ENVELOPES)
def test_envelopes_are_accepted_by_decode_and_schema(sentence, changes, accepted):
    topic = "survey-completed"
    named = {**example_attributes(topic), **changes}
    data = KINDS[topic].examples[0]
    structured = {**named, "data": data}
    assert (reason(topic, structured) == ("", "")) == accepted
    assert validator("payload", f"{topic}.structured").is_valid(structured) == accepted
    texts = {f"ce_{name}": value for name, value in named.items() if isinstance(value, str)}
    headers = [(name, value.encode()) for name, value in texts.items()]
    outcome = decode(KafkaRecord(topic, 0, 0, NOW, None, json.dumps(data).encode(), headers), RULES)
    assert isinstance(outcome, RejectedEvent) != accepted
    assert validator("headers", f"{topic}.binary").is_valid(texts) == accepted


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"type": "streamer.survey-completed.v2"},
            "type says version 2, expected 1: let the sender write version 1, or install a streamer that "
            "reads the other",
        ),
        (
            {"dataschema": "https://example.org/v30"},
            "dataschema says version 30, expected 1: let the sender write version 1, or install a streamer "
            "that reads the other",
        ),
    ],
)
def test_an_unknown_version_is_named_with_what_to_do(changes, sentence):
    event = {**example_attributes("survey-sent"), **changes, "data": KINDS["survey-sent"].examples[0]}
    assert reason("survey-sent", event) == ("unknown-version", sentence)


def test_a_bare_object_has_no_version_of_its_own():
    data = {**KINDS["survey-sent"].examples[0], "type": "x.v2", "dataschema": "/v2"}
    assert reason("survey-sent", data) == ("", "")
