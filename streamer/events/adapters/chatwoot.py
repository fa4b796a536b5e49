"""Adapter for Chatwoot satisfaction surveys, from its API's list and from its webhooks' messages."""

from collections.abc import Iterator
from typing import Any, Final

from streamer.events.adapters.fields import Field, at, epoch_s, mapped, required, score, text, time, wrong
from streamer.events.adapters.source import Options, Sent, Source
from streamer.events.decoding import SCALES


def _moment(path: str, value: Any) -> Any:
    return time(path, value) if isinstance(value, str) else epoch_s(path, value)


_ROW: Final = {
    "response_id": Field(text, "message_id"),
    "survey_id": Field(text, "message_id"),
    "answered_at": Field(_moment, "created_at"),
    "updated_at": Field(_moment, "updated_at"),
    "customer_id": Field(text, "contact.identifier", "contact_id", "contact.id"),
    "contact_id": Field(text, "conversation_id"),
    "comment": Field(text, "feedback_message"),
}
_MESSAGE: Final = {
    "survey_id": Field(text, "id"),
    "customer_id": Field(text, "conversation.meta.sender.identifier", "conversation.meta.sender.id"),
    "contact_id": Field(text, "conversation.id", "conversation_id"),
}
_SENT: Final = {**_MESSAGE, "sent_at": Field(_moment, "created_at")}
_RATED: Final = {
    **_MESSAGE,
    "response_id": Field(text, "id"),
    "answered_at": Field(_moment, "created_at"),
    "updated_at": Field(_moment, "conversation.updated_at"),
}
_RESPONSE: Final = "content_attributes.submitted_values.csat_survey_response"


def read(payload: Any, options: Options) -> Iterator[Sent]:
    if "event" not in payload:
        yield _answer(payload, _ROW, payload, "")
    elif payload.get("content_type") == "input_csat":  # other messages are not surveys
        sent = mapped(payload, _SENT)
        required(sent, "survey_id", "sent_at")
        yield Sent("survey-sent", sent)
        if (rated := at(payload, _RESPONSE)) is not None:
            if not isinstance(rated, dict):
                raise wrong("wrong-type", _RESPONSE, rated, "an object")
            yield _answer(payload, _RATED, rated, f"{_RESPONSE}.")


def _answer(body: Any, fields: dict[str, Field], rated: dict[str, Any], path: str) -> Sent:
    data = mapped(body, fields)
    if (comment := text(f"{path}feedback_message", rated.get("feedback_message"))) is not None:
        data["comment"] = comment
    required(data, "response_id", "answered_at")
    answer = score(f"{path}rating", rated.get("rating"), SCALES["csat"])
    return Sent("survey-completed", {**data, "answers": {"csat": answer}})


SOURCE: Final = Source(
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
""",
    read=read,
)
