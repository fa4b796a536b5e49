"""Names of dropped panes leave a reader's memory, and who follows it mistakes no group for another."""

from collections.abc import AsyncIterator

import numpy as np
import pytest

from streamer.alerts.detection.step_counts import ColumnMap, StepCounter
from streamer.alerts.statistics.observation_classes import ABSENT
from streamer.events.counting_rules import DAY, HOUR, MINUTE
from streamer.metrics.tally import NUMBER, NUMBERS
from streamer.panes.pane_keys import FINE_MS, Cell
from streamer.readings import reader as reader_module
from streamer.readings.query import MetricQuery
from streamer.readings.reader import MetricsReader
from streamer.store.port import CommitApplied, Heartbeat, StateStore
from tests.pane_deltas import deltas
from tests.readings.small_center import NOW, SETTINGS, answered
from tests.store.test_store import CALLS, Writer, opened

NAMES = 100


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.parts)])
def kept_url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("store_url")


@pytest.fixture
async def kept(
    kept_url: str | None, center: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[StateStore]:
    monkeypatch.setattr(reader_module, "MAX_UNUSED_NAMES", 8 * NAMES)
    async with opened(kept_url, center) as store:
        yield store


def cells_of(day: int) -> list[Cell]:
    names = [f"{number} of {day}" for number in range(NAMES)]
    return [
        (f"site {name}", f"queue {name}", f"team {name}", name, "voice", f"reason {name}", None)
        for name in names
    ]


async def count_day(writer: Writer, day: int, now_ms: int) -> None:
    """Count each of 100 queues, teams, agents and reasons that no other day has, and `billing` each day."""
    cells = cells_of(day)
    cells.insert(day, (None, "billing", None, "ann", "voice", None, None))  # each day another number
    commit = writer.commit()
    commit.deltas.update(deltas({((now_ms - MINUTE) // FINE_MS, cell): answered(1 + day) for cell in cells}))
    assert await writer.store.commit(commit, now_ms) == CommitApplied()
    writer.position = commit.position
    await writer.store.beat({CALLS: Heartbeat(now_ms, 0, now_ms)})
    await writer.store.forget(now_ms, 1)


def read(reader: MetricsReader, now_ms: int) -> dict[tuple[str, str, str], float | None]:
    return {
        (one.window, one.by, one.key): one.value
        for by in ("queue", "agent", "reason", "queue,channel")
        for one in reader.readings(
            MetricQuery(now=now_ms, metrics=("answered",), windows=("1h", "7d"), by=by)
        )
    }


async def test_names_are_kept_as_long_as_panes_have_them(kept: StateStore) -> None:
    reader, writer = MetricsReader(kept, SETTINGS), await Writer(kept).start()
    names = []
    for day in range(12):
        now_ms = NOW + day * 20 * DAY
        await count_day(writer, day, now_ms)
        await reader.refresh(now_ms)
        names.append(_names_in_memory(reader))
        fresh = MetricsReader(kept, SETTINGS)
        await fresh.refresh(now_ms)
        assert read(reader, now_ms) == read(fresh, now_ms) != {}
    in_use = _names_in_memory(fresh)
    assert max(names) < 2.5 * in_use < 0.7 * len(names) * names[0]


def _names_in_memory(reader: MetricsReader) -> int:
    families = reader._state.families.values()
    return sum(len(table.names) for family in families for table in family.rows.values())


async def test_a_follower_counts_the_right_groups_after_names_were_numbered_anew(
    kept: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "MAX_UNUSED_NAMES", NAMES)
    reader, writer = MetricsReader(kept, SETTINGS), await Writer(kept).start()
    follower = StepCounter("queue", "fine", HOUR // FINE_MS)
    by_number = np.full((2, NUMBERS), ABSENT, np.int64)
    by_number[0, NUMBER["answered"]], by_number[1, NUMBER["answered"]] = 0, 1
    columns = {"answered": ColumnMap(by_number, 2, ("billing", "queue 7 of 0"))}
    for day in range(6):
        now_ms = NOW + day * 3 * DAY
        await count_day(writer, day, now_ms)
        await reader.refresh(now_ms)
        step = now_ms // HOUR
        follower.follow(reader, columns, step - 1, step + 1)
        assert set(follower.keys) == {"billing", *(cell[1] for cell in cells_of(day))}
        counted = follower.table("answered", ("billing",), step - 1, step + 1)
        assert counted[:, 0].sum(axis=0).tolist() == [1 + day, 0]
