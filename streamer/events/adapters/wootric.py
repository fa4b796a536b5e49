"""Adapter for Wootric (InMoment) responses and declines, from its webhooks."""

import re
from collections.abc import Iterator
from typing import Any, Final

from streamer.events.adapters import survey_questions
from streamer.events.adapters.fields import (
    FieldReader,
    map_fields,
    payload_error,
    read_epoch_s,
    read_flag,
    read_text,
    read_time,
    require_fields,
)
from streamer.events.adapters.source import Options, OutgoingEvent, SourceAdapter

_RUBY_TIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) (?:UTC|([+-]\d\d):?(\d\d))")


def _read_time(path: str, value: Any) -> Any:
    """Read a time: seconds since the epoch (API), or a text such as `2018-03-28 15:06:20 -0700` (webhooks).

    >>> _read_time("created_at", "2018-03-28 15:06:20 -0700")
    '2018-03-28T15:06:20-07:00'
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return read_epoch_s(path, value)
    if isinstance(value, str) and (parts := _RUBY_TIME.fullmatch(value.strip())):
        day, hour, east, minutes = parts.groups()
        value = f"{day}T{hour}{f'{east}:{minutes}' if east else 'Z'}"
    return read_time(path, value)


_PERSON: Final = {
    "customer_id": FieldReader(read_text, "external_id", "end_user_id", "end_user.id"),
    "contact_id": FieldReader(read_text, "end_user_properties.contact_id", "end_user.properties.contact_id"),
    "queue": FieldReader(read_text, "end_user_properties.queue", "end_user.properties.queue"),
}
_FIELDS: Final = {
    **_PERSON,
    "response_id": FieldReader(read_text, "id"),
    "survey_id": FieldReader(read_text, "survey_id"),
    "answered_at": FieldReader(_read_time, "created_at"),
    "updated_at": FieldReader(_read_time, "updated_at"),
    "comment": FieldReader(read_text, "text"),
    "excluded": FieldReader(read_flag, "excluded_from_calculations"),
}
_SENT: Final = {
    **_PERSON,
    "sent_at": FieldReader(_read_time, "created_at"),
    "updated_at": FieldReader(_read_time, "updated_at"),
}


def read_wootric_webhook(payload: Any, options: Options) -> Iterator[OutgoingEvent]:
    for name in ("response", "decline"):
        if (body := payload.get(name)) is not None:
            if not isinstance(body, dict):
                raise payload_error("wrong-type", name, body, "an object")
            yield _invitation(name, body)
            if name == "response":
                yield _response_event(body, options)
            return
    raise payload_error("missing", "response", None, "a response or a decline")


def _invitation(name: str, body: dict[str, Any]) -> OutgoingEvent:
    """Return the event for the invitation, which a response and a decline both imply."""
    data = map_fields(body, _SENT, survey_id=_survey_id(name, body))
    require_fields(data, "survey_id", "sent_at")
    return OutgoingEvent("survey-sent", data)


def _response_event(body: dict[str, Any], options: Options) -> OutgoingEvent:
    if "score" not in (question_by_name := survey_questions.configured_questions("wootric", options)):
        raise survey_questions.unmapped_question_error("wootric", ["score"])
    data = map_fields(body, _FIELDS) | {"survey_id": _survey_id("response", body)}
    require_fields(data, "response_id", "answered_at")
    points = survey_questions.read_answer(
        question_by_name["score"], "response.score", body.get("score"), options
    )
    return OutgoingEvent("survey-completed", {**data, "answers": {question_by_name["score"]: points}})


def _survey_id(name: str, body: dict[str, Any]) -> str | None:
    """Return the survey's id: one showing to one person, as in the contract."""
    if (survey_id := read_text(f"{name}.survey_id", body.get("survey_id"))) is not None:
        return survey_id
    number = read_text(f"{name}.id", body.get("id"))
    return None if number is None else f"{name}-{number}"


SOURCE: Final = SourceAdapter(
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
{survey_questions.HELP}

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
    read=read_wootric_webhook,
    options=survey_questions.OPTIONS,
    event_names={
        "created": "survey-sent, and survey-completed of a response",
        "updated": "survey-sent, and survey-completed of a response: replaces the former",
    },
)
