import json
from typing import Any

import msgspec
import pytest

from streamer.events.counting_rules import DAY, MINUTE, CountingRules
from streamer.events.decoding import DEAD_LETTER_TOPIC, REASONS, SCALES, TOPICS, KafkaRecord, decode
from streamer.events.models import (
    CHANNELS,
    OUTCOMES,
    CustomerValuation,
    FactIdentity,
    QualityEvaluation,
    RejectedEvent,
    Segment,
    SurveyResponse,
    SurveySent,
    Tombstone,
)

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z
NOON = "2025-12-31T12:00:00Z"
NOON_MS = NOW - 12 * 60 * MINUTE
RULES = CountingRules()
DELETE = object()

CALL = {"contact_id": "c1", "queue": "billing", "outcome": "answered", "ended_at": NOON}
SENT = {"survey_id": "v1", "sent_at": NOON}
SURVEY = {"response_id": "r1", "answered_at": NOON, "answers": {"nps": 9}}
QA = {"evaluation_id": "e1", "score": 87.5, "evaluated_at": NOON}
VALUE = {"customer_id": "k1", "value": 1250.5, "as_of": NOON}
STATE = {"contact_id": "c1", "queue": "billing", "state": "queued", "at": NOON}
AGENT = {"agent_id": "a1", "state": "available", "at": NOON}
GOOD = dict(zip(TOPICS, (CALL, SENT, SURVEY, QA, VALUE, STATE, AGENT), strict=True))


def record(topic: str, value: bytes | None, timestamp: int = NOW) -> KafkaRecord:
    return KafkaRecord(topic, 3, 42, timestamp, b"key", value, [])


def decode_changed(topic: str, rules: CountingRules = RULES, **changes: Any) -> Any:
    data = {name: value for name, value in {**GOOD[topic], **changes}.items() if value is not DELETE}
    return decode(record(topic, json.dumps(data).encode()), rules)


def call(**changes: Any) -> Any:
    return decode_changed("call-completed", **changes)


def survey(**changes: Any) -> Any:
    return decode_changed("survey-completed", **changes)


def answers(**answers_given: Any) -> Any:
    return survey(answers=answers_given)


def qa(**changes: Any) -> Any:
    return decode_changed("contact-evaluated", **changes)


def valued(**changes: Any) -> Any:
    return decode_changed("customer-valued", **changes)


def reason(outcome: Any) -> str:
    return outcome.reason if isinstance(outcome, RejectedEvent) else "accepted"


def test_names_on_the_wire():
    assert TOPICS == (
        "call-completed",
        "survey-sent",
        "survey-completed",
        "contact-evaluated",
        "customer-valued",
        "contact-state",
        "agent-state",
    )
    assert DEAD_LETTER_TOPIC == "streamer-dead-letters"
    assert len(set(REASONS)) == len(REASONS)
    assert SCALES == {"nps": (0, 10), "csat": (1, 5), "ces": (1, 7), "effort": (1, 5), "cnx": (1, 10)}


def test_every_field_of_a_call_arrives_in_its_place():
    event = call(
        segment_id="s1",
        version=7,
        customer_id="k1",
        agent_id="a1",
        team="t1",
        site="madrid",
        channel="chat",
        direction="outbound",
        reason="invoice",
        language="es",
        queued_at=1767182000.5,
        wait_s=1.5,
        talk_s=2,
        hold_s=3.25,
        acw_s=0,
        transfer="agent",
        resolved=False,
        customer_value=12.34,
        unknown={"ignored": [1, 2]},
    )
    assert event == Segment(
        contact_id="c1",
        segment_id="s1",
        version=7,
        customer_id="k1",
        agent_id="a1",
        team="t1",
        site="madrid",
        queue="billing",
        channel="chat",
        direction="outbound",
        reason="invoice",
        language="es",
        queued_at=1767182000500,
        ended_at=NOON_MS,
        wait_ms=1500,
        talk_ms=2000,
        hold_ms=3250,
        acw_ms=0,
        outcome="answered",
        transfer="agent",
        resolved=False,
        customer_value=1234,
    )
    assert type(event) is Segment


def test_a_call_of_only_the_required_fields_knows_nothing_else():
    assert call() == Segment(
        contact_id="c1", queue="billing", outcome="answered", ended_at=NOON_MS, channel="voice"
    )


DIMENSIONS = {
    "site": "madrid",
    "queue": "billing",
    "team": "t1",
    "agent_id": "a1",
    "channel": "sms",
    "reason": "invoice",
    "language": "es",
}


def test_every_field_of_an_invitation_arrives():
    event = decode_changed("survey-sent", contact_id="c1", customer_id="k1", version=2, **DIMENSIONS)
    assert event == SurveySent(
        survey_id="v1", contact_id="c1", customer_id="k1", version=2, sent_at=NOON_MS, **DIMENSIONS
    )


def test_every_field_of_a_survey_arrives():
    given = {"nps": 0, "csat": 1, "ces": 7, "effort": 5, "cnx": 10, "resolved_first": False, "other": "x"}
    event = survey(
        answers=given,
        survey_id="v1",
        contact_id="c1",
        customer_id="k1",
        version=2,
        comment="línea 1\nlínea 2 \x00" + "x" * 3000,
        excluded=True,
        **DIMENSIONS,
    )
    assert event == SurveyResponse(
        response_id="r1",
        survey_id="v1",
        contact_id="c1",
        customer_id="k1",
        version=2,
        answered_at=NOON_MS,
        nps=0,
        csat=1,
        ces=7,
        effort=5,
        cnx=10,
        resolved_first=False,
        comment="línea 1\nlínea 2 \x00" + "x" * 3000,
        excluded=True,
        **DIMENSIONS,
    )


def test_every_field_of_an_evaluation_arrives():
    event = qa(contact_id="c1", agent_id="a1", customer_id="k1", form="f1", version=2)
    assert event == QualityEvaluation(
        evaluation_id="e1",
        contact_id="c1",
        agent_id="a1",
        customer_id="k1",
        form="f1",
        version=2,
        score=8750,
        evaluated_at=NOON_MS,
    )


def test_evaluator_items_and_calibration_arrive_in_an_order_of_their_own():
    event = qa(evaluator_id="b1", items={"solution": None, "greeting": 87.25, "tone": "90"}, calibration=True)
    assert event.evaluator_id == "b1"
    assert event.items == (("greeting", 8_725), ("solution", None), ("tone", 9_000))
    assert event.calibration is True


ITEMS = [
    ("no object", [90], "wrong-type", "items is an array, expected an object of points by item"),
    ("below 0", {"tone": -1}, "off-scale", "items.tone is -1, expected a number from 0 to 100"),
    ("above 100", {"tone": 100.5}, "off-scale", "items.tone is 100.5, expected a number from 0 to 100"),
    ("a bool", {"tone": True}, "wrong-type", "items.tone is true, expected a number from 0 to 100"),
    (
        "a name that may be somebody's is not repeated",
        {"Ann 555 1234567": 101},
        "off-scale",
        "an item is 101, expected a number from 0 to 100",
    ),
    (
        "a blank name",
        {" ": 90},
        "missing",
        "the name of an item is missing, expected a string that is not empty",
    ),
    (
        "a long name",
        {"x" * 257: 90},
        "too-long",
        "the name of an item is a text of 257 characters, expected at most 256 characters",
    ),
    (
        "more than 100 items",
        {f"item{number}": 1 for number in range(101)},
        "too-much",
        "the number of items is 101, expected at most 100",
    ),
]


@pytest.mark.parametrize(("sentence", "items", "why", "error"), ITEMS)
def test_items_are_refused(sentence, items, why, error):
    assert qa(items=items) == RejectedEvent(why, error)


def test_the_most_items_with_the_longest_name_are_accepted():
    items = {"x" * 256: 0, **{f"item{number}": 100 for number in range(99)}}
    assert len(qa(items=items).items) == 100


def test_unknown_fields_of_an_evaluation_are_as_if_absent():
    assert qa(evaluator_id=" ", items={}, calibration=None) == qa()


def test_the_version_of_a_value_is_its_time():
    event = valued(version=3, currency="eur")
    assert event == CustomerValuation(customer_id="k1", value=125050, as_of=NOON_MS, version=NOON_MS)


@pytest.mark.parametrize("topic", TOPICS)
def test_every_accepted_fact_has_a_digest(topic):
    largest = decode_changed(topic, version=2**53 - 1, customer_value=1e9, value=-1e9)
    assert len(largest.digest()) == 32
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(largest), type=type(largest)) == largest


SAME_AS_ABSENT = [
    ("null", None),
    ("an empty text", ""),
    ("a blank text", " \t\u00a0"),
]


@pytest.mark.parametrize(("sentence", "value"), SAME_AS_ABSENT)
@pytest.mark.parametrize(
    "name", ["customer_id", "agent_id", "team", "site", "reason", "language", "segment_id", "queued_at"]
)
def test_an_optional_text_is_unknown_when_it_is(sentence, value, name):
    assert call(**{name: value}) == call()


@pytest.mark.parametrize("name", ["channel", "direction", "transfer"])
@pytest.mark.parametrize(("sentence", "value"), SAME_AS_ABSENT)
def test_a_choice_takes_its_default_when_it_is(sentence, value, name):
    assert call(**{name: value}) == call()


@pytest.mark.parametrize(("sentence", "value"), [*SAME_AS_ABSENT, ("not there", DELETE)])
@pytest.mark.parametrize(
    ("topic", "name", "expected"),
    [
        ("call-completed", "contact_id", "missing"),
        ("call-completed", "queue", "missing"),
        ("call-completed", "outcome", "missing"),
        ("call-completed", "ended_at", "no-time"),
        ("survey-sent", "survey_id", "missing"),
        ("survey-sent", "sent_at", "no-time"),
        ("survey-completed", "response_id", "missing"),
        ("survey-completed", "answered_at", "no-time"),
        ("contact-evaluated", "evaluation_id", "missing"),
        ("contact-evaluated", "evaluated_at", "no-time"),
        ("customer-valued", "customer_id", "missing"),
        ("customer-valued", "as_of", "no-time"),
        ("contact-state", "contact_id", "missing"),
        ("contact-state", "queue", "missing"),
        ("contact-state", "state", "missing"),
        ("contact-state", "at", "no-time"),
        ("agent-state", "agent_id", "missing"),
        ("agent-state", "state", "missing"),
        ("agent-state", "at", "no-time"),
    ],
)
def test_a_required_text_is_missing_when_it_is(sentence, value, topic, name, expected):
    outcome = decode_changed(topic, **{name: value})
    assert (reason(outcome), outcome.error.split()[0]) == (expected, name)


@pytest.mark.parametrize(
    ("topic", "name"),
    [("survey-completed", "answers"), ("contact-evaluated", "score"), ("customer-valued", "value")],
)
@pytest.mark.parametrize("value", [None, DELETE])
def test_a_required_value_is_missing(topic, name, value):
    assert reason(decode_changed(topic, **{name: value})) == "missing"


TEXTS = [
    ("256 characters are a name", {"queue": "q" * 256}, "accepted"),
    ("257 characters are none", {"queue": "q" * 257}, "too-long"),
    ("characters count, not bytes", {"queue": "ñ" * 256}, "accepted"),
    ("any script is a name", {"queue": "請求 – رقم"}, "accepted"),
    ("an odd blank is no control character", {"queue": "a\u3000b\u200d"}, "accepted"),
    ("a new line is", {"queue": "a\nb"}, "control-character"),
    ("a null is", {"customer_id": "a\x00b"}, "control-character"),
    ("a delete is", {"agent_id": "a\x7fb"}, "control-character"),
    ("a C1 control is", {"team": "a\x85b"}, "control-character"),
    ("one that turns the text around is", {"queue": "a\u202eb"}, "control-character"),
    ("one that isolates its direction is", {"site": "a\u2066b\u2069"}, "control-character"),
    ("a mark of direction is", {"agent_id": "a\u200f"}, "control-character"),
    ("an Arabic mark of direction is", {"reason": "\u061ca"}, "control-character"),
    ("a line separator is", {"contact_id": "a\u2028b"}, "control-character"),
    ("a paragraph separator is", {"segment_id": "a\u2029b"}, "control-character"),
    ("a blank without width is", {"queue": "bil\u200bling"}, "control-character"),
    ("a byte order mark is", {"customer_id": "\ufeffk1"}, "control-character"),
    ("a soft hyphen is", {"queue": "bil\u00adling"}, "control-character"),
    ("joiners are not: Persian and emoji need them", {"queue": "می\u200cخواهم 👩\u200d💻"}, "accepted"),
    ("an id may be an integer", {"contact_id": 17, "segment_id": 18, "agent_id": -1}, "accepted"),
    ("a large one too", {"contact_id": 2**70}, "accepted"),
    ("but not a number with a point", {"contact_id": 17.0}, "wrong-type"),
    ("nor a bool", {"contact_id": True}, "wrong-type"),
    ("nor one of a hundred digits", {"contact_id": 10**100}, "wrong-type"),
    ("a dimension is no integer", {"queue": 17}, "wrong-type"),
    ("an object is no id", {"customer_id": {"id": "k1"}}, "wrong-type"),
    ("a list is no dimension", {"team": ["t1"]}, "wrong-type"),
]


@pytest.mark.parametrize(("sentence", "changes", "expected"), TEXTS)
def test_texts(sentence, changes, expected):
    assert reason(call(**changes)) == expected


def test_an_integer_id_becomes_its_digits():
    assert call(contact_id=17, customer_id=0).contact_id == "17"
    assert call(contact_id=17, customer_id=0).customer_id == "0"


def test_a_segment_named_as_its_contact_is_not_named():
    assert call(segment_id="c1") == call()
    assert call(contact_id=17, segment_id="17").segment_id == ""
    assert call(segment_id="c2").identity == FactIdentity("s", "", "c2")


CHOICES = [
    *((f"{name} is a channel", {"channel": name}, "accepted") for name in CHANNELS),
    *((f"{name} is an outcome", {"outcome": name}, "accepted") for name in OUTCOMES),
    ("case does not matter", {"channel": "VOICE", "outcome": "Answered", "transfer": "Queue"}, "accepted"),
    ("fax is no channel", {"channel": "fax"}, "unknown-value"),
    ("lost is no outcome", {"outcome": "lost"}, "unknown-value"),
    ("sideways is no direction", {"direction": "sideways"}, "unknown-value"),
    ("warm is no transfer", {"transfer": "warm"}, "unknown-value"),
    ("a number is no channel", {"channel": 1}, "wrong-type"),
    ("a list is no outcome", {"outcome": ["answered"]}, "wrong-type"),
    ("resolved is a bool", {"resolved": True}, "accepted"),
    ("resolved may be unknown", {"resolved": None}, "accepted"),
    ("a word is no bool", {"resolved": "true"}, "wrong-type"),
    ("1 is no bool", {"resolved": 1}, "wrong-type"),
]


@pytest.mark.parametrize(("sentence", "changes", "expected"), CHOICES)
def test_choices(sentence, changes, expected):
    assert reason(call(**changes)) == expected


def test_a_choice_is_kept_in_lower_case():
    event = call(channel="CHAT", outcome="ABANDONED", direction="Outbound", transfer="QUEUE")
    found = (event.channel, event.outcome, event.direction, event.transfer)
    assert found == ("chat", "abandoned", "outbound", "queue")


def test_only_a_call_has_a_channel_by_default():
    assert (call().channel, survey().channel, decode_changed("survey-sent").channel) == ("voice", None, None)


TIMES = [
    ("Z is a zone", "2025-12-31T12:00:00Z", NOON_MS),
    ("an offset is a zone", "2025-12-31T14:30:00+02:30", NOON_MS),
    ("a space and lower case are RFC 3339", "2025-12-31 12:00:00z", NOON_MS),
    ("a fraction counts", "2025-12-31T12:00:00.250Z", NOON_MS + 250),
    ("half a millisecond goes to the even one below", "2025-12-31T12:00:00.0005Z", NOON_MS),
    ("half a millisecond goes to the even one above", "2025-12-31T12:00:00.0015Z", NOON_MS + 2),
    ("no zone is no time", "2025-12-31T12:00:00", "no-time"),
    ("a date is no time", "2025-12-31", "no-time"),
    ("a day that never was is no time", "2025-02-30T12:00:00Z", "no-time"),
    ("other forms of ISO 8601 are no RFC 3339", "20251231T120000Z", "no-time"),
    ("a number in quotes is no time", "1767182400", "no-time"),
    ("epoch seconds are a time", NOON_MS // 1000, NOON_MS),
    ("epoch seconds may have a fraction", NOON_MS / 1000 + 0.125, NOON_MS + 125),
    ("half a millisecond is as its digits say", 1767182400.0015, NOON_MS + 2),
    ("a bool is no time", True, "wrong-type"),
    ("an object is no time", {"s": 1}, "wrong-type"),
    ("milliseconds are far in the future", NOON_MS, "future"),
    ("the largest number as well", 1.7e308, "future"),
    ("its opposite is far in the past", -1.7e308, "too-old"),
    ("year 1 is too old", "0001-01-01T00:00:00+14:00", "too-old"),
    ("five minutes ahead are a clock that is off", NOW // 1000 + 300, NOW + 5 * MINUTE),
    ("a millisecond more is the future", NOW / 1000 + 300.001, "future"),
    ("the horizon is within", (NOW - 35 * DAY) // 1000, NOW - 35 * DAY),
    ("a millisecond more is too old", (NOW - 35 * DAY - 1) / 1000, "too-old"),
]


@pytest.mark.parametrize(("sentence", "value", "expected"), TIMES)
@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("call-completed", "ended_at"),
        ("survey-sent", "sent_at"),
        ("survey-completed", "answered_at"),
        ("contact-evaluated", "evaluated_at"),
        ("customer-valued", "as_of"),
        ("contact-state", "at"),
        ("agent-state", "at"),
    ],
)
def test_times(sentence, value, expected, topic, name):
    outcome = decode_changed(topic, **{name: value})
    assert (outcome.reason if isinstance(outcome, RejectedEvent) else outcome.time) == expected


def test_the_horizon_is_a_setting():
    rules = CountingRules(horizon_ms=DAY)
    old, older = NOW // 1000 - 86_400, NOW // 1000 - 86_401
    assert reason(decode_changed("call-completed", rules, ended_at=old)) == "accepted"
    assert reason(decode_changed("call-completed", rules, ended_at=older)) == "too-old"
    assert reason(decode_changed("call-completed", rules, wait_s=86_400)) == "accepted"
    assert reason(decode_changed("call-completed", rules, wait_s=86_400.001)) == "too-much"


QUEUED = [
    ("queued when it ended", NOON_MS / 1000, "accepted"),
    ("queued after it ended", NOON_MS / 1000 + 0.001, "wrong-order"),
    ("queued at the horizon", (NOW - 35 * DAY) / 1000, "accepted"),
    ("queued beyond the horizon", (NOW - 35 * DAY - 1) / 1000, "too-old"),
    ("queued without a zone", "2025-12-31T11:00:00", "no-time"),
]


@pytest.mark.parametrize(("sentence", "value", "expected"), QUEUED)
def test_queued_at(sentence, value, expected):
    assert reason(call(queued_at=value)) == expected


DURATIONS = [
    ("nothing is a duration", 0, 0),
    ("minus nothing too", -0.0, 0),
    ("below nothing is negative", -0.001, "negative"),
    ("and an integer below it", -1, "negative"),
    ("milliseconds are kept", 12.345, 12_345),
    ("half a millisecond goes to the even one below", 0.0005, 0),
    ("half a millisecond goes to the even one above", 0.0015, 2),
    ("as its digits say it", 1.0015, 1_002),
    ("a text is no duration", "12", "wrong-type"),
    ("an empty text neither", "", "wrong-type"),
    ("a bool neither", True, "wrong-type"),
    ("the largest number is too much", 1.7e308, "too-much"),
    ("as is the largest integer", 10**300, "too-much"),
]
LONGEST = [("wait_s", 35 * 86_400), ("talk_s", 604_800), ("hold_s", 604_800), ("acw_s", 604_800)]


@pytest.mark.parametrize(("sentence", "value", "expected"), DURATIONS)
@pytest.mark.parametrize("name", [name for name, _ in LONGEST])
def test_durations(sentence, value, expected, name):
    outcome = call(**{name: value})
    field = name.replace("_s", "_ms")
    assert (outcome.reason if isinstance(outcome, RejectedEvent) else getattr(outcome, field)) == expected


@pytest.mark.parametrize(("name", "seconds"), LONGEST)
def test_the_longest_duration_is_accepted_and_a_millisecond_more_is_not(name, seconds):
    assert reason(call(**{name: seconds})) == "accepted"
    assert reason(call(**{name: seconds + 0.001})) == "too-much"
    assert reason(call(**{name: seconds + 0.0001})) == "too-much"


@pytest.mark.parametrize("question", SCALES)
def test_a_score_is_on_its_scale_or_rejected(question):
    low, high = SCALES[question]
    found = [reason(answers(**{question: score})) for score in (low - 1, low, high, high + 1)]
    assert found == ["off-scale", "accepted", "accepted", "off-scale"]


SCORES = [
    ("an integer", 9, 9),
    ("a whole number with a point", 9.0, 9),
    ("a text of digits", "9", 9),
    ("0 is an answer", 0, 0),
    ("skipped", None, None),
    ("skipped, as forms send it", "", None),
    ("6.5 falls in no bucket", 6.5, "off-scale"),
    ("not even as text", "6.5", "off-scale"),
    ("a sign is no digit", "-1", "off-scale"),
    ("other digits are none", "٩", "off-scale"),
    ("a word is no score", "nine", "off-scale"),
    ("10 digits are too many", "9" * 5000, "off-scale"),
    ("a bool is no score", True, "wrong-type"),
    ("an object is no score", {"value": 9}, "wrong-type"),
    ("the largest number is none", 1.7e308, "off-scale"),
]


@pytest.mark.parametrize(("sentence", "value", "expected"), SCORES)
def test_scores(sentence, value, expected):
    outcome = answers(nps=value)
    assert (outcome.reason if isinstance(outcome, RejectedEvent) else outcome.nps) == expected


def test_a_survey_of_skipped_answers_is_a_survey():
    nothing = SurveyResponse(response_id="r1", answered_at=NOON_MS)
    assert answers() == nothing
    assert answers(nps=None, csat=None, resolved_first=None) == nothing


SURVEYS = [
    ("answers are an object", {"answers": [9]}, "wrong-type"),
    ("resolved_first is no word", {"answers": {"resolved_first": "true"}}, "wrong-type"),
    ("resolved_first is no number", {"answers": {"resolved_first": 1}}, "wrong-type"),
    ("a comment is a text", {"comment": ["x"]}, "wrong-type"),
    ("excluded is no word", {"excluded": "true"}, "wrong-type"),
    ("excluded may be unknown", {"excluded": None}, "accepted"),
    ("our scale as limits", {"scale": {"nps": [0, 10]}}, "accepted"),
    ("our scale as its highest", {"scale": {"nps": 10}}, "accepted"),
    ("our scale in words", {"scale": {"nps": "0-10"}}, "accepted"),
    ("one scale for all", {"scale": "0-10"}, "accepted"),
    ("no scale", {"scale": None}, "accepted"),
    ("a blank scale", {"scale": " "}, "accepted"),
    ("a scale of what we do not ask", {"scale": {"stars": 5}}, "accepted"),
    ("the scale of a skipped question", {"scale": "0-10", "answers": {"nps": None}}, "accepted"),
    ("another lowest", {"scale": {"nps": [1, 10]}}, "off-scale"),
    ("another highest", {"scale": {"nps": 4}}, "off-scale"),
    ("another scale in words", {"scale": {"nps": "1-4"}}, "off-scale"),
    ("another scale for all", {"scale": "1-4"}, "off-scale"),
    ("one scale for two that differ", {"scale": "0-10", "answers": {"nps": 9, "csat": 5}}, "off-scale"),
    ("a scale of no known shape", {"scale": [0, 10]}, "off-scale"),
]


@pytest.mark.parametrize(("sentence", "changes", "expected"), SURVEYS)
def test_surveys(sentence, changes, expected):
    assert reason(survey(**changes)) == expected


POINTS = [
    ("0 is a score", 0, 0),
    ("100 is a score", 100, 10_000),
    ("hundredths count", 87.25, 8_725),
    ("half a hundredth goes to the even one, as its digits say", 1.005, 100),
    ("and up where that is even", 1.015, 102),
    ("a text of digits is a score", "87", 8_700),
    ("below 0 is off the scale", -0.01, "off-scale"),
    ("above 100 too", 100.01, "off-scale"),
    ("a bool is none", True, "wrong-type"),
    ("a word is none", "good", "wrong-type"),
]


@pytest.mark.parametrize(("sentence", "value", "expected"), POINTS)
def test_points(sentence, value, expected):
    outcome = qa(score=value)
    assert (outcome.reason if isinstance(outcome, RejectedEvent) else outcome.score) == expected


MONEY = [
    ("hundredths", {"value": 12.34}, 1_234),
    ("half a hundredth to the even one, as its digits say", {"value": 1.015}, 102),
    ("less than nothing", {"value": -5}, -500),
    ("the most", {"value": 1e9}, 100_000_000_000),
    ("more than the most", {"value": 1_000_000_000.01}, "too-much"),
    ("the least", {"value": -(10**9)}, -100_000_000_000),
    ("less than the least", {"value": -(10**9) - 1}, "too-much"),
    ("our currency", {"value": 1, "currency": "EUR"}, 100),
    ("our currency in lower case", {"value": 1, "currency": "eur"}, 100),
    ("no currency", {"value": 1, "currency": None}, 100),
    ("another currency", {"value": 1, "currency": "USD"}, "other-currency"),
    ("a currency that is no text", {"value": 1, "currency": 978}, "wrong-type"),
    ("a text", {"value": "12"}, "wrong-type"),
    ("a bool", {"value": True}, "wrong-type"),
]


@pytest.mark.parametrize(("sentence", "changes", "expected"), MONEY)
def test_values(sentence, changes, expected):
    outcome = valued(**changes)
    assert (outcome.reason if isinstance(outcome, RejectedEvent) else outcome.value) == expected


def test_the_currency_is_a_setting():
    rules = CountingRules(currency="USD")
    assert decode_changed("customer-valued", rules, currency="USD").value == 125050
    assert reason(decode_changed("customer-valued", rules, currency="EUR")) == "other-currency"


def test_a_call_may_carry_its_customers_value():
    assert call(customer_value=0).customer_value == 0
    assert reason(call(customer_value=1, currency="USD")) == "other-currency"
    assert reason(call(currency="USD")) == "accepted"  # an unknown field, as nothing is valued


VERSIONS = [
    ("none is 0", {}, 0),
    ("0", {"version": 0}, 0),
    ("an integer", {"version": 7}, 7),
    ("a whole number with a point", {"version": 7.0}, 7),
    ("the largest", {"version": 2**53 - 1}, 2**53 - 1),
    ("beyond the largest", {"version": 2**53}, "wrong-type"),
    ("negative", {"version": -1}, "negative"),
    ("no integer", {"version": 1.5}, "wrong-type"),
    ("a text", {"version": "7"}, "wrong-type"),
    ("a bool", {"version": True}, "wrong-type"),
    ("a time stands for it", {"updated_at": NOON}, NOON_MS),
    ("a time long after the record too, for history is replayed", {"updated_at": NOW // 1000 + 86_400}, None),
    ("a blank time is none", {"updated_at": ""}, 0),
    ("the version wins", {"version": 7, "updated_at": NOON}, 7),
    ("a time without a zone", {"updated_at": "2025-12-31T12:00:00"}, "no-time"),
    ("a time before the epoch", {"updated_at": -1}, "negative"),
]


@pytest.mark.parametrize(("sentence", "changes", "expected"), VERSIONS)
@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic != "customer-valued"])
def test_versions(sentence, changes, expected, topic):
    outcome = decode_changed(topic, **changes)
    wanted = NOW + DAY if expected is None else expected
    assert (outcome.reason if isinstance(outcome, RejectedEvent) else outcome.version) == wanted


TOMBSTONES = [
    ("a segment", "call-completed", {"segment_id": "s1", "version": 2}, ("s", "s1", 2)),
    ("a contact's only segment", "call-completed", {"contact_id": 5, "version": 2}, ("s", "5", 2)),
    ("an invitation", "survey-sent", {"survey_id": "v1", "version": 2}, ("v", "v1", 2)),
    ("a survey", "survey-completed", {"response_id": "r1", "version": 2}, ("r", "r1", 2)),
    ("by a time", "contact-evaluated", {"evaluation_id": "e1", "updated_at": NOON}, ("e", "e1", NOON_MS)),
    ("a value by its time", "customer-valued", {"customer_id": "k1", "as_of": NOON}, ("c", "k1", NOON_MS)),
    ("its time wins", "customer-valued", {**VALUE, "version": 2}, ("c", "k1", NOON_MS)),
    ("a value by a version", "customer-valued", {"customer_id": "k1", "version": 2}, ("c", "k1", 2)),
    ("a segment's states", "contact-state", {"segment_id": "s1", "version": 2}, ("l", "s1", 2)),
    ("a contact's states", "contact-state", {"contact_id": "c1", "version": 2}, ("l", "c1", 2)),
    ("an agent's states", "agent-state", {"agent_id": "a1", "version": 2}, ("a", "a1", 2)),
    ("whatever else it holds", "call-completed", {**CALL, "version": 2, "outcome": 5}, ("s", "c1", 2)),
    ("however old it is", "call-completed", {**CALL, "version": 2, "ended_at": 0}, ("s", "c1", 2)),
    ("not without an id", "call-completed", {"version": 2}, "missing"),
    ("not of a blank id", "call-completed", {"segment_id": "", "contact_id": " ", "version": 2}, "missing"),
    ("not without a version", "call-completed", {"contact_id": "c1"}, "missing"),
    ("not without time or version", "customer-valued", {"customer_id": "k1"}, "missing"),
    ("not by a wrong version", "call-completed", {"contact_id": "c1", "version": "x"}, "wrong-type"),
    ("not by a time without a zone", "customer-valued", {**VALUE, "as_of": "2026-01-01T00:00:00"}, "no-time"),
]


@pytest.mark.parametrize(("sentence", "topic", "data", "expected"), TOMBSTONES)
def test_a_fact_is_taken_back(sentence, topic, data, expected):
    outcome = decode(record(topic, json.dumps({"deleted": True, **data}).encode()), RULES)
    if isinstance(expected, str):
        assert reason(outcome) == expected
    else:
        letter, name, version = expected
        assert outcome == Tombstone(FactIdentity(letter, "", name), version)


def test_what_is_not_deleted_is_a_fact():
    assert call(deleted=False) == call(deleted=None) == call()
    assert reason(call(deleted="true")) == "wrong-type"
    assert reason(call(deleted=1)) == "wrong-type"


PADDED = json.dumps(CALL).encode()
CALL_OPEN = PADDED[:-1]
BYTES = [
    ("nothing", None, "empty"),
    ("no byte", b"", "empty"),
    ("blanks", b"  ", "not-json"),
    ("a word", b"hello", "not-json"),
    ("half an object", CALL_OPEN, "not-json"),
    ("an object and more", PADDED + b"x", "not-json"),
    ("single quotes", b"{'contact_id': 1}", "not-json"),
    ("a list", b"[" + PADDED + b"]", "wrong-type"),
    ("null", b"null", "wrong-type"),
    ("a number", b"17", "wrong-type"),
    ("a text with the event inside", json.dumps(PADDED.decode()).encode(), "wrong-type"),
    ("an empty object", b"{}", "missing"),
    ("64 kB", PADDED + b" " * (65_536 - len(PADDED)), "accepted"),
    ("64 kB and a byte", PADDED + b" " * (65_537 - len(PADDED)), "too-large"),
    ("a byte order mark", b"\xef\xbb\xbf" + PADDED, "not-json"),
    ("Latin 1", PADDED.replace(b"billing", b"atenci\xf3n"), "not-json"),
    ("Latin 1 in a field we ignore", CALL_OPEN + b',"x":"\xf3"}', "not-json"),
    ("half a surrogate pair", PADDED.replace(b"billing", b"\\ud800"), "not-json"),
    ("UTF-16", json.dumps(CALL).encode("utf-16"), "not-json"),
    ("NaN", CALL_OPEN + b',"talk_s":NaN}', "not-finite"),
    ("Infinity", CALL_OPEN + b',"talk_s":Infinity}', "not-finite"),
    ("minus Infinity", CALL_OPEN + b',"talk_s": -Infinity}', "not-finite"),
    ("more than a double holds", CALL_OPEN + b',"talk_s":1e999}', "not-finite"),
    ("an id of 5000 digits", CALL_OPEN + b',"agent_id":' + b"9" * 5000 + b"}", "wrong-type"),
    ("the word NaN in a text", CALL_OPEN + b',"team":", NaN"}', "accepted"),
    ("the same field again, the last wins", CALL_OPEN + b',"outcome":"lost"}', "unknown-value"),
    ("objects in objects in a field we read", CALL_OPEN + b',"team":' + b'{"a":' * 9000, "not-json"),
    ("lists in lists in a field we ignore", CALL_OPEN + b',"x":' + b"[" * 60000, "not-json"),
    ("the same, closed", CALL_OPEN + b',"x":' + b"[" * 30000 + b"]" * 30000 + b"}", "not-json"),
]


@pytest.mark.parametrize(("sentence", "value", "expected"), BYTES)
def test_bytes(sentence, value, expected):
    assert reason(decode(record("call-completed", value), RULES)) == expected


def test_the_last_of_equal_keys_wins():
    again = CALL_OPEN + b',"outcome":"abandoned"}'
    assert decode(record("call-completed", again), RULES) == call(outcome="abandoned")


def test_acceptance_depends_on_the_record_not_on_a_clock():
    value = json.dumps(CALL).encode()
    assert reason(decode(record("call-completed", value, NOON_MS - 5 * MINUTE), RULES)) == "accepted"
    assert reason(decode(record("call-completed", value, NOON_MS - 5 * MINUTE - 1), RULES)) == "future"
    assert reason(decode(record("call-completed", value, NOON_MS + 35 * DAY), RULES)) == "accepted"
    assert reason(decode(record("call-completed", value, NOON_MS + 35 * DAY + 1), RULES)) == "too-old"


SENTENCES = [
    (
        lambda: call(outcome="lost"),
        'outcome is "lost", expected one of answered, abandoned, timeout, voicemail, overflow, callback',
    ),
    (lambda: answers(nps=11), "answers.nps is 11, expected an integer from 0 to 10"),
    (lambda: call(queue=None), "queue is missing, expected a string that is not empty"),
    (
        lambda: call(talk_s=604_801),
        "talk_s is 604801, expected at most 604800 seconds; are these milliseconds?",
    ),
    (lambda: call(resolved="yes"), 'resolved is "yes", expected true or false'),
    (lambda: call(team=True), "team is true, expected a string"),
    (lambda: call(team={"name": "t1"}), "team is an object, expected a string"),
    (
        lambda: call(site="x" * 300),
        "site is a text of 300 characters, expected at most 256 characters",
    ),
    (lambda: call(site="a\nb"), 'site is "a\\nb", expected text without control or invisible characters'),
    (
        lambda: call(site="a\u202eb\x9b"),
        'site is "a\\u202eb\\u009b", expected text without control or invisible characters',
    ),
    (lambda: call(customer_id="k" * 300), "customer_id is [redacted], expected at most 256 characters"),
    (lambda: survey(comment=17), "comment is [redacted], expected a string"),
    (
        lambda: call(ended_at="2025-12-31T12:00:00"),
        'ended_at is "2025-12-31T12:00:00", expected RFC 3339 with a zone, or epoch seconds as a number',
    ),
    (
        lambda: call(ended_at=0),
        "ended_at is 0, expected at most 35 days (STREAMER_HORIZON) before the record's Kafka timestamp "
        "1767225600000 (2026-01-01T00:00:00Z): publish history under its own time, or raise the horizon",
    ),
    (
        lambda: call(ended_at=NOW / 1000 + 300.001),
        "ended_at is 1767225900.001, expected at most 5 minutes after the record's Kafka timestamp "
        "1767225600000 (2026-01-01T00:00:00Z): set the sender's clock or zone",
    ),
    (
        lambda: call(customer_value=1, currency="USD"),
        'currency is "USD", expected EUR, as set by STREAMER_CURRENCY: convert the amount, or change the '
        "setting",
    ),
]


@pytest.mark.parametrize(("outcome", "sentence"), SENTENCES)
def test_an_error_names_the_field_what_it_holds_and_what_was_expected(outcome, sentence):
    assert outcome().error == sentence


PHONE, ADDRESS = "+34 600 12 34 56", "ann@example.org"
PERSONAL = [
    ("a number where a word belongs", lambda: call(queue=34600123456), "34600123456"),
    ("a number as text in a choice", lambda: call(channel=PHONE), "600"),
    ("a number in a contact's id", lambda: call(contact_id=f"{PHONE}\n"), "600"),
    ("an address in a choice", lambda: call(outcome=ADDRESS), "ann"),
    ("a long text in a choice", lambda: call(outcome="she said that " + "x" * 40), "she"),
    ("a number where seconds belong", lambda: call(talk_s=PHONE), "600"),
    ("an address where a time belongs", lambda: call(ended_at=ADDRESS), "ann"),
    ("a number after a time", lambda: call(ended_at=f"today {PHONE}"), "600"),
]


@pytest.mark.parametrize(("sentence", "outcome", "secret"), PERSONAL)
def test_an_error_shows_nothing_that_may_be_somebodys_number_address_or_words(sentence, outcome, secret):
    assert isinstance(outcome(), RejectedEvent)
    assert secret not in outcome().error


TELLING = [
    ("a time that is none", lambda: call(ended_at="2025-12-31T12:00:00"), '"2025-12-31T12:00:00"'),
    ("milliseconds", lambda: call(ended_at=NOW), "1767225600000"),
    ("milliseconds of a duration", lambda: call(talk_s=61_500_000), "61500000"),
    ("a word that is not known", lambda: call(outcome="lost"), '"lost"'),
    ("six digits", lambda: call(queue=123456), "123456"),
    ("a score off its scale", lambda: answers(nps=11), "11"),
    ("one with many places", lambda: answers(nps=6.66666667), "6.66666667"),
    ("a number of six digits", lambda: call(team=999_999), "999999"),
    ("of seven", lambda: call(team=1_000_000), "[redacted]"),
]


@pytest.mark.parametrize(("sentence", "outcome", "shown"), TELLING)
def test_an_error_shows_what_helps(sentence, outcome, shown):
    assert f" is {shown}, expected" in outcome().error
