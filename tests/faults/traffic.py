"""Believable traffic of a small town's contact center, and what the oracle makes of it."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count
from random import Random
from typing import NamedTuple

from streamer.demo.event_encoding import SimulatedMessage
from streamer.demo.simulator import CenterPlan, SimulatedCenter
from streamer.events.counting_rules import SECOND, CountingRules
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.models import RejectedEvent
from streamer.store.port import Partition
from tests.counting import Tallies
from tests.live_oracle import TimedEvent
from tests.test_live_exactness import expected_numbers

PARTITIONS = 4
_CUSTOMERS = 2_000
_HOURS = 6
_CONTACTS_PER_S = 0.5
BAD = (
    (b"call-completed", b"not JSON"),
    (b"call-completed", b'{"contact_id":"x","queue":"billing","outcome":"lost","ended_at":1}'),
    (b"survey-completed", b'{"response_id":"x","answered_at":"2020-01-01","answers":{"nps":9}}'),
    (b"survey-completed", b'{"response_id":"x","answered_at":1,"answers":{"nps":11}}'),
    (b"contact-evaluated", b'{"evaluation_id":"x","evaluated_at":1,"score":NaN}'),
    (b"customer-valued", b'{"customer_id":"x","value":1,"currency":"XTS","as_of":1}'),
    (b"survey-sent", b'{"sent_at":1}'),
)


def messages(now_ms: int, seed: int, *, states: bool = False) -> Iterator[SimulatedMessage]:
    """Messages of all topics from the last six hours, some twice, some corrected, some bad; without end:
    a slow machine takes longer, and must not run out of them. The town is small: its few customers'
    events meet. With `states` the states of contacts and agents too."""
    random = Random(f"traffic {seed}")
    sent: list[SimulatedMessage] = []
    for message in chain.from_iterable(_days(now_ms, seed, states)):
        sent.append(message._replace(value=_neighbour(message.value)))
        yield sent[-1]
        if random.random() < 0.03:
            yield random.choice(sent)
        if random.random() < 0.01:
            topic, value = random.choice(BAD)
            yield message._replace(topic=topic.decode(), value=value, headers=())


def logs(messages: Iterable[SimulatedMessage]) -> dict[Partition, list[KafkaRecord]]:
    """Return the logs that these messages make, in two partitions of each topic by turns."""
    records: dict[Partition, list[KafkaRecord]] = {}
    for number, message in enumerate(messages):
        log = records.setdefault(Partition(message.topic, number % 2), [])
        log.append(
            KafkaRecord(
                message.topic,
                number % 2,
                len(log),
                message.at_ms,
                message.key,
                message.value,
                message.headers,
            )
        )
    return records


def _days(now_ms: int, seed: int, states: bool) -> Iterator[Iterator[SimulatedMessage]]:
    """One center's last hours after another's; centers of other seconds give other ids."""
    for start_ms in count(now_ms, -SECOND):
        plan = CenterPlan(seed, start_ms, _CONTACTS_PER_S, states_s=_HOURS * 3_600 if states else None)
        yield SimulatedCenter(plan).history(_HOURS)


def _neighbour(value: bytes) -> bytes:
    return re.sub(rb"c-(\d{8})", lambda found: b"c-%08d" % (int(found[1]) % _CUSTOMERS), value)


class Expected(NamedTuple):
    """Expected results of these records: how many of each topic are counted and how many of these are
    rejected, which (topic, partition, offset) are, and the numbers."""

    counted: Counter[str]
    rejected: Counter[str]
    letters: set[str]
    tallies: Tallies
    events: Sequence[TimedEvent]


class EventCollector:
    """Takes records one by one, and keeps of each no more than the oracle needs."""

    def __init__(self, rules: CountingRules) -> None:
        self._rules = rules
        self._counted: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._letters: set[str] = set()
        self._events: list[TimedEvent] = []

    def add(self, record: KafkaRecord) -> None:
        event = decode(record, self._rules)
        self._counted[record.topic] += 1
        if isinstance(event, RejectedEvent):
            self._rejected[record.topic] += 1
            self._letters.add(f"{record.topic}:{record.partition}:{record.offset}")
        else:
            self._events.append(TimedEvent(event, record.timestamp))

    def expected(self) -> Expected:
        tallies = expected_numbers(self._events, self._rules)
        return Expected(self._counted, self._rejected, self._letters, tallies, self._events)
