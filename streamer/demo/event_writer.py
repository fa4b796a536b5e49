"""Events that the simulated center's systems write about its contacts: mostly correct, some late, some wrong
and corrected, some twice."""

from collections.abc import Iterator
from datetime import datetime
from heapq import heappop, heappush
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from streamer.demo import roster
from streamer.demo.event_encoding import TELEPHONY, SimulatedMessage, SourceSystem, encode_event
from streamer.demo.roster import Agent, Queue
from streamer.demo.survey_comments import comment_choices
from streamer.events.counting_rules import SECOND


class SimulatedContact(NamedTuple):
    """Attributes that all events of a contact share."""

    id: str
    customer: str | None
    channel: str
    reason: str
    language: str
    system: SourceSystem


class Offer(NamedTuple):
    """Time in which a contact rings at an agent, until it is answered or goes to another one."""

    agent: Agent
    start_ms: int
    end_ms: int


class SimulatedVisit(NamedTuple):
    """One visit of a contact to a queue as it really was, whatever is written about it."""

    number: int
    queue: Queue
    agent: Agent | None
    queued_ms: int
    wait_s: float
    ended_ms: int
    severity: float
    solved: bool
    offers: tuple[Offer, ...] = ()
    """Offers to agents, the answered one last; none where nobody's calendar was asked."""


class WrittenVisit(NamedTuple):
    """What the systems know of a visit beside its times: its segment's id (None: the contact's), and the
    seconds on hold and of after-call work."""

    segment_id: str | None
    hold_s: float = 0.0
    acw_s: float = 0.0


class EventWriter:
    """Writes events, and holds those not yet published in the order of `at_ms`."""

    def __init__(self, random: Random, zone: ZoneInfo, currency: str) -> None:
        self._random, self._zone, self._currency = random, zone, currency
        self._outbox: list[tuple[int, int, SimulatedMessage]] = []
        self._written = 0

    def pop_due(self, before_ms: float) -> Iterator[SimulatedMessage]:
        """Remove and yield the events to be published before that time, in order."""
        while self._outbox and self._outbox[0][0] < before_ms:
            yield heappop(self._outbox)[2]

    def write_visit(
        self,
        contact: SimulatedContact,
        visit: SimulatedVisit,
        outcome: str,
        transfer: str,
        direction: str | None = None,
    ) -> WrittenVisit:
        random, agent = self._random, visit.agent
        segment_id = None if visit.number == 1 and transfer != "queue" else f"{contact.id}-{visit.number}"
        data = {
            "contact_id": contact.id,
            "segment_id": segment_id,
            "customer_id": contact.customer,
            "queue": visit.queue.name,
            "site": agent.site if agent else None,
            "team": agent.team if agent else None,
            "agent_id": agent.id if agent else None,
            "channel": contact.channel,
            "direction": direction,
            "reason": contact.reason,
            "language": contact.language,
            "queued_at": self._format_time(visit.queued_ms, agent),
            "wait_s": None if direction else round(visit.wait_s, 3),
            "ended_at": self._format_time(visit.ended_ms, agent),
            "outcome": outcome,
            "transfer": None if transfer == "none" else transfer,
        }
        hold_s = acw_s = 0.0
        if agent:
            handling = self._handling_fields(visit)
            data |= handling
            hold_s, acw_s = handling["hold_s"], handling["acw_s"]
        delay_s = random.uniform(0.2, 3)
        if random.random() < 0.015:
            delay_s = min(random.lognormvariate(6.4, 1.3), 6 * 3600)  # its system was offline
        at_ms = visit.ended_ms + to_ms(delay_s)
        self._write(at_ms, "call-completed", contact, data, segment_id or contact.id)
        if random.random() < 0.01:
            self._write_correction(at_ms, contact, data, segment_id or contact.id)
        return WrittenVisit(segment_id, hold_s, acw_s)

    def _handling_fields(self, visit: SimulatedVisit) -> dict[str, Any]:
        random = self._random
        handle_s = (visit.ended_ms - visit.queued_ms) / SECOND - visit.wait_s
        acw_s = handle_s * random.uniform(0.08, 0.22)
        hold_s = handle_s * random.uniform(0.03, 0.2) if random.random() < 0.3 else 0.0
        # An agent hears "thank you" more often than the problem is solved, and does not always say.
        resolved = None if random.random() < 0.12 else visit.solved or random.random() < 0.25
        talk_s = max(0.0, handle_s - acw_s - hold_s)
        return {
            "talk_s": round(talk_s, 3),
            "hold_s": round(hold_s, 3),
            "acw_s": round(acw_s, 3),
            "resolved": resolved,
        }

    def _write_correction(
        self, at_ms: int, contact: SimulatedContact, data: dict[str, Any], fact_id: str
    ) -> None:
        """Write a later correction of a segment: another reason, queue or customer, or its deletion."""
        random = self._random
        correction: dict[str, Any] = data | {"version": 1}
        kind = random.random()
        if kind < 0.1:
            correction = {
                "contact_id": contact.id,
                "segment_id": data["segment_id"],
                "version": 1,
                "deleted": True,
            }
        elif kind < 0.25:
            correction["customer_id"] = f"c-{random.randrange(20_000):08d}"
        elif kind < 0.6:
            correction["queue"] = random.choice(roster.QUEUES).name
        else:
            correction["reason"] = "other"
        self._write(
            at_ms + to_ms(random.lognormvariate(5, 1)), "call-completed", contact, correction, fact_id
        )

    def write_survey(self, contact: SimulatedContact, visit: SimulatedVisit) -> None:
        random = self._random
        sent_ms = visit.ended_ms + to_ms(random.uniform(5, 60))
        survey_id = f"s-{contact.id}"
        # Survey tools differ: a third never heard of a customer, some only know their own id.
        knowledge = random.random()
        customer = None if knowledge < 1 / 3 else contact.customer
        survey_fields = {"survey_id": survey_id, "contact_id": contact.id, "customer_id": customer}
        self._write(
            sent_ms,
            "survey-sent",
            contact,
            survey_fields | {"sent_at": self._format_time(sent_ms)},
            survey_id,
        )
        mood = self._mood(visit)
        if random.random() >= 0.15 + 0.06 * min(2.5, abs(mood - 0.3)):
            return  # very happy and very angry customers answer more often
        answered_ms = sent_ms + to_ms(min(random.lognormvariate(5.2, 1.5), 86_000))
        chance, phrases = comment_choices(mood, contact.language)
        data: dict[str, Any] = {
            "response_id": f"r-{contact.id}",
            "survey_id": None if knowledge < 0.02 else survey_id,
            "contact_id": None if knowledge > 0.92 else contact.id,
            "customer_id": None if knowledge > 0.92 else customer,
            "answered_at": self._format_time(answered_ms),
            "answers": self._survey_answers(mood, visit),
            "comment": random.choice(phrases) if random.random() < chance else None,
            "language": contact.language if random.random() < 0.5 else None,
        }
        self._write_response(answered_ms, contact, data)

    def _write_response(self, at_ms: int, contact: SimulatedContact, data: dict[str, Any]) -> None:
        random, fact_id = self._random, str(data["response_id"])
        self._write(at_ms + to_ms(random.uniform(0.1, 2)), "survey-completed", contact, data, fact_id)
        later_ms, chance = at_ms + to_ms(random.uniform(20, 900)), random.random()
        if chance < 0.004:  # the customer withdraws the response
            tombstone = {"response_id": fact_id, "version": 2, "deleted": True}
            self._write(later_ms, "survey-completed", contact, tombstone, fact_id)
        elif chance < 0.008:
            self._write(
                later_ms, "survey-completed", contact, data | {"version": 1, "excluded": True}, fact_id
            )
        elif chance < 0.02:  # the response with a question that was skipped before
            new_answers = data["answers"] | {"csat": random.randint(2, 5)}
            self._write(
                later_ms, "survey-completed", contact, data | {"version": 1, "answers": new_answers}, fact_id
            )

    def _mood(self, visit: SimulatedVisit) -> float:
        """Return the mood of the customer after the visit: mean about 0, standard deviation 1."""
        assert visit.agent is not None
        wait_penalty = min(1.0, visit.wait_s / 600)
        base_mood = 0.25 + visit.queue.mood + 0.8 * visit.agent.skill + self._random.gauss(0, 0.8)
        return (
            base_mood
            - wait_penalty
            - 1.8 * visit.severity
            - (0 if visit.solved else 0.9)
            - 0.2 * (visit.number - 1)
        )

    def _survey_answers(self, mood: float, visit: SimulatedVisit) -> dict[str, Any]:
        random = self._random
        nps = _clamp_score(8.5 + 1.7 * mood, 0, 10)
        answers: dict[str, Any] = {
            "nps": str(nps) if random.random() < 0.01 else nps,  # some systems send numbers as text
            "csat": _clamp_score(4.32 + 0.75 * mood + random.gauss(0, 0.3), 1, 5)
            if random.random() < 0.9
            else None,
        }
        if random.random() < 0.85:
            answers["resolved_first"] = visit.solved and visit.number == 1 if random.random() < 0.93 else True
        if random.random() < 0.5:
            answers["ces"] = _clamp_score(5.5 + 1.1 * mood + random.gauss(0, 0.5), 1, 7)
        if random.random() < 0.15:
            answers["effort"] = _clamp_score(2.1 - 0.8 * mood, 1, 5)
        if random.random() < 0.25:
            answers["cnx"] = _clamp_score(8.6 + 1.6 * mood, 1, 10)
        return answers

    def write_evaluation(self, contact: SimulatedContact, visit: SimulatedVisit) -> None:
        random, agent = self._random, visit.agent
        assert agent is not None
        at_ms = visit.ended_ms + to_ms(min(random.lognormvariate(6.5, 1.4), 86_000))
        score = min(100.0, max(0.0, random.gauss(83 + 9 * agent.skill - 20 * visit.severity, 8)))
        data = {
            "evaluation_id": f"q-{contact.id}",
            "contact_id": contact.id,
            "agent_id": None if random.random() < 1 / 3 else agent.id,
            "score": round(score, 1),
            "evaluated_at": self._format_time(at_ms),
            "updated_at": self._format_time(at_ms),
            "form": random.choice(("standard", "compliance")),
        }
        contact = contact._replace(system=TELEPHONY)  # quality assurance has a system of its own
        self._write(at_ms, "contact-evaluated", contact, data, f"q-{contact.id}")
        if random.random() < 0.06:  # the score after an objection of the agent
            later_ms = at_ms + to_ms(random.uniform(120, 7200))
            revision = {"score": min(100.0, round(score + 5, 1)), "updated_at": self._format_time(later_ms)}
            self._write(later_ms, "contact-evaluated", contact, data | revision, f"q-{contact.id}")

    def write_customer_value(self, at_ms: int, customer: str) -> None:
        random = self._random
        data = {
            "customer_id": customer,
            "value": round(random.lognormvariate(6.2, 0.9), 2),
            "currency": self._currency,
            "as_of": self._format_time(at_ms),
        }
        no_contact = SimulatedContact("", customer, "", "", "", TELEPHONY)
        self._write(at_ms, "customer-valued", no_contact, data, f"{customer}-{at_ms}")

    def _format_time(self, at_ms: int, agent: Agent | None = None) -> str | float:
        """Return a time in RFC 3339, local; the system of one site writes epoch seconds."""
        if agent and agent.site == "manila":
            return at_ms / SECOND
        return datetime.fromtimestamp(at_ms / SECOND, self._zone).isoformat(timespec="milliseconds")

    def _write(
        self, at_ms: int, topic: str, contact: SimulatedContact, data: dict[str, Any], fact_id: str
    ) -> None:
        value, headers = encode_event(contact.system, topic, data, f"{fact_id}/{data.get('version', 0)}")
        message = SimulatedMessage(at_ms, topic, (contact.customer or contact.id).encode(), value, headers)
        self.enqueue(message)
        if self._random.random() < 0.01:  # a duplicate: at least once
            self.enqueue(message._replace(at_ms=at_ms + to_ms(self._random.expovariate(1 / 60))))

    def enqueue(self, message: SimulatedMessage) -> None:
        """Keep a message until it is due."""
        self._written += 1  # of two events at the same time, the one written first is published first
        heappush(self._outbox, (message.at_ms, self._written, message))


def to_ms(seconds: float) -> int:
    return round(seconds * SECOND)


def _clamp_score(value: float, low: int, high: int) -> int:
    return max(low, min(high, round(value)))
