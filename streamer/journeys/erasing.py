"""Here is how a customer is erased: facts go, what was counted of them stays.

A contact of the customer goes whole. What stays of each of its facts is a seal under its identity, so
that nothing said of it again is counted again. Of what lies in somebody else's contact and names the
customer, name and comment go.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from streamer.events.models import Response, SurveySent
from streamer.journeys.desk import Change, Desk, Draft
from streamer.journeys.journey import (
    ERASED,
    NOTHING,
    Entry,
    Group,
    Key,
    Placed,
    customer_key,
    entry_key,
    survey_key,
)


class Erased(NamedTuple):
    """How many contacts, facts in them, and facts elsewhere that named the customer."""

    contacts: int = 0
    facts: int = 0
    named: int = 0

    def __add__(self, more: "Erased") -> "Erased":  # type: ignore[override]
        return Erased(*map(sum, zip(self, more, strict=True)))


def erase(desk: Desk, names: Collection[str], journeys: Iterable[Key]) -> Erased:
    """Erase all of one customer's pseudonyms from their own journeys, from those that they name, and
    from these. Raises Missing, and then nothing has happened."""
    change, own = Change(desk), {customer_key(name) for name in names}
    change.need(own)
    places = {*own, *journeys, *_named(change, own)}
    change.need(places)
    erased = Erased()
    for place in sorted(places):
        erased += _erase(change, place, names, place in own)
    for key in own:
        if (draft := change.look(key)).worth or draft.named or draft.crowd:
            change.draft(key).worth, change.draft(key).named, change.draft(key).crowd = (), {}, False
    change.accept()
    return erased


def _named(change: Change, own: Iterable[Key]) -> set[Key]:
    """The journeys where groups lie that named the customer."""
    names = {name for key in own for name in change.look(key).named}
    change.need(names)
    groups = {group for name in names for group in _groups(name, change.entry(name))}
    change.need(groups)
    return {home for group in groups if (home := change.entry(group).home) is not None}


def _groups(name: Key, entry: Entry) -> set[Key]:
    """Where what was named may lie by now."""
    return {name, entry.group(name), entry.unit or name}


def _erase(change: Change, place: Key, names: Collection[str], whole: bool) -> Erased:
    erased = Erased()
    for group in list(change.look(place).groups.values()):
        if whole or group.customer in names:
            _seal(change, group)
            del change.draft(place).groups[group.key]
            erased += Erased(1, len(group.facts()))
        elif number := sum(fact.customer_id in names for fact in group.facts()):
            _strip(change.draft(place), group, names)
            erased += Erased(named=number)
    return erased


def _seal(change: Change, group: Group) -> None:
    facts = {entry_key(fact.identity) for fact in group.facts()}
    around = {group.key, *filter(None, map(_survey, group.facts()))} - facts
    change.need([*facts, *around])
    for key in facts:
        change.set_entry(key, Entry(ERASED))
    for key in around:
        fact = change.entry(key).fact
        change.set_entry(key, Entry(replace(fact, group=None)) if fact is not None else NOTHING)


def _survey(fact: Placed) -> Key | None:
    if isinstance(fact, SurveySent | Response) and fact.survey_id is not None:
        return survey_key(fact.source, fact.survey_id)
    return None


def _strip(draft: Draft, group: Group, names: Collection[str]) -> None:
    draft.groups[group.key] = replace(
        group,
        segments=tuple(_anonymous(one, names) for one in group.segments),
        sent=tuple(_anonymous(one, names) for one in group.sent),
        responses=tuple(_anonymous(one, names) for one in group.responses),
        evaluations=tuple(_anonymous(one, names) for one in group.evaluations),
    )


P = TypeVar("P", bound=Placed)


def _anonymous(fact: P, names: Collection[str]) -> P:
    """That there was a comment is counted: its place stays."""
    if fact.customer_id not in names:
        return fact
    if isinstance(fact, Response) and fact.comment is not None:
        fact = replace(fact, comment="")
    return replace(fact, customer_id=None)
