"""Here is what journeys add to the numbers: `fold`, and the one rule delta = fold(after) − fold(before).

Only groups are folded whose own facts, or whose place in the journey (`Context`), are not the same
before and after: what is the same on both sides cancels.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import msgspec

from streamer.events.models import DIMENSIONS, QUESTIONS, Evaluation, Response, Segment, SurveySent
from streamer.events.rules import Rules
from streamer.journeys.desk import Draft
from streamer.journeys.journey import Group, Key, customer_key
from streamer.metrics.formulas import service_level
from streamer.metrics.tally import DURATIONS, FIRST_BUCKET_OF, NUMBER, SCALES, Tally, bucket, squared
from streamer.panes.grid import FINE_MS, Cell

Part = tuple[int, Cell, Tally]
"""Time in ms, cell, and what to add there."""
Tallies = dict[tuple[int, Cell], Tally]
"""By 10 s pane and cell. Counts that came back to 0 may still stand there."""

_ASIDE = (None, None)
_AGENT = DIMENSIONS.index("agent")
_N = NUMBER
_DURATION = {
    name: (_N[f"{name}_n"], _N[f"{name}_ms"], _N[f"{name}_s2"], FIRST_BUCKET_OF[name]) for name in DURATIONS
}
_HANDLE, _TALK, _HOLD, _ACW = _DURATION["handle"], _DURATION["talk"], _DURATION["hold"], _DURATION["acw"]
_WAIT, _ABANDON, _OUTBOUND_HANDLE = _DURATION["wait"], _DURATION["abandon"], _DURATION["outbound_handle"]
_OFFERED = _N["offered"]
_ANSWER = {question: _N[f"{question}_{scale[0]}"] - scale[0] for question, scale in SCALES.items()}


class Context(msgspec.Struct, frozen=True, gc=False):
    """A contact's place among the others of its journey. `first` and `kept`: whether it is a first
    contact, and one without a later one; None where FCR does not look. `risk`: the response by which
    the customer's value is at risk."""

    first: bool | None = None
    kept: bool | None = None
    value: int | None = None
    risk: Response | None = None


def delta(key: Key, before: Draft, after: Draft, rules: Rules, into: Tallies) -> set[int]:
    """Add fold(after) − fold(before) of one journey; returns the 10 s panes in which it counts anew."""
    touched: set[int] = set()
    if before is after:
        return touched
    was, now = contexts(key, before, rules), contexts(key, after, rules)
    for group, context in now.items():
        placed, earlier = Placed(after.groups[group], context), None
        if group in was:
            earlier = Placed(before.groups[group], was[group])
            if placed.group is earlier.group and context == earlier.context:
                continue
            _add(_parts(earlier, placed, rules), -1, into)
        touched.update(_add(_parts(placed, earlier, rules), 1, into))
    for group in was.keys() - now.keys():
        _add(_parts(Placed(before.groups[group], was[group]), None, rules), -1, into)
    return touched


def parts(key: Key, draft: Draft, rules: Rules) -> Iterator[tuple["Placed", list[Part]]]:
    """What each group of one journey adds, of which the fold is the sum."""
    for group, context in contexts(key, draft, rules).items():
        placed = Placed(draft.groups[group], context)
        yield placed, list(_parts(placed, None, rules))


class Placed(NamedTuple):
    """A group in its place among the others."""

    group: Group
    context: Context


def _parts(placed: Placed, other: Placed | None, rules: Rules) -> Iterator[Part]:
    """What a group adds, but for what the other side adds too."""
    group, context = placed
    same = other is not None and group.segments is other.group.segments
    if not same:
        yield from _segments(group, rules)
    if not same or (other is not None and context != other.context):
        yield from _contact(group, context)
    if group.sent or group.responses or group.evaluations:
        yield from _surveys(group, context, rules)


def _add(parts: Iterable[Part], sign: int, into: Tallies) -> list[int]:
    """Returns the panes concerned."""
    panes = []
    for time, cell, counted in parts:
        place = (time // FINE_MS, cell)
        panes.append(place[0])
        tally = into.get(place)
        if tally is None and sign > 0:
            into[place] = counted
            continue
        if tally is None:
            tally = into[place] = {}
        for number, amount in counted.items():
            tally[number] = tally.get(number, 0) + sign * amount
    return panes


def contexts(key: Key, draft: Draft, rules: Rules) -> dict[Key, Context]:
    """Every group's place in the journey `key`."""
    if not draft.groups:
        return {}
    groups = draft.groups.values()
    value = _value(draft, groups)
    if key[:1] != b"c":
        return {group.key: Context(value=value) for group in groups}
    order: dict[Key, tuple[bool | None, bool | None]] = {**_fcr(groups, rules)}
    placed = {group.key: Context(*order.get(group.key, _ASIDE), value) for group in groups}
    if value is not None and (found := _newest_score(key, groups, rules)) is not None:
        group, risk = found
        placed[group] = Context(*order.get(group, _ASIDE), value, risk)
    return placed


def _value(draft: Draft, groups: Iterable[Group]) -> int | None:
    """What the customer is worth, as said last."""
    said = [
        (segment.ended_at, 0, segment.version, segment.source, segment.identity.id, segment.customer_value)
        for group in groups
        for segment in group.segments
        if segment.customer_value is not None
    ]
    said += [
        (worth.as_of, 1, worth.as_of, worth.source, "", worth.value)
        for worth in draft.worth
        if worth.value is not None
    ]
    return max(said)[-1] if said else None


def last_segment(segments: Iterable[Segment]) -> Segment | None:
    """The last answered one; none answered: the last; ties by id."""
    return max(
        segments,
        key=lambda one: (
            one.outcome == "answered",
            one.ended_at,
            one.segment_id or one.contact_id,
            one.source,
        ),
        default=None,
    )


def _inbound(group: Group) -> Segment | None:
    if len(group.segments) == 1:
        only = group.segments[0]
        return only if only.direction == "inbound" else None
    return last_segment(segment for segment in group.segments if segment.direction == "inbound")


def _fcr(groups: Iterable[Group], rules: Rules) -> dict[Key, tuple[bool, bool | None]]:
    """For each contact that first-contact resolution looks at: is it a first one, and was it enough."""
    lines: dict[str | None, list[tuple[int, str, Key]]] = {None: []}
    for group in groups:
        segment = _inbound(group)
        if segment is None or segment.outcome != "answered" or segment.channel == "callback":
            continue
        reason = segment.reason if rules.fcr_same_reason else None
        lines.setdefault(reason, []).append((segment.ended_at, segment.contact_id, group.key))
    found: dict[Key, tuple[bool, bool | None]] = {}
    for line in lines.values():
        line.sort()
        last = None
        for place, (time, _, key) in enumerate(line, 1):
            first = last is None or time - last > rules.fcr_ms
            alone = first and (place == len(line) or line[place][0] - time > rules.fcr_ms)
            found[key] = (first, alone if first else None)
            last = time
    return found


def _newest_score(key: Key, groups: Iterable[Group], rules: Rules) -> tuple[Key, Response] | None:
    """The customer's newest NPS answer and its group, if it is a detractor's."""
    scored = [
        (response.answered_at, response.source, response.response_id, group.key, response)
        for group in groups
        for response in group.responses
        if response.nps is not None and not response.excluded and _speaks_for(key, group, response, rules)
    ]
    if not scored:
        return None
    *_, place, newest = max(scored, key=lambda one: one[:3])
    return (place, newest) if newest.nps is not None and newest.nps <= 6 else None


def _speaks_for(key: Key, group: Group, response: Response, rules: Rules) -> bool:
    """A response too far from its contact speaks only for the customer it names itself."""
    handled = last_segment(group.segments)
    if handled is None or _joins(handled, response.answered_at, rules):
        return True
    return response.customer_id is not None and customer_key(response.customer_id) == key


def _joins(handled: Segment | None, time: int, rules: Rules) -> bool:
    return handled is not None and abs(time - handled.ended_at) <= rules.horizon_ms


def _segments(group: Group, rules: Rules) -> list[Part]:
    return [(segment.ended_at, cell(segment), _segment(segment, rules)) for segment in group.segments]


def _contact(group: Group, context: Context) -> list[Part]:
    inbound = _inbound(group)
    return [(inbound.ended_at, cell(inbound), _contact_counts(inbound, context))] if inbound else []


def _surveys(group: Group, context: Context, rules: Rules) -> Iterator[Part]:
    handled = last_segment(group.segments)
    yield from _sent(group, handled, rules)
    yield from _responses(group, handled, context, rules)
    for evaluation in group.evaluations:
        contact = handled if _joins(handled, evaluation.evaluated_at, rules) else None
        yield evaluation.evaluated_at, _evaluated(evaluation, contact), _evaluation(evaluation)


def _sent(group: Group, handled: Segment | None, rules: Rules) -> Iterator[Part]:
    for sent in group.sent:
        contact = handled if _joins(handled, sent.sent_at, rules) else None
        answered = any(_asked_by(sent, response) and _answered(response) for response in group.responses)
        counted = {_N["surveys_sent"]: 1, _N["surveys_sent_answered"]: int(answered)}
        yield sent.sent_at, _first_known(contact, sent), counted


def _responses(group: Group, handled: Segment | None, context: Context, rules: Rules) -> Iterator[Part]:
    for response in group.responses:
        if response.excluded:
            continue
        contact = handled if _joins(handled, response.answered_at, rules) else None
        invitation = next((sent for sent in group.sent if _asked_by(sent, response)), None)
        place = _first_known(contact, response, invitation)
        yield response.answered_at, place, _response(response)
        if response is context.risk and context.value is not None:
            yield response.answered_at, place, {_N["risk_customers"]: 1, _N["risk_sum"]: context.value}


def _asked_by(sent: SurveySent, response: Response) -> bool:
    return sent.survey_id == response.survey_id and sent.source == response.source


def _answered(response: Response) -> bool:
    return any(getattr(response, question) is not None for question in QUESTIONS)


def cell(fact: Segment | SurveySent | Response) -> Cell:
    """A fact's own dimensions, in the order of DIMENSIONS."""
    return (fact.site, fact.queue, fact.team, fact.agent_id, fact.channel, fact.reason, fact.language)


def _first_known(*facts: Segment | SurveySent | Response | None) -> Cell:
    """Dimension by dimension, the first of these facts that knows it."""
    cells = [cell(fact) for fact in facts if fact is not None]
    if len(cells) == 1:
        return cells[0]
    return tuple(
        next((value for value in values if value is not None), None) for values in zip(*cells, strict=True)
    )


def _evaluated(evaluation: Evaluation, contact: Segment | None) -> Cell:
    place = cell(contact) if contact is not None else (None,) * len(DIMENSIONS)
    if evaluation.agent_id is None:
        return place
    return (*place[:_AGENT], evaluation.agent_id, *place[_AGENT + 1 :])


def _duration(counted: Tally, numbers: tuple[int, int, int, int], ms: int) -> None:
    n, total, squares, first = numbers
    counted[n] = 1
    counted[total] = ms
    counted[squares] = squared(ms, 1000)
    counted[first + bucket(ms)] = 1


def _segment(segment: Segment, rules: Rules) -> Tally:
    if segment.direction == "outbound":
        counted = {_N["outbound"]: 1}
        if segment.outcome == "answered" and segment.talk_ms is not None:
            _duration(counted, _OUTBOUND_HANDLE, handle_ms(segment))
        return counted
    counted = {_N[segment.outcome]: 1}
    if segment.outcome == "answered":
        counted[_OFFERED] = 1
        _answered_durations(counted, segment)
        if segment.transfer != "none":
            counted[_N["transferred"]] = 1
    elif _offered(segment.outcome, rules):
        counted[_OFFERED] = 1
    _level(counted, segment, rules)
    return counted


def _offered(outcome: str, rules: Rules) -> bool:
    if outcome == "overflow":
        return rules.offered_counts_overflow
    return rules.offered_counts_callback if outcome == "callback" else True


def handle_ms(segment: Segment) -> int:
    """Of a segment whose talk is known: talk with what is known of hold and after-call work."""
    assert segment.talk_ms is not None
    return segment.talk_ms + (segment.hold_ms or 0) + (segment.acw_ms or 0)


def _answered_durations(counted: Tally, segment: Segment) -> None:
    if segment.talk_ms is not None:
        _duration(counted, _TALK, segment.talk_ms)
        _duration(counted, _HANDLE, handle_ms(segment))
    if segment.hold_ms is not None:
        _duration(counted, _HOLD, segment.hold_ms)
    if segment.acw_ms is not None:
        _duration(counted, _ACW, segment.acw_ms)
    if segment.wait_ms is not None:
        _duration(counted, _WAIT, segment.wait_ms)


def _level(counted: Tally, segment: Segment, rules: Rules) -> None:
    """What a segment adds to the service level: by counts, and by its own queue's formula."""
    if segment.outcome in ("overflow", "callback"):
        return
    target, wait = rules.service_level_of(segment.queue), segment.wait_ms
    known = wait is not None and segment.outcome in ("answered", "abandoned")
    within = known and wait is not None and wait <= target.within_ms
    short = known and wait is not None and segment.outcome == "abandoned" and wait <= target.short_ms
    if known and wait is not None and segment.outcome == "abandoned":
        _duration(counted, _ABANDON, wait)
    counted |= _level_counts(segment.outcome, target.formula, known, within, short)


@lru_cache
def _level_counts(outcome: str, formula: str, known: bool, within: bool, short: bool) -> Tally:
    named = dict.fromkeys(_LEVEL_COUNTS, 0) | {outcome: 1}
    named[f"{outcome}_waited"] = int(known)
    named[f"{outcome}_within"] = int(within)
    named["abandoned_short"] = int(short)
    hits, of = service_level(formula, named)
    named |= {"own_level_hits": hits, "own_level_of": of}
    named.pop(outcome)  # that one is counted already
    return {_N[name]: amount for name, amount in named.items() if amount}


_LEVEL_COUNTS = (
    "timeout", "voicemail", "abandoned", "answered_waited", "answered_within",
    "abandoned_waited", "abandoned_within", "abandoned_short",
)  # fmt: skip


def _contact_counts(inbound: Segment, context: Context) -> Tally:
    counted = {_N["contacts"]: 1}
    if inbound.outcome == "answered" and inbound.resolved is not None:
        counted[_N["disposed"]] = 1
        counted[_N["disposed_resolved"]] = int(inbound.resolved)
    if context.value is not None:
        counted[_N["valued_contacts"]] = 1
        counted[_N["valued_sum"]] = context.value
    if context.first is not None:
        counted[_N["fcr_contacts"]] = 1
        counted[_N["fcr_firsts" if context.first else "fcr_repeats"]] = 1
        counted[_N["fcr_kept"]] = int(bool(context.kept))
    return counted


def _response(response: Response) -> Tally:
    counted = {_N["surveys"]: int(response.comment is not None or _answered(response))}
    if response.comment is not None:
        counted[_N["comments"]] = 1
    for question, zero in _ANSWER.items():
        score = getattr(response, question)
        if score is not None:
            counted[zero + score] = 1
    if response.resolved_first is not None:
        counted[_N["first_yes" if response.resolved_first else "first_no"]] = 1
    return counted


def _evaluation(evaluation: Evaluation) -> Tally:
    return {
        _N["qa"]: 1,
        _N["qa_sum"]: evaluation.score,
        _N["qa_squares"]: squared(evaluation.score, 100),
    }
