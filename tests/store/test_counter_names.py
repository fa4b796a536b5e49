"""Counters of many queues are bounded, the same for every reader, and leave room on `/metrics`."""

from collections.abc import AsyncIterator

import pytest

from streamer.events.counting_rules import DAY, HOUR
from streamer.metrics.counters import COUNTER_SERIES, OTHER, merge_counters, pack_counters
from streamer.panes.pane_keys import COUNTERS
from streamer.readings.prometheus import MAX_SERIES, ExportSelection, PrometheusExporter
from streamer.readings.reader import MetricsReader
from streamer.store.port import CommitApplied, Heartbeat, StateStore
from tests.pane_deltas import deltas
from tests.readings.small_center import NOW, SETTINGS, answered, cell, pane
from tests.store.test_store import CALLS, Writer, opened

QUEUES = 5_000


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.parts)])
def kept_url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("store_url")


@pytest.fixture
async def kept(kept_url: str | None, center: str) -> AsyncIterator[StateStore]:
    async with opened(kept_url, center) as store:
        yield store


def arrivals(first: int, last: int) -> dict[str, int]:
    queues = [f"queue {number}" for number in range(first, last)]
    outcomes = {
        f"segments\x1f{queue}\x1fvoice\x1f{outcome}": 1
        for queue in queues
        for outcome in ("answered", "timeout")
    }
    return outcomes | {f"handle\x1f{queue}\x1f60": 1 for queue in queues}


async def count(writer: Writer, amounts: dict[str, int], at_ms: int = NOW, now: bool = False) -> None:
    commit = writer.commit()
    commit.deltas[COUNTERS] = pack_counters(amounts, at_ms // HOUR, (at_ms - 100 * DAY) // HOUR)
    if now:
        commit.deltas.update(deltas({(pane(60_000), cell()): answered()}))
    assert await writer.store.commit(commit, at_ms) == CommitApplied()
    writer.position = commit.position


async def exposition(reader: MetricsReader) -> list[str]:
    text = PrometheusExporter(reader).render(ExportSelection(("15m", "1h", "today"), agents=False), NOW)
    return [line for line in text.decode().splitlines() if not line.startswith("#")]


async def test_readings_stay_on_metrics_beside_5000_old_queues(kept: StateStore) -> None:
    reader, writer = MetricsReader(kept, SETTINGS), await Writer(kept).start()
    for first in range(0, QUEUES, 50):
        await count(writer, arrivals(first, first + 50))
        if first % 1_000 == 0:
            await reader.refresh(NOW)
        if first % 800 == 0:
            await kept.compact(COUNTERS, merge_counters)
    await count(writer, {}, now=True)
    await kept.beat({CALLS: Heartbeat(NOW, 0, NOW)})
    await reader.refresh(NOW)
    later = MetricsReader(kept, SETTINGS)
    await later.refresh(NOW)
    assert reader.counters == later.counters == await kept.counters()
    amounts = [count for name, count in reader.counters.items() if name.startswith("segments")]
    assert sum(amounts) == 2 * QUEUES
    assert len(reader.counters) < COUNTER_SERIES
    lines = await exposition(reader)
    assert 'cx_answered{by="all",window="1h"} 1.0' in lines
    assert "cx_families_dropped 0.0" in lines
    assert len(lines) <= MAX_SERIES
    assert f'cx_segments_completed_total{{channel="voice",outcome="timeout",queue="{OTHER}"}}' in str(lines)


@pytest.mark.parametrize("merged", [True, False])
async def test_a_queue_leaves_the_store_after_the_retention(kept: StateStore, merged: bool) -> None:
    reader, writer = MetricsReader(kept, SETTINGS), await Writer(kept).start()
    await count(writer, arrivals(0, 1), NOW - 101 * DAY)
    await count(writer, arrivals(1, 2), NOW - 99 * DAY)
    await reader.refresh(NOW)
    assert len(reader.counters) == 6
    if merged:
        await kept.compact(COUNTERS, merge_counters)
    await count(writer, arrivals(2, 3))
    await reader.refresh(NOW)
    assert {name.split("\x1f")[1] for name in reader.counters} == {"queue 1", "queue 2"}
    assert await kept.counters() == reader.counters
