"""Adapter for Chatwoot satisfaction surveys, from its API's list and from its webhooks' messages."""

from collections.abc import Iterator
from typing import Any, Final

from streamer.events.adapters.fields import (
    FieldReader,
    map_fields,
    payload_error,
    read_epoch_s,
    read_score,
    read_text,
    read_time,
    require_fields,
    value_at,
)
from streamer.events.adapters.source import Options, OutgoingEvent, SourceAdapter
from streamer.events.decoding import SCALES


def _read_time(path: str, value: Any) -> Any:
    return read_time(path, value) if isinstance(value, str) else read_epoch_s(path, value)


_ROW: Final = {
    "response_id": FieldReader(read_text, "message_id"),
    "survey_id": FieldReader(read_text, "message_id"),
    "answered_at": FieldReader(_read_time, "created_at"),
    "updated_at": FieldReader(_read_time, "updated_at"),
    "customer_id": FieldReader(read_text, "contact.identifier", "contact_id", "contact.id"),
    "contact_id": FieldReader(read_text, "conversation_id"),
    "comment": FieldReader(read_text, "feedback_message"),
}
_MESSAGE: Final = {
    "survey_id": FieldReader(read_text, "id"),
    "customer_id": FieldReader(
        read_text, "conversation.meta.sender.identifier", "conversation.meta.sender.id"
    ),
    "contact_id": FieldReader(read_text, "conversation.id", "conversation_id"),
}
_SENT: Final = {**_MESSAGE, "sent_at": FieldReader(_read_time, "created_at")}
_RATING: Final = {
    **_MESSAGE,
    "response_id": FieldReader(read_text, "id"),
    "answered_at": FieldReader(_read_time, "created_at"),
    "updated_at": FieldReader(_read_time, "conversation.updated_at"),
}
_RESPONSE: Final = "content_attributes.submitted_values.csat_survey_response"


def read_csat_survey(payload: Any, options: Options) -> Iterator[OutgoingEvent]:
    if "event" not in payload:
        yield _survey_response(payload, _ROW, payload, "")
    elif payload.get("content_type") == "input_csat":  # other messages are not surveys
        invitation = map_fields(payload, _SENT)
        require_fields(invitation, "survey_id", "sent_at")
        yield OutgoingEvent("survey-sent", invitation)
        if (rating := value_at(payload, _RESPONSE)) is not None:
            if not isinstance(rating, dict):
                raise payload_error("wrong-type", _RESPONSE, rating, "an object")
            yield _survey_response(payload, _RATING, rating, f"{_RESPONSE}.")


def _survey_response(
    body: Any, fields: dict[str, FieldReader], rating: dict[str, Any], path: str
) -> OutgoingEvent:
    data = map_fields(body, fields)
    if (comment := read_text(f"{path}feedback_message", rating.get("feedback_message"))) is not None:
        data["comment"] = comment
    require_fields(data, "response_id", "answered_at")
    points = read_score(f"{path}rating", rating.get("rating"), SCALES["csat"])
    return OutgoingEvent("survey-completed", {**data, "answers": {"csat": points}})


SOURCE: Final = SourceAdapter(
    name="chatwoot",
    title="Chatwoot satisfaction surveys (CSAT)",
    help="""\
Two shapes are read: a row of the API's csat_survey_responses, and the webhooks message_created and
message_updated of the message that asks (content_type input_csat). Other messages are ignored.

What is read
  message_id (webhook: id)      response_id and survey_id: the message that asked
  rating                        csat 1-5
  feedback_message              comment
  conversation_id               contact_id (webhook: conversation.id, the number people see)
  contact.identifier            customer_id: your own id goes first; else contact_id, contact.id
                                (webhook: conversation.meta.sender)
  created_at                    answered_at (webhook: sent_at too)

  [sources.chatwoot]
  secret = "…"                  # of the webhook, in its settings: signatures are checked with it

What to know
  assigned_agent is who has the conversation now, and may be nobody. It is not read: the score goes
  to the agent who had the contact, by its conversation's number in the events of its contacts.
  By webhooks it is known who was asked, so there is a response_ratio; the API's rows are only of
  those who answered, and make none.
  A webhook does not say when the rating was given: it is placed when the survey was sent, and a
  changed rating replaces the former. A row says when, but not that it was changed.
  No webhook tells what agents do or which contacts wait: this source sends no states.
""",
    read=read_csat_survey,
    event_names={
        "message_created": "survey-sent and survey-completed, of the message that asks",
        "message_updated": "survey-sent and survey-completed, of the message that asks",
        "conversation_created": "not read: who waits for an agent is not told",
        "conversation_updated": "not read: no survey, no state of an agent",
        "conversation_status_changed": "not read: open, resolved and snoozed are no states of work",
        "conversation_typing_on": "not read: no survey, no state of an agent",
        "conversation_typing_off": "not read: no survey, no state of an agent",
        "webwidget_triggered": "not read: a visitor looks at the page",
        "contact_created": "not read: no survey, no state of an agent",
        "contact_updated": "not read: no survey, no state of an agent",
        "inbox_created": "not read: no survey, no state of an agent",
        "inbox_updated": "not read: no survey, no state of an agent",
        "presence.update": "not read: of the WebSocket, without a time; no webhook tells of agents",
    },
)
