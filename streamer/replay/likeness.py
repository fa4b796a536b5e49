"""Match the columns of a table with the contract's fields, by their names and the kinds of their cells.

Only its name makes a column a survey question: a score from 0 to 10 can be about anything.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from streamer.replay.mapfile import fields
from streamer.replay.patterns import Look

_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]|\d+")
_ID = ("whole", "number", "words", "text")
_NAME = ("words", "text", "whole")
_TIME = ("time", "clock")
_LONG = ("whole", "number", "clock")


class Likeness(NamedTuple):
    """Hints for one field. `cell_kinds`: kinds its cells may have. `name_words`: alternatives separated by
    commas, the likeliest first; a column matches one if its name has all words of it. `low`, `high`: the
    range of its numbers.

    >>> hold = Likeness("hold_s", ("whole", "number", "clock"), "hold, on hold", low=0)
    >>> hold.rank("HoldTime", Look("whole", low=0, high=340))
    2
    >>> hold.rank("HoldTime", Look("text")) is None
    True
    """

    field: str
    kinds: tuple[str, ...]
    names: str
    low: float = float("-inf")
    high: float = float("inf")

    def rank(self, column: str, look: Look) -> int | None:
        """Return how well a column matches: a smaller rank is better, None is no match."""
        if look.kind not in (*self.kinds, "empty") or not self._fits(look):
            return None
        tokens = frozenset(token.casefold() for token in _TOKEN.findall(column))
        for rank, words in enumerate(self.names.split(", ")):
            if tokens.issuperset(words.split()):
                return rank * 10 + len(tokens)
        return None

    def _fits(self, look: Look) -> bool:
        return look.kind not in ("whole", "number") or self.low <= look.low <= look.high <= self.high


_WHO: Final = (
    Likeness("customer_id", _ID,
             "customer id, client id, customer, client, kunde, caller, ani, phone, msisdn, "
             "callerid"),
    Likeness("agent_id", _NAME, "agent id, agent, operator, advisor, server, representative, agente, user"),
    Likeness("team", _NAME, "team, agent group, equipe, equipo"),
    Likeness("site", _NAME, "site, location, center, centre"),
    Likeness("language", _NAME, "language, lang, locale, langue, idioma, sprache"),
    Likeness("channel", _NAME, "channel, media, canal, kanal"),
)  # fmt: skip
CANDIDATES: Final[Mapping[str, Sequence[Likeness]]] = {
    "call-completed": (
        Likeness("ended_at", _TIME,
                 "ended, end, disconnect, disconnected, hangup, finished, closed, completed, "
                 "ser exit, exit, fin, ende"),
        Likeness("queued_at", _TIME,
                 "queued, enqueue, q start, queue start, queue, arrival, created, start, begin, "
                 "entry"),
        Likeness("wait_s", _LONG,
                 "wait, waiting, q time, queue time, queue duration, attente, espera", low=0),
        Likeness("talk_s", _LONG,
                 "talk, talktime, ser time, service time, conversation, billsec, duration", low=0),
        Likeness("hold_s", _LONG, "hold", low=0),
        Likeness("acw_s", _LONG, "acw, wrap, wrapup, after work", low=0),
        Likeness("outcome", ("words", "flag"), "outcome, result, status, disposition, resultado, ergebnis"),
        Likeness("resolved", ("flag",), "resolved, solved, fcr, resolu"),
        Likeness("contact_id", _ID,
                 "contact id, call id, callid, conversation id, interaction id, uniqueid, "
                 "session id, ticket id, id"),
        Likeness("queue", _NAME,
                 "queue, queue name, skill, service, department, campaign, cola, file, "
                 "warteschlange, type"),
        Likeness("direction", ("words",), "direction"),
        Likeness("reason", _NAME, "reason, category, topic, motif, motivo"),
        *_WHO,
    ),
    "survey-completed": (
        Likeness("answered_at", _TIME,
                 "answered, submitted, completed, responded, timestamp, date, created, time"),
        Likeness("answers.nps", ("whole",), "nps, net promoter, recommend", 0, 10),
        Likeness("answers.csat", ("whole",), "csat, satisfaction", 1, 5),
        Likeness("answers.ces", ("whole",), "ces", 1, 7),
        Likeness("answers.effort", ("whole",), "effort", 1, 5),
        Likeness("answers.resolved_first", ("flag",), "resolved, solved, fcr, resolu"),
        Likeness("comment", ("text", "words"),
                 "comment, comments, feedback, verbatim, explanation, explication, commentaire, "
                 "comentario, kommentar"),
        Likeness("survey_id", _ID, "survey id, invitation id"),
        Likeness("contact_id", _ID, "contact id, call id, callid, conversation id, ticket id"),
        Likeness("response_id", _ID, "response id, answer id, submission id, id, response"),
        Likeness("queue", _NAME, "queue, skill, service, department"),
        *_WHO,
    ),
    "contact-evaluated": (
        Likeness("evaluated_at", _TIME, "evaluated, reviewed, date, timestamp, created"),
        Likeness("score", ("whole", "number"), "score, points, result", 0, 100),
        Likeness("evaluation_id", _ID, "evaluation id, review id, id"),
        Likeness("contact_id", _ID, "contact id, call id, conversation id"),
        Likeness("form", _NAME, "form, scorecard"),
        _WHO[1],
    ),
    "customer-valued": (
        Likeness("as_of", _TIME, "as of, date, updated, timestamp"),
        Likeness("value", ("whole", "number"), "clv, lifetime value, value"),
        Likeness("customer_id", _ID, "customer id, client id, customer, client, id"),
    ),
}  # fmt: skip
_CONTACTS: Final = frozenset({"queue", "wait", "talk", "outcome", "acw"})
_TELLING: Final = {
    "customer-valued": "clv lifetime",
    "contact-evaluated": "evaluation evaluated scorecard qa",
    "survey-completed": "nps csat ces satisfaction survey recommend response feedback",
}


def topic_of(columns: Sequence[str]) -> str:
    """Return the topic suggested by the words in all column names; call-completed if none suggests another.

    >>> topic_of(["Survey ID", "NPS score", "Comment"]), topic_of(["Agent", "End"])
    ('survey-completed', 'call-completed')
    """
    tokens = {token.casefold() for column in columns for token in _TOKEN.findall(column)}
    if tokens & _CONTACTS:
        return "call-completed"
    return next((topic for topic, words in _TELLING.items() if tokens & set(words.split())), "call-completed")


def matched(topic: str, looks: Mapping[str, Look]) -> dict[str, str]:
    """Return the column of each matched field. A column is used once: first for the field of the same name,
    then for the best ranked pair.

    >>> profiles = {"CallId": Look("whole"), "Skill": Look("words")}
    >>> matched("call-completed", profiles)
    {'contact_id': 'CallId', 'queue': 'Skill'}
    """
    pairs = sorted(
        (rank, place, column, one.field)
        for place, one in enumerate(CANDIDATES[topic])
        for column, look in looks.items()
        if (rank := one.rank(column, look)) is not None
    )
    found = {column: column for column in looks if column in fields(topic)}
    for _, _, column, field in pairs:
        if field not in found and column not in found.values():
            found[field] = column
    order = [one.field for one in CANDIDATES[topic]]
    return dict(
        sorted(found.items(), key=lambda pair: order.index(pair[0]) if pair[0] in order else len(order))
    )
