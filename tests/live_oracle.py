"""The oracle of what is live: who waits, what agents do and how long, computed from all events from scratch.

It sorts, deduplicates and walks. It keeps no state, knows no deltas, and shares no code with what it checks.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise, product
from typing import Any, NamedTuple

from streamer.events.counting_rules import DAY, HOUR, CountingRules
from streamer.events.models import (
    AGENT_STATES,
    CONTACT_STATES,
    AgentState,
    ContactState,
    Event,
    Tombstone,
)
from streamer.panes.pane_keys import groupings, row_field

Entry = dict[str, Any]


class TimedEvent(NamedTuple):
    """An event, and the timestamp of the record that stated it."""

    event: Event
    record_ms: int


class AgentSpan(NamedTuple):
    """Time in one state, as long as it lasts: no two that touch are equal."""

    agent_id: str
    team: str | None
    site: str | None
    queues: tuple[str, ...]
    channels: tuple[str, ...]
    state: str
    reason: str | None
    start: int
    end: int


def is_in_time(at: int, channel: str, record_ms: int) -> bool:
    return at >= record_ms - (8 * DAY if channel in ("email", "message", "task") else DAY)


def states_in_force(
    stated: Iterable[tuple[int, ContactState | AgentState]], taken: Iterable[Tombstone]
) -> list[Any]:
    """Return (at, state) in order: of each moment the greatest that nobody took back."""
    taken = list(taken)
    greatest: dict[int, ContactState | AgentState] = {}
    for at, event in stated:
        if any(one.at in (None, at) and event.version <= one.version for one in taken):
            continue
        rival = greatest.get(at)
        if rival is None or _rank(event) > _rank(rival):
            greatest[at] = event
    return sorted(greatest.items(), key=lambda item: item[0])


def _takes_back(event: Event, kind: str, since_ms: int) -> bool:
    is_tombstone = isinstance(event, Tombstone) and event.identity.kind == kind
    return is_tombstone and (event.at is None or event.at >= since_ms)


def _rank(event: ContactState | AgentState) -> tuple[int, int, bytes]:
    names = CONTACT_STATES if isinstance(event, ContactState) else AGENT_STATES
    return event.version, names.index(event.state), event.digest()


# Contacts


def live_contacts(timed_events: Iterable[TimedEvent]) -> dict[tuple[str, str], Entry]:
    """Return the entries of the segments under way, by source and id."""
    stated: dict[tuple[str, str], list[Any]] = defaultdict(list)
    taken: dict[tuple[str, str], list[Tombstone]] = defaultdict(list)
    over: set[tuple[str, str]] = set()
    for event, record_ms in timed_events:
        name = event.identity[1:]
        if event.identity.kind == "s":
            over.add(name)
        elif isinstance(event, ContactState) and is_in_time(event.at, event.channel, record_ms):
            stated[name].append((event.at, event))
        elif _takes_back(event, "l", record_ms - 8 * DAY):
            taken[name].append(event)
    entries = {}
    for name in stated.keys() - over:
        states = states_in_force(stated[name], taken[name])
        if states and states[-1][1].state != "ended":
            entries[name] = _contact_entry(name, states)
    return entries


def _contact_entry(name: tuple[str, str], states: Sequence[tuple[int, ContactState]]) -> Entry:
    events = [event for _, event in states]
    last = events[-1]

    def known(field: str, among: Sequence[ContactState]) -> Any:
        values = [getattr(event, field) for event in among if getattr(event, field) is not None]
        return values[-1] if values else None

    words = [event.state for event in events]
    served = len(words)
    while served and words[served - 1] in ("connected", "held", "wrap_up"):
        served -= 1
    waiting = served
    while waiting and words[waiting - 1] in ("queued", "offered"):
        waiting -= 1
    began = [event.queued_at for event in events[waiting:] if event.queued_at is not None]
    began += [events[waiting].at] if waiting < served else []
    since = last.at
    for event in reversed(events):
        if (event.state, event.agent_id) != (last.state, last.agent_id):
            break
        since = event.at
    after_queue = len(words) - words[::-1].index("queued") if "queued" in words else 0
    return {
        "contact_id": last.contact_id,
        "segment_id": last.segment_id,
        "source": name[0],
        "state": last.state,
        "since": since,
        "waiting_since": min(began) if began else None,
        "connected_at": events[served].at if served < len(events) else None,
        "queue": last.queue,
        "team": known("team", events),
        "site": known("site", events),
        "agent_id": last.agent_id if last.state == "queued" else known("agent_id", events[after_queue:]),
        "channel": last.channel,
        "reason": known("reason", events),
        "language": known("language", events),
        "is_outbound": last.direction == "outbound",
        "priority": known("priority", events),
    }


# Agents


class AgentDay(NamedTuple):
    """All that is known of one agent: states in order, each with its moment, and the rules."""

    states: Sequence[tuple[int, AgentState]]
    silence_ms: int

    def known_until(self, index: int) -> int:
        at, event = self.states[index]
        last_sign = max(at, event.seen_at or at)
        return last_sign + (3 * event.heart_beat_ms if event.heart_beat_ms else self.silence_ms)

    def run_start(self, index: int) -> int:
        """Return when the state of this index began, equal ones before it without silence included."""
        now = self.states[index][1]
        while index:
            before = self.states[index - 1][1]
            if (before.state, before.reason) != (now.state, now.reason):
                break
            if self.known_until(index - 1) < self.states[index][0]:
                break
            index -= 1
        return self.states[index][0]

    def stated(self, field: str, index: int) -> Any:
        """Return what the last state up to this one says."""
        values = [getattr(event, field) for _, event in self.states[: index + 1]]
        return next((value for value in reversed(values) if value is not None), None)

    def profile(self, index: int) -> tuple[Any, ...]:
        return (
            self.states[index][1].agent_id,
            self.stated("team", index),
            self.stated("site", index),
            self.stated("queues", index) or (),
            self.stated("channels", index) or (),
        )


def agent_days(timed_events: Iterable[TimedEvent], rules: CountingRules) -> dict[str, AgentDay]:
    stated: dict[str, list[Any]] = defaultdict(list)
    taken: dict[str, list[Tombstone]] = defaultdict(list)
    for event, record_ms in timed_events:
        if isinstance(event, AgentState):
            moments = [at for at in (event.at, event.seen_at) if at is not None and at >= record_ms - DAY]
            if moments:
                stated[event.agent_id].append((moments[0], event))
        elif _takes_back(event, "a", record_ms - DAY):
            taken[event.identity.id].append(event)
    days = {
        name: AgentDay(states_in_force(states, taken[name]), rules.agent_silence_ms)
        for name, states in stated.items()
    }
    return {name: day for name, day in days.items() if day.states}


def live_agents(timed_events: Iterable[TimedEvent], rules: CountingRules) -> dict[str, Entry]:
    """Return the entries of the agents who are not offline, by id."""
    entries = {}
    for name, day in agent_days(timed_events, rules).items():
        last = len(day.states) - 1
        at, event = day.states[last]
        if event.state == "offline":
            continue
        heard_at = max(at, event.seen_at or at)
        _, team, site, queues, channels = day.profile(last)
        entries[name] = {
            "agent_id": name,
            "state": event.state,
            "reason": event.reason,
            "since": day.run_start(last),
            "open_from": at,
            "heard_at": heard_at,
            "silence_ms": day.known_until(last) - heard_at,
            "queues": queues,
            "team": team,
            "site": site,
            "channels": channels,
            "contact_id": event.contact_id,
            "former": _former_state(day),
        }
    return entries


def _former_state(day: AgentDay) -> Entry | None:
    """Return what holds while the last state has not begun."""
    if len(day.states) < 2 or day.states[-2][1].state == "offline":
        return None
    at, event = day.states[-2]
    return {
        "state": AGENT_STATES.index(event.state),
        "reason": event.reason,
        "since": day.run_start(len(day.states) - 2),
        "open_from": at,
        "contact_id": event.contact_id,
    }


def agent_spans(timed_events: Iterable[TimedEvent], rules: CountingRules) -> list[AgentSpan]:
    """Return all closed time of agents in states, but offline and unknown, and the unanswered offers as spans
    of no length in state "unanswered"."""
    spans: list[AgentSpan] = []
    for day in agent_days(timed_events, rules).values():
        spans += merged_spans(_elementary_spans(day))
        spans += _unanswered(day)
    return sorted(spans, key=repr)


def _elementary_spans(day: AgentDay) -> list[AgentSpan]:
    """Walk from boundary to boundary: whatever may begin or end at any moment."""
    begins = [at for at, _ in day.states]
    boundaries = sorted({*begins, *(day.known_until(index) for index in range(len(begins)))})
    found = []
    for start, end in pairwise(boundaries):
        index = max((number for number, at in enumerate(begins) if at <= start), default=None)
        if index is None or index == len(begins) - 1 or start >= day.known_until(index):
            continue
        event = day.states[index][1]
        if event.state != "offline":
            reason = event.reason if event.state == "away" else None
            found.append(AgentSpan(*day.profile(index), event.state, reason, start, end))
    return found


def merged_spans(spans: Iterable[AgentSpan]) -> list[AgentSpan]:
    """Join spans that touch and are equal otherwise. Fails where two of an agent overlap."""
    merged: list[AgentSpan] = []
    for span in sorted(spans, key=lambda span: (span.agent_id, span.start, span.end)):
        if merged and merged[-1].agent_id == span.agent_id:
            assert merged[-1].end <= span.start, "an agent is in two states at once"
            if merged[-1].end == span.start and merged[-1][:7] == span[:7]:
                merged[-1] = merged[-1]._replace(end=span.end)
                continue
        merged.append(span)
    return merged


def _unanswered(day: AgentDay) -> list[AgentSpan]:
    found = []
    for index, ((_, offer), (next_at, following)) in enumerate(pairwise(day.states)):
        if offer.state != "offered" or following.state in ("busy", "held"):
            continue
        contacts = {offer.contact_id, following.contact_id} - {None}
        if following.state == "offered" and len(contacts) < 2:
            continue  # the same offer, told again
        end = min(next_at, day.known_until(index))
        found.append(AgentSpan(*day.profile(index), "unanswered", None, end, end))
    return found


def hour_rows(spans: Iterable[AgentSpan], rules: CountingRules) -> dict[tuple[int, str], dict[str, int]]:
    """Return the counts of agents' time by hour and group row."""
    rows: dict[tuple[int, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for span in spans:
        names = _row_names(span, rules)
        if span.state == "unanswered":
            for name in names:
                rows[span.start // HOUR, name]["offered_unanswered"] += 1
        for hour in range(span.start // HOUR, span.end // HOUR + 1):
            ms = min(span.end, (hour + 1) * HOUR) - max(span.start, hour * HOUR)
            for name in names if ms else ():
                rows[hour, name][f"{span.state}_ms"] += ms
    return {place: dict(counts) for place, counts in rows.items()}


def _row_names(span: AgentSpan, rules: CountingRules) -> set[str]:
    cells = [
        (span.site, queue, span.team, span.agent_id, channel, span.reason, None)
        for queue, channel in product(span.queues or (None,), span.channels or (None,))
    ]
    wanted = [by for by in groupings(rules.dimension_pairs) if "reason" not in by or span.state == "away"]
    return {row_field(by, cell) for by in wanted for cell in cells}


def is_of_journeys(event: Event) -> bool:
    """Tell whether an event concerns what is over, and not what is live."""
    return event.identity.kind not in ("l", "a")
