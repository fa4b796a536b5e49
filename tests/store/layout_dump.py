"""Write a dump of a center in the present layout, for the tests of later releases.

Run as `python -m tests.store.layout_dump URL FILE` against an empty Redis, once for each release and for each
version of the layout: the file is named after the version, such as layout2.json.gz.
"""

import argparse
import asyncio
import gzip
import json
from base64 import b64encode
from itertools import islice
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from streamer.events.counting_rules import DAY, CountingRules, encode_rules
from streamer.events.decoding import KafkaRecord
from streamer.privacy.pseudonyms import Pseudonymizer
from streamer.settings import CENTER_KEY_ID
from streamer.store.port import Heartbeat, Partition
from streamer.store.redis import RedisDocument, RedisRegistry, RedisStore
from streamer.worker.pipeline import ProcessingContext
from tests.counting import NullObserver, RecordedDeadLetters, partition_processor
from tests.faults import traffic

CENTER = "dumped"
NOW = 1_795_255_200_000  # 2026-11-21T10:00:00Z
RECORDS = 160
CUSTOMER_KEY = b"the key of a center of which a dump was made"
FORGOTTEN = {"~0~nobody-of-these": NOW}
ALERTS = b"what was said of alerts"
RULES = CountingRules(retention_ms=36_500 * DAY, dimension_pairs=(("queue", "channel"),))


def dumped_records() -> list[KafkaRecord]:
    """Return a few hours of a center, in two partitions of each topic."""
    bad = {value for _, value in traffic.BAD}
    messages = (message for message in traffic.messages(NOW, seed=1) if message.value not in bad)
    logs = traffic.logs(islice(messages, RECORDS))
    return [record for log in logs.values() for record in log]


async def fill(store: RedisStore, records: list[KafkaRecord]) -> None:
    """Count the records, and leave all that a center may have beside its numbers."""
    registry = RedisRegistry(store, CENTER)
    await registry.ensure_key(CUSTOMER_KEY)
    for name, at_ms in FORGOTTEN.items():
        await registry.forget([name], at_ms)
    await RedisDocument(store, "alerts").replace(None, ALERTS)
    await store.set_rules(encode_rules(RULES))
    context = ProcessingContext(
        store, RULES, RecordedDeadLetters(), NullObserver(), lambda: NOW,
        pseudonymizer=Pseudonymizer({CENTER_KEY_ID: CUSTOMER_KEY}, CENTER_KEY_ID),
    )  # fmt: skip
    for partition in sorted({Partition(one.topic, one.partition) for one in records}):
        log = [one for one in records if (one.topic, one.partition) == partition]
        await (await partition_processor(context, *partition)).count(log, len(log))
        await store.beat({partition: Heartbeat(NOW, 0, log[-1].timestamp)})


async def dump_key(client: Redis, key: bytes) -> tuple[str, Any]:
    match (await client.type(key)).decode():
        case "string":
            return "string", _text(await client.get(key) or b"")
        case "hash":
            fields = await client.hgetall(key)  # type: ignore[misc]
            return "hash", [[_text(name), _text(value)] for name, value in sorted(fields.items())]
        case kind:
            assert kind == "zset"
            return "zset", {
                _text(name): score for name, score in await client.zrange(key, 0, -1, withscores=True)
            }


def _text(value: bytes) -> str:
    return b64encode(value).decode()


async def make_dump(url: str) -> bytes:
    records, store = dumped_records(), await RedisStore.connect(url, CENTER, RULES)
    await fill(store, records)
    keys = [key async for key in store.client.scan_iter(match=f"s*{{{CENTER}}}*")]
    redis = {_text(key): await dump_key(store.client, key) for key in sorted(keys)}
    await store.close()
    rows = [
        [one.topic, one.partition, one.timestamp, _text(one.key or b""), _text(one.value or b""),
         [[name, _text(value)] for name, value in one.headers]]
        for one in records
    ]  # fmt: skip
    found = {"now_ms": NOW, "rules": encode_rules(RULES).decode(), "records": rows, "redis": redis}
    return gzip.compress(json.dumps(found).encode(), mtime=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.store.layout_dump", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    given.file.write_bytes(asyncio.run(make_dump(given.url)))
