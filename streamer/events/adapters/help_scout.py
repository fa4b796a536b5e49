"""Adapter for Help Scout survey responses, from its webhook message.survey.response.received."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from streamer.events.adapters import survey_questions
from streamer.events.adapters.fields import (
    FieldReader,
    map_fields,
    payload_error,
    read_text,
    read_time,
    require_fields,
    value_at,
)
from streamer.events.adapters.source import Options, OutgoingEvent, SourceAdapter

_FIELDS: Final = {
    "answered_at": FieldReader(read_time, "response.timestamp"),
    "comment": FieldReader(read_text, "response.comment"),
    "customer_id": FieldReader(read_text, "_embedded.customer.id"),
}
_SURVEY: Final = FieldReader(read_text, "_links.message:dashboard.href", "message.id")


def read_help_scout_response(payload: Any, options: Options) -> Iterator[OutgoingEvent]:
    response = payload.get("response")
    if not isinstance(response, dict):
        raise payload_error("wrong-type", "response", response, "an object")
    name = read_text("message.name", value_at(payload, "message.name")) or ""
    question = survey_questions.configured_questions("help-scout", options).get(name)
    if question is None and response.get("category") is not None:  # only NPS surveys have it
        question = "nps"
    data = map_fields(payload, _FIELDS)
    require_fields(data, "answered_at")
    if question is None:
        raise survey_questions.unmapped_question_error("help-scout", [name])
    answer = survey_questions.read_answer(question, "response.value", response.get("value"), options)
    data["response_id"] = _response_id(payload, name, data, answer)
    comment_data = {"comment": answer} if question == "comment" and answer is not None else {}
    answers = {} if question == "comment" else {question: answer}
    yield OutgoingEvent("survey-completed", {**data, **comment_data, "answers": answers})


def _response_id(payload: Any, name: str, data: dict[str, Any], answer: int | bool | str | None) -> str:
    """Return an id for a response, which has none of its own.

    A response that is sent again has the same time and customer; with an unknown customer, the same words.
    """
    survey = _SURVEY(payload) or name
    customer = data.get("customer_id")
    words = "" if customer is not None else f"{answer}\n{data.get('comment')}"
    fingerprint = "\n".join((survey, str(customer), data["answered_at"], words))
    return hashlib.sha256(fingerprint.encode()).hexdigest()[:32]


SOURCE: Final = SourceAdapter(
    name="help-scout",
    title="Help Scout survey responses",
    help=f"""\
Help Scout sends a webhook (message.survey.response.received) for each response to a survey of its
messages.
Ratings of conversations (satisfaction.ratings: great, okay, not good) have no scale of ours and are
not read.

What is read
  response.value                the answer, a text ("9"), read as `questions` says
  response.category             that the survey asks for NPS: no other has it
  response.comment              comment
  response.timestamp            when it was answered
  _embedded.customer.id         customer_id
  message.name                  the survey's name, to be found in `questions`

Options
{survey_questions.HELP}

  [sources.help-scout]
  secret = "…"                  # the webhook's secret key: its signatures are checked with it
  [sources.help-scout.questions]
  "Was it solved?" = "resolved_first"          # the survey's name
  [sources.help-scout.values]
  "👍" = true
  "👎" = false

What to know
  `category` can be wrong (a 9 was seen as passive): who is a promoter follows from the value alone.
  A response has no id. It is recognized by survey, time and customer, so that one sent twice
  counts once; one that a customer gives anew is another response.
  It names no conversation: the score is the customer's, and of no agent. Help Scout does not
  tell how many were asked, so there is no response_ratio of this source.
""",
    read=read_help_scout_response,
    options=survey_questions.OPTIONS,
    event_names={
        "message.survey.response.received": "survey-completed",
    },
)
