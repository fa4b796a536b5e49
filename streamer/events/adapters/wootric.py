"""Adapter for Wootric (InMoment) responses and declines, from its webhooks."""

import re
from collections.abc import Iterator
from typing import Any, Final

from streamer.events.adapters import questions
from streamer.events.adapters.fields import Field, epoch_s, flag, mapped, required, text, time, wrong
from streamer.events.adapters.source import Options, Sent, Source

_RUBY = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) (?:UTC|([+-]\d\d):?(\d\d))")


def _moment(path: str, value: Any) -> Any:
    """Read a time: seconds since the epoch (API), or a text such as `2018-03-28 15:06:20 -0700` (webhooks).

    >>> _moment("created_at", "2018-03-28 15:06:20 -0700")
    '2018-03-28T15:06:20-07:00'
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return epoch_s(path, value)
    if isinstance(value, str) and (parts := _RUBY.fullmatch(value.strip())):
        day, hour, east, minutes = parts.groups()
        value = f"{day}T{hour}{f'{east}:{minutes}' if east else 'Z'}"
    return time(path, value)


_PERSON: Final = {
    "customer_id": Field(text, "external_id", "end_user_id", "end_user.id"),
    "contact_id": Field(text, "end_user_properties.contact_id", "end_user.properties.contact_id"),
    "queue": Field(text, "end_user_properties.queue", "end_user.properties.queue"),
}
_FIELDS: Final = {
    **_PERSON,
    "response_id": Field(text, "id"),
    "survey_id": Field(text, "survey_id"),
    "answered_at": Field(_moment, "created_at"),
    "updated_at": Field(_moment, "updated_at"),
    "comment": Field(text, "text"),
    "excluded": Field(flag, "excluded_from_calculations"),
}
_SENT: Final = {
    **_PERSON,
    "sent_at": Field(_moment, "created_at"),
    "updated_at": Field(_moment, "updated_at"),
}


def read(payload: Any, options: Options) -> Iterator[Sent]:
    for name in ("response", "decline"):
        if (body := payload.get(name)) is not None:
            if not isinstance(body, dict):
                raise wrong("wrong-type", name, body, "an object")
            yield _invitation(name, body)
            if name == "response":
                yield _answer(body, options)
            return
    raise wrong("missing", "response", None, "a response or a decline")


def _invitation(name: str, body: dict[str, Any]) -> Sent:
    """Return the event for the invitation, which a response and a decline both imply."""
    data = mapped(body, _SENT, survey_id=_survey(name, body))
    required(data, "survey_id", "sent_at")
    return Sent("survey-sent", data)


def _answer(body: dict[str, Any], options: Options) -> Sent:
    if "score" not in (asked := questions.said("wootric", options)):
        raise questions.unsaid("wootric", ["score"])
    data = mapped(body, _FIELDS) | {"survey_id": _survey("response", body)}
    required(data, "response_id", "answered_at")
    score = questions.answer(asked["score"], "response.score", body.get("score"), options)
    return Sent("survey-completed", {**data, "answers": {asked["score"]: score}})


def _survey(name: str, body: dict[str, Any]) -> str | None:
    """Return the survey's id: one showing to one person, as in the contract."""
    if (own := text(f"{name}.survey_id", body.get("survey_id"))) is not None:
        return own
    number = text(f"{name}.id", body.get("id"))
    return None if number is None else f"{name}-{number}"


SOURCE: Final = Source(
    name="wootric",
    title="Wootric (InMoment) responses and declines",
    help=f"""\
Wootric sends a webhook for each response, again when it is updated, and for each survey that
somebody closed without an answer (a decline).

What is read (of `response` and of `decline`)
  id                            response_id
  survey_id                     survey_id: one showing of the survey to one person
  created_at, updated_at        when, and the version; "2018-03-28 15:06:20 -0700" as it writes it
  score                         the answer, a text ("10"), read as `questions` says
  text                          comment
  excluded_from_calculations    excluded: "true" is in no figure
  external_id or end_user_id    customer_id: your own id goes first
  end_user_properties           contact_id, queue, where you send them along

Options
{questions.HELP}

  [sources.wootric]
  secret = "…"                  # let the webhook bear it: Authorization: Bearer …
  questions = {{ score = "nps" }} # or csat, or ces: what the account asks

What to know
  A response says that a survey was sent, and so does a decline: both are published as survey-sent,
  once for a survey_id, the response as an answer too. response_ratio is thus answers / (answers +
  declines). Who saw the survey and neither answered nor closed it Wootric does not tell: of all who
  saw it the share is lower.
  A response that is excluded was answered all the same: it stays in response_ratio, and in nothing
  else.
  Wootric does not sign its webhooks. Let it send the secret, or put what checks it in between.
""",
    read=read,
    options=questions.OPTIONS,
)
