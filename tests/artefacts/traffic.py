"""Publish events of a small center: enough of every kind that each metric has data."""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

from streamer.settings import KafkaSettings
from streamer.worker import kafka

EACH = 6
QUEUES, TEAMS, CHANNELS = ("billing", "sales"), ("red", "blue"), ("voice", "chat")
COMMON = {"site": "madrid", "reason": "invoice", "language": "es"}
DAY_S = 86_400

Report = tuple[str, dict[str, Any]]
"""An event's topic and data."""


async def publish(address: str, name: str, now: float) -> int:
    """Publish all events, with ids that begin with `name`; return how many. `now` is in seconds."""
    reports_sent = [*reports(name, now)]
    producer = await kafka.start_producer(KafkaSettings(bootstrap_servers=address))
    try:
        for topic, data in reports_sent:
            await producer.send(topic, json.dumps(data).encode(), timestamp_ms=round(now * 1000))
        await producer.flush()
    finally:
        await producer.stop()
    return len(reports_sent)


def reports(name: str, now: float) -> Iterator[Report]:
    for queue, team, channel, number in product(QUEUES, TEAMS, CHANNELS, range(EACH)):
        dimensions = {"queue": queue, "team": team, "channel": channel, **COMMON}
        yield from _customer_reports(f"{name}-{queue}-{team}-{channel}-{number}", dimensions, number, now)
    for queue, team, channel in product(QUEUES, TEAMS, CHANNELS):
        yield from _states(f"{name}-{queue}-{team}-{channel}", queue, team, channel, now)


def _customer_reports(name: str, dimensions: dict[str, str], number: int, now: float) -> Iterator[Report]:
    who = {"contact_id": name, "customer_id": name}
    happy = number % 2 == 0
    yield "customer-valued", {"customer_id": name, "value": 700, "currency": "EUR", "as_of": now - 60}
    answered = {"outcome": "answered", "wait_s": 12, "talk_s": 200 + number, "hold_s": 5, "acw_s": 20}
    agent = {"agent_id": f"{dimensions['team']}-{number}"}
    closing = {"ended_at": now - 60, "resolved": happy, "transfer": "none" if happy else "agent"}
    yield "call-completed", who | dimensions | agent | answered | closing
    yield "call-completed", _other_call(name, "lost", dimensions, now) | {"outcome": "abandoned", "wait_s": 3}
    yield "call-completed", _other_call(name, "back", dimensions, now) | {"outcome": "callback"}
    yield (
        "call-completed",
        _other_call(name, "out", dimensions, now) | agent | answered | {"direction": "outbound"},
    )
    scores = {"nps": 9 if happy else 6, "csat": 5, "ces": 6, "effort": 2, "cnx": 9, "resolved_first": happy}
    survey = {"response_id": name, "answered_at": now - 30, "answers": scores, "comment": "well"}
    yield "survey-completed", who | survey
    yield "contact-evaluated", {"evaluation_id": name, "score": 80, "evaluated_at": now - 20, **who, **agent}
    yield "survey-sent", {"survey_id": name, "sent_at": now - DAY_S - 600, **dimensions}


def _states(name: str, queue: str, team: str, channel: str, now: float) -> Iterator[Report]:
    """Yield what goes on now: a contact that waits, one that is served, and agents who are free or away."""
    contact = {"queue": queue, "team": team, "channel": channel, **COMMON}
    for state, age_s in (("queued", 30), ("connected", 20)):
        yield (
            "contact-state",
            {"contact_id": f"{name}-{state}", "state": state, "at": now - age_s, **contact},
        )
    agent = {"queues": [queue], "team": team, "channels": [channel], "site": COMMON["site"], "at": now - 300}
    for state in ("available", "busy", "away"):
        agent_id = f"{queue}-{team}-{channel}-{state}"
        yield "agent-state", {"agent_id": agent_id, "state": state, "reason": COMMON["reason"], **agent}


def _other_call(name: str, kind: str, dimensions: dict[str, str], now: float) -> dict[str, Any]:
    return {"contact_id": f"{name}-{kind}", "ended_at": now - 50, **dimensions}
