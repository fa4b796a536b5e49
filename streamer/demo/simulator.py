"""Simulated contact center: seeded, with realistic volumes, waits, outcomes, repeats and surveys.

`SimulatedCenter` is pure: the same plan gives the same messages, byte for byte. Only `publish_messages` knows
Kafka and the clock.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from heapq import heappop, heappush
from math import inf
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from aiokafka import AIOKafkaProducer

from streamer.demo import staff
from streamer.demo.letters import SYSTEMS, Message
from streamer.demo.paperwork import Contact, Paperwork, Stay, in_ms
from streamer.demo.staff import Queue
from streamer.events.rules import DAY, HOUR, SECOND

_BASE_SHARE = 0.82  # of all contacts; the others are repeats
_NEAR_BEFORE_H, _NEAR_H, _NEAR_SHARE = 2, 5, 0.7


class Incident(NamedTuple):
    """Bad minutes of one queue: first `after_s` after the start, then every `every_s`.

    >>> incident = Incident(after_s=60, lasts_s=300)
    >>> [round(incident.severity(since_start_s), 2) for since_start_s in (0, 75, 90, 330, 360)]
    [0.0, 0.5, 1.0, 0.4, 0.0]
    """

    queue: str = "billing"
    after_s: float = 60
    lasts_s: float = 300
    every_s: float = 1200

    def severity(self, since_start_s: float) -> float:
        """Return the severity, 0 to 1: it rises quickly, stays, and falls more slowly."""
        if since_start_s < self.after_s:
            return 0.0
        part = (since_start_s - self.after_s) % self.every_s / self.lasts_s
        return max(0.0, min(1.0, part / 0.1, (1 - part) / 0.25))


class Plan(NamedTuple):
    """Parameters of a center: `rate` is contacts per second, averaged over a day; `zone` is its time zone."""

    seed: int
    start_ms: int
    rate: float = 1.0
    zone: str = "UTC"
    currency: str = "EUR"
    incident: Incident = Incident()


class Return(NamedTuple):
    """Repeat contact of a customer whose problem was not solved."""

    at_ms: int
    order: int
    customer: str
    queue: Queue
    reason: str


class Center:
    """Source of messages in the order of `at_ms`: `history`, if wanted, then `live`, which never ends."""

    def __init__(self, plan: Plan) -> None:
        assert plan.rate > 0
        self.agents = staff.hire(Random(f"staff {plan.seed}"))
        self._plan = plan
        self._random = Random(f"center {plan.seed} {plan.start_ms}")
        self._zone = ZoneInfo(plan.zone)
        self._paperwork = Paperwork(self._random, self._zone, plan.currency)
        self._rotas = staff.rotas(self.agents)
        self._next_ms = plan.start_ms
        self._thin, self._full_from = 1.0, -inf
        self._returns: list[Return] = []
        self._count = 0
        # Ids do not repeat when a center is started again; customers stay the same. There are so many
        # customers that few call again by chance, and some call often.
        self._prefix = f"{plan.start_ms // 1000:x}"
        self._customers = max(20_000, round(plan.rate * DAY / SECOND * 400))
        self._queue_shares = [queue.share for queue in staff.QUEUES]

    def history(self, hours: float, thin_days: float = 0, thin: float = 0.02) -> Iterator[Message]:
        """Yield the messages of the hours before the start.

        Before these, on `thin_days`, only the share `thin` of the contacts comes in: first contacts and
        repeats need days of data, but a demo must fill quickly.
        """
        self._full_from = self._plan.start_ms - hours * HOUR
        self._thin = thin
        self._next_ms = round(self._full_from - thin_days * DAY)
        yield from self._until(self._plan.start_ms)

    def live(self) -> Iterator[Message]:
        """Yield the messages from the start on, without end."""
        yield from self._until(inf)

    def _until(self, end_ms: float) -> Iterator[Message]:
        while True:
            arrival_ms = min(self._next_ms, self._returns[0].at_ms if self._returns else inf)
            yield from self._paperwork.due(min(arrival_ms, end_ms))
            if arrival_ms >= end_ms:
                return
            self._arrive()

    def _arrive(self) -> None:
        random = self._random
        if self._returns and self._returns[0].at_ms <= self._next_ms:
            back = heappop(self._returns)
            self._inbound(back.at_ms, self._contact(back.customer, back.reason), back.queue)
            return
        at_ms = self._next_ms
        pace = self._plan.rate * _BASE_SHARE * staff.DAY_SHAPE[self._hour(at_ms)] / SECOND
        if at_ms < self._full_from:
            pace *= self._thin * self._near(at_ms)
        self._next_ms += max(1, round(random.expovariate(pace)))
        if at_ms < self._full_from:  # a gap of the thin days must not reach into the full hours
            self._next_ms = min(self._next_ms, round(self._full_from))
        queue = random.choices(staff.QUEUES, self._queue_shares)[0]
        contact = self._contact(self._anybody(), random.choice(queue.reasons))
        if random.random() < 0.05 and contact.channel == "voice":
            self._outbound(at_ms, contact, queue)
        else:
            self._inbound(at_ms, contact, queue)

    def _anybody(self) -> str | None:
        if self._random.random() < 0.03:
            return None
        return f"c-{int(self._customers * self._random.random() ** 1.6):08d}"

    def _contact(self, customer: str | None, reason: str) -> Contact:
        self._count += 1
        channel = _one_of(self._random, staff.CHANNELS)
        language = _one_of(self._random, staff.LANGUAGES)
        return Contact(f"{self._prefix}-{self._count}", customer, channel, reason, language, SYSTEMS[channel])

    def _near(self, at_ms: int) -> float:
        """Return the weight of an hour of the thin days, 1 on average.

        Hours around the hour of the start keep more contacts: baselines of that hour are needed first.
        """
        since_h = (at_ms - self._plan.start_ms + _NEAR_BEFORE_H * HOUR) / HOUR % 24
        others = 1 - _NEAR_SHARE
        return _NEAR_SHARE * 24 / _NEAR_H if since_h < _NEAR_H else others * 24 / (24 - _NEAR_H)

    def _hour(self, at_ms: int) -> int:
        return datetime.fromtimestamp(at_ms / SECOND, self._zone).hour

    def _severity(self, at_ms: int, queue: Queue) -> float:
        incident = self._plan.incident
        return (
            incident.severity((at_ms - self._plan.start_ms) / SECOND) if queue.name == incident.queue else 0.0
        )

    # An inbound contact: one queue visit after another, until it is not transferred any more.

    def _inbound(self, at_ms: int, contact: Contact, queue: Queue) -> None:
        random = self._random
        if contact.customer and random.random() < 0.08:
            self._paperwork.value(at_ms, contact.customer)
        number, outcome, transfer = 1, "", "queue"
        while transfer == "queue":
            stay = self._wait(at_ms, contact, queue, number)
            patience_s = random.lognormvariate(4.1, 1.0)
            outcome, transfer = self._outcome(contact, stay, patience_s)
            if outcome == "answered":
                stay = self._talk(contact, stay)
            elif outcome == "abandoned":
                stay = stay._replace(wait_s=patience_s, ended_ms=at_ms + in_ms(patience_s))
            self._paperwork.report(contact, stay, outcome, transfer)
            at_ms, number, queue = stay.ended_ms, number + 1, random.choice(staff.QUEUES)
            transfer = "queue" if outcome == "overflow" else transfer
        self._afterwards(contact, stay, outcome)

    def _wait(self, at_ms: int, contact: Contact, queue: Queue, number: int) -> Stay:
        random, severity = self._random, self._severity(at_ms, queue)
        busy = staff.DAY_SHAPE[self._hour(at_ms)]
        mean_s = queue.wait_s * (0.5 + 0.5 * busy) * (1 + 24 * severity)
        wait_s = random.expovariate(1 / mean_s)
        if random.random() < 0.35 * (1 - severity):
            wait_s = random.uniform(0.5, 5)  # an agent was free
        if contact.channel in ("email", "message"):
            wait_s *= 3
        return Stay(number, queue, None, at_ms, wait_s, at_ms + in_ms(wait_s), severity, False)

    def _outcome(self, contact: Contact, stay: Stay, patience_s: float) -> tuple[str, str]:
        """Return outcome and transfer of a queue visit."""
        random = self._random
        if contact.channel in ("voice", "chat"):
            if stay.wait_s > patience_s:
                return "abandoned", "none"
            if stay.wait_s > 600:
                return "timeout", "none"
            chance = random.random()
            if chance < 0.005:
                return "overflow", "none"
            if chance < 0.015:
                return "voicemail", "none"
            if contact.channel == "voice" and chance < 0.02 + 0.002 * min(stay.wait_s, 30):
                return "callback", "none"
        if stay.number < 3:
            if random.random() < 0.05:
                return "answered", "queue"
            if random.random() < 0.02:
                return "answered", "external"
        return "answered", "none"

    def _talk(self, contact: Contact, stay: Stay) -> Stay:
        random = self._random
        rota = self._rotas[stay.queue.name, self._hour(stay.ended_ms)]
        agent = random.choices(rota.agents, cum_weights=rota.loads)[0]
        typical_s = stay.queue.talk_s * agent.pace * (1 + 0.35 * stay.severity)
        handle_s = random.gammavariate(2.2, typical_s / 2.2) * (0.6 if contact.channel == "message" else 1)
        solved = random.random() < 0.77 + 0.12 * agent.skill - 0.45 * stay.severity
        return stay._replace(agent=agent, ended_ms=stay.ended_ms + in_ms(handle_s), solved=solved)

    def _outbound(self, at_ms: int, contact: Contact, queue: Queue, number: int = 1) -> None:
        stay = Stay(number, queue, None, at_ms, 0.0, at_ms, 0.0, False)
        outcome = "answered" if self._random.random() < 0.6 else "voicemail"
        stay = self._talk(contact, stay) if outcome == "answered" else stay._replace(ended_ms=at_ms + 20_000)
        self._paperwork.report(contact, stay, outcome, "none", "outbound")

    def _afterwards(self, contact: Contact, stay: Stay, outcome: str) -> None:
        random = self._random
        if outcome == "callback":
            self._outbound(
                stay.ended_ms + in_ms(random.uniform(300, 3600)), contact, stay.queue, stay.number + 1
            )
        if outcome == "answered" and random.random() < 0.6:
            self._paperwork.survey(contact, stay)
        if outcome == "answered" and random.random() < 0.02:
            self._paperwork.evaluation(contact, stay)
        if contact.customer and not stay.solved and random.random() < (0.9 if stay.agent else 0.4):
            # Some try again at once, most on one of the next days.
            typical_s = 1200 if random.random() < 0.2 else 90_000
            at_ms = stay.ended_ms + in_ms(min(random.lognormvariate(0, 1) * typical_s, 20 * DAY / SECOND))
            heappush(self._returns, Return(at_ms, self._count, contact.customer, stay.queue, contact.reason))


def _one_of(random: Random, shares: dict[str, float]) -> str:
    return random.choices(list(shares), list(shares.values()))[0]


async def publish(messages: Iterable[Message], producer: AIOKafkaProducer, now: Callable[[], float]) -> None:
    """Publish each message at its time (`now` returns epoch seconds), which is also its record timestamp.

    Messages of the past are sent as fast as possible. Each time is compared with the clock, not with the
    message before, so that nothing drifts. Raises what the producer raises.
    """
    sent: list[asyncio.Future[Any]] = []
    for message in messages:
        early_s = message.at_ms / SECOND - now()
        if sent and (early_s > 0 or len(sent) >= 1000):
            await asyncio.gather(*sent)
            sent.clear()
            early_s = message.at_ms / SECOND - now()
        if early_s > 0:
            await asyncio.sleep(early_s)
        sent.append(
            await producer.send(
                message.topic,
                message.value,
                key=message.key,
                headers=list(message.headers),
                timestamp_ms=message.at_ms,
            )
        )
