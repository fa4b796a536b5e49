"""Match the columns of a table with the contract's fields, by their names and the kinds of their cells.

Only its name makes a column a survey question: a score from 0 to 10 can be about anything.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from streamer.events.kinds import KINDS, FieldHints
from streamer.replay.column_profile import ColumnProfile

_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]|\d+")
_DEFAULT_KIND: Final = KINDS["call-completed"]


def infer_topic(column_names: Sequence[str]) -> str:
    """Return the topic suggested by the words in all column names; call-completed if none suggests another.

    >>> infer_topic(["Survey ID", "NPS score", "Comment"]), infer_topic(["Agent", "End"])
    ('survey-completed', 'call-completed')
    """
    tokens = {token.casefold() for column in column_names for token in _TOKEN.findall(column)}
    candidates = (_DEFAULT_KIND, *reversed([*KINDS.values()]))
    return next((kind for kind in candidates if tokens & kind.topic_words), _DEFAULT_KIND).topic


def match_columns(topic: str, profiles: Mapping[str, ColumnProfile]) -> dict[str, str]:
    """Return the column of each matched field. A column is used once: first for the field of the same name,
    then for the best ranked pair.

    >>> profiles = {"CallId": ColumnProfile("whole"), "Skill": ColumnProfile("words")}
    >>> match_columns("call-completed", profiles)
    {'contact_id': 'CallId', 'queue': 'Skill'}
    """
    kind = KINDS[topic]
    pairs = sorted(
        (rank, priority, column, hints.field)
        for priority, hints in enumerate(kind.columns)
        for column, profile in profiles.items()
        if (rank := hint_rank(hints, column, profile)) is not None
    )
    column_by_field = {column: column for column in profiles if kind.value_type(column) is not None}
    for _, _, column, field in pairs:
        if field not in column_by_field and column not in column_by_field.values():
            column_by_field[field] = column
    field_order = [hints.field for hints in kind.columns]
    return dict(
        sorted(
            column_by_field.items(),
            key=lambda pair: field_order.index(pair[0]) if pair[0] in field_order else len(field_order),
        )
    )


def hint_rank(hints: FieldHints, column: str, profile: ColumnProfile) -> int | None:
    """Return how well a column matches a field's hints: a smaller rank is better, None is no match.

    >>> hold = FieldHints("hold_s", ("whole", "number", "clock"), "hold, on hold", low=0)
    >>> hint_rank(hold, "HoldTime", ColumnProfile("whole", low=0, high=340))
    2
    >>> hint_rank(hold, "HoldTime", ColumnProfile("text")) is None
    True
    """
    is_number = profile.kind in ("whole", "number")
    if profile.kind not in (*hints.cell_kinds, "empty") or (
        is_number and not hints.low <= profile.low <= profile.high <= hints.high
    ):
        return None
    tokens = frozenset(token.casefold() for token in _TOKEN.findall(column))
    for rank, words in enumerate(hints.name_words.split(", ")):
        if tokens.issuperset(words.split()):
            return rank * 10 + len(tokens)
    return None
