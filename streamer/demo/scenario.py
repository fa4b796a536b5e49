"""Publishes a simulated center to Kafka: its history at once, then live."""

import time
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from streamer.demo import roster
from streamer.demo.event_encoding import SimulatedMessage
from streamer.demo.simulator import CenterPlan, Incident, SimulatedCenter, publish_messages
from streamer.events.counting_rules import DAY, HOUR, SECOND
from streamer.runtime.choices import expected_choice
from streamer.runtime.clock import wall_clock_ms
from streamer.settings import Settings, SettingsError
from streamer.settings.value_types import Duration
from streamer.worker import kafka

_FULL_H = 6
_FULL_SHARE = 0.5
_STATES_S = 300
"""States begin five minutes before the start: ten of them to a contact would make the demo late."""


class HistoryPlan(NamedTuple):
    """Length of the history, and the largest number of contacts in it, so that a demo starts within seconds.

    Half of the contacts fill the last hours completely. The others are a sample of the `days` before: first
    contacts and repeats need days of data, baselines by the hour of the week need weeks.
    """

    days: float = 28
    contacts: int = 9_000


class DemoScenario(NamedTuple):
    """Options of `streamer simulate`; `rate` is contacts per second."""

    rate: float = 2.0
    seed: int = 1
    past: HistoryPlan = HistoryPlan()
    incident: Incident = Incident()


async def run_simulation(settings: Settings, scenario: DemoScenario) -> None:
    """Publish the history, then live events until cancelled. Raises what Kafka raises."""
    await kafka.ensure_topics(
        settings.kafka, retention_ms=kafka.topic_retention_ms(settings.counting_rules())
    )
    start_ms = wall_clock_ms()
    plan = CenterPlan(
        scenario.seed,
        start_ms,
        scenario.rate,
        settings.timezone,
        settings.currency,
        scenario.incident,
        _STATES_S,
    )
    producer = await kafka.start_producer(settings.kafka)
    try:
        await publish_messages(
            scenario_messages(SimulatedCenter(plan), scenario),
            producer,
            time.time,  # noqa: TID251 - the same
            settings.kafka.names,
        )
    finally:
        await producer.stop()


def scenario_messages(center: SimulatedCenter, scenario: DemoScenario) -> Iterator[SimulatedMessage]:
    """Yield the messages of the history and then live ones, without end."""
    history, contacts_per_hour = scenario.past, scenario.rate * HOUR / SECOND
    if history.days <= 0 or history.contacts <= 0:
        return center.live()
    full_hours = min(_FULL_H, history.days * 24, _FULL_SHARE * history.contacts / contacts_per_hour)
    thin_hours = history.days * 24 - full_hours
    thin_share = (
        (history.contacts - full_hours * contacts_per_hour) / (thin_hours * contacts_per_hour)
        if thin_hours > 0
        else 1.0
    )
    return chain(
        center.history(full_hours, thin_days=thin_hours / 24, thin=min(1.0, thin_share)), center.live()
    )


# Options of the command line.


def parse_scenario(rate: float, seed: int, history: str, contacts: int, **incident: str) -> DemoScenario:
    """Check the options of `streamer simulate`. Raises SettingsError.

    `history` and the times of the incident are durations such as 28d.

    >>> parse_scenario(2, 1, "14d", 500, queue="sales", after="90s", lasts="2m", every="1h").past
    HistoryPlan(days=14.0, contacts=500)
    """
    if rate <= 0:
        raise SettingsError(f"--rate = {rate:g}: expected contacts per second, more than 0")
    history_plan = HistoryPlan(_parse_seconds("history", history) * SECOND / DAY, contacts)
    return DemoScenario(rate, seed, history_plan, _parse_incident(**incident))


def _parse_incident(queue: str, after: str, lasts: str, every: str) -> Incident:
    queues = [queue.name for queue in roster.QUEUES]
    if queue not in queues:
        raise SettingsError(f"--incident-queue = {queue!r}: {expected_choice(queue, queues)}")
    times = _parse_seconds("incident-after", after), _parse_seconds("incident-lasts", lasts)
    incident = Incident(queue, *times, _parse_seconds("incident-every", every))
    if not 0 < incident.lasts_s <= incident.every_s:
        raise SettingsError(f"--incident-every = {every!r}: expected no less than --incident-lasts")
    return incident


def _parse_seconds(option: str, text: str) -> float:
    try:
        return TypeAdapter(Duration).validate_python(text).total_seconds()
    except ValidationError:
        raise SettingsError(f"--{option} = {text!r}: expected a duration such as 90s, 20m or 28d") from None
