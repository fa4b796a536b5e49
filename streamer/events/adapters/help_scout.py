"""Adapter for Help Scout survey responses, from its webhook message.survey.response.received."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from streamer.events.adapters import questions
from streamer.events.adapters.fields import Field, at, mapped, required, text, time, wrong
from streamer.events.adapters.source import Options, Sent, Source

_FIELDS: Final = {
    "answered_at": Field(time, "response.timestamp"),
    "comment": Field(text, "response.comment"),
    "customer_id": Field(text, "_embedded.customer.id"),
}
_SURVEY: Final = Field(text, "_links.message:dashboard.href", "message.id")


def read(payload: Any, options: Options) -> Iterator[Sent]:
    response = payload.get("response")
    if not isinstance(response, dict):
        raise wrong("wrong-type", "response", response, "an object")
    name = text("message.name", at(payload, "message.name")) or ""
    asked = questions.said("help-scout", options).get(name)
    if asked is None and response.get("category") is not None:  # only NPS surveys have it
        asked = "nps"
    data = mapped(payload, _FIELDS)
    required(data, "answered_at")
    if asked is None:
        raise questions.unsaid("help-scout", [name])
    answer = questions.answer(asked, "response.value", response.get("value"), options)
    data["response_id"] = _identity(payload, name, data, answer)
    found = {"comment": answer} if asked == "comment" and answer is not None else {}
    answers = {} if asked == "comment" else {asked: answer}
    yield Sent("survey-completed", {**data, **found, "answers": answers})


def _identity(payload: Any, name: str, data: dict[str, Any], answer: int | bool | str | None) -> str:
    """Return an id for a response, which has none of its own.

    A response that is sent again has the same time and customer; with an unknown customer, the same words.
    """
    survey = _SURVEY(payload) or name
    customer = data.get("customer_id")
    words = "" if customer is not None else f"{answer}\n{data.get('comment')}"
    told = "\n".join((survey, str(customer), data["answered_at"], words))
    return hashlib.sha256(told.encode()).hexdigest()[:32]


SOURCE: Final = Source(
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
{questions.HELP}

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
    read=read,
    options=questions.OPTIONS,
)
