"""JSON bodies of the events: their fields, meanings and limits.

A field takes any type: its reader in `decoding` checks the value and says what is wrong. The expected type
is annotated for `schema`, from the same limits that the readers use; a test compares the two.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from streamer.events.counting_rules import DAY, SECOND
from streamer.events.models import (
    AGENT_STATES,
    CHANNELS,
    CONTACT_STATES,
    DIRECTIONS,
    OUTCOMES,
    TRANSFERS,
)

LONGEST_TEXT: Final = 256
LONGEST_DURATION_MS: Final = 7 * DAY
LARGEST_ID: Final = 10**40
LARGEST_VERSION: Final = 2**53 - 1  # what JSON's and Lua's numbers carry exactly
LARGEST_VALUE: Final = 1_000_000_000
LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z
SCORE_RANGE: Final = (0, 100)
MOST_ITEMS: Final = 100
MOST_LISTED: Final = 500
"""Most names in a list, such as the queues of an agent."""
LARGEST_PRIORITY: Final = 2**31 - 1
SCALES: Final[Mapping[str, tuple[int, int]]] = {
    "nps": (0, 10),
    "csat": (1, 5),
    "ces": (1, 7),
    "effort": (1, 5),
    "cnx": (1, 10),
}
CONTROL_CHARACTERS: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
"""Signs that no name holds: control signs, those that end lines or change the direction of a text, and those
without a width, which make two names look like one. Joiners of Arabic, Indian scripts and emoji may be."""
NOT_BLANK: Final = r"[^\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""A pattern of JSON Schema: any character that Python does not strip."""
_RFC_3339: Final = (
    r"^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])[Tt ]"
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])$"
)

# Schemas of known values. Null means unknown; with `blank`, a text of nothing but blanks does too. `value`
# says what a cell of a table holds: text, time, seconds, number, whole, flag or names; an object has
# `members`, "*" for those of any name.

_BLANK: Final = {"blank": True}
_TEXT: Final = {
    "maxLength": LONGEST_TEXT,
    "pattern": NOT_BLANK,
    "not": {"type": "string", "pattern": CONTROL_CHARACTERS.pattern},
}
_WHOLE_ID: Final = {"exclusiveMinimum": -LARGEST_ID, "exclusiveMaximum": LARGEST_ID}


def _schema_meta(schema: Mapping[str, Any], **extra: object) -> Meta:
    return Meta(extra_json_schema=dict(schema), extra=extra)


def _words_meta(words: tuple[str, ...]) -> Meta:
    return _schema_meta(words_schema(words), **_BLANK, value="text")


def words_schema(words: tuple[str, ...]) -> dict[str, Any]:
    """Return the schema of one of these words, in lower or upper case.

    >>> words_schema(("no",))["anyOf"]
    [{'enum': ['no']}, {'type': 'string', 'pattern': '^(?:[Nn][Oo])$'}]
    """
    any_case = "|".join("".join(map(_either_case, word)) for word in words)
    return {"anyOf": [{"enum": list(words)}, {"type": "string", "pattern": f"^(?:{any_case})$"}]}


def _either_case(letter: str) -> str:
    variants = {letter, letter.upper(), "\u212a"}  # the Kelvin sign is a k in lower case
    return "[" + "".join(sorted(variant for variant in variants if variant.lower() == letter)) + "]"


def digits_schema(low: int, high: int) -> dict[str, Any]:
    """Return the schema of a whole number within these limits, written as a text of digits.

    >>> digits_schema(1, 3)["pattern"]
    '^0*(?:1|2|3)$'
    """
    numbers = "|".join(map(str, range(low, high + 1)))
    return {"type": "string", "pattern": f"^0*(?:{numbers})$", "maxLength": 9}


def _seconds_schema(longest_ms: int) -> dict[str, Any]:
    return {"type": "number", "minimum": 0, "maximum": longest_ms / SECOND}


Text = Annotated[Any, _schema_meta({"type": "string", **_TEXT}, **_BLANK, value="text")]
Id = Annotated[
    Any, _schema_meta({"type": ["string", "integer"], **_TEXT, **_WHOLE_ID}, **_BLANK, value="text")
]
Time = Annotated[
    Any,
    _schema_meta(
        {
            "anyOf": [
                {"type": "string", "format": "date-time", "pattern": _RFC_3339},
                {"type": "number", "minimum": -LAST_SECOND, "maximum": LAST_SECOND},
            ]
        },
        **_BLANK,
        value="time",
    ),
]
Seconds = Annotated[Any, _schema_meta(_seconds_schema(LONGEST_DURATION_MS), value="seconds")]
WaitSeconds = Annotated[
    Any, _schema_meta(_seconds_schema(LONGEST_DURATION_MS), value="seconds", horizon=True)
]
Money = Annotated[
    Any,
    _schema_meta({"type": "number", "minimum": -LARGEST_VALUE, "maximum": LARGEST_VALUE}, value="number"),
]
Version = Annotated[
    Any, _schema_meta({"type": "integer", "minimum": 0, "maximum": LARGEST_VERSION}, value="whole")
]
_POINTS: Final = [
    {"type": "number", "minimum": SCORE_RANGE[0], "maximum": SCORE_RANGE[1]},
    digits_schema(*SCORE_RANGE),
]
_UNANSWERED: Final = {"type": ["string", "null"], "not": {"type": "string", "pattern": NOT_BLANK}}
Points = Annotated[Any, _schema_meta({"anyOf": _POINTS}, value="number")]
Items = Annotated[
    Any,
    _schema_meta(
        {
            "type": "object",
            "maxProperties": MOST_ITEMS,
            "propertyNames": _TEXT,
            "additionalProperties": {"anyOf": [*_POINTS, _UNANSWERED]},
        },
        members={"*": "number"},
    ),
]
Flag = Annotated[Any, _schema_meta({"type": "boolean"}, value="flag")]
Channel = Annotated[Any, _words_meta(CHANNELS)]
Direction = Annotated[Any, _words_meta(DIRECTIONS)]
Outcome = Annotated[Any, _words_meta(OUTCOMES)]
Transfer = Annotated[Any, _words_meta(TRANSFERS)]
ContactStateWord = Annotated[Any, _words_meta(CONTACT_STATES)]
AgentStateWord = Annotated[Any, _words_meta(AGENT_STATES)]
Priority = Annotated[
    Any,
    _schema_meta(
        {"type": "integer", "minimum": -LARGEST_PRIORITY, "maximum": LARGEST_PRIORITY}, value="whole"
    ),
]
Queues = Annotated[
    Any,
    _schema_meta(
        {"type": "array", "maxItems": MOST_LISTED, "items": {"type": "string", **_TEXT}}, value="names"
    ),
]
Channels = Annotated[
    Any,
    _schema_meta({"type": "array", "maxItems": MOST_LISTED, "items": words_schema(CHANNELS)}, value="names"),
]
Comment = Annotated[Any, _schema_meta({"type": "string"}, value="text")]
Answers = Annotated[
    Any,
    _schema_meta(
        {
            "type": "object",
            "properties": {
                **{
                    question: {
                        "anyOf": [
                            {"type": "integer", "minimum": low, "maximum": high},
                            digits_schema(low, high),
                            _UNANSWERED,
                        ]
                    }
                    for question, (low, high) in SCALES.items()
                },
                "resolved_first": {"type": ["boolean", "null"]},
            },
        },
        members={**dict.fromkeys(SCALES, "whole"), "resolved_first": "flag"},
    ),
]
Scale = Annotated[
    Any,
    _schema_meta(
        {
            "type": ["string", "object"],
            "properties": {
                question: {"enum": [[low, high], high, f"{low}-{high}", None]}
                for question, (low, high) in SCALES.items()
            },
        }
    ),
]


def described(description: str, **extra: object) -> Meta:
    """Return the description of an optional field.

    `unless` names a field: this one is read only where that one is unknown. `beside` names one too: this
    one is read only where that one is known. `needed_unless`: a field and one of its words; this one is
    required where that one says otherwise.
    """
    return Meta(description=description, extra=extra)


def required(description: str) -> Meta:
    """Return the description of a required field."""
    return described(description, needed=True)


class EventBody(msgspec.Struct, gc=False):
    """Fields that any event body may hold, those of its envelope included.

    One decoding of the bytes thus tells a structured CloudEvent from a bare object. `ids` are the fields
    that may name the fact: the first one known does. `moment`: the field by which a tombstone takes back
    only what is stated of that moment.
    """

    ids: ClassVar[tuple[str, ...]] = ()
    versions: ClassVar[tuple[str, ...]] = ("version", "updated_at")
    moment: ClassVar[str | None] = None

    specversion: Any = None
    id: Any = None
    type: Any = None
    source: Any = None
    dataschema: Any = None
    data: msgspec.Raw = msgspec.Raw()
    data_base64: Any = None
    deleted: Annotated[Flag, described("true takes the fact back")] = None
    version: Annotated[Version, described("the higher replaces; absent: updated_at, else 0")] = None
    updated_at: Annotated[Time, described("stands for the version", unless="version")] = None
    customer_id: Annotated[Id, described("the customer, over all contacts and channels")] = None


ENVELOPE_FIELDS: Final = frozenset(
    {"specversion", "id", "type", "source", "dataschema", "data", "data_base64"}
)
"""Fields of an EventBody that belong to the envelope."""


class DimensionedBody(EventBody, gc=False):
    site: Annotated[Text, described("where the agent works")] = None
    queue: Annotated[Text, described("the queue")] = None
    team: Annotated[Text, described("the agent's team")] = None
    agent_id: Annotated[Id, described("the agent, never by name")] = None
    channel: Annotated[Channel, described("the channel")] = None
    reason: Annotated[Text, described("why the customer turned to the center")] = None
    language: Annotated[Text, described("the language, such as es")] = None


class CallCompletedBody(DimensionedBody, gc=False):
    """One stay of a contact in one queue, with the agent who took it if any."""

    ids: ClassVar[tuple[str, ...]] = ("segment_id", "contact_id")

    queue: Annotated[Text, required("the queue the contact waited in")] = None
    channel: Annotated[Channel, described("the channel; absent: voice")] = None
    contact_id: Annotated[Id, required("the contact; a transfer keeps it")] = None
    segment_id: Annotated[Id, described("this stay in one queue; absent: the contact's only one")] = None
    direction: Annotated[Direction, described("who began; absent: inbound")] = None
    queued_at: Annotated[Time, described("when the contact entered the queue")] = None
    ended_at: Annotated[Time, required("the end of after-call work, where there is none of the contact")] = (
        None
    )
    wait_s: Annotated[WaitSeconds, described("seconds in the queue, at most the horizon")] = None
    talk_s: Annotated[Seconds, described("seconds with the agent, hold aside")] = None
    hold_s: Annotated[Seconds, described("seconds on hold")] = None
    acw_s: Annotated[Seconds, described("seconds of after-call work")] = None
    outcome: Annotated[Outcome, required("how it ended")] = None
    transfer: Annotated[Transfer, described("to whom it was passed on; absent: none")] = None
    resolved: Annotated[Flag, described("the agent's disposition: is the matter settled?")] = None
    customer_value: Annotated[Money, described("what the customer is worth, in `currency`")] = None
    currency: Annotated[Text, described("the configured one, such as EUR", beside="customer_value")] = None


class SurveySentBody(DimensionedBody, gc=False):
    """An invitation to a survey."""

    ids: ClassVar[tuple[str, ...]] = ("survey_id",)

    survey_id: Annotated[Id, required("the invitation")] = None
    contact_id: Annotated[Id, described("the contact it asks about")] = None
    sent_at: Annotated[Time, required("when it was sent")] = None


class SurveyCompletedBody(DimensionedBody, gc=False):
    """Answers to a survey."""

    ids: ClassVar[tuple[str, ...]] = ("response_id",)

    response_id: Annotated[Id, required("the response")] = None
    survey_id: Annotated[Id, described("the invitation it answers")] = None
    contact_id: Annotated[Id, described("the contact it is about")] = None
    answered_at: Annotated[Time, required("when it was answered")] = None
    answers: Annotated[Answers, required("by question; absent, null or blank: skipped")] = None
    scale: Annotated[Scale, described("the scales in use, to be refused where they are not ours")] = None
    comment: Annotated[Comment, described("the customer's own words")] = None
    excluded: Annotated[Flag, described("true keeps it out of all figures")] = None


class ContactEvaluatedBody(EventBody, gc=False):
    """A quality evaluation of a contact."""

    ids: ClassVar[tuple[str, ...]] = ("evaluation_id",)

    evaluation_id: Annotated[Id, required("the evaluation")] = None
    contact_id: Annotated[Id, described("the contact it is about")] = None
    agent_id: Annotated[Id, described("the agent it is about")] = None
    score: Annotated[Points, required("points from 0 to 100")] = None
    evaluated_at: Annotated[Time, required("when it was evaluated")] = None
    form: Annotated[Text, described("the form that was filled in")] = None
    evaluator_id: Annotated[Id, described("the evaluator, never by name")] = None
    items: Annotated[Items, described("points from 0 to 100 by item of the form; null: does not apply")] = (
        None
    )
    calibration: Annotated[Flag, described("true keeps it out of all figures: evaluators are compared")] = (
        None
    )


class CustomerValuedBody(EventBody, gc=False):
    """Value of a customer."""

    ids: ClassVar[tuple[str, ...]] = ("customer_id",)
    versions: ClassVar[tuple[str, ...]] = ("as_of", "version", "updated_at")

    version: Annotated[
        Any, described("of a deletion without as_of; else as_of is the version", value="whole")
    ] = None
    updated_at: Annotated[Any, described("stands for the version", value="time")] = None
    customer_id: Annotated[Id, required("the customer")] = None
    value: Annotated[Money, required("the value, in `currency`")] = None
    currency: Annotated[Text, described("the configured one, such as EUR")] = None
    as_of: Annotated[Time, required("as of when; the newest counts")] = None


class ContactStateBody(DimensionedBody, gc=False):
    """State of a contact under way: it waits, is offered, connected, on hold, wrapped up or over."""

    ids: ClassVar[tuple[str, ...]] = ("segment_id", "contact_id")
    moment: ClassVar[str | None] = "at"

    queue: Annotated[
        Text, described("the queue; required unless ended", needed_unless=("state", "ended"))
    ] = None
    channel: Annotated[Channel, described("the channel; absent: voice")] = None
    contact_id: Annotated[Id, required("the contact; a transfer keeps it")] = None
    segment_id: Annotated[Id, described("this stay in one queue; absent: the contact's only one")] = None
    state: Annotated[ContactStateWord, required("the state from `at` on")] = None
    at: Annotated[Time, required("when the state began; the latest is in force")] = None
    direction: Annotated[Direction, described("who began; absent: inbound")] = None
    queued_at: Annotated[Time, described("when waiting began, if before `at`")] = None
    priority: Annotated[Priority, described("the priority, as the source states it")] = None


class AgentStateBody(EventBody, gc=False):
    """State of an agent: available, offered a contact, busy, on hold, wrapping up, away or offline."""

    ids: ClassVar[tuple[str, ...]] = ("agent_id",)
    moment: ClassVar[str | None] = "at"

    customer_id: Annotated[Id, described("the customer of the contact in hand")] = None
    agent_id: Annotated[Id, required("the agent, never by name")] = None
    state: Annotated[AgentStateWord, required("the state from `at` on")] = None
    at: Annotated[Time, required("when the state began; the latest is in force")] = None
    seen_at: Annotated[Time, described("a later moment at which it was still so: a snapshot's")] = None
    reason: Annotated[Text, described("why away")] = None
    queues: Annotated[Queues, described("the queues served from now on; absent: as before")] = None
    team: Annotated[Text, described("the agent's team; absent: as before")] = None
    site: Annotated[Text, described("where the agent works; absent: as before")] = None
    channels: Annotated[Channels, described("the channels served from now on; absent: as before")] = None
    contact_id: Annotated[Id, described("the contact in hand")] = None
    heart_beat_s: Annotated[
        Seconds, described("how often this source repeats an agent's state, in seconds; absent or 0: never")
    ] = None


def field_schemas(body: type[EventBody]) -> dict[str, tuple[dict[str, Any], Mapping[str, Any]]]:
    """Return the schema of each data field where it is known, and its other annotations."""
    info = msgspec.inspect.type_info(body)
    assert isinstance(info, msgspec.inspect.StructType)
    schemas: dict[str, tuple[dict[str, Any], Mapping[str, Any]]] = {}
    for field in info.fields:
        if field.name not in ENVELOPE_FIELDS:
            assert isinstance(field.type, msgspec.inspect.Metadata), field.name
            schemas[field.name] = (dict(field.type.extra_json_schema or {}), field.type.extra or {})
    return schemas
