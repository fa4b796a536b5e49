"""Match the columns of a table with the contract's fields, by their names and the kinds of their cells.

Only its name makes a column a survey question: a score from 0 to 10 can be about anything.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from streamer.replay.column_profile import ColumnProfile
from streamer.replay.map_file import mappable_fields

_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]|\d+")
_ID = ("whole", "number", "words", "text")
_NAME = ("words", "text", "whole")
_TIME = ("time", "clock")
_LONG = ("whole", "number", "clock")


class FieldHints(NamedTuple):
    """Hints for one field. `cell_kinds`: kinds its cells may have. `name_words`: alternatives separated by
    commas, the likeliest first; a column matches one if its name has all words of it. `low`, `high`: the
    range of its numbers.

    >>> hold = FieldHints("hold_s", ("whole", "number", "clock"), "hold, on hold", low=0)
    >>> hold.rank("HoldTime", ColumnProfile("whole", low=0, high=340))
    2
    >>> hold.rank("HoldTime", ColumnProfile("text")) is None
    True
    """

    field: str
    cell_kinds: tuple[str, ...]
    name_words: str
    low: float = float("-inf")
    high: float = float("inf")

    def rank(self, column: str, profile: ColumnProfile) -> int | None:
        """Return how well a column matches: a smaller rank is better, None is no match."""
        if profile.kind not in (*self.cell_kinds, "empty") or not self._fits(profile):
            return None
        tokens = frozenset(token.casefold() for token in _TOKEN.findall(column))
        for rank, words in enumerate(self.name_words.split(", ")):
            if tokens.issuperset(words.split()):
                return rank * 10 + len(tokens)
        return None

    def _fits(self, profile: ColumnProfile) -> bool:
        return profile.kind not in ("whole", "number") or self.low <= profile.low <= profile.high <= self.high


_PERSON_FIELDS: Final = (
    FieldHints("customer_id", _ID,
             "customer id, client id, customer, client, kunde, caller, ani, phone, msisdn, "
             "callerid"),
    FieldHints("agent_id", _NAME, "agent id, agent, operator, advisor, server, representative, agente, user"),
    FieldHints("team", _NAME, "team, agent group, equipe, equipo"),
    FieldHints("site", _NAME, "site, location, center, centre"),
    FieldHints("language", _NAME, "language, lang, locale, langue, idioma, sprache"),
    FieldHints("channel", _NAME, "channel, media, canal, kanal"),
)  # fmt: skip
FIELD_HINTS: Final[Mapping[str, Sequence[FieldHints]]] = {
    "call-completed": (
        FieldHints("ended_at", _TIME,
                 "ended, end, disconnect, disconnected, hangup, finished, closed, completed, "
                 "ser exit, exit, fin, ende"),
        FieldHints("queued_at", _TIME,
                 "queued, enqueue, q start, queue start, queue, arrival, created, start, begin, "
                 "entry"),
        FieldHints("wait_s", _LONG,
                 "wait, waiting, q time, queue time, queue duration, attente, espera", low=0),
        FieldHints("talk_s", _LONG,
                 "talk, talktime, ser time, service time, conversation, billsec, duration", low=0),
        FieldHints("hold_s", _LONG, "hold", low=0),
        FieldHints("acw_s", _LONG, "acw, wrap, wrapup, after work", low=0),
        FieldHints("outcome", ("words", "flag"), "outcome, result, status, disposition, resultado, ergebnis"),
        FieldHints("resolved", ("flag",), "resolved, solved, fcr, resolu"),
        FieldHints("contact_id", _ID,
                 "contact id, call id, callid, conversation id, interaction id, uniqueid, "
                 "session id, ticket id, id"),
        FieldHints("queue", _NAME,
                 "queue, queue name, skill, service, department, campaign, cola, file, "
                 "warteschlange, type"),
        FieldHints("direction", ("words",), "direction"),
        FieldHints("reason", _NAME, "reason, category, topic, motif, motivo"),
        *_PERSON_FIELDS,
    ),
    "survey-completed": (
        FieldHints("answered_at", _TIME,
                 "answered, submitted, completed, responded, timestamp, date, created, time"),
        FieldHints("answers.nps", ("whole",), "nps, net promoter, recommend", 0, 10),
        FieldHints("answers.csat", ("whole",), "csat, satisfaction", 1, 5),
        FieldHints("answers.ces", ("whole",), "ces", 1, 7),
        FieldHints("answers.effort", ("whole",), "effort", 1, 5),
        FieldHints("answers.resolved_first", ("flag",), "resolved, solved, fcr, resolu"),
        FieldHints("comment", ("text", "words"),
                 "comment, comments, feedback, verbatim, explanation, explication, commentaire, "
                 "comentario, kommentar"),
        FieldHints("survey_id", _ID, "survey id, invitation id"),
        FieldHints("contact_id", _ID, "contact id, call id, callid, conversation id, ticket id"),
        FieldHints("response_id", _ID, "response id, answer id, submission id, id, response"),
        FieldHints("queue", _NAME, "queue, skill, service, department"),
        *_PERSON_FIELDS,
    ),
    "contact-evaluated": (
        FieldHints("evaluated_at", _TIME, "evaluated, reviewed, date, timestamp, created"),
        FieldHints("score", ("whole", "number"), "score, points, result", 0, 100),
        FieldHints("evaluation_id", _ID, "evaluation id, review id, id"),
        FieldHints("contact_id", _ID, "contact id, call id, conversation id"),
        FieldHints("form", _NAME, "form, scorecard"),
        _PERSON_FIELDS[1],
    ),
    "customer-valued": (
        FieldHints("as_of", _TIME, "as of, date, updated, timestamp"),
        FieldHints("value", ("whole", "number"), "clv, lifetime value, value"),
        FieldHints("customer_id", _ID, "customer id, client id, customer, client, id"),
    ),
}  # fmt: skip
_CALL_WORDS: Final = frozenset({"queue", "wait", "talk", "outcome", "acw"})
_TOPIC_WORDS: Final = {
    "customer-valued": "clv lifetime",
    "contact-evaluated": "evaluation evaluated scorecard qa",
    "survey-completed": "nps csat ces satisfaction survey recommend response feedback",
}


def infer_topic(column_names: Sequence[str]) -> str:
    """Return the topic suggested by the words in all column names; call-completed if none suggests another.

    >>> infer_topic(["Survey ID", "NPS score", "Comment"]), infer_topic(["Agent", "End"])
    ('survey-completed', 'call-completed')
    """
    tokens = {token.casefold() for column in column_names for token in _TOKEN.findall(column)}
    if tokens & _CALL_WORDS:
        return "call-completed"
    return next(
        (topic for topic, words in _TOPIC_WORDS.items() if tokens & set(words.split())), "call-completed"
    )


def match_columns(topic: str, profiles: Mapping[str, ColumnProfile]) -> dict[str, str]:
    """Return the column of each matched field. A column is used once: first for the field of the same name,
    then for the best ranked pair.

    >>> profiles = {"CallId": ColumnProfile("whole"), "Skill": ColumnProfile("words")}
    >>> match_columns("call-completed", profiles)
    {'contact_id': 'CallId', 'queue': 'Skill'}
    """
    pairs = sorted(
        (rank, priority, column, hints.field)
        for priority, hints in enumerate(FIELD_HINTS[topic])
        for column, profile in profiles.items()
        if (rank := hints.rank(column, profile)) is not None
    )
    column_by_field = {column: column for column in profiles if column in mappable_fields(topic)}
    for _, _, column, field in pairs:
        if field not in column_by_field and column not in column_by_field.values():
            column_by_field[field] = column
    field_order = [hints.field for hints in FIELD_HINTS[topic]]
    return dict(
        sorted(
            column_by_field.items(),
            key=lambda pair: field_order.index(pair[0]) if pair[0] in field_order else len(field_order),
        )
    )
