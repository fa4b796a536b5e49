import base64
import hashlib
import json
from typing import Any

import pytest

from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.envelopes import customer_id_of
from streamer.events.models import FactIdentity, RejectedEvent, SurveyResponse, Tombstone
from streamer.events.record_redaction import MAX_LETTER_BYTES, redact_record

NOW = 1_767_225_600_000
WHO, WHAT = "customer-4711", "the agent was rude"
DATA = {
    "response_id": "r1",
    "customer_id": WHO,
    "answered_at": NOW // 1000,
    "answers": {"nps": 3},
    "comment": WHAT,
}
EVENT = {"specversion": "1.0", "id": "1", "type": "survey", "source": "/surveys", "data": DATA}
BINARY = {"ce_specversion": b"1.0", "ce_id": b"1", "ce_type": b"survey", "ce_source": b"/surveys"}
STRUCTURED = {"content-type": b"application/cloudevents+json; charset=UTF-8"}
DELETE = object()


def record(value: Any, headers: dict[str, bytes] | None = None) -> KafkaRecord:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return KafkaRecord("survey-completed", 0, 0, NOW, None, raw, list((headers or {}).items()))


def with_changes(base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**base, **changes}.items() if value is not DELETE}


def outcome_of(outcome: Any) -> str:
    return outcome.reason if isinstance(outcome, RejectedEvent) else outcome.source


def encoded(data: Any) -> str:
    return base64.b64encode(json.dumps(data).encode()).decode()


def test_all_envelopes_state_the_same_fact():
    fact = SurveyResponse(
        source="/surveys", response_id="r1", customer_id=WHO, answered_at=NOW, nps=3, comment=WHAT
    )
    assert decode(record(EVENT), CountingRules()) == fact
    assert decode(record(EVENT, STRUCTURED), CountingRules()) == fact
    assert decode(record(DATA, BINARY), CountingRules()) == fact
    base64d = with_changes(EVENT, data=DELETE, data_base64=encoded(DATA))
    assert decode(record(base64d), CountingRules()) == fact
    assert decode(record(DATA), CountingRules()) == SurveyResponse(
        response_id="r1", customer_id=WHO, answered_at=NOW, nps=3, comment=WHAT
    )


def test_a_tombstone_bears_its_envelopes_source():
    gone = {"response_id": "r1", "version": 2, "deleted": True}
    expected = Tombstone(FactIdentity("r", "/surveys", "r1"), 2)
    assert decode(record(with_changes(EVENT, data=gone)), CountingRules()) == expected
    assert decode(record(gone, BINARY), CountingRules()) == expected


BODIES = [
    ("a later 1.x is read", with_changes(EVENT, specversion="1.1"), "/surveys"),
    ("0.3 is not", with_changes(EVENT, specversion="0.3"), "envelope"),
    ("2.0 is not", with_changes(EVENT, specversion="2.0"), "envelope"),
    ("10.0 is not 1.0", with_changes(EVENT, specversion="10.0"), "envelope"),
    ("a number is no specversion", with_changes(EVENT, specversion=1.0), "envelope"),
    ("an id is required", with_changes(EVENT, id=DELETE), "envelope"),
    ("a type is required", with_changes(EVENT, type=DELETE), "envelope"),
    ("any type will do", with_changes(EVENT, type="com.example.anything"), "/surveys"),
    ("a source is required", with_changes(EVENT, source=DELETE), "envelope"),
    ("a blank source is none", with_changes(EVENT, source=" "), "envelope"),
    ("a source is a text", with_changes(EVENT, source=5), "envelope"),
    ("a source of 256 characters", with_changes(EVENT, source="/" * 256), "/" * 256),
    ("a source of 257 characters", with_changes(EVENT, source="/" * 257), "envelope"),
    ("a source with a control character", with_changes(EVENT, source="/\x00"), "envelope"),
    ("data are required", with_changes(EVENT, data=DELETE), "envelope"),
    ("null is no data", with_changes(EVENT, data=None), "envelope"),
    ("data are an object", with_changes(EVENT, data=[DATA]), "wrong-type"),
    ("data are not an object in a text", with_changes(EVENT, data=json.dumps(DATA)), "wrong-type"),
    ("data are checked", with_changes(EVENT, data={**DATA, "answers": {"nps": 11}}), "off-scale"),
    ("data are not both", with_changes(EVENT, data_base64=encoded(DATA)), "envelope"),
    ("base64 is base64", with_changes(EVENT, data=DELETE, data_base64="%%%"), "envelope"),
    ("base64 is a text", with_changes(EVENT, data=DELETE, data_base64=5), "envelope"),
    ("base64 is ASCII", with_changes(EVENT, data=DELETE, data_base64="ñ"), "envelope"),
    ("base64 of nothing", with_changes(EVENT, data=DELETE, data_base64=""), "not-json"),
    ("base64 of no JSON", with_changes(EVENT, data=DELETE, data_base64="AAAA"), "not-json"),
    ("an envelope in an envelope is not opened", with_changes(EVENT, data=EVENT), "missing"),
    ("extensions are ignored", with_changes(EVENT, traceparent="00-1-2-03", partitionkey=WHO), "/surveys"),
    ("null is no specversion", with_changes(DATA, specversion=None), ""),
    ("a bare object may have its own source", with_changes(DATA, source="web", id=5, type=1, data=[1]), ""),
]


@pytest.mark.parametrize(("sentence", "body", "expected"), BODIES)
def test_structured(sentence, body, expected):
    assert outcome_of(decode(record(body), CountingRules())) == expected


HEADERS = [
    ("attributes in headers", DATA, BINARY, "/surveys"),
    ("with a content type", DATA, {**BINARY, "content-type": b"application/json"}, "/surveys"),
    ("in any case", DATA, {name.upper(): value for name, value in BINARY.items()}, "/surveys"),
    ("without a specversion", DATA, with_changes(BINARY, ce_specversion=DELETE), "envelope"),
    ("of another specversion", DATA, with_changes(BINARY, ce_specversion=b"0.3"), "envelope"),
    ("without an id", DATA, with_changes(BINARY, ce_id=DELETE), "envelope"),
    ("without a type", DATA, with_changes(BINARY, ce_type=DELETE), "envelope"),
    ("without a source", DATA, with_changes(BINARY, ce_source=DELETE), "envelope"),
    ("an attribute without value", DATA, with_changes(BINARY, ce_source=None), "envelope"),
    ("an attribute that is not UTF-8", DATA, with_changes(BINARY, ce_id=b"\xff"), "/surveys"),
    ("in binary mode the value is data", EVENT, BINARY, "missing"),
    ("other headers are no envelope", DATA, {"traceparent": b"00-1-2-03"}, ""),
    ("nor do they hide one", EVENT, {"traceparent": b"00-1-2-03"}, "/surveys"),
    ("structured by content type", EVENT, STRUCTURED, "/surveys"),
    ("structured without an envelope", DATA, STRUCTURED, "envelope"),
    ("a batch is none", [EVENT], {"content-type": b"application/cloudevents-batch+json"}, "envelope"),
    ("another format is none", EVENT, {"content-type": b"application/cloudevents+avro"}, "envelope"),
    ("binary mode of no value", b"", BINARY, "empty"),
    ("binary mode of no JSON", b"x", BINARY, "not-json"),
]


@pytest.mark.parametrize(("sentence", "value", "headers", "expected"), HEADERS)
def test_headers(sentence, value, headers, expected):
    assert outcome_of(decode(record(value, headers), CountingRules())) == expected


def test_an_envelopes_error_names_the_attribute():
    outcome = decode(record(with_changes(EVENT, specversion="0.3")), CountingRules())
    assert outcome == RejectedEvent("envelope", 'specversion is "0.3", expected 1.0')
    outcome = decode(record(DATA, with_changes(BINARY, ce_type=DELETE)), CountingRules())
    assert outcome == RejectedEvent(
        "envelope", "ce_type is missing, expected a string, as CloudEvents 1.0 requires"
    )


CUSTOMERS = [
    ("a bare object's", DATA, {}, WHO),
    ("an envelope's data's", EVENT, {}, WHO),
    ("in base64", with_changes(EVENT, data=DELETE, data_base64=encoded(DATA)), {}, WHO),
    ("beside headers", DATA, BINARY, WHO),
    ("beside data that are none", with_changes(EVENT, data="x", customer_id=WHO), {}, WHO),
    ("a bare object's own, whatever its data", with_changes(DATA, data={"customer_id": "other"}), {}, WHO),
    ("a whole number", with_changes(DATA, customer_id=17), {}, "17"),
    ("none where it is blank", with_changes(DATA, customer_id=" "), {}, None),
    ("none in a list", with_changes(DATA, customer_id=[WHO]), {}, None),
    ("none of thousands of digits", b'{"customer_id":' + b"9" * 5000 + b"}", {}, None),
    ("none in no JSON", b"{", {}, None),
    ("none in base64 that is none", with_changes(EVENT, data=DELETE, data_base64=5), {}, None),
    ("none in nothing", b"", {}, None),
]


@pytest.mark.parametrize(("sentence", "value", "headers", "expected"), CUSTOMERS)
def test_the_customer_of_a_record_that_may_be_rejected(sentence, value, headers, expected):
    assert customer_id_of(record(value, headers)) == expected


def letter(value: Any) -> Any:
    return json.loads(redact_record(record(value)))


def test_a_letter_keeps_what_is_needed_to_find_the_mistake():
    shown = letter(
        {**DATA, "queue": "billing", "scale": {"nps": [1, 4]}, "contactId": "c1", "excluded": True}
    )
    assert shown == {
        "response_id": "r1",
        "customer_id": "[redacted]",
        "answered_at": NOW // 1000,
        "answers": {"nps": 3},
        "comment": "[redacted]",
        "queue": "billing",
        "scale": {"nps": [1, 4]},
        "contactId": "[redacted]",
        "excluded": True,
    }


def test_a_letter_opens_envelopes():
    shown = letter({**EVENT, "subject": WHO, "partitionkey": WHO})
    assert shown["data"]["customer_id"] == shown["subject"] == shown["partitionkey"] == "[redacted]"
    assert (shown["data"]["answers"], shown["source"]) == ({"nps": 3}, "/surveys")
    shown = letter(with_changes(EVENT, data=DELETE, data_base64=encoded(DATA)))
    assert json.loads(base64.b64decode(shown["data_base64"]))["customer_id"] == "[redacted]"


HIDDEN = base64.b64encode(WHO.encode()).decode()
SECRETS = [
    ("in a field nobody knows", {**DATA, "phone": WHO, "number": 4711}),
    ("in an object nobody knows", {**DATA, "person": {"queue": WHAT, "customer_id": WHO}}),
    ("in an object where a text belongs", {**DATA, "queue": {"customer_id": WHO, "comment": WHAT}}),
    ("in a list where a text belongs", {**DATA, "queue": [{"customer_id": WHO}, [{"comment": WHAT}]]}),
    ("deep down", {"queue": {"queue": {"queue": {"queue": {"queue": {"queue": {"queue": WHO}}}}}}}),
    ("in an array for its id", {**DATA, "customer_id": [WHO], "comment": {"queue": WHAT}}),
    ("in the name of a field", {**DATA, WHO: 1, WHAT: 2}),
    ("in a bare object's id", {**DATA, "id": WHO, "data": {"queue": WHAT}}),
    ("in answers that are a text", {**DATA, "answers": WHAT}),
    ("in data that are a text", with_changes(EVENT, data=json.dumps(DATA))),
    ("in base64 of no object", with_changes(EVENT, data=DELETE, data_base64=encoded(WHO))),
    ("in base64 of no JSON", with_changes(EVENT, data=DELETE, data_base64=HIDDEN)),
    ("in base64 that is none", with_changes(EVENT, data=DELETE, data_base64=WHO)),
    ("in an envelope in an envelope", with_changes(EVENT, data=EVENT)),
    ("in an envelope's list", [EVENT]),
    ("in a text", WHO),
    ("in half an object", json.dumps(DATA).encode()[:-1]),
    ("in an event that is too large", {**DATA, "x": "x" * 70_000}),
]


@pytest.mark.parametrize(("sentence", "value"), SECRETS)
def test_a_letter_keeps_the_secret(sentence, value):
    shown = redact_record(record(value)).decode()
    opened = "".join(
        base64.b64decode(text).decode()
        for text in [json.loads(shown).get("data_base64")]
        if text not in (None, "[redacted]")
    )
    for secret in (WHO, WHAT, HIDDEN):
        assert secret not in shown + opened


@pytest.mark.parametrize("value", [b"not json", b"", b"[1]", b"\xff\xfe", b"[" * 60_000, b'{"a":1e999}'])
def test_a_letter_about_anything_but_an_object_tells_length_and_digest(value):
    digest = hashlib.sha256(value).hexdigest()
    assert letter(value) == {"redacted": True, "bytes": len(value), "sha256": digest}


def test_a_letter_about_nothing():
    nothing = KafkaRecord("survey-completed", 0, 0, NOW, None, None, [])
    assert redact_record(nothing) == redact_record(record(b""))


def test_a_letter_is_bounded():
    short = {f"field_{n}": "x" * 500 for n in range(500)}
    many = {f"field_{n}": "x" for n in range(1000)}
    assert letter(short)["field_499"] == "[redacted]"
    assert set(letter(many)) == {"redacted", "bytes", "sha256"}
    assert max(len(redact_record(record(value))) for value in (short, many)) <= MAX_LETTER_BYTES
    assert letter({"queue": "q" * 10_000})["queue"] == "q" * 256


def test_a_letter_holds_no_number_that_others_cannot_read():
    assert letter({"version": 2**63, "talk_s": 2**63 - 1}) == {
        "version": "[redacted]",
        "talk_s": 2**63 - 1,
    }
