"""Adapter for Formbricks responses, from its webhooks and its API."""

from collections.abc import Iterator
from typing import Any, Final

from streamer.events.adapters import survey_questions
from streamer.events.adapters.fields import (
    FieldReader,
    map_fields,
    payload_error,
    read_flag,
    read_text,
    read_time,
    require_fields,
)
from streamer.events.adapters.source import Options, OutgoingEvent, SourceAdapter

_FIELDS: Final = {
    "response_id": FieldReader(read_text, "id"),
    "answered_at": FieldReader(read_time, "createdAt"),
    "updated_at": FieldReader(read_time, "updatedAt"),
    "customer_id": FieldReader(
        read_text, "data.customer_id", "contactAttributes.userId", "contact.userId", "contact.id"
    ),
    "contact_id": FieldReader(read_text, "data.contact_id"),
    "queue": FieldReader(read_text, "data.queue"),
    "language": FieldReader(read_text, "language"),
}


def read_formbricks_response(payload: Any, options: Options) -> Iterator[OutgoingEvent]:
    if payload.get("event") == "testEndpoint":  # sent when a webhook is set up
        return
    response = payload.get("data") if "event" in payload else payload  # the API gives the bare response
    if not isinstance(response, dict):
        raise payload_error("wrong-type", "data", response, "an object")
    if not read_flag("data.finished", response.get("finished")):
        return  # sent again once it is finished
    raw_answers = response.get("data")
    if not isinstance(raw_answers, dict):
        raise payload_error("wrong-type", "data.data", raw_answers, "an object of answers")
    if not survey_questions.configured_questions("formbricks", options):
        raise survey_questions.unmapped_question_error("formbricks", raw_answers)
    data = map_fields(response, _FIELDS)
    if data.get("language") == "default":
        del data["language"]
    require_fields(data, "response_id", "answered_at")
    located_answers = {name: (f"data.data.{name}", value) for name, value in raw_answers.items()}
    yield OutgoingEvent(
        "survey-completed",
        {**data, **survey_questions.mapped_answers("formbricks", located_answers, options)},
    )


SOURCE: Final = SourceAdapter(
    name="formbricks",
    title="Formbricks survey responses",
    help=f"""\
Formbricks sends a webhook when an answer is begun (responseCreated), goes on (responseUpdated) and
is finished (responseFinished). All three are of one answer: it is counted once it is finished, and
a later update replaces it. The API's responses are the same objects.

What is read (of `data`)
  id                            response_id
  createdAt, updatedAt          when it was answered, and its version
  finished                      false: not counted yet
  data                          the answers by question id, read as `questions` says
  data.contact_id, .queue       contact_id, queue: hidden fields, where the survey has them
  data.customer_id              customer_id, a hidden field too; else contactAttributes.userId,
                                contact.userId, contact.id
  language                      language

Options
{survey_questions.HELP}

  [sources.formbricks]
  secret = "whsec_…"            # shown when the webhook is made: its signatures are checked with it
  [sources.formbricks.questions]
  recommend = "nps"             # the question's id, as its editor shows it
  solved = "resolved_first"
  why = "comment"

What to know
  `surveyId` names the survey for all who were asked, not one invitation: it is not read, and how
  many were asked is not known. So there is no response_ratio of this source.
  Without `questions` every answer is refused, and the reason says which questions were asked.
  Hidden fields are how an answer finds its contact, and by it the agent who had it.
""",
    read=read_formbricks_response,
    options=survey_questions.OPTIONS,
    event_names={
        "responseFinished": "survey-completed",
        "responseUpdated": "survey-completed, if it is finished",
        "responseCreated": "survey-completed, if it is finished",
        "testEndpoint": "not read: sent when a webhook is set up",
    },
)
