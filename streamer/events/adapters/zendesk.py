"""Adapter for responses to Zendesk's satisfaction surveys, from its API."""

from collections.abc import Iterator
from typing import Any, Final

from streamer.events.adapters import questions
from streamer.events.adapters.fields import Field, at, instant, mapped, required, text, wrong
from streamer.events.adapters.source import Options, Sent, Source

_FIELDS: Final = {"response_id": Field(text, "id"), "customer_id": Field(text, "responder_id")}
_VALUES: Final = {
    "rating_scale": "rating",
    "closed_ended": "selections.0.option_id",
    "open_ended": "value",
    "skipped": "",
}
"""Path of the value, by type of answer."""


def read(payload: Any, options: Options) -> Iterator[Sent]:
    """Yield the event of a response, bare or as `survey_response`, or of each in a page of the API's list."""
    page = payload.get("survey_responses")
    if page is not None and not isinstance(page, list):
        raise wrong("wrong-type", "survey_responses", page, "an array")
    for response in [payload.get("survey_response", payload)] if page is None else page:
        if not isinstance(response, dict):
            raise wrong("wrong-type", "survey_response", response, "an object")
        given = _given(response)
        if given:  # no answers: the survey was offered, and is not answered yet
            yield _sent(response, given, options)


def _sent(response: dict[str, Any], given: list[dict[str, Any]], options: Options) -> Sent:
    found: dict[str, tuple[str, Any]] = {}
    texts: list[str] = []
    for place, one in enumerate(given):
        kind, path = _kind(place, one)
        value = at(one, path) if path else None
        if kind == "open_ended" and (words := text(f"answers.{place}.value", value)) is not None:
            texts.append(words)
        for name in ("question.id", "question.alias"):
            if (asked := text(f"answers.{place}.{name}", at(one, name))) is not None:
                found[asked] = (f"answers.{place}.{path}", value)
    if not questions.said("zendesk", options):
        raise questions.unsaid("zendesk", found)
    data = mapped(response, _FIELDS, contact_id=_ticket(response), comment="\n".join(texts) or None)
    data |= _times(given)
    required(data, "response_id", "answered_at")
    return Sent("survey-completed", {**data, **questions.answers("zendesk", found, options)})


def _given(response: dict[str, Any]) -> list[dict[str, Any]]:
    given = response.get("answers")
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise wrong("wrong-type", "answers", given, "an array of objects")
    return given


def _kind(place: int, one: dict[str, Any]) -> tuple[str, str]:
    kind = text(f"answers.{place}.type", one.get("type"))
    if kind not in _VALUES:
        raise wrong("unknown-value", f"answers.{place}.type", kind, f"one of {', '.join(_VALUES)}")
    return kind, _VALUES[kind]


def _ticket(response: dict[str, Any]) -> str | None:
    """Return the id of the rated ticket, else of the conversation."""
    named = at(response, "subject_zrns")
    parts = [zrn.split(":") for zrn in named if isinstance(zrn, str)] if isinstance(named, list) else []
    by_kind = {part[1]: part[2] for part in parts if len(part) == 3 and part[2].strip()}
    return next((by_kind[kind] for kind in ("ticket", "request", "conversation") if kind in by_kind), None)


def _times(given: list[dict[str, Any]]) -> dict[str, float]:
    """Return the time of the first answer and of the last change, in seconds."""
    begun = [instant("answers.created_at", one.get("created_at")) for one in given]
    changed = [instant("answers.updated_at", one.get("updated_at")) for one in given]
    return {
        name: choose(known) / 1000
        for name, choose, times in (("answered_at", min, begun), ("updated_at", max, changed))
        if (known := [time for time in times if time is not None])
    }


SOURCE: Final = Source(
    name="zendesk",
    title="Zendesk survey responses (CSAT)",
    help=f"""\
The objects of GET /api/v2/guide/survey_responses: one, bare or as `survey_response`, or a page of
the list.
Zendesk's older satisfaction ratings (good, bad) have no scale of ours and are not read.

What is read
  id                            response_id
  responder_id                  customer_id
  subject_zrns                  contact_id: the ticket's number (zen:ticket:99 is 99), else the
                                conversation's
  answers[].created_at          when it was answered: the first of them
  answers[].updated_at          its version: the last of them; it may be changed until expires_at
  answers[] rating_scale        rating, read as `questions` says
  answers[] closed_ended        the first option's id, read as `questions` and `values` say
  answers[] open_ended          comment, one line for each
  answers[] skipped             an answer skipped: it enters no denominator

Options
{questions.HELP}

  [sources.zendesk]
  secret = "…"                  # the webhook's signing secret: its signatures are checked with it
  [sources.zendesk.questions]
  01J1WBE8QR0YQVE373K2JDJR0F = "csat"          # the question's id, or its alias
  01J1WBGX1BR4ECKTS87CRJTXSF = "resolved_first"
  [sources.zendesk.values]
  01J1WBKRG57E6M8C1145EXJ535 = true            # the option's id

What to know
  Say csat only of a survey with five steps. One with two or three is on another scale: let `values`
  say what its ratings are ("1" = 1, "2" = 5), or leave it out.
  `survey_id` names the survey for all who were asked, not one invitation: it is not read. When a
  survey was offered is not told, so there is no response_ratio of this source. What was offered and
  is not answered yet says nothing here.
  rating_category (good, bad) is the source's own view of the rating and is not read.
""",
    read=read,
    options=questions.OPTIONS,
)
