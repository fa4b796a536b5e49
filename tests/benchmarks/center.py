"""The center that is counted: seeded calls and surveys of one day, as Kafka records."""

import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from streamer.events.counting_rules import HOUR, MINUTE

CALLS = "call-completed"
SENT = "survey-sent"
ANSWERED = "survey-completed"

_encode = msgspec.json.Encoder().encode
_REASONS = ("invoice", "outage", "moving", "contract", "complaint", "delivery", "password", "other")
_LANGUAGES = ("en", "en", "en", "es", "fr")
_CHANNELS = ("voice", "voice", "voice", "chat", "email")


class Center(NamedTuple):
    """Its size. Calls end evenly over `span_ms`; `surveyed` is the share of contacts asked and answering."""

    calls: int = 200_000
    customers: int = 50_000
    agents: int = 500
    partitions: int = 4
    seed: int = 1
    span_ms: int = 24 * HOUR
    surveyed: float = 0.0
    queues: int = 20


class Message(NamedTuple):
    """A record to be published. `partition` follows from the customer, as Kafka's own choice would."""

    topic: str
    partition: int
    at_ms: int
    key: bytes
    value: bytes


def messages(center: Center, end_ms: int) -> list[Message]:
    """All records in the order of their times, the last call at `end_ms`."""
    return sorted(_messages(center, end_ms), key=lambda message: message.at_ms)


def _messages(center: Center, end_ms: int) -> Iterator[Message]:
    chance = random.Random(center.seed)
    start, step = end_ms - center.span_ms, center.span_ms / center.calls
    for number in range(1, center.calls + 1):
        customer = chance.randrange(center.customers)
        call = _call(chance, center, number, customer, start + round(number * step))
        yield _message(center, CALLS, customer, call["ended_at"], call)
        if chance.random() < center.surveyed:
            yield from _survey(chance, center, customer, call, end_ms)


def _message(center: Center, topic: str, customer: int, at_s: float, data: dict[str, Any]) -> Message:
    key = f"C{customer:06}".encode()
    return Message(topic, customer % center.partitions, round(at_s * 1000), key, _encode(data))


def _call(chance: random.Random, center: Center, number: int, customer: int, ended_ms: int) -> dict[str, Any]:
    agent = min(
        chance.randrange(center.agents), chance.randrange(center.agents)
    )  # some work more than others
    answered = chance.random() < 0.92
    wait, talk, acw = chance.expovariate(1 / 25), chance.lognormvariate(5.3, 0.6), chance.expovariate(1 / 40)
    call = {
        "contact_id": f"contact-{center.seed}-{number:08}",
        "customer_id": f"C{customer:06}",
        "queue": f"queue-{agent % center.queues:02}",
        "site": f"site-{agent % 4}",
        "channel": chance.choice(_CHANNELS),
        "direction": "inbound",
        "reason": chance.choice(_REASONS),
        "language": chance.choice(_LANGUAGES),
        "ended_at": ended_ms / 1000,
        "wait_s": round(wait, 1),
        "outcome": "answered" if answered else "abandoned",
    }
    if answered:
        call |= {
            "team": f"team-{agent // 12:02}",
            "agent_id": f"agent-{agent:04}",
            "talk_s": round(talk, 1),
            "hold_s": round(chance.expovariate(1 / 15), 1),
            "acw_s": round(acw, 1),
            "transfer": "queue" if chance.random() < 0.08 else "none",
            "resolved": chance.random() < 0.8,
        }
    return call


def _survey(
    chance: random.Random, center: Center, customer: int, call: dict[str, Any], end_ms: int
) -> Iterator[Message]:
    """Sent a minute after the call, answered within the hour, but nothing after `end_ms`."""
    named = {"contact_id": call["contact_id"], "customer_id": call["customer_id"]}
    survey = call["contact_id"].replace("contact", "survey")
    sent_ms = min(round(call["ended_at"] * 1000) + MINUTE, end_ms)
    answered_ms = min(sent_ms + chance.randrange(HOUR), end_ms)
    sent = {"survey_id": survey, "sent_at": sent_ms / 1000, **named}
    yield _message(center, SENT, customer, sent["sent_at"], sent)
    answers = {"nps": chance.randrange(11), "csat": chance.randrange(1, 6), "resolved_first": True}
    response = {"response_id": survey.replace("survey", "answer"), "survey_id": survey, **named}
    answer = {**response, "answered_at": answered_ms / 1000, "answers": answers, "language": call["language"]}
    yield _message(center, ANSWERED, customer, answer["answered_at"], answer)


def mean_bytes(sent: Sequence[Message]) -> float:
    """Mean size of the values of all topics."""
    return sum(len(message.value) for message in sent) / len(sent)
