"""Events that the simulated center's systems write about its contacts: mostly correct, some late, some wrong
and corrected, some twice."""

from collections.abc import Iterator
from datetime import datetime
from heapq import heappop, heappush
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from streamer.demo import staff
from streamer.demo.comments import comments
from streamer.demo.letters import TELEPHONY, Message, System, letter
from streamer.demo.staff import Agent, Queue
from streamer.events.rules import SECOND


class Contact(NamedTuple):
    """Attributes that all events of a contact share."""

    id: str
    customer: str | None
    channel: str
    reason: str
    language: str
    system: System


class Stay(NamedTuple):
    """One visit of a contact to a queue as it really was, whatever is written about it."""

    number: int
    queue: Queue
    agent: Agent | None
    queued_ms: int
    wait_s: float
    ended_ms: int
    severity: float
    solved: bool


class Paperwork:
    """Writes events, and holds those not yet published in the order of `at_ms`."""

    def __init__(self, random: Random, zone: ZoneInfo, currency: str) -> None:
        self._random, self._zone, self._currency = random, zone, currency
        self._outbox: list[tuple[int, int, Message]] = []
        self._written = 0

    def due(self, before_ms: float) -> Iterator[Message]:
        """Remove and yield the events to be published before that time, in order."""
        while self._outbox and self._outbox[0][0] < before_ms:
            yield heappop(self._outbox)[2]

    def report(
        self, contact: Contact, stay: Stay, outcome: str, transfer: str, direction: str | None = None
    ) -> None:
        random, agent = self._random, stay.agent
        segment = None if stay.number == 1 and transfer != "queue" else f"{contact.id}-{stay.number}"
        data = {
            "contact_id": contact.id,
            "segment_id": segment,
            "customer_id": contact.customer,
            "queue": stay.queue.name,
            "site": agent.site if agent else None,
            "team": agent.team if agent else None,
            "agent_id": agent.id if agent else None,
            "channel": contact.channel,
            "direction": direction,
            "reason": contact.reason,
            "language": contact.language,
            "queued_at": self._time(stay.queued_ms, agent),
            "wait_s": None if direction else round(stay.wait_s, 3),
            "ended_at": self._time(stay.ended_ms, agent),
            "outcome": outcome,
            "transfer": None if transfer == "none" else transfer,
        }
        if agent:
            data |= self._handling(stay)
        delay_s = random.uniform(0.2, 3)
        if random.random() < 0.015:
            delay_s = min(random.lognormvariate(6.4, 1.3), 6 * 3600)  # its system was offline
        at_ms = stay.ended_ms + in_ms(delay_s)
        self._send(at_ms, "call-completed", contact, data, segment or contact.id)
        if random.random() < 0.01:
            self._correct(at_ms, contact, data, segment or contact.id)

    def _handling(self, stay: Stay) -> dict[str, Any]:
        random = self._random
        handle_s = (stay.ended_ms - stay.queued_ms) / SECOND - stay.wait_s
        acw_s = handle_s * random.uniform(0.08, 0.22)
        hold_s = handle_s * random.uniform(0.03, 0.2) if random.random() < 0.3 else 0.0
        # An agent hears "thank you" more often than the problem is solved, and does not always say.
        said = None if random.random() < 0.12 else stay.solved or random.random() < 0.25
        talk_s = max(0.0, handle_s - acw_s - hold_s)
        return {
            "talk_s": round(talk_s, 3),
            "hold_s": round(hold_s, 3),
            "acw_s": round(acw_s, 3),
            "resolved": said,
        }

    def _correct(self, at_ms: int, contact: Contact, data: dict[str, Any], fact: str) -> None:
        """Write a later correction of a segment: another reason, queue or customer, or its deletion."""
        random = self._random
        better: dict[str, Any] = data | {"version": 1}
        kind = random.random()
        if kind < 0.1:
            better = {
                "contact_id": contact.id,
                "segment_id": data["segment_id"],
                "version": 1,
                "deleted": True,
            }
        elif kind < 0.25:
            better["customer_id"] = f"c-{random.randrange(20_000):08d}"
        elif kind < 0.6:
            better["queue"] = random.choice(staff.QUEUES).name
        else:
            better["reason"] = "other"
        self._send(at_ms + in_ms(random.lognormvariate(5, 1)), "call-completed", contact, better, fact)

    def survey(self, contact: Contact, stay: Stay) -> None:
        random = self._random
        sent_ms = stay.ended_ms + in_ms(random.uniform(5, 60))
        survey = f"s-{contact.id}"
        # Survey tools differ: a third never heard of a customer, some only know their own id.
        knows = random.random()
        customer = None if knows < 1 / 3 else contact.customer
        sent = {"survey_id": survey, "contact_id": contact.id, "customer_id": customer}
        self._send(sent_ms, "survey-sent", contact, sent | {"sent_at": self._time(sent_ms)}, survey)
        mood = self._mood(stay)
        if random.random() >= 0.15 + 0.06 * min(2.5, abs(mood - 0.3)):
            return  # very happy and very angry customers answer more often
        answered_ms = sent_ms + in_ms(min(random.lognormvariate(5.2, 1.5), 86_000))
        chance, words = comments(mood, contact.language)
        data: dict[str, Any] = {
            "response_id": f"r-{contact.id}",
            "survey_id": None if knows < 0.02 else survey,
            "contact_id": None if knows > 0.92 else contact.id,
            "customer_id": None if knows > 0.92 else customer,
            "answered_at": self._time(answered_ms),
            "answers": self._answers(mood, stay),
            "comment": random.choice(words) if random.random() < chance else None,
            "language": contact.language if random.random() < 0.5 else None,
        }
        self._respond(answered_ms, contact, data)

    def _respond(self, at_ms: int, contact: Contact, data: dict[str, Any]) -> None:
        random, fact = self._random, str(data["response_id"])
        self._send(at_ms + in_ms(random.uniform(0.1, 2)), "survey-completed", contact, data, fact)
        later_ms, chance = at_ms + in_ms(random.uniform(20, 900)), random.random()
        if chance < 0.004:  # the customer withdraws the response
            gone = {"response_id": fact, "version": 2, "deleted": True}
            self._send(later_ms, "survey-completed", contact, gone, fact)
        elif chance < 0.008:
            self._send(later_ms, "survey-completed", contact, data | {"version": 1, "excluded": True}, fact)
        elif chance < 0.02:  # the response with a question that was skipped before
            changed = data["answers"] | {"csat": random.randint(2, 5)}
            self._send(later_ms, "survey-completed", contact, data | {"version": 1, "answers": changed}, fact)

    def _mood(self, stay: Stay) -> float:
        """Return the mood of the customer after the visit: mean about 0, standard deviation 1."""
        assert stay.agent is not None
        waited = min(1.0, stay.wait_s / 600)
        feeling = 0.25 + stay.queue.mood + 0.8 * stay.agent.skill + self._random.gauss(0, 0.8)
        return feeling - waited - 1.8 * stay.severity - (0 if stay.solved else 0.9) - 0.2 * (stay.number - 1)

    def _answers(self, mood: float, stay: Stay) -> dict[str, Any]:
        random = self._random
        nps = _scored(8.5 + 1.7 * mood, 0, 10)
        answers: dict[str, Any] = {
            "nps": str(nps) if random.random() < 0.01 else nps,  # some systems send numbers as text
            "csat": _scored(4.32 + 0.75 * mood + random.gauss(0, 0.3), 1, 5)
            if random.random() < 0.9
            else None,
        }
        if random.random() < 0.85:
            answers["resolved_first"] = stay.solved and stay.number == 1 if random.random() < 0.93 else True
        if random.random() < 0.5:
            answers["ces"] = _scored(5.5 + 1.1 * mood + random.gauss(0, 0.5), 1, 7)
        if random.random() < 0.15:
            answers["effort"] = _scored(2.1 - 0.8 * mood, 1, 5)
        if random.random() < 0.25:
            answers["cnx"] = _scored(8.6 + 1.6 * mood, 1, 10)
        return answers

    def evaluation(self, contact: Contact, stay: Stay) -> None:
        random, agent = self._random, stay.agent
        assert agent is not None
        at_ms = stay.ended_ms + in_ms(min(random.lognormvariate(6.5, 1.4), 86_000))
        score = min(100.0, max(0.0, random.gauss(83 + 9 * agent.skill - 20 * stay.severity, 8)))
        data = {
            "evaluation_id": f"q-{contact.id}",
            "contact_id": contact.id,
            "agent_id": None if random.random() < 1 / 3 else agent.id,
            "score": round(score, 1),
            "evaluated_at": self._time(at_ms),
            "updated_at": self._time(at_ms),
            "form": random.choice(("standard", "compliance")),
        }
        contact = contact._replace(system=TELEPHONY)  # quality assurance has a system of its own
        self._send(at_ms, "contact-evaluated", contact, data, f"q-{contact.id}")
        if random.random() < 0.06:  # the score after an objection of the agent
            later_ms = at_ms + in_ms(random.uniform(120, 7200))
            again = {"score": min(100.0, round(score + 5, 1)), "updated_at": self._time(later_ms)}
            self._send(later_ms, "contact-evaluated", contact, data | again, f"q-{contact.id}")

    def value(self, at_ms: int, customer: str) -> None:
        random = self._random
        data = {
            "customer_id": customer,
            "value": round(random.lognormvariate(6.2, 0.9), 2),
            "currency": self._currency,
            "as_of": self._time(at_ms),
        }
        anyone = Contact("", customer, "", "", "", TELEPHONY)
        self._send(at_ms, "customer-valued", anyone, data, f"{customer}-{at_ms}")

    def _time(self, at_ms: int, agent: Agent | None = None) -> str | float:
        """Return a time in RFC 3339, local; the system of one site writes epoch seconds."""
        if agent and agent.site == "manila":
            return at_ms / SECOND
        return datetime.fromtimestamp(at_ms / SECOND, self._zone).isoformat(timespec="milliseconds")

    def _send(self, at_ms: int, topic: str, contact: Contact, data: dict[str, Any], fact: str) -> None:
        value, headers = letter(contact.system, topic, data, f"{fact}/{data.get('version', 0)}")
        message = Message(at_ms, topic, (contact.customer or contact.id).encode(), value, headers)
        self._put(message)
        if self._random.random() < 0.01:  # a duplicate: at least once
            self._put(message._replace(at_ms=at_ms + in_ms(self._random.expovariate(1 / 60))))

    def _put(self, message: Message) -> None:
        self._written += 1  # of two events at the same time, the one written first is published first
        heappush(self._outbox, (message.at_ms, self._written, message))


def in_ms(seconds: float) -> int:
    return round(seconds * SECOND)


def _scored(value: float, low: int, high: int) -> int:
    return max(low, min(high, round(value)))
