"""Tests that a rebuild gives the live numbers, and that workers and readers switch over to it."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from aiokafka.admin import RecordsToDelete
from aiokafka.structs import TopicPartition

from streamer.events.counting_rules import CountingRules
from streamer.metrics.counters import pack_counters
from streamer.metrics.tally import NUMBER
from streamer.operations.rebuild import RebuildError, run_rebuild
from streamer.panes.pane_delta import LongSums
from streamer.panes.pane_keys import COUNTERS
from streamer.readings.reader import MetricsReader
from streamer.store.layout import FIRST_GENERATION, generation_prefix
from streamer.store.port import EMPTY_STORE, Commit, GenerationSuperseded, LogPosition, Partition
from streamer.store.redis import RedisGeneration, RedisStore
from tests.counting import stored_tallies
from tests.faults import kafka_log
from tests.faults.trial import Trial
from tests.faults.worker import said
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer

PLACE = Partition("call-completed", 0)


@pytest.fixture
async def trial(
    fresh_broker: Broker, fresh_redis: RedisServer, center: str, tmp_path: Path
) -> AsyncIterator[Trial]:
    trial = Trial(fresh_broker, fresh_redis, center, tmp_path)
    await trial.open()
    try:
        yield trial
    finally:
        await trial.close()


async def count(trial: Trial, number: int) -> None:
    """Publish about so many records, and wait until all are counted."""
    async with trial.load(per_s=500):
        await trial.progress(number)
    await trial.settle()


async def generations(trial: Trial) -> set[str]:
    async with trial.redis.client() as client:
        keys = [key async for key in client.scan_iter(count=1000)]
    return {key.partition(b"}")[2].partition(b":")[0].decode() for key in keys if b":" in key}


@pytest.mark.apache
async def test_equal_numbers_take_the_place_of_the_live_ones_while_events_come(
    trial: Trial, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.add_states()
    worker, reader = trial.worker(), MetricsReader(trial.store, trial.settings)
    async with trial.load(per_s=100):
        await trial.progress(1_000)
        await reader.refresh(time.time_ns() // 1_000_000)
        before = reader.counters
        with monkeypatch.context() as patched:
            patched.setattr("streamer.store.redis.store.CHUNK_BYTES", 20_000)  # many steps a reading
            assert await run_rebuild(trial.settings, yes=False) == 0, capsys.readouterr().out
        await reader.refresh(time.time_ns() // 1_000_000)
        await trial.progress(500)
    assert {"equal", "switched"} <= {line.partition(":")[0] for line in capsys.readouterr().out.splitlines()}
    assert reader.ready
    assert not [name for name, amount in before.items() if reader.counters[name] < amount]
    await trial.settle()
    assert worker.runs
    assert FIRST_GENERATION not in await generations(trial)
    assert len(await generations(trial)) == 1


@pytest.mark.apache
async def test_a_tally_that_is_not_what_kafka_says_is_named_and_replaced_only_on_demand(
    trial: Trial, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = trial.worker()
    await count(trial, 300)
    await worker.stop()
    good = await stored_tallies(trial.store)
    key, name = await falsify(trial)
    family, index, group = await falsified(trial, good)
    assert key.endswith(f"{family[0]}:{index}")

    assert await run_rebuild(trial.settings, yes=False) == 1
    told = capsys.readouterr().out.splitlines()
    (line,) = [line for line in told if line.startswith(f"{family} ")]
    found = good[family, index, group][name]
    assert f"  {name}: live {found + 1}, rebuilt {found}" in line
    assert "1 counts differ; the first 1 are above" in told
    assert await stored_tallies(trial.store) != good
    assert await generations(trial) == {FIRST_GENERATION}

    assert await run_rebuild(trial.settings, yes=True) == 0
    assert await stored_tallies(trial.store) == good


async def falsify(trial: Trial) -> tuple[str, str]:
    """One more `answered` in the row of all; the pane's key, and the count's name."""
    async with trial.redis.client() as client:
        found = [key async for key in client.scan_iter(match="*:l:*")]
        key = max(found)
        for name, packed in (await client.hgetall(key)).items():
            table = LongSums.unpacked(packed)
            of = np.array([table.rows.index("all") if "all" in table.rows else -1])
            for at in np.flatnonzero((table.row == of) & (table.numbers == NUMBER["answered"])).tolist():
                table.amounts[at] += 1
                await client.hset(key, name, table.packed())
                return key.decode(), "answered"
    raise AssertionError("nothing to falsify")


async def falsified(trial: Trial, good: object) -> tuple[str, int, str]:
    now = await stored_tallies(trial.store)
    assert isinstance(good, dict)
    (place,) = [place for place in now if now[place] != good.get(place)]
    return place


@pytest.mark.apache
async def test_other_rules_take_force_on_demand_and_end_the_workers_that_count_by_the_former(
    trial: Trial, capsys: pytest.CaptureFixture[str]
) -> None:
    old = trial.worker("old")
    await count(trial, 300)
    strict = trial.settings.model_copy(update={"service_level": timedelta(seconds=3)})
    assert await run_rebuild(strict, yes=False) == 1
    assert "changed setting: service_level: stored" in capsys.readouterr().out
    assert old.runs

    assert await run_rebuild(strict, yes=True) == 0
    async with asyncio.timeout(20):
        assert await old.exit_code() == 1
    assert said(
        old, "the settings that change numbers differ from those of the stored numbers .*service_level"
    )
    old.ended = True

    new = trial.worker("new", service_level="3s")
    trial.rules = strict.counting_rules()
    await count(trial, 100)
    assert new.runs


@pytest.mark.apache
async def test_a_log_that_lost_its_beginning_is_said_and_asks_for_a_yes(
    trial: Trial, capsys: pytest.CaptureFixture[str]
) -> None:
    trial.worker()
    await count(trial, 300)
    async with kafka_log.admin(trial.broker.address) as admin:
        await admin.delete_records({TopicPartition(*PLACE): RecordsToDelete(before_offset=3)})
    assert await run_rebuild(trial.settings, yes=False) == 1
    assert "call-completed:0: Kafka's log begins at offset 3" in capsys.readouterr().out


@pytest.mark.apache
async def test_a_topic_made_anew_is_for_a_worker_to_see_first(trial: Trial) -> None:
    worker = trial.worker()
    await count(trial, 300)
    await worker.stop()
    async with kafka_log.admin(trial.broker.address) as admin:
        await admin.delete_topics(["call-completed"])
    await asyncio.sleep(0.5)
    await trial.make_topics()
    with pytest.raises(RebuildError, match=r"not the log that was counted .* A worker does that"):
        await run_rebuild(trial.settings, yes=True)


# The store's part.


def commit(start: LogPosition) -> Commit:
    after = LogPosition(start.epoch, start.next + 1, start.token[::-1])
    counted = {COUNTERS: pack_counters({"events": 1})}
    return Commit(PLACE, start.epoch, start.next, after, EMPTY_STORE, (), {}, counted)


async def opened(url: str, center: str) -> tuple[RedisStore, LogPosition]:
    store, start = await RedisStore.connect(url, center), LogPosition("ab", 0, b"01234567")
    await store.move(PLACE, None, start)
    return store, start


async def test_who_rebuilds_last_rebuilds_and_what_others_left_is_deleted(
    store_url: str, center: str, redis_server: RedisServer
) -> None:
    store, start = await opened(store_url, center)
    first, second = RedisGeneration(store, CountingRules()), RedisGeneration(store, CountingRules())
    await first.open()
    await first.store.move(PLACE, None, start)
    await second.open()
    with pytest.raises(GenerationSuperseded):
        await first.store.commit(commit(start), 0)
    with pytest.raises(GenerationSuperseded):
        await first.promote()
    await second.store.move(PLACE, None, start)
    await first.discard()
    assert await second.store.positions([PLACE]) == [start]
    async with redis_server.client() as client:
        found = [key async for key in client.scan_iter(match=f"s2{{{center}}}*:positions")]
    assert len(found) == 2
    assert generation_prefix(center) + b"positions" in found
    await store.close()


async def test_nothing_counted_is_nothing_to_rebuild(trial: Trial) -> None:
    with pytest.raises(RebuildError, match="nothing is counted yet"):
        await run_rebuild(trial.settings, yes=False)
