"""Publishes a simulated center to Kafka: its history at once, then live."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final, NamedTuple

import click
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

PAST_PUBLISHED: Final = "published the last hours, live from here on"
_FULL_H = 6
_FULL_SHARE, _LAST_WEEK_SHARE = 0.08, 0.7
_OLDER_BATCH, _OLDER_PAUSE, _OLDER_AFTER = 200, 4, 10
"""Batches of older messages, each with a pause of four times what it took, so that the worker stays live on a
busy machine too; the first after ten times what the last hours took."""
_AROUND_H, _AHEAD_SHARE = 3, 0.5
"""Hours of a week before, and the share of them that is still to come."""
_STATES_S = 300
"""States begin five minutes before the start: ten of them to a contact would make the demo late."""


class HistoryPlan(NamedTuple):
    """Length of the history, and the largest number of contacts in it.

    A few fill the last minutes or hours before the start completely, so that a demo starts within seconds.
    What is older comes in meanwhile: the hours around the start a week before, as full as these, and a sample
    of all the `days`, since first contacts and repeats need days of data, and baselines weeks.
    """

    days: float = 28
    contacts: int = 30_000


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
    producer, center = await kafka.start_producer(settings.kafka), SimulatedCenter(plan)

    async def publish(messages: Iterable[SimulatedMessage]) -> None:
        await publish_messages(messages, producer, time.time, settings.kafka.names)  # noqa: TID251 - the same

    loop, is_live = asyncio.get_running_loop(), asyncio.Event()

    def noting_live() -> Iterator[SimulatedMessage]:
        for message in scenario_messages(center, scenario):
            if message.at_ms >= start_ms and not is_live.is_set():
                is_live.set()
                click.echo(PAST_PUBLISHED)
            yield message

    async def publish_older() -> None:
        begun_s, pause = loop.time(), _OLDER_AFTER
        messages = older_messages(plan, center, scenario)
        await is_live.wait()
        while True:
            await asyncio.sleep(pause * (loop.time() - begun_s))
            begun_s, pause = loop.time(), _OLDER_PAUSE
            if not (batch := [*islice(messages, _OLDER_BATCH)]):
                return
            await publish(batch)

    try:
        await asyncio.gather(publish(noting_live()), publish_older())
    finally:
        await producer.stop()


def scenario_messages(center: SimulatedCenter, scenario: DemoScenario) -> Iterator[SimulatedMessage]:
    """Yield the messages of the last hours before the start and then live ones, without end."""
    hours = _full_hours(scenario)
    return chain(center.history(hours), center.live()) if hours > 0 else center.live()


def older_messages(
    plan: CenterPlan, center: SimulatedCenter, scenario: DemoScenario
) -> Iterator[SimulatedMessage]:
    """Yield what was before: first the hours around the start a week earlier, then a sample of all days.

    Each is that of a center with the same agents and customers, so that none waits for the other."""
    past, contacts_per_hour = scenario.past, scenario.rate * HOUR / SECOND
    full_hours = _full_hours(scenario)
    if full_hours <= 0:
        return
    last_week_hours = min(_AROUND_H, _LAST_WEEK_SHARE * past.contacts / contacts_per_hour)
    if past.days >= 7 + last_week_hours / 24:
        end_ms = plan.start_ms - 7 * DAY + round(_AHEAD_SHARE * last_week_hours * HOUR)
        yield from _quiet_center(plan, center, end_ms).history(last_week_hours)
    else:
        last_week_hours = 0
    thin_hours = past.days * 24 - full_hours
    thin_contacts = past.contacts - (full_hours + last_week_hours) * contacts_per_hour
    if thin_hours > 0:
        thin = min(1.0, max(0.0, thin_contacts) / (thin_hours * contacts_per_hour))
        before = _quiet_center(plan, center, plan.start_ms - round(full_hours * HOUR))
        yield from before.history(0, thin_days=thin_hours / 24, thin=thin)


def _full_hours(scenario: DemoScenario) -> float:
    history, contacts_per_hour = scenario.past, scenario.rate * HOUR / SECOND
    return min(_FULL_H, history.days * 24, _FULL_SHARE * history.contacts / contacts_per_hour)


def _quiet_center(plan: CenterPlan, center: SimulatedCenter, end_ms: int) -> SimulatedCenter:
    """Return the center as it was until `end_ms`: the same agents, no states, and no incident yet."""
    return SimulatedCenter(plan._replace(start_ms=end_ms, states_s=None), center.agents)


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
