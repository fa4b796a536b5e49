"""Adapter for Delighted survey responses, from its webhooks and its API."""

from collections.abc import Iterator
from typing import Any, Final

from streamer.events.adapters.fields import (
    FieldReader,
    first_known,
    map_fields,
    payload_error,
    read_epoch_s,
    read_score,
    read_text,
    require_fields,
    value_at,
)
from streamer.events.adapters.source import Options, OutgoingEvent, SourceAdapter
from streamer.events.decoding import SCALES

_SURVEYS: Final = {"nps": "nps", "csat": "csat", "ces": "ces", "5star": "csat"}
"""The contract's question by survey type; other types have other scales."""
_NO_RESPONSES: Final = ("unsubscribe", "survey_response.unsubscribed")
_FIELDS: Final = {
    "response_id": FieldReader(read_text, "id"),
    "answered_at": FieldReader(read_epoch_s, "created_at"),
    "updated_at": FieldReader(read_epoch_s, "updated_at"),
    "comment": FieldReader(read_text, "comment"),
    "contact_id": FieldReader(read_text, "person_properties.contact_id"),
    "queue": FieldReader(read_text, "person_properties.queue"),
    "language": FieldReader(read_text, "person_properties.locale"),
}


def read_delighted_response(payload: Any, options: Options) -> Iterator[OutgoingEvent]:
    if payload.get("event_type") in _NO_RESPONSES:
        return
    response = payload.get("event_data") or payload  # a webhook's envelope, or the API's bare response
    if not isinstance(response, dict):
        raise payload_error("wrong-type", "event_data", response, "an object")
    kind = read_text("survey_type", response.get("survey_type")) or "nps"
    question = _SURVEYS.get(kind)
    if question is None:
        raise payload_error("unknown-value", "survey_type", kind, f"one of {', '.join(_SURVEYS)}")
    person = response.get("person")  # its id; expanded, an object
    customer = read_text(
        "person", first_known([value_at(person, "id"), None if isinstance(person, dict) else person])
    )
    data = map_fields(response, _FIELDS, customer_id=customer)
    require_fields(data, "response_id", "answered_at")
    points = read_score("score", value_at(response, "score"), SCALES[question])
    yield OutgoingEvent("survey-completed", {**data, "answers": {question: points}})


SOURCE: Final = SourceAdapter(
    name="delighted",
    title="Delighted survey responses",
    help="""\
Delighted sends one webhook for each response, and again when it is updated; the API's list of
responses has the same objects.

What is read
  id                            response_id; a newer updated_at replaces an older one
  created_at, updated_at        when it was answered, and its version (seconds since the epoch)
  person or person.id           customer_id
  score, survey_type            nps 0-10, csat 1-5, ces 1-7, 5star 1-5 as csat; another type is
                                refused
  comment                       comment
  person_properties             contact_id, queue, locale, where you send them along

  [sources.delighted]
  secret = "…"                  # the API key: its webhooks' signatures are checked with it

What to know
  A score that is missing is an answer skipped: it enters no denominator.
  Send the contact's id as a property with each survey: only then is a score counted for the agent
  who had the call.
  Delighted does not tell how many were asked, so there is no response_ratio of this source.
  Unsubscriptions are ignored.
""",
    read=read_delighted_response,
    event_names={
        "survey_response.created": "survey-completed",
        "survey_response.updated": "survey-completed: replaces the former",
        "survey_response.unsubscribed": "not read: no answer",
        "unsubscribe": "not read: no answer",
    },
)
