"""Adapter for Amazon Connect's survey sample: the record that its Lambda stores after a call."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from streamer.events.adapters.fields import (
    FieldReader,
    map_fields,
    payload_error,
    read_epoch_s,
    read_score,
    read_text,
    require_fields,
    value_at,
)
from streamer.events.adapters.source import Options, OutgoingEvent, SourceAdapter
from streamer.events.decoding import SCALES

_SETTING: Final = "questions of [sources.amazon-connect-survey]"
_QUESTIONS: Final = (*SCALES, "resolved_first")
_FIELDS: Final = {
    "contact_id": FieldReader(read_text, "initialContactId", "contactId"),
    "answered_at": FieldReader(read_epoch_s, "timestamp"),
    "updated_at": FieldReader(read_epoch_s, "timestamp"),
}


def read_survey_record(payload: Any, options: Options) -> Iterator[OutgoingEvent]:
    if payload.get("eventName") == "REMOVE":
        return  # the record expired; its answers still count
    record = _plain_record(payload)
    contact = read_text("contactId", record.get("contactId"))
    if contact is None:
        raise payload_error("missing", "contactId", None, "the contact's id")
    survey = read_text("surveyId", record.get("surveyId"))
    if survey is None:
        raise payload_error("missing", "surveyId", None, "the survey's id")
    data = map_fields(record, _FIELDS)
    require_fields(data, "answered_at")
    question_by_result = _configured_results(options, survey)
    answers = {
        question: _answer(name, record.get(name), question, options)
        for name, question in question_by_result.items()
    }
    yield OutgoingEvent(
        "survey-completed",
        # The contract's survey_id is one customer's survey; this one is the same for everybody.
        {"response_id": f"{contact}:{survey}", **data, "answers": answers},
    )


def _plain_record(payload: Any) -> dict[str, Any]:
    """Return the record, also from a DynamoDB stream, where a value has its type: {"S": "text"}."""
    image = value_at(payload, "dynamodb.NewImage") or payload
    if not isinstance(image, Mapping):
        raise payload_error("wrong-type", "dynamodb.NewImage", image, "an object")
    return {name: _untyped_value(value) for name, value in image.items()}


def _untyped_value(value: Any) -> Any:
    if not isinstance(value, Mapping) or len(value) != 1:
        return value
    ((kind, inner_value),) = value.items()
    return None if kind == "NULL" else inner_value if kind in ("S", "N", "BOOL") else value


def _configured_results(options: Options, survey: str) -> dict[str, str]:
    """Return the contract's question for each result, as set for this survey or for all."""
    question_by_result = options.get("questions")
    if isinstance(question_by_result, Mapping) and any(
        isinstance(table, Mapping) for table in question_by_result.values()
    ):
        question_by_result = question_by_result.get(survey)
    if not isinstance(question_by_result, Mapping) or not question_by_result:
        expected = 'a table such as questions = {survey_result_1 = "csat"} in streamer.toml'
        raise payload_error("missing", f"{_SETTING} for this survey", None, expected)
    for question in question_by_result.values():
        if question not in _QUESTIONS:
            raise payload_error("unknown-value", _SETTING, _word(question), f"one of {', '.join(_QUESTIONS)}")
    return dict(question_by_result)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else "another_type"


def _answer(name: str, value: Any, question: str, options: Options) -> int | bool | None:
    if question != "resolved_first":
        return read_score(name, value, SCALES[question])
    pressed = read_text(name, str(value).lower() if isinstance(value, bool) else value)
    if pressed is None:
        return None
    for setting, meaning in (("yes", True), ("no", False)):
        if pressed.lower() == str(options.get(setting, "")).lower():
            return meaning
    raise payload_error(
        "unknown-value", name, value, "what yes and no of [sources.amazon-connect-survey] say"
    )


SOURCE: Final = SourceAdapter(
    name="amazon-connect-survey",
    title="Amazon Connect post-call survey (AWS's sample)",
    help="""\
AWS's sample for surveys after a call asks with the telephone's keys, and its Lambda stores a record
in DynamoDB: contactId, surveyId, survey_result_1 to survey_result_N as texts, and a timestamp in
seconds.

What is read
  contactId and surveyId        response_id, both together
  contactId                     contact_id; initialContactId where you add it (see below)
  timestamp                     answered_at, and the version: it is when the record was stored
  survey_result_N               the answer to the question that your setting names; blank is skipped

What to know
  The record says what was pressed, not what was asked: without `questions` every record is refused,
  and waits among the dead letters until you set them and run `streamer dead-letters retry`.
  The table keeps one record per contact: a second survey in the same call overwrites the first. The
  stream of changes has both. They are two responses here, as their surveyId differs; the same
  survey asked twice is one, and the later answer counts. A table exported afterwards has only the
  last survey.
  The results are contact attributes, which stay until the call ends: the record of a second,
  shorter survey also has the last results of the first. So name the questions by survey where there
  are several.
  After a transfer contactId is the last contact's, while a contact here bears the first one's id.
  Then the answer is counted for no agent. Let the Lambda also store initialContactId
  (event.Details.ContactData.InitialContactId): it is read where it is there.
  A caller who hung up before the first question leaves no record: response_ratio needs survey-sent
  events.

Options, in streamer.toml
  [sources.amazon-connect-survey]
  questions = {survey_result_1 = "nps", survey_result_2 = "resolved_first"}      for all surveys, or
  questions = {SURVEYID = {survey_result_1 = "csat"}, OTHER = {survey_result_1 = "ces"}}   for each
      nps 0-10, csat 1-5, ces 1-7 (7 easy), effort 1-5 (1 little), cnx 1-10, resolved_first
  yes = "1"     the key for yes, where resolved_first is asked
  no = "2"      the key for no

How to connect it
  DynamoDB's stream of changes (new images) to the Kafka topic ingest-amazon-connect-survey, by
  Kafka Connect or an EventBridge pipe, with or without DynamoDB's types ({"S": "4"}); then
  `streamer ingest amazon-connect-survey`. Or let the Lambda post the record to
  /ingest/amazon-connect-survey of `streamer serve`, with the header Authorization: Bearer and the
  secret. A table's export:
  `streamer replay FILE --format amazon-connect-survey`.
""",
    read=read_survey_record,
    options={"questions": {}, "yes": "1", "no": "2"},
)
