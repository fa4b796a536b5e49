"""Adapter for Zendesk: responses to its satisfaction surveys, from its API, and states of its agents."""

from collections.abc import Iterator
from typing import Any, Final

from streamer.events.adapters import survey_questions, zendesk_agents
from streamer.events.adapters.fields import (
    FieldReader,
    map_fields,
    payload_error,
    read_instant_ms,
    read_text,
    require_fields,
    value_at,
)
from streamer.events.adapters.source import Options, OutgoingEvent, PayloadItem, SourceAdapter

_FIELDS: Final = {
    "response_id": FieldReader(read_text, "id"),
    "customer_id": FieldReader(read_text, "responder_id"),
}
_VALUES: Final = {
    "rating_scale": "rating",
    "closed_ended": "selections.0.option_id",
    "open_ended": "value",
    "skipped": "",
}
"""Path of the value, by type of answer."""


def read_zendesk_payload(payload: Any, options: Options) -> Iterator[PayloadItem]:
    """Yield what a webhook's event says of an agent, else the events of survey responses."""
    kind = payload.get("type")
    if isinstance(kind, str) and kind.startswith(zendesk_agents.EVENT_TYPE):
        yield from zendesk_agents.read_availability_event(kind, payload, options)
    else:
        yield from _read_responses(payload, options)


def _read_responses(payload: Any, options: Options) -> Iterator[OutgoingEvent]:
    """Yield the event of a response, bare or as `survey_response`, or of each in a page of the API's list."""
    page = payload.get("survey_responses")
    if page is not None and not isinstance(page, list):
        raise payload_error("wrong-type", "survey_responses", page, "an array")
    for response in [payload.get("survey_response", payload)] if page is None else page:
        if not isinstance(response, dict):
            raise payload_error("wrong-type", "survey_response", response, "an object")
        answers = _response_answers(response)
        if answers:  # no answers: the survey was offered, and is not answered yet
            yield _completed_event(response, answers, options)


def _completed_event(
    response: dict[str, Any], answers: list[dict[str, Any]], options: Options
) -> OutgoingEvent:
    located_answers: dict[str, tuple[str, Any]] = {}
    texts: list[str] = []
    for answer_index, answer in enumerate(answers):
        kind, path = _answer_kind(answer_index, answer)
        value = value_at(answer, path) if path else None
        if kind == "open_ended" and (words := read_text(f"answers.{answer_index}.value", value)) is not None:
            texts.append(words)
        for name in ("question.id", "question.alias"):
            if (
                question_name := read_text(f"answers.{answer_index}.{name}", value_at(answer, name))
            ) is not None:
                located_answers[question_name] = (f"answers.{answer_index}.{path}", value)
    if not survey_questions.configured_questions("zendesk", options):
        raise survey_questions.unmapped_question_error("zendesk", located_answers)
    data = map_fields(response, _FIELDS, contact_id=_ticket_id(response), comment="\n".join(texts) or None)
    data |= _times(answers)
    require_fields(data, "response_id", "answered_at")
    return OutgoingEvent(
        "survey-completed", {**data, **survey_questions.mapped_answers("zendesk", located_answers, options)}
    )


def _response_answers(response: dict[str, Any]) -> list[dict[str, Any]]:
    answers = response.get("answers")
    if not isinstance(answers, list) or not all(isinstance(answer, dict) for answer in answers):
        raise payload_error("wrong-type", "answers", answers, "an array of objects")
    return answers


def _answer_kind(answer_index: int, answer: dict[str, Any]) -> tuple[str, str]:
    kind = read_text(f"answers.{answer_index}.type", answer.get("type"))
    if kind not in _VALUES:
        raise payload_error(
            "unknown-value", f"answers.{answer_index}.type", kind, f"one of {', '.join(_VALUES)}"
        )
    return kind, _VALUES[kind]


def _ticket_id(response: dict[str, Any]) -> str | None:
    """Return the id of the rated ticket, else of the conversation."""
    zrns = value_at(response, "subject_zrns")
    split_zrns = [zrn.split(":") for zrn in zrns if isinstance(zrn, str)] if isinstance(zrns, list) else []
    by_kind = {
        zrn_fields[1]: zrn_fields[2]
        for zrn_fields in split_zrns
        if len(zrn_fields) == 3 and zrn_fields[2].strip()
    }
    return next((by_kind[kind] for kind in ("ticket", "request", "conversation") if kind in by_kind), None)


def _times(answers: list[dict[str, Any]]) -> dict[str, float]:
    """Return the time of the first answer and of the last change, in seconds."""
    created_ms = [read_instant_ms("answers.created_at", answer.get("created_at")) for answer in answers]
    updated_ms = [read_instant_ms("answers.updated_at", answer.get("updated_at")) for answer in answers]
    return {
        name: choose(known_ms) / 1000
        for name, choose, times_ms in (("answered_at", min, created_ms), ("updated_at", max, updated_ms))
        if (known_ms := [time_ms for time_ms in times_ms if time_ms is not None])
    }


SOURCE: Final = SourceAdapter(
    name="zendesk",
    title="Zendesk survey responses (CSAT), and states of agents",
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

What is read of webhooks: agent-state, what agents do now
  detail.agent_id               agent_id
  event.updated_at              at
  unified_state_changed         event.new_unified_state, or new_state: online is available, offline
                                offline, any other one away, for its name
  state_changed                 the same for one channel, of who has no unified state: available
                                where one is online; channels are those online

Options
{survey_questions.HELP}

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
  Zendesk tells which tickets an agent has, not which one is worked on: nobody is busy here. It
  sends no contacts that wait.
""",
    read=read_zendesk_payload,
    options=survey_questions.OPTIONS,
    agent_state=zendesk_agents.availability_state,
    event_names=zendesk_agents.EVENT_NAMES,
)
