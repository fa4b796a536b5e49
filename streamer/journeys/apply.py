"""Here is what an event does to the journeys: `apply`, and the keys it will ask for.

There is one way for every fact: lift what the identity stood for, put what it stands for now, and let
every unit and group concerned settle where its facts say it belongs.
"""

from collections.abc import Iterable

import msgspec

from streamer.events.models import (
    Evaluation,
    Event,
    Identity,
    Response,
    SurveySent,
    Tombstone,
    Valuation,
)
from streamer.events.rules import Rules
from streamer.journeys.desk import Change, Desk, Draft
from streamer.journeys.journey import (
    ERASED,
    Entry,
    Group,
    Key,
    Placed,
    State,
    Worth,
    contact_key,
    customer_key,
    entry_key,
    own_key,
    rank,
    survey_key,
)

_FIELD = {"s": "segments", "v": "sent", "r": "responses", "e": "evaluations"}
_DIGEST_BYTES = 8


def keys_of(event: Event) -> set[Key]:
    """The documents an event will surely ask for."""
    if event.identity.kind == "c":
        return {customer_key(event.identity.id)}
    keys = {entry_key(event.identity)}
    if isinstance(event, Tombstone | Valuation):
        return keys
    if event.customer_id is not None:
        keys.add(customer_key(event.customer_id))
    if event.contact_id is not None:
        keys.add(contact_key(event.contact_id))
    if (unit := _unit(event)) is not None:
        keys.add(unit)
    return keys


def apply(event: Event, desk: Desk, rules: Rules, record_ms: int) -> bool:
    """Change the journeys on the desk by one event; False: it changes nothing. Raises Missing, and then
    nothing has happened. `record_ms`: the record's timestamp; facts two horizons older are forgotten."""
    change = Change(desk)
    if isinstance(event, Valuation) or event.identity.kind == Valuation.kind:
        applied = _value(change, event)
    else:
        applied = _place(change, event, rules, record_ms - 2 * rules.horizon_ms)
    change.accept()
    return applied


def _value(change: Change, event: Event) -> bool:
    key = customer_key(event.identity.id)
    source, digest = event.identity.source, event.digest()[:_DIGEST_BYTES]
    known = next((worth for worth in change.look(key).worth if worth.source == source), None)
    if known is not None and (event.version, digest) <= (known.as_of, known.digest):
        return False
    value = event.value if isinstance(event, Valuation) else None
    draft = change.draft(key)
    others = (worth for worth in draft.worth if worth.source != source)
    draft.worth = (*others, Worth(source, event.version, digest, value))
    return True


def _place(change: Change, event: Placed | Tombstone, rules: Rules, forgotten: int) -> bool:
    key = entry_key(event.identity)
    entry = change.entry(key)
    digest = event.digest()[:_DIGEST_BYTES]
    fact = None if isinstance(event, Tombstone) else event
    if entry.fact is not None and (event.version, digest) <= (entry.fact.version, entry.fact.digest):
        if fact is not None and digest != entry.fact.digest and entry.fact != ERASED:
            _note_name(change, fact)
            _settle_crowd(change, fact, rules)
        return False
    group = entry.group(key)
    lifted = _lift(change, event.identity, entry, group, forgotten)
    state = State(event.version, digest, fact is None, group if group != key else None)
    change.set_entry(key, msgspec.structs.replace(entry, fact=state))
    concerned = [member for member in (lifted, fact) if member is not None]
    groups = {group} if lifted is not None else set()
    for unit in dict.fromkeys([_unit(member) for member in concerned]):
        groups |= _settle_unit(change, unit, fact if fact is not None and _unit(fact) == unit else None)
    for group in sorted(groups):
        concerned.extend(member for member in _settle_group(change, group) if member is not fact)
    for member in concerned:
        _note_name(change, member)
    if fact is not None:
        _settle_crowd(change, fact, rules)
    return True


def _lift(change: Change, identity: Identity, entry: Entry, lies_in: Key, forgotten: int) -> Placed | None:
    """Take an identity's present fact out of its group."""
    if entry.fact is None or entry.fact.deleted:
        return None
    home, group = _find(change, lies_in)
    if home is None or group is None:
        return None
    field = _FIELD[identity.kind]
    facts: tuple[Placed, ...] = getattr(group, field)
    lifted = next((fact for fact in facts if fact.identity == identity and fact.time >= forgotten), None)
    if lifted is not None:
        _put(change, home, _without(group, [lifted]))
    return lifted


def _find(change: Change, key: Key) -> tuple[Key | None, Group | None]:
    """A group's journey, and the group if it is there."""
    home = change.entry(key).home
    return home, change.look(home).groups.get(key) if home is not None else None


def _put(change: Change, home: Key, group: Group) -> None:
    change.draft(home).groups[group.key] = group


def _with(group: Group, facts: Iterable[Placed]) -> Group:
    for fact in facts:
        field = _FIELD[fact.kind]
        group = msgspec.structs.replace(group, **{field: (*getattr(group, field), fact)})
    return group


def _without(group: Group, facts: Iterable[Placed]) -> Group:
    for gone in facts:
        field = _FIELD[gone.kind]
        kept = tuple(fact for fact in getattr(group, field) if fact is not gone)
        group = msgspec.structs.replace(group, **{field: kept})
    return group


def _unit(fact: Placed) -> Key | None:
    """The survey whose facts move together; None: the fact moves alone."""
    if isinstance(fact, SurveySent | Response) and fact.survey_id is not None:
        return survey_key(fact.source, fact.survey_id)
    return None


def _settle_unit(change: Change, unit: Key | None, new: Placed | None) -> set[Key]:
    """Put a unit's facts, with the new one, where they say they belong; returns the groups concerned."""
    present = change.entry(unit).unit if unit is not None else None
    home, group = _find(change, present) if present is not None else (None, None)
    members: list[Placed] = _members(group, unit) if group is not None and unit is not None else []
    facts = [*members, new] if new is not None else members
    target = _target(unit, facts) if facts else None
    if unit is not None and target != present:
        change.set_entry(unit, msgspec.structs.replace(change.entry(unit), unit=target))
    if target is None:
        return set()
    if target == present and group is not None and home is not None:
        _join(change, target, [new] if new is not None else [])
        return {target}
    if group is not None and home is not None:
        _put(change, home, _without(group, members))
    settled = _join(change, target, facts) and not members
    left = {present} if present is not None and group is not None else set()
    return left if settled else {target, *left}


def _members(group: Group, unit: Key) -> list[Placed]:
    facts: tuple[SurveySent | Response, ...] = (*group.sent, *group.responses)
    return [fact for fact in facts if _unit(fact) == unit]


def _target(unit: Key | None, facts: list[Placed]) -> Key:
    """The group a unit belongs to: its contact, as its greatest response names it, else its invitation;
    without one, the survey itself, or the fact."""
    responses = [fact for fact in facts if not isinstance(fact, SurveySent) and fact.contact_id is not None]
    if responses:
        greatest = responses[0] if len(responses) == 1 else max(responses, key=rank)
        return contact_key(greatest.contact_id)  # type: ignore[arg-type]
    invitation = next((fact for fact in facts if isinstance(fact, SurveySent)), None)
    if invitation is not None and invitation.contact_id is not None:
        return contact_key(invitation.contact_id)
    return unit if unit is not None else entry_key(facts[0].identity)


def _join(change: Change, target: Key, facts: list[Placed]) -> bool:
    """Add facts to a group; True: it was not there, and came to be where it belongs."""
    home, group = _find(change, target)
    group = _with(group or Group(target), facts)
    new = home is None
    if home is None:
        home = _home(change, group)
        change.set_entry(target, msgspec.structs.replace(change.entry(target), home=home))
    elif facts:
        change.set_entry(target, change.entry(target))  # written again: the way to a group outlives it
    _put(change, home, group)
    for fact in facts:
        key = entry_key(fact.identity)
        entry = change.entry(key)
        if entry.fact is not None and entry.group(key) != target:
            state = msgspec.structs.replace(entry.fact, group=target if target != key else None)
            change.set_entry(key, msgspec.structs.replace(entry, fact=state))
    return new


def _settle_group(change: Change, key: Key) -> tuple[Placed, ...]:
    """Let a group lie in its customer's journey, or in its own; returns its facts."""
    home, group = _find(change, key)
    if home is None or group is None:
        return ()
    wanted = _home(change, group) if group else None
    if wanted == home:
        return group.facts()
    del change.draft(home).groups[key]
    change.set_entry(key, msgspec.structs.replace(change.entry(key), home=wanted))
    if wanted is not None:
        _put(change, wanted, group)
    return group.facts()


def _home(change: Change, group: Group) -> Key:
    customer = group.customer
    if customer is None or change.look(customer_key(customer)).crowd:
        return own_key(group.key)
    return customer_key(customer)


def name_key(fact: Placed) -> Key:
    """What a fact names a customer for: its contact, else its survey, else itself."""
    if not isinstance(fact, SurveySent | Response | Evaluation) or fact.contact_id is not None:
        return contact_key(fact.contact_id)  # type: ignore[arg-type]
    return _unit(fact) or entry_key(fact.identity)


def _note_name(change: Change, fact: Placed) -> None:
    """Remember whom a fact names, or named, where the customer's own facts do not say it."""
    if fact.customer_id is None:
        return
    key, name = customer_key(fact.customer_id), name_key(fact)
    draft = change.look(key)
    if draft.crowd or _implied(draft, fact, name) or draft.named.get(name, -1) >= fact.time:
        return
    change.draft(key).named[name] = fact.time


def _implied(draft: Draft, fact: Placed, name: Key) -> bool:
    """Whether the journey's own facts say that this customer was named for this."""
    group = draft.groups.get(name)
    if group is None:
        return False
    members = group.facts()
    return any(member is fact for member in members) or any(
        member.customer_id == fact.customer_id and name_key(member) == name for member in members
    )


def _settle_crowd(change: Change, fact: Placed, rules: Rules) -> None:
    """A customer named for too many contacts is a crowd; only an event that names it can make it one."""
    if fact.customer_id is None:
        return
    key = customer_key(fact.customer_id)
    draft = change.look(key)
    if not draft.crowd and _crowded(draft, fact.customer_id, rules.crowd):
        _disperse(change, key)


def _crowded(draft: Draft, customer_id: str, limit: int) -> bool:
    facts = len(draft.named)
    for group in draft.groups.values():
        facts += len(group.segments) + len(group.sent) + len(group.responses)
    if facts <= limit:
        return False
    names = set(draft.named)
    for group in draft.groups.values():
        names.update(name_key(fact) for fact in group.facts() if fact.customer_id == customer_id)
    return len(names) > limit


def _disperse(change: Change, key: Key) -> None:
    """A crowd is no customer: each of its groups gets a journey of its own."""
    groups = list(change.look(key).groups.values())
    change.need([*(group.key for group in groups), *(own_key(group.key) for group in groups)])
    draft = change.draft(key)
    draft.groups, draft.named, draft.crowd = {}, {}, True
    change.crowds += 1
    for group in groups:
        change.set_entry(group.key, msgspec.structs.replace(change.entry(group.key), home=own_key(group.key)))
        _put(change, own_key(group.key), group)
