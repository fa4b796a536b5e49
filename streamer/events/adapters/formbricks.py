"""Adapter for Formbricks responses, from its webhooks and its API."""

from collections.abc import Iterator
from typing import Any, Final

from streamer.events.adapters import questions
from streamer.events.adapters.fields import Field, flag, mapped, required, text, time, wrong
from streamer.events.adapters.source import Options, Sent, Source

_FIELDS: Final = {
    "response_id": Field(text, "id"),
    "answered_at": Field(time, "createdAt"),
    "updated_at": Field(time, "updatedAt"),
    "customer_id": Field(
        text, "data.customer_id", "contactAttributes.userId", "contact.userId", "contact.id"
    ),
    "contact_id": Field(text, "data.contact_id"),
    "queue": Field(text, "data.queue"),
    "language": Field(text, "language"),
}


def read(payload: Any, options: Options) -> Iterator[Sent]:
    if payload.get("event") == "testEndpoint":  # sent when a webhook is set up
        return
    response = payload.get("data") if "event" in payload else payload  # the API gives the bare response
    if not isinstance(response, dict):
        raise wrong("wrong-type", "data", response, "an object")
    if not flag("data.finished", response.get("finished")):
        return  # sent again once it is finished
    given = response.get("data")
    if not isinstance(given, dict):
        raise wrong("wrong-type", "data.data", given, "an object of answers")
    if not questions.said("formbricks", options):
        raise questions.unsaid("formbricks", given)
    data = mapped(response, _FIELDS)
    if data.get("language") == "default":
        del data["language"]
    required(data, "response_id", "answered_at")
    found = {name: (f"data.data.{name}", value) for name, value in given.items()}
    yield Sent("survey-completed", {**data, **questions.answers("formbricks", found, options)})


SOURCE: Final = Source(
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
{questions.HELP}

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
    read=read,
    options=questions.OPTIONS,
)
