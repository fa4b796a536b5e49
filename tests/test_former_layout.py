"""A store as an earlier release left it is recognized, and a rebuild brings it over: from a dump of one."""

import base64
import gzip
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from redis.asyncio import Redis

from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import KafkaRecord
from streamer.ingest.assembly import ContactAssembly, assembly_key, decode_assembly
from streamer.ingest.run import ingest_center
from streamer.operations.comparison import diff_states, read_store_state
from streamer.operations.rebuild import run_rebuild
from streamer.privacy.pseudonyms import Pseudonymizer
from streamer.settings import CENTER_KEY_ID, Settings, load_settings
from streamer.store.layout import shared_key
from streamer.store.memory import MemoryStore
from streamer.store.port import Partition
from streamer.store.redis import (
    FormerLayout,
    FormerLayoutStore,
    RedisDocument,
    RedisRegistry,
    RedisStore,
)
from streamer.worker import kafka
from streamer.worker.pipeline import ProcessingContext
from tests.benchmarks.center import Message
from tests.benchmarks.records import publish
from tests.counting import NullObserver, RecordedDeadLetters, partition_processor, stored_tallies
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer

CENTER = "former"
RETENTION = "36500d"
"""As the dump was made: it must not lapse."""
DUMP = Path(__file__).parent / "store" / "layout1.json.gz"


class Dump(NamedTuple):
    """Counts of an earlier release, their time, and its keys in Redis."""

    now_ms: int
    rules: bytes
    records: list[Message]
    redis: dict[bytes, tuple[str, Any]]

    @classmethod
    def read(cls, path: Path = DUMP) -> "Dump":
        found = json.loads(gzip.decompress(path.read_bytes()))
        records = [
            Message(topic, partition, at_ms, base64.b64decode(key), base64.b64decode(value))
            for topic, partition, at_ms, key, value in found["records"]
        ]
        redis = {base64.b64decode(key): tuple(value) for key, value in found["redis"].items()}
        return cls(found["now_ms"], found["rules"].encode(), records, redis)

    async def load(self, client: Redis) -> None:
        for key, (kind, value) in self.redis.items():
            if kind == "string":
                await client.set(key, base64.b64decode(value))
            elif kind == "hash":
                fields = {base64.b64decode(name): base64.b64decode(one) for name, one in value}
                await client.hset(key, mapping=fields)  # type: ignore[misc]
            else:
                await client.zadd(key, {base64.b64decode(name): score for name, score in value})


@pytest.fixture(scope="module")
def dump() -> Dump:
    return Dump.read()


@pytest.fixture
async def client(fresh_redis: RedisServer, dump: Dump) -> AsyncIterator[Redis]:
    async with Redis.from_url(fresh_redis.url) as client:
        await dump.load(client)
        yield client


@pytest.fixture
def settings(fresh_redis: RedisServer) -> Settings:
    return load_settings(redis=fresh_redis.url, center=CENTER, retention=RETENTION)


async def former_of(client: Redis, center: str = CENTER) -> FormerLayoutStore:
    found = await FormerLayoutStore.find(client, center)
    assert found is not None
    return found


@pytest.mark.usefixtures("client")
async def test_nothing_but_a_rebuild_touches_it(settings: Settings) -> None:
    for center in (CENTER, ingest_center(settings)):
        with pytest.raises(FormerLayout, match=f"center {center} .* run `streamer rebuild` once"):
            await RedisStore.connect(settings.redis_url(), center)


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    "command", ["worker", "serve", "query nps_score", "ingest amazon-connect", "forget --list", "check"]
)
def test_every_command_says_what_to_do(
    command: str, settings: Settings, broker: Broker, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streamer", *command.split()],
        env={**os.environ, "STREAMER_REDIS": settings.redis_url(), "STREAMER_CENTER": CENTER,
             "STREAMER_KAFKA": broker.address},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done
    said = " ".join((done.stdout + done.stderr).split())
    assert "run `streamer rebuild` once" in said
    assert "Traceback" not in said


async def test_its_tallies_are_those_of_today(client: Redis, dump: Dump) -> None:
    live = await read_store_state(await former_of(client))
    today = await read_store_state(
        await counted(dump, await pseudonymizer_of(client, f"s1{{{CENTER}}}customer-key".encode()))
    )
    assert {family for family, _ in live.panes} == {"fine", "long", "counters"}
    rules = CountingRules(retention_ms=10**15)
    assert not [*diff_states(live, today, dump.now_ms, rules.retention_ms)]
    assert {partition: at.next for partition, at in live.positions.items()} == {
        partition: at.next for partition, at in today.positions.items()
    }


async def pseudonymizer_of(client: Redis, name: bytes) -> Pseudonymizer:
    return Pseudonymizer({CENTER_KEY_ID: await client.get(name)}, CENTER_KEY_ID)


async def counted(dump: Dump, veil: Pseudonymizer) -> MemoryStore:
    """All records of the dump, counted today."""
    rules = CountingRules(retention_ms=10**15, dimension_pairs=(("queue", "channel"),))
    store = MemoryStore(rules)
    shared = ProcessingContext(
        store, rules, RecordedDeadLetters(), NullObserver(), lambda: dump.now_ms, pseudonymizer=veil
    )
    logs: dict[Partition, list[KafkaRecord]] = {}
    for topic, partition, at_ms, key, value in dump.records:
        log = logs.setdefault(Partition(topic, partition), [])
        log.append(KafkaRecord(topic, partition, len(log), at_ms, key, value, ()))
    for partition, log in logs.items():
        await (await partition_processor(shared, *partition)).count(log, len(log))
    return store


async def test_a_rebuild_brings_all_over_and_ends_what_is_left_of_earlier_releases(
    client: Redis, dump: Dump, settings: Settings, broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = await former_of(client)
    before = await numbers.changes(None, positions=True)
    settings = settings.model_copy(update={"kafka": broker.settings})
    await kafka.ensure_topics(broker.settings, 2, 36_500 * 86_400_000)
    await publish(broker.address, dump.records)

    assert await run_rebuild(settings, yes=False) == 0, capsys.readouterr()
    said = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert {"equal", "switched", "brought over"} <= {*said}

    store = await RedisStore.connect(settings.redis_url(), CENTER, settings.counting_rules())
    found = await stored_tallies(store)
    wanted = await stored_tallies(
        await counted(dump, await pseudonymizer_of(client, shared_key(CENTER, "customer-key")))
    )
    assert {place: tally for place, tally in wanted.items() if place[0] == "long"} == {
        place: tally for place, tally in found.items() if place[0] == "long"
    }
    assert await store.heartbeats() == before.heartbeats
    counters = await store.counters()
    assert counters == await numbers_of(dump)
    registry = RedisRegistry(store, CENTER)
    assert [*await registry.forgotten()] == ["~0~nobody-of-these"]
    alerts = await RedisDocument(store, "alerts").read()
    assert alerts is not None
    assert alerts.value == b"what was said of alerts"
    await store.close()

    raw = await RedisStore.connect(settings.redis_url(), ingest_center(settings))
    keys = [assembly_key("zendesk-talk", f"c{number}") for number in range(3)]
    snapshot = await raw.read(keys)
    assert [decode_assembly(value) for value in snapshot.values if value] == [
        ContactAssembly((), n) for n in (1, 2, 3)
    ]
    (position,) = await raw.positions([Partition("raw-zendesk-talk", 0)])
    assert position is not None
    await raw.close()

    # An earlier release finds a generation of other rules in force, and ends.
    for center in (CENTER, ingest_center(settings)):
        left = [key async for key in client.scan_iter(f"s1{{{center}}}*")]
        assert sorted(left) == [f"s1{{{center}}}{name}".encode() for name in ("2:rules", "current")]
        assert await client.get(f"s1{{{center}}}current") == b"2"


async def numbers_of(dump: Dump) -> dict[str, int]:
    _, fields = dump.redis[f"s1{{{CENTER}}}0:counts".encode()]
    return {base64.b64decode(name).decode(): int(base64.b64decode(amount)) for name, amount in fields}
