"""JSON bodies of the events: their fields, meanings and limits.

A field takes any type: its reader in `decoding` checks the value and says what is wrong. The expected type
is annotated for `schema`, from the same limits that the readers use; a test compares the two.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from streamer.events.models import CHANNELS, DIRECTIONS, OUTCOMES, TRANSFERS
from streamer.events.rules import DAY, SECOND

LONGEST_TEXT: Final = 256
LONGEST_DURATION: Final = 7 * DAY
LARGEST_ID: Final = 10**40
LARGEST_VERSION: Final = 2**53 - 1  # what JSON's and Lua's numbers carry exactly
LARGEST_VALUE: Final = 1_000_000_000
LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z
POINTS: Final = (0, 100)
SCALES: Final[Mapping[str, tuple[int, int]]] = {
    "nps": (0, 10),
    "csat": (1, 5),
    "ces": (1, 7),
    "effort": (1, 5),
    "cnx": (1, 10),
}
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
NOT_BLANK: Final = r"[^\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""A pattern of JSON Schema: any character that Python does not strip."""
_RFC_3339: Final = (
    r"^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])[Tt ]"
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])$"
)

# Schemas of known values. Null means unknown; with `blank`, a text of nothing but blanks does too.

_BLANK: Final = {"blank": True}
_TEXT: Final = {
    "maxLength": LONGEST_TEXT,
    "pattern": NOT_BLANK,
    "not": {"type": "string", "pattern": CONTROL.pattern},
}
_WHOLE_ID: Final = {"exclusiveMinimum": -LARGEST_ID, "exclusiveMaximum": LARGEST_ID}


def _kind(schema: Mapping[str, Any], **extra: object) -> Meta:
    return Meta(extra_json_schema=dict(schema), extra=extra)


def _one_of(words: tuple[str, ...]) -> Meta:
    any_case = "|".join("".join(map(_either, word)) for word in words)
    return _kind(
        {"anyOf": [{"enum": list(words)}, {"type": "string", "pattern": f"^(?:{any_case})$"}]}, **_BLANK
    )


def _either(letter: str) -> str:
    found = {letter, letter.upper(), "\u212a"}  # the Kelvin sign is a k in lower case
    return "[" + "".join(sorted(one for one in found if one.lower() == letter)) + "]"


def digits(low: int, high: int) -> dict[str, Any]:
    """Return the schema of a whole number within these limits, written as a text of digits.

    >>> digits(1, 3)["pattern"]
    '^0*(?:1|2|3)$'
    """
    numbers = "|".join(map(str, range(low, high + 1)))
    return {"type": "string", "pattern": f"^0*(?:{numbers})$", "maxLength": 9}


def _within(longest_ms: int) -> dict[str, Any]:
    return {"type": "number", "minimum": 0, "maximum": longest_ms / SECOND}


Text = Annotated[Any, _kind({"type": "string", **_TEXT}, **_BLANK)]
Id = Annotated[Any, _kind({"type": ["string", "integer"], **_TEXT, **_WHOLE_ID}, **_BLANK)]
Time = Annotated[
    Any,
    _kind(
        {
            "anyOf": [
                {"type": "string", "format": "date-time", "pattern": _RFC_3339},
                {"type": "number", "minimum": -LAST_SECOND, "maximum": LAST_SECOND},
            ]
        },
        **_BLANK,
    ),
]
Seconds = Annotated[Any, _kind(_within(LONGEST_DURATION))]
WaitSeconds = Annotated[Any, _kind(_within(LONGEST_DURATION), horizon=True)]
Money = Annotated[Any, _kind({"type": "number", "minimum": -LARGEST_VALUE, "maximum": LARGEST_VALUE})]
Version = Annotated[Any, _kind({"type": "integer", "minimum": 0, "maximum": LARGEST_VERSION})]
Points = Annotated[
    Any,
    _kind({"anyOf": [{"type": "number", "minimum": POINTS[0], "maximum": POINTS[1]}, digits(*POINTS)]}),
]
Flag = Annotated[Any, _kind({"type": "boolean"})]
Channel = Annotated[Any, _one_of(CHANNELS)]
Direction = Annotated[Any, _one_of(DIRECTIONS)]
Outcome = Annotated[Any, _one_of(OUTCOMES)]
Transfer = Annotated[Any, _one_of(TRANSFERS)]
Comment = Annotated[Any, _kind({"type": "string"})]
Answers = Annotated[
    Any,
    _kind(
        {
            "type": "object",
            "properties": {
                **{
                    question: {
                        "anyOf": [
                            {"type": "integer", "minimum": low, "maximum": high},
                            digits(low, high),
                            {"type": ["string", "null"], "not": {"type": "string", "pattern": NOT_BLANK}},
                        ]
                    }
                    for question, (low, high) in SCALES.items()
                },
                "resolved_first": {"type": ["boolean", "null"]},
            },
        }
    ),
]
Scale = Annotated[
    Any,
    _kind(
        {
            "type": ["string", "object"],
            "properties": {
                question: {"enum": [[low, high], high, f"{low}-{high}", None]}
                for question, (low, high) in SCALES.items()
            },
        }
    ),
]


def says(description: str, **extra: object) -> Meta:
    """Return the description of an optional field.

    `unless` names a field: this one is read only where that one is unknown. `beside` names one too: this
    one is read only where that one is known.
    """
    return Meta(description=description, extra=extra)


def needed(description: str) -> Meta:
    """Return the description of a required field."""
    return says(description, needed=True)


class Form(msgspec.Struct, gc=False):
    """Fields that any event body may hold, those of its envelope included.

    One decoding of the bytes thus tells a structured CloudEvent from a bare object. `ids` are the fields
    that may name the fact: the first one known does.
    """

    ids: ClassVar[tuple[str, ...]] = ()
    versions: ClassVar[tuple[str, ...]] = ("version", "updated_at")

    specversion: Any = None
    id: Any = None
    type: Any = None
    source: Any = None
    dataschema: Any = None
    data: msgspec.Raw = msgspec.Raw()
    data_base64: Any = None
    deleted: Annotated[Flag, says("true takes the fact back")] = None
    version: Annotated[Version, says("the higher replaces; absent: updated_at, else 0")] = None
    updated_at: Annotated[Time, says("stands for the version", unless="version")] = None
    customer_id: Annotated[Id, says("the customer, over all contacts and channels")] = None


ENVELOPE: Final = frozenset({"specversion", "id", "type", "source", "dataschema", "data", "data_base64"})
"""Fields of an EventBody that belong to the envelope."""


class WithDimensions(Form, gc=False):
    site: Annotated[Text, says("where the agent works")] = None
    queue: Annotated[Text, says("the queue")] = None
    team: Annotated[Text, says("the agent's team")] = None
    agent_id: Annotated[Id, says("the agent, never by name")] = None
    channel: Annotated[Channel, says("the channel")] = None
    reason: Annotated[Text, says("why the customer turned to the center")] = None
    language: Annotated[Text, says("the language, such as es")] = None


class CallCompleted(WithDimensions, gc=False):
    """One stay of a contact in one queue, with the agent who took it if any."""

    ids: ClassVar[tuple[str, ...]] = ("segment_id", "contact_id")

    queue: Annotated[Text, needed("the queue the contact waited in")] = None
    channel: Annotated[Channel, says("the channel; absent: voice")] = None
    contact_id: Annotated[Id, needed("the contact; a transfer keeps it")] = None
    segment_id: Annotated[Id, says("this stay in one queue; absent: the contact's only one")] = None
    direction: Annotated[Direction, says("who began; absent: inbound")] = None
    queued_at: Annotated[Time, says("when the contact entered the queue")] = None
    ended_at: Annotated[Time, needed("the end of after-call work, where there is none of the contact")] = None
    wait_s: Annotated[WaitSeconds, says("seconds in the queue, at most the horizon")] = None
    talk_s: Annotated[Seconds, says("seconds with the agent, hold aside")] = None
    hold_s: Annotated[Seconds, says("seconds on hold")] = None
    acw_s: Annotated[Seconds, says("seconds of after-call work")] = None
    outcome: Annotated[Outcome, needed("how it ended")] = None
    transfer: Annotated[Transfer, says("to whom it was passed on; absent: none")] = None
    resolved: Annotated[Flag, says("the agent's disposition: is the matter settled?")] = None
    customer_value: Annotated[Money, says("what the customer is worth, in `currency`")] = None
    currency: Annotated[Text, says("the configured one, such as EUR", beside="customer_value")] = None


class SurveyWasSent(WithDimensions, gc=False):
    """An invitation to a survey."""

    ids: ClassVar[tuple[str, ...]] = ("survey_id",)

    survey_id: Annotated[Id, needed("the invitation")] = None
    contact_id: Annotated[Id, says("the contact it asks about")] = None
    sent_at: Annotated[Time, needed("when it was sent")] = None


class SurveyCompleted(WithDimensions, gc=False):
    """Answers to a survey."""

    ids: ClassVar[tuple[str, ...]] = ("response_id",)

    response_id: Annotated[Id, needed("the response")] = None
    survey_id: Annotated[Id, says("the invitation it answers")] = None
    contact_id: Annotated[Id, says("the contact it is about")] = None
    answered_at: Annotated[Time, needed("when it was answered")] = None
    answers: Annotated[Answers, needed("by question; absent, null or blank: skipped")] = None
    scale: Annotated[Scale, says("the scales in use, to be refused where they are not ours")] = None
    comment: Annotated[Comment, says("the customer's own words")] = None
    excluded: Annotated[Flag, says("true keeps it out of all figures")] = None


class ContactEvaluated(Form, gc=False):
    """A quality evaluation of a contact."""

    ids: ClassVar[tuple[str, ...]] = ("evaluation_id",)

    evaluation_id: Annotated[Id, needed("the evaluation")] = None
    contact_id: Annotated[Id, says("the contact it is about")] = None
    agent_id: Annotated[Id, says("the agent it is about")] = None
    score: Annotated[Points, needed("points from 0 to 100")] = None
    evaluated_at: Annotated[Time, needed("when it was evaluated")] = None
    form: Annotated[Text, says("the form that was filled in")] = None


class CustomerValued(Form, gc=False):
    """Value of a customer."""

    ids: ClassVar[tuple[str, ...]] = ("customer_id",)
    versions: ClassVar[tuple[str, ...]] = ("as_of", "version", "updated_at")

    version: Annotated[Any, says("of a deletion without as_of; else as_of is the version")] = None
    updated_at: Annotated[Any, says("stands for the version")] = None
    customer_id: Annotated[Id, needed("the customer")] = None
    value: Annotated[Money, needed("the value, in `currency`")] = None
    currency: Annotated[Text, says("the configured one, such as EUR")] = None
    as_of: Annotated[Time, needed("as of when; the newest counts")] = None


FORMS: Final[Mapping[str, type[Form]]] = {
    "call-completed": CallCompleted,
    "survey-sent": SurveyWasSent,
    "survey-completed": SurveyCompleted,
    "contact-evaluated": ContactEvaluated,
    "customer-valued": CustomerValued,
}
KNOWN: Final = frozenset(name for form in FORMS.values() for name in form.__struct_fields__)
"""Names of all fields in the contract, of any event and of its envelope."""
