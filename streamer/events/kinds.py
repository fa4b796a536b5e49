"""Declare each kind of event once: all that decoding, schemas, replay and dead letters know of it.

A new kind is an entry here, its body (`event_bodies`), its fact (`models`) and what the fold counts of it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from streamer.events import fact_builders
from streamer.events.counting_rules import CountingRules
from streamer.events.event_bodies import (
    AgentStateBody,
    CallCompletedBody,
    ContactEvaluatedBody,
    ContactStateBody,
    CustomerValuedBody,
    EventBody,
    SurveyCompletedBody,
    SurveySentBody,
    field_schemas,
)
from streamer.events.models import (
    AgentState,
    ContactState,
    CustomerValuation,
    QualityEvaluation,
    Segment,
    StatedFact,
    SurveyResponse,
    SurveySent,
)

_ID = ("whole", "number", "words", "text")
_NAME = ("words", "text", "whole")
_TIME = ("time", "clock")
_LONG = ("whole", "number", "clock")


class FieldHints(NamedTuple):
    """Hints by which a column of a table is recognized as a field.

    `cell_kinds`: kinds its cells may have. `name_words`: alternatives separated by commas, the likeliest
    first; a column matches one if its name has all words of it. `low`, `high`: the range of its numbers.
    """

    field: str
    cell_kinds: tuple[str, ...]
    name_words: str
    low: float = float("-inf")
    high: float = float("inf")


class EventKind(NamedTuple):
    """Declaration of one kind of event.

    `time_field`: when it happened; `seen_field`: when it was last seen to be so. `build_fact`: from body,
    source, record timestamp in ms and rules; raises InvalidEventError. `columns`: its fields in a table, the
    most telling first. `topic_words`: words in column names that suggest this topic.

    >>> KINDS["call-completed"].required
    ('contact_id', 'queue', 'ended_at', 'outcome')
    >>> KINDS["survey-completed"].value_type("answers.nps")
    'whole'
    """

    topic: str
    body: type[EventBody]
    fact: type[StatedFact]
    build_fact: Callable[[Any, str, int, CountingRules], StatedFact]
    time_field: str
    examples: Sequence[Mapping[str, Any]]
    columns: Sequence[FieldHints] = ()
    topic_words: frozenset[str] = frozenset()
    seen_field: str | None = None

    @property
    def letter(self) -> str:
        """Letter of the kind in a FactIdentity."""
        return self.fact.kind

    @property
    def ids(self) -> tuple[str, ...]:
        """Fields that may name the fact: the first one known does."""
        return self.body.ids

    @property
    def fields(self) -> Mapping[str, Mapping[str, Any]]:
        """Annotations of each data field."""
        return _annotations(self.body)

    @property
    def required(self) -> tuple[str, ...]:
        """Required fields, the id first."""
        names = [name for name, extra in self.fields.items() if "needed" in extra]
        return tuple(sorted(names, key=lambda name: name not in self.ids))

    @property
    def objects(self) -> Mapping[str, Mapping[str, str]]:
        """Fields that hold objects, with the value types of their members by name."""
        return {name: extra["members"] for name, extra in self.fields.items() if "members" in extra}

    @property
    def paths(self) -> tuple[str, ...]:
        """All that a table may state: fields, and members of objects such as answers.nps."""
        names = [name for name, extra in self.fields.items() if "value" in extra]
        return (*names, *(f"{name}.{member}" for name, members in self.objects.items() for member in members))

    def value_type(self, path: str) -> str | None:
        """Return text, time, seconds, number, whole, flag or names; None if a table cannot state this."""
        name, _, member = path.partition(".")
        extra = self.fields.get(name, {})
        members = extra.get("members", {})
        value_type: str | None = members.get(member, members.get("*")) if member else extra.get("value")
        return value_type


@lru_cache
def _annotations(body: type[EventBody]) -> Mapping[str, Mapping[str, Any]]:
    return {name: extra for name, (_, extra) in field_schemas(body).items()}


_PERSON_FIELDS: Final = (
    FieldHints(
        "customer_id",
        _ID,
        "customer id, client id, customer, client, kunde, caller, ani, phone, msisdn, callerid",
    ),
    FieldHints("agent_id", _NAME, "agent id, agent, operator, advisor, server, representative, agente, user"),
    FieldHints("team", _NAME, "team, agent group, equipe, equipo"),
    FieldHints("site", _NAME, "site, location, center, centre"),
    FieldHints("language", _NAME, "language, lang, locale, langue, idioma, sprache"),
    FieldHints("channel", _NAME, "channel, media, canal, kanal"),
)
_KINDS: Final = (
    EventKind(
        "call-completed",
        CallCompletedBody,
        Segment,
        fact_builders.build_segment,
        time_field="ended_at",
        examples=(
            {
                "contact_id": "c-81231",
                "customer_id": "k-4711",
                "agent_id": "anna",
                "team": "red",
                "queue": "billing",
                "channel": "voice",
                "queued_at": "2026-11-21T10:00:00Z",
                "ended_at": "2026-11-21T10:06:30Z",
                "wait_s": 12.5,
                "talk_s": 310,
                "hold_s": 20,
                "acw_s": 47.5,
                "outcome": "answered",
                "resolved": True,
            },
            {"contact_id": "c-81232", "queue": "billing", "ended_at": 1795255200, "outcome": "abandoned"},
            {"contact_id": "c-81231", "version": 2, "deleted": True},
        ),
        topic_words=frozenset({"queue", "wait", "talk", "outcome", "acw"}),
        columns=(
            FieldHints(
                "ended_at",
                _TIME,
                "ended, end, disconnect, disconnected, hangup, finished, closed, completed, "
                "ser exit, exit, fin, ende",
            ),
            FieldHints(
                "queued_at",
                _TIME,
                "queued, enqueue, q start, queue start, queue, arrival, created, start, begin, entry",
            ),
            FieldHints(
                "wait_s", _LONG, "wait, waiting, q time, queue time, queue duration, attente, espera", low=0
            ),
            FieldHints(
                "talk_s",
                _LONG,
                "talk, talktime, ser time, service time, conversation, billsec, duration",
                low=0,
            ),
            FieldHints("hold_s", _LONG, "hold", low=0),
            FieldHints("acw_s", _LONG, "acw, wrap, wrapup, after work", low=0),
            FieldHints(
                "outcome", ("words", "flag"), "outcome, result, status, disposition, resultado, ergebnis"
            ),
            FieldHints("resolved", ("flag",), "resolved, solved, fcr, resolu"),
            FieldHints(
                "contact_id",
                _ID,
                "contact id, call id, callid, conversation id, interaction id, uniqueid, "
                "session id, ticket id, id",
            ),
            FieldHints(
                "queue",
                _NAME,
                "queue, queue name, skill, service, department, campaign, cola, file, warteschlange, type",
            ),
            FieldHints("direction", ("words",), "direction"),
            FieldHints("reason", _NAME, "reason, category, topic, motif, motivo"),
            *_PERSON_FIELDS,
        ),
    ),
    EventKind(
        "survey-sent",
        SurveySentBody,
        SurveySent,
        fact_builders.build_survey_sent,
        time_field="sent_at",
        examples=({"survey_id": "v-17", "contact_id": "c-81231", "sent_at": "2026-11-21T10:10:00Z"},),
    ),
    EventKind(
        "survey-completed",
        SurveyCompletedBody,
        SurveyResponse,
        fact_builders.build_response,
        time_field="answered_at",
        examples=(
            {
                "response_id": "r-9",
                "survey_id": "v-17",
                "answered_at": "2026-11-21T12:00:00+01:00",
                "answers": {"nps": 9, "csat": 4, "resolved_first": True},
            },
            {"response_id": "r-9", "updated_at": "2026-11-21T13:00:00Z", "deleted": True},
        ),
        topic_words=frozenset(
            {"nps", "csat", "ces", "satisfaction", "survey", "recommend", "response", "feedback"}
        ),
        columns=(
            FieldHints(
                "answered_at",
                _TIME,
                "answered, submitted, completed, responded, timestamp, date, created, time",
            ),
            FieldHints("answers.nps", ("whole",), "nps, net promoter, recommend", 0, 10),
            FieldHints("answers.csat", ("whole",), "csat, satisfaction", 1, 5),
            FieldHints("answers.ces", ("whole",), "ces", 1, 7),
            FieldHints("answers.effort", ("whole",), "effort", 1, 5),
            FieldHints("answers.resolved_first", ("flag",), "resolved, solved, fcr, resolu"),
            FieldHints(
                "comment",
                ("text", "words"),
                "comment, comments, feedback, verbatim, explanation, explication, commentaire, "
                "comentario, kommentar",
            ),
            FieldHints("survey_id", _ID, "survey id, invitation id"),
            FieldHints("contact_id", _ID, "contact id, call id, callid, conversation id, ticket id"),
            FieldHints("response_id", _ID, "response id, answer id, submission id, id, response"),
            FieldHints("queue", _NAME, "queue, skill, service, department"),
            *_PERSON_FIELDS,
        ),
    ),
    EventKind(
        "contact-evaluated",
        ContactEvaluatedBody,
        QualityEvaluation,
        fact_builders.build_evaluation,
        time_field="evaluated_at",
        examples=(
            {
                "evaluation_id": "e-3",
                "contact_id": "c-81231",
                "agent_id": "anna",
                "score": 87.5,
                "evaluated_at": "2026-11-21T15:00:00Z",
            },
            {
                "evaluation_id": "e-4",
                "contact_id": "c-81231",
                "agent_id": "anna",
                "score": 80,
                "evaluated_at": "2026-11-21T16:00:00Z",
                "evaluator_id": "bert",
                "items": {"greeting": 90, "solution": None},
                "calibration": True,
            },
        ),
        topic_words=frozenset({"evaluation", "evaluated", "scorecard", "qa"}),
        columns=(
            FieldHints("evaluated_at", _TIME, "evaluated, reviewed, date, timestamp, created"),
            FieldHints("score", ("whole", "number"), "score, points, result", 0, 100),
            FieldHints("evaluation_id", _ID, "evaluation id, review id, id"),
            FieldHints("contact_id", _ID, "contact id, call id, conversation id"),
            FieldHints("form", _NAME, "form, scorecard"),
            FieldHints("evaluator_id", _NAME, "evaluator id, evaluator, reviewer, assessor"),
            FieldHints("calibration", ("flag",), "calibration"),
            _PERSON_FIELDS[1],
        ),
    ),
    EventKind(
        "customer-valued",
        CustomerValuedBody,
        CustomerValuation,
        fact_builders.build_valuation,
        time_field="as_of",
        examples=(
            {"customer_id": "k-4711", "value": 1250.5, "currency": "EUR", "as_of": "2026-11-21T00:00:00Z"},
        ),
        topic_words=frozenset({"clv", "lifetime"}),
        columns=(
            FieldHints("as_of", _TIME, "as of, date, updated, timestamp"),
            FieldHints("value", ("whole", "number"), "clv, lifetime value, value"),
            FieldHints("customer_id", _ID, "customer id, client id, customer, client, id"),
        ),
    ),
    EventKind(
        "contact-state",
        ContactStateBody,
        ContactState,
        fact_builders.build_contact_state,
        time_field="at",
        examples=(
            {
                "contact_id": "c-81231",
                "customer_id": "k-4711",
                "state": "queued",
                "at": "2026-11-21T10:00:00Z",
                "queue": "billing",
                "channel": "voice",
                "priority": 1,
            },
            {
                "contact_id": "c-81231",
                "state": "connected",
                "at": 1795255212.5,
                "queue": "billing",
                "agent_id": "anna",
                "queued_at": 1795255200,
            },
            {"contact_id": "c-81231", "state": "ended", "at": "2026-11-21T10:06:30Z"},
            {"contact_id": "c-81231", "version": 1, "deleted": True},
            {"contact_id": "c-81231", "at": 1795255212.5, "version": 1, "deleted": True},
        ),
        columns=(
            FieldHints("at", _TIME, "at, since, start, started, changed, timestamp, date, time"),
            FieldHints("state", ("words",), "state, status, event"),
            FieldHints("queued_at", _TIME, "queued, enqueue, arrival, created"),
            FieldHints(
                "contact_id",
                _ID,
                "contact id, call id, callid, conversation id, interaction id, uniqueid, task id, id",
            ),
            FieldHints("segment_id", _ID, "segment id, participant id, leg id"),
            FieldHints("queue", _NAME, "queue, queue name, skill, service, department, type"),
            FieldHints("priority", ("whole",), "priority"),
            FieldHints("direction", ("words",), "direction"),
            *_PERSON_FIELDS,
        ),
    ),
    EventKind(
        "agent-state",
        AgentStateBody,
        AgentState,
        fact_builders.build_agent_state,
        time_field="at",
        seen_field="seen_at",
        examples=(
            {
                "agent_id": "anna",
                "state": "available",
                "at": "2026-11-21T09:00:00Z",
                "queues": ["billing", "tech"],
                "channels": ["voice"],
                "team": "red",
                "heart_beat_s": 120,
            },
            {
                "agent_id": "anna",
                "state": "away",
                "at": 1795255200,
                "seen_at": 1795255320,
                "reason": "lunch",
            },
            {"agent_id": "anna", "at": 1795255200, "version": 1, "deleted": True},
        ),
        topic_words=frozenset({"presence", "aux"}),
        columns=(
            FieldHints("at", _TIME, "at, since, start, started, changed, timestamp, date, time"),
            FieldHints("state", ("words",), "state, status, presence, activity"),
            FieldHints("reason", _NAME, "reason, aux, pause, not ready, code"),
            FieldHints("seen_at", _TIME, "seen"),
            FieldHints("contact_id", _ID, "contact id, call id, callid, conversation id, task id"),
            *_PERSON_FIELDS[1:4],
        ),
    ),
)
KINDS: Final[Mapping[str, EventKind]] = {kind.topic: kind for kind in _KINDS}
"""All kinds of events, by topic."""
TOPICS: Final = tuple(KINDS)
KNOWN_FIELDS: Final = frozenset(name for kind in _KINDS for name in kind.body.__struct_fields__)
"""Names of all fields in the contract, of any event and of its envelope."""
TIME_FIELDS: Final = frozenset(
    path for kind in _KINDS for path in kind.paths if kind.value_type(path) == "time"
)
"""Names of the fields that hold times, of any event."""
