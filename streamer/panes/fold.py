"""Here is what journeys add to the numbers: `fold`, and the one rule delta = fold(after) − fold(before).

Only groups are folded whose own facts, or whose place in the journey (`Context`), are not the same
before and after: what is the same on both sides cancels.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from streamer.events.models import DIMENSIONS, QUESTIONS, Evaluation, Response, Segment, SurveySent
from streamer.events.rules import Rules
from streamer.journeys.desk import Draft
from streamer.journeys.journey import Group, Key, customer_key
from streamer.metrics.catalogue import service_level
from streamer.metrics.tally import DURATIONS, FIRST_BUCKET_OF, NUMBER, SCALES, Tally, bucket, squared
from streamer.panes.grid import FINE_MS, Cell

Counted = Iterable[tuple[int, int]]
"""Numbers of counts with what to add to them."""
Tallies = dict[tuple[int, Cell], Tally]
"""By 10 s pane and cell. Counts that came back to 0 may still stand there."""

_AGENT = DIMENSIONS.index("agent")
_N = NUMBER
_DURATION = {
    name: (_N[f"{name}_n"], _N[f"{name}_ms"], _N[f"{name}_s2"], FIRST_BUCKET_OF[name]) for name in DURATIONS
}
_ANSWER = {question: _N[f"{question}_{scale[0]}"] - scale[0] for question, scale in SCALES.items()}


class Context(NamedTuple):
    """A contact's place among the others of its journey. `first` and `kept`: whether it is a first
    contact, and one without a later one; None where FCR does not look. `risk`: the response by which
    the customer's value is at risk."""

    first: bool | None = None
    kept: bool | None = None
    value: int | None = None
    risk: Response | None = None


def delta(key: Key, before: Draft, after: Draft, rules: Rules, into: Tallies) -> None:
    """Add fold(after) − fold(before) of one journey."""
    if before is after:
        return
    was, now = contexts(key, before, rules), contexts(key, after, rules)
    for group in before.groups.keys() | after.groups.keys():
        old, new = before.groups.get(group), after.groups.get(group)
        if old is new and was[group] == now[group]:
            continue
        if old is not None:
            _add(fold(old, was[group], rules), -1, into)
        if new is not None:
            _add(fold(new, now[group], rules), 1, into)


def _add(folded: Iterator[tuple[int, Cell, Counted]], sign: int, into: Tallies) -> None:
    for time, cell, counted in folded:
        place = (time // FINE_MS, cell)
        tally = into.get(place)
        if tally is None:
            tally = into[place] = {}
        for number, amount in counted:
            tally[number] = tally.get(number, 0) + sign * amount


def contexts(key: Key, draft: Draft, rules: Rules) -> dict[Key, Context]:
    """Every group's place in the journey `key`."""
    groups = draft.groups.values()
    value = _value(draft, groups)
    if key[:1] != b"c":
        return {group.key: Context(value=value) for group in groups}
    order = _fcr(groups, rules)
    risk = _newest_score(key, groups, rules) if value is not None else None
    placed: dict[Key, Context] = {}
    for group in groups:
        first, kept = order.get(group.key, (None, None))
        at_risk = risk if risk is not None and any(risk is own for own in group.responses) else None
        placed[group.key] = Context(first, kept, value, at_risk)
    return placed


def _value(draft: Draft, groups: Iterable[Group]) -> int | None:
    """What the customer is worth, as said last."""
    said = [
        (worth.as_of, 1, worth.as_of, worth.source, "", worth.value)
        for worth in draft.worth
        if worth.value is not None
    ]
    for group in groups:
        for segment in group.segments:
            if segment.customer_value is not None:
                _, source, name = segment.identity
                said.append((segment.ended_at, 0, segment.version, source, name, segment.customer_value))
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
    lines: dict[str | None, list[tuple[int, str, Key]]] = {}
    for group in groups:
        segment = _inbound(group)
        if segment is None or segment.outcome != "answered" or segment.channel == "callback":
            continue
        reason = segment.reason if rules.fcr_same_reason else None
        lines.setdefault(reason, []).append((segment.ended_at, segment.contact_id, group.key))
    found: dict[Key, tuple[bool, bool | None]] = {}
    for line in lines.values():
        line.sort()
        times = [time for time, _, _ in line]
        for place, (time, _, key) in enumerate(line):
            first = place == 0 or time - times[place - 1] > rules.fcr_ms
            alone = place == len(times) - 1 or times[place + 1] - time > rules.fcr_ms
            found[key] = (first, alone if first else None)
    return found


def _newest_score(key: Key, groups: Iterable[Group], rules: Rules) -> Response | None:
    """The customer's newest NPS answer, if it is a detractor's."""
    scored = [
        (response.answered_at, response.source, response.response_id, response)
        for group in groups
        for response in group.responses
        if response.nps is not None and not response.excluded and _speaks_for(key, group, response, rules)
    ]
    newest = max(scored, key=lambda one: one[:3])[-1] if scored else None
    return newest if newest is not None and newest.nps is not None and newest.nps <= 6 else None


def _speaks_for(key: Key, group: Group, response: Response, rules: Rules) -> bool:
    """A response too far from its contact speaks only for the customer it names itself."""
    handled = last_segment(group.segments)
    if handled is None or _joins(handled, response.answered_at, rules):
        return True
    return response.customer_id is not None and customer_key(response.customer_id) == key


def _joins(handled: Segment | None, time: int, rules: Rules) -> bool:
    return handled is not None and abs(time - handled.ended_at) <= rules.horizon_ms


def fold(group: Group, context: Context, rules: Rules) -> Iterator[tuple[int, Cell, Counted]]:
    """What one group adds: (time in ms, cell, counts)."""
    for segment in group.segments:
        yield segment.ended_at, cell(segment), _segment(segment, rules)
    inbound = _inbound(group)
    if inbound is not None:
        yield inbound.ended_at, cell(inbound), _contact(inbound, context)
    if not (group.sent or group.responses or group.evaluations):
        return
    handled = last_segment(group.segments)
    yield from _surveys(group, handled, context, rules)
    for evaluation in group.evaluations:
        contact = handled if _joins(handled, evaluation.evaluated_at, rules) else None
        yield evaluation.evaluated_at, _evaluated(evaluation, contact), _evaluation(evaluation)


def _surveys(
    group: Group, handled: Segment | None, context: Context, rules: Rules
) -> Iterator[tuple[int, Cell, Counted]]:
    for sent in group.sent:
        contact = handled if _joins(handled, sent.sent_at, rules) else None
        answered = any(_asked_by(sent, response) and _answered(response) for response in group.responses)
        counted = [(_N["surveys_sent"], 1), *([(_N["surveys_sent_answered"], 1)] if answered else [])]
        yield sent.sent_at, _first_known(contact, sent), counted
    for response in group.responses:
        if response.excluded:
            continue
        contact = handled if _joins(handled, response.answered_at, rules) else None
        invitation = next((sent for sent in group.sent if _asked_by(sent, response)), None)
        place = _first_known(contact, response, invitation)
        yield response.answered_at, place, _response(response)
        if response is context.risk and context.value is not None:
            yield response.answered_at, place, ((_N["risk_customers"], 1), (_N["risk_sum"], context.value))


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


@lru_cache(maxsize=65536)
def _duration(name: str, ms: int) -> tuple[tuple[int, int], ...]:
    n, total, squares, first = _DURATION[name]
    return ((n, 1), (total, ms), (squares, squared(ms, 1000)), (first + bucket(ms), 1))


def _segment(segment: Segment, rules: Rules) -> list[tuple[int, int]]:
    if segment.direction == "outbound":
        counted = [(_N["outbound"], 1)]
        if segment.outcome == "answered" and segment.talk_ms is not None:
            counted += _duration("outbound_handle", _handled(segment))
        return counted
    counted = [(_N[segment.outcome], 1)]
    if _offered(segment.outcome, rules):
        counted.append((_N["offered"], 1))
    if segment.outcome == "answered":
        counted += _answered_durations(segment)
        if segment.transfer != "none":
            counted.append((_N["transferred"], 1))
    counted += _level(segment, rules)
    return counted


def _offered(outcome: str, rules: Rules) -> bool:
    if outcome == "overflow":
        return rules.offered_counts_overflow
    return rules.offered_counts_callback if outcome == "callback" else True


def _handled(segment: Segment) -> int:
    """Talk with what is known of hold and after-call work."""
    assert segment.talk_ms is not None
    return segment.talk_ms + (segment.hold_ms or 0) + (segment.acw_ms or 0)


def _answered_durations(segment: Segment) -> list[tuple[int, int]]:
    counted: list[tuple[int, int]] = []
    if segment.talk_ms is not None:
        counted += _duration("talk", segment.talk_ms)
        counted += _duration("handle", _handled(segment))
    if segment.hold_ms is not None:
        counted += _duration("hold", segment.hold_ms)
    if segment.acw_ms is not None:
        counted += _duration("acw", segment.acw_ms)
    if segment.wait_ms is not None:
        counted += _duration("wait", segment.wait_ms)
    return counted


@lru_cache(maxsize=256)
def _own_level(formula: str, raw: tuple[tuple[str, int], ...]) -> tuple[tuple[int, int], ...]:
    counts: Mapping[str, int] = dict.fromkeys(_LEVEL_COUNTS, 0) | dict(raw)
    hits, of = service_level(formula, counts)
    return tuple(pair for pair in ((_N["own_level_hits"], hits), (_N["own_level_of"], of)) if pair[1])


_LEVEL_COUNTS = (
    "timeout", "voicemail", "abandoned", "answered_waited", "answered_within",
    "abandoned_waited", "abandoned_within", "abandoned_short",
)  # fmt: skip


def _level(segment: Segment, rules: Rules) -> list[tuple[int, int]]:
    """What a segment adds to the service level: by counts, and by its own queue's formula."""
    if segment.outcome in ("overflow", "callback"):
        return []
    target = rules.service_level_of(segment.queue)
    raw: list[tuple[str, int]] = []
    wait = segment.wait_ms
    counted: list[tuple[int, int]] = []
    if wait is not None and segment.outcome in ("answered", "abandoned"):
        raw.append((f"{segment.outcome}_waited", 1))
        if wait <= target.within_ms:
            raw.append((f"{segment.outcome}_within", 1))
        if segment.outcome == "abandoned":
            counted += _duration("abandon", wait)
            if wait <= target.short_ms:
                raw.append(("abandoned_short", 1))
    counted += [(_N[name], amount) for name, amount in raw]
    counted += _own_level(target.formula, (*raw, (segment.outcome, 1)))
    return counted


def _contact(inbound: Segment, context: Context) -> list[tuple[int, int]]:
    counted = [(_N["contacts"], 1)]
    if inbound.outcome == "answered" and inbound.resolved is not None:
        counted.append((_N["disposed"], 1))
        if inbound.resolved:
            counted.append((_N["disposed_resolved"], 1))
    if context.value is not None:
        counted += [(_N["valued_contacts"], 1), (_N["valued_sum"], context.value)]
    if context.first is not None:
        counted += [(_N["fcr_contacts"], 1), (_N["fcr_firsts" if context.first else "fcr_repeats"], 1)]
        if context.kept:
            counted.append((_N["fcr_kept"], 1))
    return counted


def _response(response: Response) -> list[tuple[int, int]]:
    counted: list[tuple[int, int]] = []
    if response.comment is not None or _answered(response):
        counted.append((_N["surveys"], 1))
    if response.comment is not None:
        counted.append((_N["comments"], 1))
    for question, zero in _ANSWER.items():
        score = getattr(response, question)
        if score is not None:
            counted.append((zero + score, 1))
    if response.resolved_first is not None:
        counted.append((_N["first_yes" if response.resolved_first else "first_no"], 1))
    return counted


def _evaluation(evaluation: Evaluation) -> tuple[tuple[int, int], ...]:
    return (
        (_N["qa"], 1),
        (_N["qa_sum"], evaluation.score),
        (_N["qa_squares"], squared(evaluation.score, 100)),
    )
