"""States that the simulated center's systems write of contacts under way and of agents: some late, some
twice, some in another order, and some ends not at all."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from streamer.demo import roster
from streamer.demo.event_encoding import TELEPHONY, SimulatedMessage, SourceSystem, encode_event
from streamer.demo.event_writer import Offer, SimulatedContact, SimulatedVisit, WrittenVisit, to_ms
from streamer.demo.roster import Agent, QueueRota
from streamer.demo.shift_calendar import Shift, ShiftCalendar
from streamer.events.counting_rules import HOUR, SECOND

_CALENDAR_BEFORE_MS = 2 * HOUR
"""Calendars are kept so long before the first state, so that contacts under way then have their agents."""
_UNANSWERED_RING_S, _UNANSWERED_AWAY_S, _UNANSWERED_SHARE = 20, 45, 0.15
_LATE_SHARE, _TWICE_SHARE, _LOST_END_SHARE = 0.015, 0.01, 0.01


class _WrittenState(NamedTuple):
    """State as its system writes it, since `at_ms`."""

    system: SourceSystem
    topic: str
    key: str
    fact_id: str
    at_ms: int
    data: dict[str, Any]


class Routing(NamedTuple):
    """Agent who takes a contact, how much longer it waits for one, and the offers that led there: none where
    no calendar is kept."""

    agent: Agent
    delay_ms: int = 0
    offers: tuple[Offer, ...] = ()


class StateWriter:
    """Routes contacts to agents who are free, and writes the states of both from `from_ms` on.

    What was so already then is written as a snapshot.
    """

    def __init__(
        self,
        random: Random,
        zone: ZoneInfo,
        calendar: ShiftCalendar,
        enqueue: Callable[[SimulatedMessage], None],
        from_ms: int,
    ) -> None:
        self._random, self._zone, self._calendar = random, zone, calendar
        self._enqueue, self._from_ms = enqueue, from_ms
        self._agents: dict[str, Agent] = {}
        self._planned_until: date | None = None
        self._before: dict[tuple[str, str], _WrittenState] | None = {}
        """States in force before `from_ms`, by topic and id; None once the snapshot is written."""

    def advance(self, now_ms: float) -> None:
        """Plan the shifts of the next hours, and write the snapshot when its time has come."""
        if now_ms >= self._from_ms - _CALENDAR_BEFORE_MS:
            self._plan_days(datetime.fromtimestamp((now_ms + 2 * HOUR) / SECOND, self._zone).date())
        if now_ms >= self._from_ms and self._before is not None:
            before, self._before = self._before, None
            for state in before.values():
                self._enqueue(self._snapshot_message(state))

    def route(
        self,
        rota: QueueRota,
        first_index: int,
        visit: SimulatedVisit,
        handle_s: Callable[[Agent], float],
    ) -> Routing:
        """Return the agent who answers a visit, the first free one of the rota from that index on."""
        if visit.queued_ms < self._from_ms - _CALENDAR_BEFORE_MS:
            return Routing(rota.agents[first_index])
        wait_ms = visit.ended_ms - visit.queued_ms
        ring_ms = min(to_ms(self._random.uniform(1.5, 6)), wait_ms * 2 // 3)
        assignment = self._calendar.assign(
            rota, first_index, visit.ended_ms - ring_ms, lambda agent: ring_ms + to_ms(handle_s(agent))
        )
        if not assignment.is_reserved:
            return Routing(assignment.agent)
        answered_ms = visit.ended_ms + assignment.delay_ms
        offers = [Offer(assignment.agent, answered_ms - ring_ms, answered_ms)]
        if (unanswered := self._unanswered_offer(rota, visit, offers[0].start_ms)) is not None:
            offers.insert(0, unanswered)
        return Routing(assignment.agent, assignment.delay_ms, tuple(offers))

    def write_visit(
        self, contact: SimulatedContact, visit: SimulatedVisit, written: WrittenVisit, direction: str | None
    ) -> None:
        """Write the states of a contact in one queue, and of the agents it rang at."""
        if visit.ended_ms < self._from_ms or (visit.agent is not None and not visit.offers):
            return  # it was over before, or nobody's calendar was asked
        log = _ContactLog(self, contact, visit, written, direction)
        if direction is None:
            log.write("queued", visit.queued_ms)
        elif visit.agent is None:
            return  # dialled, and nobody answered
        for offer in visit.offers[:-1]:
            log.write("offered", offer.start_ms, offer.agent)
            log.write("queued", offer.end_ms)
            self._write_unanswered(offer, contact)
        if visit.offers:
            self._write_answered(log, visit.offers[-1], visit, written)
        if self._random.random() >= _LOST_END_SHARE:
            log.write("ended", visit.ended_ms, visit.agent)

    def _write_answered(
        self, log: "_ContactLog", offer: Offer, visit: SimulatedVisit, written: WrittenVisit
    ) -> None:
        """Write the states of contact and agent from the answered offer to the end of after-call work."""
        wrap_up_ms = visit.ended_ms - to_ms(written.acw_s)
        hold_ms = to_ms(written.hold_s)
        held_ms = offer.end_ms + (wrap_up_ms - offer.end_ms - hold_ms) // 2
        steps = [("offered", "offered", offer.start_ms)] if offer.start_ms < offer.end_ms else []
        steps.append(("connected", "busy", offer.end_ms))
        if hold_ms:
            steps += [("held", "held", held_ms), ("connected", "busy", held_ms + hold_ms)]
        steps.append(("wrap_up", "wrap_up", wrap_up_ms))
        for contact_state, agent_state, at_ms in steps:
            log.write(contact_state, at_ms, offer.agent)
            self.write_agent(offer.agent, agent_state, at_ms, contact_id=log.contact_id)
        self.write_agent(offer.agent, "available", visit.ended_ms)

    def _write_unanswered(self, offer: Offer, contact: SimulatedContact) -> None:
        self.write_agent(offer.agent, "offered", offer.start_ms, contact_id=contact.id)
        self.write_agent(offer.agent, "away", offer.end_ms, reason="no answer")
        self.write_agent(offer.agent, "available", offer.end_ms + _UNANSWERED_AWAY_S * SECOND)

    def _unanswered_offer(self, rota: QueueRota, visit: SimulatedVisit, before_ms: int) -> Offer | None:
        """Return an offer that somebody lets ring, before the answered one; None for most."""
        start_ms = before_ms - (_UNANSWERED_RING_S + 1) * SECOND
        if start_ms <= visit.queued_ms or self._random.random() >= _UNANSWERED_SHARE:
            return None
        agent = self._random.choice(rota.agents)
        end_ms = start_ms + _UNANSWERED_RING_S * SECOND
        away_until_ms = end_ms + _UNANSWERED_AWAY_S * SECOND
        if not self._calendar.is_free(agent, start_ms, away_until_ms):
            return None
        self._calendar.reserve(agent, start_ms, away_until_ms)
        return Offer(agent, start_ms, end_ms)

    def _plan_days(self, until: date) -> None:
        """Plan the shifts that begin up to that day, and write what is known of them beforehand."""
        if self._planned_until is None:
            first_ms = self._from_ms - _CALENDAR_BEFORE_MS
            first_day = datetime.fromtimestamp(first_ms / SECOND, self._zone).date()
            self._planned_until = first_day - timedelta(days=2)
        while self._planned_until < until:
            self._planned_until += timedelta(days=1)
            for agent, shift in self._calendar.plan_day(self._planned_until):
                self._agents[agent.id] = agent
                self._write_shift(agent, shift)

    def _write_shift(self, agent: Agent, shift: Shift) -> None:
        self.write_agent(agent, "available", shift.start_ms, **_profile(agent))
        for absence in shift.absences:
            self.write_agent(agent, "away", absence.start_ms, reason=absence.reason)
            self.write_agent(agent, "available", absence.end_ms)
        self.write_agent(agent, "offline", shift.end_ms)

    def write_agent(self, agent: Agent, state: str, at_ms: int, **more: object) -> None:
        """Write a state of an agent, with what else is known."""
        data = {"agent_id": agent.id, "state": state, "at": at_ms / SECOND, **more}
        self.write(_WrittenState(TELEPHONY, "agent-state", agent.id, agent.id, at_ms, data))

    def write(self, state: _WrittenState) -> None:
        """Write a state, usually at once; or keep it for the snapshot."""
        if state.at_ms < self._from_ms:
            self._keep_for_snapshot(state)
            return
        random = self._random
        delay_s = random.uniform(0.02, 0.4)
        if random.random() < _LATE_SHARE:
            delay_s = min(random.lognormvariate(3, 1.5), 1800)
        message = _state_message(state, state.at_ms + to_ms(delay_s))
        self._enqueue(message)
        if random.random() < _TWICE_SHARE:
            self._enqueue(message._replace(at_ms=message.at_ms + to_ms(random.expovariate(1 / 20))))

    def _keep_for_snapshot(self, state: _WrittenState) -> None:
        assert self._before is not None
        name = state.topic, state.fact_id
        known = self._before.get(name)
        if known is None or known.at_ms <= state.at_ms:
            self._before[name] = state

    def _snapshot_message(self, state: _WrittenState) -> SimulatedMessage:
        """Return a state that began before, still so at `from_ms`; of an agent with all that is known."""
        if state.topic == "agent-state":
            profile = _profile(self._agents[state.fact_id])
            state = state._replace(data={**state.data, **profile, "seen_at": self._from_ms / SECOND})
        return _state_message(state, self._from_ms)

    def format_time(self, at_ms: int) -> str:
        return datetime.fromtimestamp(at_ms / SECOND, self._zone).isoformat(timespec="milliseconds")


def _profile(agent: Agent) -> dict[str, object]:
    """Return the fields of an agent that a later state leaves out, since they are as before."""
    return {
        "queues": sorted(roster.queues_of_team(agent.team)),
        "channels": list(roster.CHANNELS),
        "team": agent.team,
        "site": agent.site,
    }


def _state_message(state: _WrittenState, publish_ms: int) -> SimulatedMessage:
    event_id = f"{state.fact_id}/{state.at_ms}/{state.data['state']}"
    value, headers = encode_event(state.system, state.topic, state.data, event_id)
    return SimulatedMessage(publish_ms, state.topic, state.key.encode(), value, headers)


class _ContactLog:
    """Writes the states of one visit."""

    def __init__(
        self,
        writer: StateWriter,
        contact: SimulatedContact,
        visit: SimulatedVisit,
        written: WrittenVisit,
        direction: str | None,
    ) -> None:
        self.contact_id = contact.id
        self._writer, self._contact = writer, contact
        self._fields = {
            "contact_id": contact.id,
            "segment_id": written.segment_id,
            "customer_id": contact.customer,
            "queue": visit.queue.name,
            "channel": contact.channel,
            "direction": direction,
            "reason": contact.reason,
            "language": contact.language,
        }
        self._fact_id = written.segment_id or contact.id
        self._queued_at = writer.format_time(visit.queued_ms)

    def write(self, state: str, at_ms: int, agent: Agent | None = None) -> None:
        contact, writer = self._contact, self._writer
        data = {
            **self._fields,
            "state": state,
            "at": writer.format_time(at_ms),
            "queued_at": self._queued_at if state != "ended" else None,
        }
        if agent is not None:
            data |= {"agent_id": agent.id, "team": agent.team, "site": agent.site}
        key = contact.customer or contact.id
        writer.write(_WrittenState(contact.system, "contact-state", key, self._fact_id, at_ms, data))
