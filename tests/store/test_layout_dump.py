"""A dump of the present layout is read as it was, and what outlives numbers outlives the layout too."""

import gzip
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from streamer.events.counting_rules import encode_rules
from streamer.events.decoding import KafkaRecord
from streamer.privacy.pseudonyms import Pseudonymizer
from streamer.settings import CENTER_KEY_ID
from streamer.store import layout
from streamer.store.layout import LAYOUT_VERSION, layout_key
from streamer.store.memory import MemoryStore
from streamer.store.port import Partition
from streamer.store.redis import (
    FormerLayout,
    FormerLayoutStore,
    RedisDocument,
    RedisGeneration,
    RedisRegistry,
    RedisStore,
    connection,
)
from streamer.worker.pipeline import ProcessingContext
from tests.counting import NullObserver, RecordedDeadLetters, partition_processor, stored_tallies
from tests.parts.redis_server import RedisServer
from tests.store.layout_dump import ALERTS, CENTER, CUSTOMER_KEY, FORGOTTEN, NOW, RULES

DUMP = Path(__file__).with_name(f"layout{LAYOUT_VERSION}.json.gz")


@pytest.fixture(scope="module")
def dump() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(DUMP.read_bytes()))
    return found


@pytest.fixture
async def client(fresh_redis: RedisServer, dump: dict[str, Any]) -> AsyncIterator[Redis]:
    async with Redis.from_url(fresh_redis.url) as client:
        for name, (kind, value) in dump["redis"].items():
            key = b64decode(name)
            if kind == "string":
                await client.set(key, b64decode(value))
            elif kind == "hash":
                await client.hset(key, mapping={b64decode(field): b64decode(text) for field, text in value})  # type: ignore[misc]
            else:
                await client.zadd(key, {b64decode(member): score for member, score in value.items()})
        yield client


def dumped_logs(dump: dict[str, Any]) -> dict[Partition, list[KafkaRecord]]:
    logs: dict[Partition, list[KafkaRecord]] = {}
    for topic, number, at_ms, key, value, headers in dump["records"]:
        log = logs.setdefault(Partition(topic, number), [])
        pairs = tuple((name, b64decode(text)) for name, text in headers)
        log.append(KafkaRecord(topic, number, len(log), at_ms, b64decode(key), b64decode(value), pairs))
    return logs


async def counted_today(dump: dict[str, Any]) -> MemoryStore:
    store, pseudonyms = MemoryStore(RULES), Pseudonymizer({CENTER_KEY_ID: CUSTOMER_KEY}, CENTER_KEY_ID)
    context = ProcessingContext(
        store, RULES, RecordedDeadLetters(), NullObserver(), lambda: NOW, pseudonymizer=pseudonyms
    )
    for partition, log in dumped_logs(dump).items():
        await (await partition_processor(context, *partition)).count(log, len(log))
    return store


async def test_a_center_as_it_was_dumped_is_read_with_all_its_numbers(
    client: Redis, fresh_redis: RedisServer, dump: dict[str, Any]
) -> None:
    store = await RedisStore.connect(fresh_redis.url, CENTER, RULES)
    today = await counted_today(dump)
    assert await stored_tallies(store) == await stored_tallies(today)
    assert await store.counters() == await today.counters()
    assert await store.set_rules(encode_rules(RULES)) == encode_rules(RULES) == await store.rules()
    ends = {partition: len(log) for partition, log in dumped_logs(dump).items()}
    positions = await store.positions([*ends])
    assert [position and position.next for position in positions] == [*ends.values()]
    assert {beat.caught_up_at for beat in (await store.heartbeats()).values()} == {NOW}
    documents = (await store.read(sorted(today.documents))).values
    assert all(isinstance(msgspec.msgpack.decode(value or b""), list) for value in documents)
    await check_what_outlives_numbers(store)
    await store.close()


async def check_what_outlives_numbers(store: RedisStore) -> None:
    registry, alerts = RedisRegistry(store, CENTER), await RedisDocument(store, "alerts").read()
    assert await registry.ensure_key(b"another key") == CUSTOMER_KEY
    assert await registry.forgotten() == FORGOTTEN
    assert alerts is not None
    assert alerts.value == ALERTS


async def test_a_next_version_of_the_layout_is_noticed_and_keeps_key_forgotten_customers_and_alerts(
    client: Redis, fresh_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    offsets = {
        name: packed.split(b":", 2)[1]
        for name, packed in (await client.hgetall(layout_key(CENTER, "0:positions"))).items()  # type: ignore[misc]
    }
    monkeypatch.setattr(layout, "LAYOUT_VERSION", LAYOUT_VERSION + 1)
    monkeypatch.setattr(connection, "LAYOUT_VERSION", LAYOUT_VERSION + 1)
    monkeypatch.setattr(layout_key, "__defaults__", ("", LAYOUT_VERSION + 1))
    with pytest.raises(FormerLayout):
        await RedisStore.connect(fresh_redis.url, CENTER, RULES)
    store = RedisStore(client, CENTER, RULES)
    assert store.prefix == f"s{LAYOUT_VERSION + 1}{{{CENTER}}}0:".encode()
    await check_what_outlives_numbers(store)
    former = await FormerLayoutStore.find(client, CENTER)
    assert former is not None
    assert await former.supersede(store.prefix, offsets, ())
    await RedisGeneration(store, RULES).collect_garbage()
    assert not [key async for key in client.scan_iter(f"s{LAYOUT_VERSION}{{{CENTER}}}0:*")]
    await check_what_outlives_numbers(store)
    await RedisStore(client, CENTER, RULES).set_customer_key(CUSTOMER_KEY)
