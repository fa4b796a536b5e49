"""Publishes a simulated center to Kafka: its history at once, then live."""

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
    """Length of the history, and the largest number of contacts in it, so that a demo starts within seconds.

    Half of the contacts fill the last hours completely. The others are a sample of the `days` before: first
    contacts and repeats need days of data, baselines by the hour of the week need weeks.
    """

    days: float = 28
    contacts: int = 9_000


class Play(NamedTuple):
    """Options of `streamer simulate`; `rate` is contacts per second."""

    rate: float = 2.0
    seed: int = 1
    past: Past = Past()
    incident: Incident = Incident()


async def simulate(settings: Settings, play: Play) -> None:
    """Publish the history, then live events until cancelled. Raises what Kafka raises."""
    await kafka.ensure_topics(settings.kafka, retention_ms=kafka.kept_ms(settings.rules()))
    start_ms = round(time.time() * SECOND)  # noqa: TID251 - the edge that may read the clock
    plan = Plan(play.seed, start_ms, play.rate, settings.timezone, settings.currency, play.incident)
    producer = await kafka.producer(settings.kafka)
    try:
        await publish(told(Center(plan), play), producer, time.time)  # noqa: TID251 - the same
    finally:
        await producer.stop()


def told(center: Center, play: Play) -> Iterator[Message]:
    """Yield the messages of the history and then live ones, without end."""
    past, an_hour = play.past, play.rate * HOUR / SECOND
    if past.days <= 0 or past.contacts <= 0:
        return center.live()
    hours = min(_FULL_H, past.days * 24, _FULL_SHARE * past.contacts / an_hour)
    before_h = past.days * 24 - hours
    thin = (past.contacts - hours * an_hour) / (before_h * an_hour) if before_h > 0 else 1.0
    return chain(center.history(hours, thin_days=before_h / 24, thin=min(1.0, thin)), center.live())


# Options of the command line.


def play(rate: float, seed: int, history: str, contacts: int, **incident: str) -> Play:
    """Check the options of `streamer simulate`. Raises SettingsError.

    `history` and the times of the incident are durations such as 28d.

    >>> play(2, 1, "14d", 500, queue="sales", after="90s", lasts="2m", every="1h").past
    Past(days=14.0, contacts=500)
    """
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
