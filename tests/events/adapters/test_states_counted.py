"""States of a day from the vendors' payloads to the readings of now: at the busiest moment, and at night."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest

from streamer.events.adapters.source import OutgoingEvent
from streamer.events.decoding import TOPICS, KafkaRecord
from streamer.events.outgoing_records import OutgoingRecord, outgoing_record
from streamer.readings.query import MetricQuery
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.port import Heartbeat, Partition
from streamer.worker.pipeline import ProcessingContext
from tests.counting import NullObserver, RecordedDeadLetters, partition_processor
from tests.events.adapters import (
    test_amazon_connect_states as connect,
)
from tests.events.adapters import (
    test_genesys_states as genesys,
)
from tests.events.adapters import (
    test_twilio_states as twilio,
)
from tests.events.adapters.center_days import HOUR, Happening, center_day
from tests.events.adapters.state_days import ingested

SETTINGS = Settings()
DAY = center_day(22, contacts=110)
Stream = list[dict[str, Any]]
Moments = Mapping[tuple[str, int], str]
AGENT_METRICS = {
    "agents_available": ("available",),
    "agents_busy": ("busy", "held", "offered"),
    "agents_wrap_up": ("wrap_up",),
    "agents_away": ("away",),
}


def connect_day(day: Sequence[Happening]) -> tuple[Stream, Moments, Moments]:
    agents = [
        one for one in connect.agent_stream(day) if connect.epoch_ms(one["EventTimestamp"]) <= day[-1].ms
    ]
    contacts = connect.contact_stream(day)
    replayed = connect.replayed_contacts(contacts), connect.replayed_agents(agents, by_name=False)
    return [*contacts, *agents], *replayed


def twilio_day(day: Sequence[Happening]) -> tuple[Stream, Moments, Moments]:
    stream = twilio.task_stream(day)
    replay = twilio.StreamReplay(stream)
    return stream, replay.contacts, replay.agents


def genesys_day(day: Sequence[Happening]) -> tuple[Stream, Moments, Moments]:
    stream = genesys.CloudWriter(day).stream
    replay = genesys.StreamReplay(stream)
    return stream, replay.contacts, replay.agents


SOURCES: Mapping[str, Callable[[Sequence[Happening]], tuple[Stream, Moments, Moments]]] = {
    "amazon-connect-events": connect_day,
    "twilio": twilio_day,
    "genesys-cloud": genesys_day,
}


def published_of(name: str, stream: Stream) -> list[OutgoingEvent]:
    """Return what is published of a stream that comes at once, states first; other tests have it come in
    batches."""
    published = ingested(name, [json.dumps(one) for one in stream], {}, 20, batch_size=10**6)
    return sorted(published, key=lambda event: event.topic == "call-completed")


def last_states(moments: Moments) -> Counter[str]:
    """Return how many are in each state in the end."""
    return Counter({whose: state for (whose, _), state in sorted(moments.items())}.values())


def busiest_moment() -> int:
    """Return how many happenings there are until most wait."""
    waiting, most = set[str](), (0, 0)
    for number, happened in enumerate(DAY):
        if happened.what in ("queued", "cleared"):
            waiting.add(happened.contact)
        elif happened.what in ("connected", "abandoned"):
            waiting.discard(happened.contact)
        most = max(most, (len(waiting), number + 1))
    assert most[0] >= 5
    return most[1]


async def reader_of(events: Iterable[OutgoingEvent], name: str, now: int) -> MetricsReader:
    store, letters = MemoryStore(), RecordedDeadLetters()
    shared = ProcessingContext(store, SETTINGS.counting_rules(), letters, NullObserver(), lambda: now)
    logs: dict[str, list[KafkaRecord]] = {}
    for event in events:
        record = outgoing_record(event, name)
        assert isinstance(record, OutgoingRecord), record
        log = logs.setdefault(record.topic, [])
        came = record.timestamp_ms, record.key, record.value, record.headers
        log.append(KafkaRecord(record.topic, 0, len(log), *came))
    for topic, log in logs.items():
        await (await partition_processor(shared, topic, 0)).count(log, len(log))
    assert letters.letters == []
    await store.beat({Partition(topic, 0): Heartbeat(now, 0, now) for topic in TOPICS})
    reader = MetricsReader(store, SETTINGS)
    await reader.refresh(now)
    return reader


def now_values(reader: MetricsReader, now: int, *metrics: str) -> dict[str, float | None]:
    query = MetricQuery(now=now, metrics=metrics, windows=("now",))
    return {reading.metric: reading.value for reading in reader.readings(query)}


@pytest.mark.parametrize("name", SOURCES)
async def test_at_the_busiest_moment_the_readings_are_those_of_the_replay(name: str) -> None:
    day = DAY[: busiest_moment()]
    stream, contacts, agents = SOURCES[name](day)
    now = day[-1].ms + 1
    published = published_of(name, stream)
    waiting, doing = last_states(contacts), last_states(agents)
    wanted = {metric: sum(doing[state] for state in states) for metric, states in AGENT_METRICS.items()}
    wanted["waiting"] = waiting["queued"] + waiting["offered"]
    assert now_values(await reader_of(published, name, now), now, *wanted) == wanted


@pytest.mark.parametrize("name", SOURCES)
async def test_when_all_have_gone_home_nobody_waits_and_nothing_is_in_progress(name: str) -> None:
    stream, _, agents = SOURCES[name](DAY)
    published = published_of(name, stream)
    now = DAY[-1].ms + HOUR // 2
    wanted = {"waiting": 0, "in_progress": 0, "contacts_lost": 0, "agents_busy": 0, "agents_wrap_up": 0}
    reader = await reader_of(published, name, now)
    assert now_values(reader, now, *wanted) == wanted
    signed_in = sum(count for state, count in last_states(agents).items() if state != "offline")
    assert now_values(reader, now, "agents_signed_in") == {"agents_signed_in": signed_in}


@pytest.mark.parametrize("name", SOURCES)
async def test_a_contact_that_is_over_does_not_show_whether_its_end_or_its_states_come_first(
    name: str,
) -> None:
    """The ids of states are those of call-completed, so that either ends the other."""
    stream, _, _ = SOURCES[name](DAY)
    published = published_of(name, stream)
    ends = [event for event in published if event.topic == "call-completed"]
    states = [event for event in published if event.topic == "contact-state"]
    ended = {event.data["segment_id"] for event in ends}
    open_states = [one for one in states if one.data["state"] != "ended" and one.data["segment_id"] in ended]
    assert {event.data["segment_id"] for event in open_states} == ended
    now = DAY[-1].ms + HOUR // 2
    for order in ([*ends, *open_states], [*open_states, *ends]):
        reader = await reader_of(order, name, now)
        # where every state comes too late, none was ever counted
        assert {*now_values(reader, now, "waiting", "in_progress").values()} <= {0, None}
