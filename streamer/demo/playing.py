"""Here is how a simulated center is played into Kafka: its past at once, then live."""

import time
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from streamer.demo import staff
from streamer.demo.letters import Message
from streamer.demo.simulator import Center, Incident, Plan, publish
from streamer.events.rules import DAY, HOUR, SECOND
from streamer.settings import Settings, SettingsError
from streamer.settings.kinds import Duration
from streamer.worker import kafka

_FULL_H = 6
_FULL_SHARE = 0.5


class Past(NamedTuple):
    """`contacts` at most, so that a demo is there within seconds: half of them fill the last hours as these
    were, the others are a part of what came in on the `days` before. First contacts and repeats need days;
    what is usual, by the hour of the week, weeks."""

    days: float = 28
    contacts: int = 9_000


class Play(NamedTuple):
    rate: float = 2.0
    seed: int = 1
    past: Past = Past()
    incident: Incident = Incident()


async def simulate(settings: Settings, play: Play) -> None:
    """The past, then live until cancelled. Raises what Kafka raises."""
    await kafka.ensure_topics(settings.kafka, retention_ms=kafka.kept_ms(settings.rules()))
    start_ms = round(time.time() * SECOND)  # noqa: TID251 - this is the edge that knows the clock
    plan = Plan(play.seed, start_ms, play.rate, settings.timezone, settings.currency, play.incident)
    producer = await kafka.producer(settings.kafka)
    try:
        await publish(told(Center(plan), play), producer, time.time)  # noqa: TID251 - the same
    finally:
        await producer.stop()


def told(center: Center, play: Play) -> Iterator[Message]:
    past, an_hour = play.past, play.rate * HOUR / SECOND
    if past.days <= 0 or past.contacts <= 0:
        return center.live()
    hours = min(_FULL_H, past.days * 24, _FULL_SHARE * past.contacts / an_hour)
    before_h = past.days * 24 - hours
    thin = (past.contacts - hours * an_hour) / (before_h * an_hour) if before_h > 0 else 1.0
    return chain(center.history(hours, thin_days=before_h / 24, thin=min(1.0, thin)), center.live())


# What is asked for on the command line.


def play(rate: float, seed: int, history: str, contacts: int, **incident: str) -> Play:
    """`history` and the incident's times are durations such as 28d. Raises SettingsError."""
    if rate <= 0:
        raise SettingsError(f"--rate = {rate:g}: expected contacts per second, more than 0")
    past = Past(_seconds("history", history) * SECOND / DAY, contacts)
    return Play(rate, seed, past, _incident(**incident))


def _incident(queue: str, after: str, lasts: str, every: str) -> Incident:
    queues = [queue.name for queue in staff.QUEUES]
    if queue not in queues:
        raise SettingsError(f"--incident-queue = {queue!r}: expected one of {', '.join(queues)}")
    times = _seconds("incident-after", after), _seconds("incident-lasts", lasts)
    found = Incident(queue, *times, _seconds("incident-every", every))
    if not 0 < found.lasts_s <= found.every_s:
        raise SettingsError(f"--incident-every = {every!r}: expected no less than --incident-lasts")
    return found


def _seconds(option: str, given: str) -> float:
    try:
        return TypeAdapter(Duration).validate_python(given).total_seconds()
    except ValidationError:
        raise SettingsError(f"--{option} = {given!r}: expected a duration such as 90s, 20m or 28d") from None
