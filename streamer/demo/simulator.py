"""Simulated contact center: seeded, with realistic volumes, waits, outcomes, repeats and surveys.

`SimulatedCenter` is pure: the same plan gives the same messages, byte for byte. Only `publish_messages` knows
Kafka and the clock.
"""

import asyncio
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from heapq import heappop, heappush
from math import inf
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from aiokafka import AIOKafkaProducer

from streamer.demo import roster
from streamer.demo.event_encoding import SYSTEMS, SimulatedMessage
from streamer.demo.event_writer import EventWriter, SimulatedContact, SimulatedVisit, to_ms
from streamer.demo.roster import Agent, Queue
from streamer.demo.shift_calendar import Absence, ShiftCalendar
from streamer.demo.state_writer import Routing, StateWriter
from streamer.events.counting_rules import DAY, HOUR, SECOND
from streamer.events.topic_names import CONTRACT_NAMES, TopicNames

_BASE_SHARE = 0.82  # of all contacts; the others are repeats
_OUTAGE_SHARE = 0.85  # of the minutes of an incident
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
        progress = (since_start_s - self.after_s) % self.every_s / self.lasts_s
        return max(0.0, min(1.0, progress / 0.1, (1 - progress) / 0.25))

    def remaining_s(self, since_start_s: float) -> float:
        """Return the seconds until bad minutes that have begun are over."""
        return self.lasts_s - (since_start_s - self.after_s) % self.every_s

    def outages(self, center_start_ms: int, start_ms: int, end_ms: int) -> Iterator[Absence]:
        """Yield the times between start and end in which agents of the queue cannot work: the cause."""
        first_ms, every_ms = center_start_ms + to_ms(self.after_s), to_ms(self.every_s)
        occurrence = max(0, (start_ms - first_ms) // every_ms)
        while (outage_ms := first_ms + occurrence * every_ms) < end_ms:
            yield Absence("system outage", outage_ms, outage_ms + to_ms(_OUTAGE_SHARE * self.lasts_s))
            occurrence += 1


class CenterPlan(NamedTuple):
    """Parameters of a center: `rate` is contacts per second, averaged over a day; `zone` is its time zone.

    States of contacts and agents begin `states_s` seconds before the start, and there are as many agents as
    the contacts need. None: no states, and 120 agents at any rate.
    """

    seed: int
    start_ms: int
    rate: float = 1.0
    zone: str = "UTC"
    currency: str = "EUR"
    incident: Incident = Incident()
    states_s: float | None = None


class RepeatContact(NamedTuple):
    """Repeat contact of a customer whose problem was not solved."""

    at_ms: int
    order: int
    customer: str
    queue: Queue
    reason: str


class SimulatedCenter:
    """Source of messages in the order of `at_ms`: `history`, if wanted, then `live`, which never ends."""

    def __init__(self, plan: CenterPlan, agents: tuple[Agent, ...] | None = None) -> None:
        assert plan.rate > 0
        has_states = plan.states_s is not None
        if agents is None and has_states:
            agents = roster.staff(plan.seed, plan.rate)
        self.agents = agents or roster.create_agents(Random(f"staff {plan.seed}"))
        self._plan = plan
        self._random = Random(f"center {plan.seed} {plan.start_ms}")
        self._zone = ZoneInfo(plan.zone)
        self._event_writer = EventWriter(self._random, self._zone, plan.currency)
        self._states = self._create_state_writer() if has_states else None
        self._rotas = roster.build_rotas(self.agents)
        self._next_ms = plan.start_ms
        self._thin_share, self._full_from_ms = 1.0, -inf
        self._repeats: list[RepeatContact] = []
        self._count = 0
        # Ids do not repeat when a center is started again; customers stay the same. There are so many
        # customers that few call again by chance, and some call often.
        self._prefix = f"{plan.start_ms // 1000:x}"
        self._customers = max(20_000, round(plan.rate * DAY / SECOND * 400))
        self._queue_shares = [queue.share for queue in roster.QUEUES]

    def history(self, hours: float, thin_days: float = 0, thin: float = 0.02) -> Iterator[SimulatedMessage]:
        """Yield the messages of the hours before the start.

        Before these, on `thin_days`, only the share `thin` of the contacts comes in: first contacts and
        repeats need days of data, but a demo must fill quickly.
        """
        self._full_from_ms = self._plan.start_ms - hours * HOUR
        self._thin_share = thin
        self._next_ms = round(self._full_from_ms - thin_days * DAY)
        yield from self._messages_until(self._plan.start_ms)

    def live(self) -> Iterator[SimulatedMessage]:
        """Yield the messages from the start on, without end."""
        yield from self._messages_until(inf)

    def closing(self) -> Iterator[SimulatedMessage]:
        """Yield what is still to be published when nobody calls any more: all contacts end, and all agents
        go home."""
        yield from self._event_writer.pop_due(inf)

    def _messages_until(self, end_ms: float) -> Iterator[SimulatedMessage]:
        while True:
            arrival_ms = min(self._next_ms, self._repeats[0].at_ms if self._repeats else inf)
            if self._states is not None:
                self._states.advance(min(arrival_ms, end_ms))
            yield from self._event_writer.pop_due(min(arrival_ms, end_ms))
            if arrival_ms >= end_ms:
                return
            self._start_contact()

    def _start_contact(self) -> None:
        random = self._random
        if self._repeats and self._repeats[0].at_ms <= self._next_ms:
            repeat = heappop(self._repeats)
            self._inbound(repeat.at_ms, self._contact(repeat.customer, repeat.reason), repeat.queue)
            return
        at_ms = self._next_ms
        arrival_rate = self._plan.rate * _BASE_SHARE * roster.DAY_SHAPE[self._hour(at_ms)] / SECOND
        if at_ms < self._full_from_ms:
            arrival_rate *= self._thin_share * self._thin_day_weight(at_ms)
        self._next_ms += max(1, round(random.expovariate(arrival_rate)))
        if at_ms < self._full_from_ms:  # a gap of the thin days must not reach into the full hours
            self._next_ms = min(self._next_ms, round(self._full_from_ms))
        queue = random.choices(roster.QUEUES, self._queue_shares)[0]
        contact = self._contact(self._random_customer(), random.choice(queue.reasons))
        if random.random() < 0.05 and contact.channel == "voice":
            self._outbound(at_ms, contact, queue)
        else:
            self._inbound(at_ms, contact, queue)

    def _random_customer(self) -> str | None:
        if self._random.random() < 0.03:
            return None
        return f"c-{int(self._customers * self._random.random() ** 1.6):08d}"

    def _contact(self, customer: str | None, reason: str) -> SimulatedContact:
        self._count += 1
        channel = _weighted_choice(self._random, roster.CHANNELS)
        language = _weighted_choice(self._random, roster.LANGUAGES)
        return SimulatedContact(
            f"{self._prefix}-{self._count}", customer, channel, reason, language, SYSTEMS[channel]
        )

    def _thin_day_weight(self, at_ms: int) -> float:
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

    def _create_state_writer(self) -> StateWriter:
        plan, incident = self._plan, self._plan.incident
        assert plan.states_s is not None
        calendar = ShiftCalendar(
            plan.seed,
            self.agents,
            self._zone,
            lambda start_ms, end_ms: incident.outages(plan.start_ms, start_ms, end_ms),
            incident.queue,
        )
        from_ms = plan.start_ms - to_ms(plan.states_s)
        random = Random(f"states {plan.seed} {plan.start_ms}")
        return StateWriter(random, self._zone, calendar, self._event_writer.enqueue, from_ms)

    # An inbound contact: one queue visit after another, until it is not transferred any more.

    def _inbound(self, at_ms: int, contact: SimulatedContact, queue: Queue) -> None:
        random = self._random
        if contact.customer and random.random() < 0.08:
            self._event_writer.write_customer_value(at_ms, contact.customer)
        number, outcome, transfer = 1, "", "queue"
        while transfer == "queue":
            visit = self._queue_visit(at_ms, contact, queue, number)
            patience_s = random.lognormvariate(4.1, 1.0)
            outcome, transfer = self._outcome(contact, visit, patience_s)
            if outcome == "answered":
                visit = self._handle(contact, visit)
            elif outcome == "abandoned":
                visit = visit._replace(wait_s=patience_s, ended_ms=at_ms + to_ms(patience_s))
            self._write_visit(contact, visit, outcome, transfer)
            at_ms, number, queue = visit.ended_ms, number + 1, random.choice(roster.QUEUES)
            transfer = "queue" if outcome == "overflow" else transfer
        self._follow_up(contact, visit, outcome)

    def _queue_visit(
        self, at_ms: int, contact: SimulatedContact, queue: Queue, number: int
    ) -> SimulatedVisit:
        random, severity = self._random, self._severity(at_ms, queue)
        busy = roster.DAY_SHAPE[self._hour(at_ms)]
        mean_s = queue.wait_s * (0.5 + 0.5 * busy) * (1 + 24 * severity)
        wait_s = random.expovariate(1 / mean_s)
        if random.random() < 0.35 * (1 - severity):
            wait_s = random.uniform(0.5, 5)  # an agent was free
        if contact.channel in ("email", "message"):
            wait_s *= 3
        if severity and self._states is not None:  # what waited is worked off soon after
            since_start_s = (at_ms - self._plan.start_ms) / SECOND
            wait_s = min(wait_s, self._plan.incident.remaining_s(since_start_s) + 0.1 * wait_s)
        return SimulatedVisit(number, queue, None, at_ms, wait_s, at_ms + to_ms(wait_s), severity, False)

    def _outcome(
        self, contact: SimulatedContact, visit: SimulatedVisit, patience_s: float
    ) -> tuple[str, str]:
        """Return outcome and transfer of a queue visit."""
        random = self._random
        if contact.channel in ("voice", "chat"):
            if visit.wait_s > patience_s:
                return "abandoned", "none"
            if visit.wait_s > 600:
                return "timeout", "none"
            chance = random.random()
            if chance < 0.005:
                return "overflow", "none"
            if chance < 0.015:
                return "voicemail", "none"
            if contact.channel == "voice" and chance < 0.02 + 0.002 * min(visit.wait_s, 30):
                return "callback", "none"
        if visit.number < 3:
            if random.random() < 0.05:
                return "answered", "queue"
            if random.random() < 0.02:
                return "answered", "external"
        return "answered", "none"

    def _write_visit(
        self,
        contact: SimulatedContact,
        visit: SimulatedVisit,
        outcome: str,
        transfer: str,
        direction: str | None = None,
    ) -> None:
        written = self._event_writer.write_visit(contact, visit, outcome, transfer, direction)
        if self._states is not None:
            self._states.write_visit(contact, visit, written, direction)

    def _handle(self, contact: SimulatedContact, visit: SimulatedVisit) -> SimulatedVisit:
        """Return the visit with the agent who took it, and its end."""
        random = self._random
        rota = self._rotas[visit.queue.name, self._hour(visit.ended_ms)]
        first_index = bisect(rota.loads, random.random() * rota.loads[-1], hi=len(rota.loads) - 1)
        slowness = random.gammavariate(2.2, 1 / 2.2) * (0.6 if contact.channel == "message" else 1)

        def handle_s(agent: Agent) -> float:
            return slowness * visit.queue.talk_s * agent.pace * (1 + 0.35 * visit.severity)

        routing = Routing(rota.agents[first_index])
        if self._states is not None:
            routing = self._states.route(rota, first_index, visit, handle_s)
        agent, delay_ms = routing.agent, routing.delay_ms
        solved = random.random() < 0.77 + 0.12 * agent.skill - 0.45 * visit.severity
        return visit._replace(
            agent=agent,
            wait_s=visit.wait_s + delay_ms / SECOND,
            ended_ms=visit.ended_ms + delay_ms + to_ms(handle_s(agent)),
            solved=solved,
            offers=routing.offers,
        )

    def _outbound(self, at_ms: int, contact: SimulatedContact, queue: Queue, number: int = 1) -> None:
        visit = SimulatedVisit(number, queue, None, at_ms, 0.0, at_ms, 0.0, False)
        outcome = "answered" if self._random.random() < 0.6 else "voicemail"
        if outcome == "answered":
            visit = self._handle(contact, visit)
            visit = visit._replace(queued_ms=at_ms + to_ms(visit.wait_s), wait_s=0.0)  # dialled once free
        else:
            visit = visit._replace(ended_ms=at_ms + 20_000)
        self._write_visit(contact, visit, outcome, "none", "outbound")

    def _follow_up(self, contact: SimulatedContact, visit: SimulatedVisit, outcome: str) -> None:
        random = self._random
        if outcome == "callback":
            self._outbound(
                visit.ended_ms + to_ms(random.uniform(300, 3600)), contact, visit.queue, visit.number + 1
            )
        if outcome == "answered" and random.random() < 0.6:
            self._event_writer.write_survey(contact, visit)
        if outcome == "answered" and random.random() < 0.02:
            self._event_writer.write_evaluation(contact, visit)
        if contact.customer and not visit.solved and random.random() < (0.9 if visit.agent else 0.4):
            # Some try again at once, most on one of the next days.
            typical_s = 1200 if random.random() < 0.2 else 90_000
            at_ms = visit.ended_ms + to_ms(min(random.lognormvariate(0, 1) * typical_s, 20 * DAY / SECOND))
            heappush(
                self._repeats,
                RepeatContact(at_ms, self._count, contact.customer, visit.queue, contact.reason),
            )


def _weighted_choice(random: Random, shares: dict[str, float]) -> str:
    return random.choices(list(shares), list(shares.values()))[0]


async def publish_messages(
    messages: Iterable[SimulatedMessage],
    producer: AIOKafkaProducer,
    now: Callable[[], float],
    names: TopicNames = CONTRACT_NAMES,
) -> None:
    """Publish each message at its time (`now` returns epoch seconds), which is also its record timestamp.

    Messages of the past are sent as fast as possible. Each time is compared with the clock, not with the
    message before, so that nothing drifts. Raises what the producer raises.
    """
    futures: list[asyncio.Future[Any]] = []
    for message in messages:
        early_s = message.at_ms / SECOND - now()
        if futures and (early_s > 0 or len(futures) >= 1000):
            await asyncio.gather(*futures)
            futures.clear()
            early_s = message.at_ms / SECOND - now()
        if early_s > 0:
            await asyncio.sleep(early_s)
        futures.append(
            await producer.send(
                names.on_broker(message.topic),
                message.value,
                key=message.key,
                headers=list(message.headers),
                timestamp_ms=message.at_ms,
            )
        )
