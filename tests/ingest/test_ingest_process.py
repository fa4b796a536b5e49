"""End-to-end test with real processes: raw records of several sources, three times and shuffled, a process
killed in the middle, and the readings that result."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import httpx
import pytest

from streamer.events.decoding import TOPICS, KafkaRecord
from streamer.panes.pane_keys import SEPARATOR
from streamer.settings import load_settings
from streamer.store.redis import RedisStore
from streamer.worker import kafka
from tests.faults import kafka_log
from tests.ingest.command_process import CommandProcess, run_json
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer
from tests.parts.server import free_port

PARTITIONS = 4
SETTINGS = """
[sources.amazon-connect]
[sources.asterisk-queue-log]
[sources.delighted]

[agents.ann]
teams = [{ team = "red", site = "madrid", to = 2020-01-01 }, { team = "blue", from = 2020-01-02 }]
"""
NUMBERS = "+3460000"
"""How all customers' telephone numbers begin."""
_NO_LAG = re.compile(r"^streamer_lag_records\{.*\} 0\.0$", re.MULTILINE)
_PATIENCE_S = 90.0
_HOUR = 3_600


class RawEvent(NamedTuple):
    """Raw event: what happened, with the source and payload that report it."""

    answered: Counter[str]
    abandoned: Counter[str]
    handled_s: Counter[str]
    scores: Sequence[int]
    payloads: Sequence[tuple[str, bytes]]


def told(now_s: int, contacts: int) -> RawEvent:
    """Contacts of the last hours in two systems, each answered by ann or abandoned, and a survey of each
    third; records of Amazon Connect come once with a wrong talk time, and once corrected."""
    random, payloads = Random("told"), list[tuple[str, bytes]]()
    answered, abandoned, handled = Counter[str](), Counter[str](), Counter[str]()
    scores = []
    for number in range(contacts):
        began, talk = now_s - random.randrange(1_000, 10 * _HOUR), random.randrange(10, 500)
        queue, customer = random.choice(("billing", "sales")), f"{NUMBERS}{random.randrange(1_000):04}"
        taken = random.random() < 0.8
        say = _amazon if number % 2 else _asterisk
        payloads += say(f"c{number}", queue, customer, began, talk if taken else None)
        (answered if taken else abandoned)[queue] += 1
        handled[queue] += talk if taken else 0
        if number % 3 == 0:
            scores.append(random.randrange(11))
            payloads.append(_delighted(number, scores[-1], began + 600))
    return RawEvent(answered, abandoned, handled, scores, payloads)


def _amazon(contact: str, queue: str, customer: str, began: int, talk: int | None) -> list[tuple[str, bytes]]:
    ended = began + 5 + (talk or 0)
    record: dict[str, Any] = {
        "ContactId": contact,
        "Channel": "VOICE",
        "InitiationMethod": "INBOUND",
        "CustomerEndpoint": {"Type": "TELEPHONE_NUMBER", "Address": customer},
        "Queue": {"Name": queue, "EnqueueTimestamp": _text(began), "Duration": 5},
        "DisconnectTimestamp": _text(ended),
    }
    versions = [(ended + 60, 1), (ended + 120, talk)] if talk else [(ended + 60, None)]
    return [("amazon-connect", _json(record | _handled(updated, said))) for updated, said in versions]


def _handled(updated: int, talk: int | None) -> dict[str, Any]:
    agent = {"Username": "ann", "AgentInteractionDuration": talk, "CustomerHoldDuration": 0}
    return {"LastUpdateTimestamp": _text(updated), "Agent": agent if talk is not None else None}


def _asterisk(
    contact: str, queue: str, customer: str, began: int, talk: int | None
) -> list[tuple[str, bytes]]:
    lines = [(began, "NONE", "ENTERQUEUE", "", customer, 1)]
    if talk is None:
        lines.append((began + 5, "NONE", "ABANDON", 1, 1, 5))  # type: ignore[arg-type]
    else:
        lines.append((began + 5, "ann", "CONNECT", 5, "member", 2))  # type: ignore[arg-type]
        lines.append((began + 5 + talk, "ann", "COMPLETECALLER", 5, talk, 1))  # type: ignore[arg-type]
    return [
        ("asterisk-queue-log", "|".join(map(str, (at, contact, queue, *rest))).encode())
        for at, *rest in lines
    ]


def _delighted(number: int, score: int, at: int) -> tuple[str, bytes]:
    about = {"contact_id": f"c{number}"}
    response = {"id": f"r{number}", "score": score, "created_at": at, "person_properties": about}
    return "delighted", _json(response)


def _text(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


class IngestCenter:
    """Processes of the center, and queries of its state."""

    def __init__(self, broker: Broker, redis: RedisServer, name: str, folder: Path) -> None:
        self.env = {"kafka": broker.address, "redis": redis.url, "center": name, "session_timeout": "2s"}
        self._settings = load_settings(**self.env)
        self._folder = folder
        self._stack = AsyncExitStack()
        self._processes = 0
        (folder / "streamer.toml").write_text(SETTINGS)

    async def __aenter__(self) -> "IngestCenter":
        self.numbers = await self._store(self._settings.center)
        self.intake = await self._store(f"{self._settings.center}.ingest")
        return self

    async def _store(self, name: str) -> RedisStore:
        store = await RedisStore.connect(self._settings.redis_url(), name)
        self._stack.push_async_callback(store.close)
        return store

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def start(self, command: str, **more: str) -> CommandProcess:
        # A group of its own each: the dead one need not be missed before the next is let in.
        self._processes += 1
        own = {"consumer_group": f"life-{self._processes}", **more}
        process = CommandProcess(command, self.env | own, self._folder / f"{command}-{self._processes}.log")
        self._stack.callback(process.kill)
        return process

    async def publish(self, payloads: Sequence[tuple[str, bytes]]) -> None:
        topics = [f"ingest-{source}" for source in {source for source, _ in payloads}]
        await kafka.ensure_topics(self._settings.kafka, PARTITIONS, topics=topics)
        producer, random = await kafka.start_producer(self._settings.kafka), Random("publish")
        try:
            for source, payload in payloads:
                await producer.send(f"ingest-{source}", payload, partition=random.randrange(PARTITIONS))
            await producer.flush()
        finally:
            await producer.stop()

    async def events(self) -> list[KafkaRecord]:
        """Return all records of the contract's topics."""
        return [one async for one in kafka_log.records(self._settings.kafka.bootstrap_servers, TOPICS)]

    async def until(self, store: RedisStore, records: int, *processes: CommandProcess) -> Counter[str]:
        """Wait until so many records are counted; return their number by result."""
        start = time.monotonic()
        while (found := await results(store)).total() < records:
            fallen = [process.log()[-3000:] for process in processes if not process.runs]
            assert fallen == []
            assert time.monotonic() - start < _PATIENCE_S, f"{found} of {records}"
            await asyncio.sleep(0.01)
        return found

    def reading(self, metric: str, by: str = "queue") -> Mapping[str, float]:
        command = ["query", metric, "--window", "24h", "--by", by, "--json"]
        return {one["key"]: one["value"] for one in run_json(command, self.env, self._folder)}


async def results(store: RedisStore) -> Counter[str]:
    found = Counter[str]()
    for name, amount in (await store.counters()).items():
        kind, *_, result = name.split(SEPARATOR)
        if kind == "events":
            found[result] += amount
    return found


async def caught_up(port: int, partitions: int) -> None:
    """Wait until the metrics of a process show no lag on any of its partitions."""
    start = time.monotonic()
    while len(_NO_LAG.findall(await _metrics(port))) < partitions:
        assert time.monotonic() - start < _PATIENCE_S
        await asyncio.sleep(0.05)


async def _metrics(port: int) -> str:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/metrics")).text
        except httpx.TransportError:
            return ""


@pytest.mark.apache
async def test_three_times_shuffled_and_through_kills_and_fights_the_readings_are_those_of_the_clean_stream(
    fresh_broker: Broker, fresh_redis: RedisServer, center: str, tmp_path: Path
) -> None:
    what = told(int(time.time()), contacts=600)  # noqa: TID251 - readings are asked for as of now
    raw = 3 * [*what.payloads]
    Random("order").shuffle(raw)
    async with IngestCenter(fresh_broker, fresh_redis, center, tmp_path) as own:
        await own.publish(raw)
        worker = own.start("worker")
        for life in (1, 2):
            process = own.start("ingest")
            await own.until(own.intake, life * 500, process)
            process.kill()
        ports = [free_port(), free_port()]
        fighting = [own.start("ingest", metrics_port=str(port)) for port in ports]
        found = await own.until(own.intake, len(raw), *fighting)
        assert (found.total(), found["rejected"]) == (len(raw), 0)
        for port in ports:
            await caught_up(port, 3 * PARTITIONS)
        assert [await process.stop() for process in fighting] == [0, 0]
        events = await own.events()
        assert not [one for one in events if NUMBERS.encode() in (one.key or b"") + (one.value or b"")]
        found = await own.until(own.numbers, len(events), worker)
        assert (found.total(), found["rejected"]) == (len(events), 0)
        check(own, what)


def check(own: IngestCenter, what: RawEvent) -> None:
    """Compare the readings with sums that can be done by hand."""
    assert own.reading("answered") == what.answered
    assert own.reading("abandoned") == what.abandoned
    assert own.reading("answered", by="team") == {"blue": what.answered.total(), "unknown": 0}
    promoters = len([one for one in what.scores if one >= 9])
    detractors = len([one for one in what.scores if one <= 6])
    nps = 100 * (promoters - detractors) / len(what.scores)
    assert own.reading("nps_score", by="all") == {"": nps}
    means = own.reading("handle_time_seconds")
    assert means == {queue: what.handled_s[queue] / what.answered[queue] for queue in what.answered}
