"""A reader gives the same readings as brute force, however it was brought up to date."""

from collections.abc import Callable, Coroutine
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.events.counting_rules import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    CountingRules,
    CountingRulesMismatch,
    encode_rules,
)
from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.formulas import TallyCounts
from streamer.metrics.tally import NUMBER, Tally
from streamer.panes.pane_keys import FINE_MS, parse_row_field, row_field
from streamer.panes.rollup import MERGE
from streamer.panes.windows import WINDOWS
from streamer.readings.query import MetricQuery, QueryError, Reading
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.port import ChangeCursor, Heartbeat, Partition, StoreChanges
from tests.pane_deltas import PaneTallies
from tests.readings.small_center import (
    NOW,
    PAIRS,
    PARTITION,
    SETTINGS,
    SmallCenter,
    answered,
    cell,
    new_reader,
    pane,
)


def single_reading(
    reader: MetricsReader, metric: str, window: str = "1h", key: str | None = None, **more: object
) -> Reading:
    query = MetricQuery(now=NOW, metrics=(metric,), windows=(window,), key=key, **more)  # type: ignore[arg-type]
    (reading,) = reader.readings(query)
    return reading


# Brute force.

cells = st.builds(
    cell,
    st.sampled_from([None, "billing", "sales"]),
    st.sampled_from([None, "ann", "bob", "eve"]),
    st.sampled_from(["voice", "chat"]),
)
ages = st.integers(0, 49 * HOUR) | st.integers(0, 99 * DAY) | st.integers(0, 2 * HOUR)
tallies = st.dictionaries(
    st.tuples(ages.map(pane), cells),
    st.builds(answered, st.integers(1, 3), st.sampled_from([0, 7, 90_000])),
    max_size=6,
)
queries = st.tuples(
    st.sampled_from(WINDOWS),
    st.sampled_from(["all", "queue", "agent", "queue,channel"]),
    st.sampled_from([0, 10 * SECOND, 3 * HOUR, 30 * HOUR]),
)


METRICS = ("answered", "active_agents", "handle_time_seconds")


def ms_of_rfc3339(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def brute_force(center: SmallCenter, by: str, start: int, end: int) -> dict[str, tuple[Tally, set[str]]]:
    expected: dict[str, tuple[Tally, set[str]]] = {}
    for (index, where), tally in center.tallies.items():
        if start <= index * FINE_MS < end and any(tally.values()):
            field = row_field(() if by == "all" else tuple(by.split(",")), where)
            total, agents = expected.setdefault(parse_row_field(field)[1], ({}, set()))
            for number, value in tally.items():
                total[number] = total.get(number, 0) + value
            if tally[NUMBER["answered"]] and where[3]:
                agents.add(where[3])
    return expected


def check_readings(reader: MetricsReader, center: SmallCenter, window: str, by: str, age: int) -> None:
    query = MetricQuery(now=NOW, metrics=METRICS, windows=(window,), by=by, stat=None, at=NOW - age)
    readings = reader.readings(query)
    if age > DAY and window not in ("24h", "7d", "30d", "90d"):
        assert [reading.value for reading in readings] == ([None] * 3 if by == "all" else [])
        return
    keys = {reading.key for reading in readings}
    for reading in readings:
        expected_by_key = brute_force(center, by, ms_of_rfc3339(reading.from_), ms_of_rfc3339(reading.to))
        assert keys == expected_by_key.keys() | ({""} if by == "all" else set())
        tally, agents = expected_by_key.get(reading.key, ({}, set()))
        counts = TallyCounts(tally)
        handled = counts["handle_ms"] / 1000 / counts["handle_n"] if counts["handle_n"] else None
        expected = {"answered": counts["answered"], "active_agents": len(agents)}
        assert reading.value == expected.get(reading.metric, handled)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(tallies, st.lists(queries, max_size=3)), max_size=5))
async def test_brought_up_to_date_it_equals_brute_force_and_a_new_one(
    steps: list[tuple[PaneTallies, list[tuple[str, str, int]]]],
) -> None:
    center = SmallCenter()
    await center.beat(NOW)
    reader = MetricsReader(center.store, SETTINGS)
    queries_so_far: list[tuple[str, str, int]] = []
    for added, questions in steps:
        await center.add(added)
        await reader.refresh(NOW)
        queries_so_far += questions
        for question in queries_so_far:
            check_readings(reader, center, *question)
    await reader.refresh(NOW)
    anew = await new_reader(center)
    for by in ("all", "queue", "agent", "queue,channel"):
        query = MetricQuery(now=NOW, metrics=METRICS, windows=WINDOWS, by=by, stat="*")
        assert reader.readings(query) == anew.readings(query)


async def test_what_is_taken_back_is_gone() -> None:
    center = SmallCenter()
    await center.beat(NOW)
    reader = await new_reader(center)
    await center.add({(pane(MINUTE), cell()): answered(2)})
    await reader.refresh(NOW)
    assert single_reading(reader, "answered", by="queue", key="billing").value == 2
    assert single_reading(reader, "active_agents", "7d").value == 1
    await center.add({(pane(MINUTE), cell()): {number: -value for number, value in answered(2).items()}})
    await reader.refresh(NOW)
    assert reader.readings(MetricQuery(now=NOW, metrics=("answered",), by="queue")) == []
    assert single_reading(reader, "answered").value == 0
    assert single_reading(reader, "active_agents", "7d").value == 0


# One moment.


class PagedStore(MemoryStore):
    """A store that returns changes one pane at a time and calls `on_page` after each."""

    on_page: Callable[[], None] = staticmethod(lambda: None)  # type: ignore[assignment]
    _pages: list[StoreChanges]

    def __init__(self) -> None:
        super().__init__()
        self._pages = []

    async def changes(self, since: ChangeCursor | None, *, positions: bool = False) -> StoreChanges:
        if not self._pages:
            whole = await super().changes(since, positions=positions)
            empty = whole._replace(reset=False, panes=[])
            parts = [empty._replace(more=True, panes=[pane_change]) for pane_change in whole.panes]
            self._pages = [*parts, empty]
            self._pages[0] = self._pages[0]._replace(reset=whole.reset)
        self.on_page()
        return self._pages.pop(0)


@pytest.mark.parametrize("first", [True, False])
async def test_half_a_moment_is_never_seen(first: bool) -> None:
    store = PagedStore()
    center = SmallCenter(store)
    await center.beat(NOW)
    reader = MetricsReader(store, SETTINGS)
    if not first:
        await center.add({(pane(HOUR), cell()): answered(5)})
        await reader.refresh(NOW)
    await center.add({(pane(MINUTE), cell()): answered(), (pane(2 * MINUTE), cell()): answered()})
    values: list[float | None] = []
    store.on_page = lambda: values.append(single_reading(reader, "answered", "4h").value)
    await reader.refresh(NOW)
    assert len(values) > 3
    assert set(values) == ({None} if first else {5})
    assert single_reading(reader, "answered", "4h").value == (2 if first else 7)


async def test_what_fails_half_way_leaves_what_was_there() -> None:
    store = PagedStore()
    center = SmallCenter(store)
    await center.beat(NOW)
    await center.add({(pane(MINUTE), cell()): answered()})
    reader = MetricsReader(store, SETTINGS)
    await reader.refresh(NOW)
    await center.add({(pane(MINUTE), cell()): answered(), (pane(2 * MINUTE), cell()): answered()})
    calls: list[int] = []

    def fail_at_the_third() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise ConnectionError

    store.on_page = fail_at_the_third
    with pytest.raises(ConnectionError):
        await reader.refresh(NOW)
    assert single_reading(reader, "answered").value == 1
    store._pages = []
    await reader.refresh(NOW)
    assert single_reading(reader, "answered").value == 3


class TwoStepStore(MemoryStore):
    """A store in which a commit arrives between two steps of a read; the second step returns it."""

    between: Callable[[], Coroutine[None, None, None]] | None = None

    async def changes(self, since: ChangeCursor | None, *, positions: bool = False) -> StoreChanges:
        changes = await super().changes(since, positions=positions)
        between, self.between = self.between, None
        if between is None:
            return changes
        await between()
        return changes._replace(more=True)


@pytest.mark.parametrize("first", [True, False])
async def test_a_pane_that_changes_while_it_is_read_is_counted_once(first: bool) -> None:
    store = TwoStepStore()
    center = SmallCenter(store)
    await center.beat(NOW)
    reader = MetricsReader(store, SETTINGS)
    if not first:
        await center.add({(pane(MINUTE), cell()): answered(1000)})
        await reader.refresh(NOW)
    await center.add({(pane(MINUTE), cell()): answered(1), (pane(HOUR), cell()): answered(10)})
    store.between = lambda: center.add({(pane(MINUTE), cell()): answered(100)})
    await reader.refresh(NOW)
    assert single_reading(reader, "answered", "4h").value == (111 if first else 1111)
    assert single_reading(reader, "answered", "7d").value == (111 if first else 1111)


async def test_merged_deltas_are_counted_once() -> None:
    center = SmallCenter()
    await center.beat(NOW)
    reader = MetricsReader(center.store, SETTINGS)
    for _ in range(3):
        await center.add({(pane(MINUTE), cell()): answered(1)})
        await reader.refresh(NOW)
        await center.add({(pane(MINUTE), cell("sales", "bob")): answered(1)})
        for family in MERGE:
            await center.store.compact((family, pane(MINUTE) // 360), MERGE[family])
    await reader.refresh(NOW)
    assert single_reading(reader, "answered").value == 6
    assert single_reading(reader, "answered", "7d", by="queue", key="sales").value == 3
    assert single_reading(reader, "active_agents", "7d").value == 2


async def test_another_history_is_read_from_its_beginning() -> None:
    store = MemoryStore()
    center = SmallCenter(store)
    await center.beat(NOW)
    await center.add({(pane(MINUTE), cell()): answered(5)})
    reader = MetricsReader(store, SETTINGS)
    await reader.refresh(NOW)
    after = SmallCenter()
    await after.beat(NOW)
    await after.add({(pane(MINUTE), cell()): answered(1)})
    store.__dict__.update(after.store.__dict__)
    store.data.nonces[-1] = b"another"
    await reader.refresh(NOW)
    assert single_reading(reader, "answered").value == 1


# No data is not zero.


@pytest.mark.parametrize(
    ("sentence", "beat", "window", "age", "expected"),
    [
        ("no worker ever spoke", None, "1h", 0, None),
        ("fresh: nothing happened", 0, "1h", 0, 0),
        ("a minute old", MINUTE, "1h", 0, 0),
        ("older: not known", MINUTE + 1, "1h", 0, None),
        ("older, but an hour ago all was known", MINUTE + 1, "1h", HOUR, 0),
        ("never caught up", NOW, "1h", 0, None),
        ("a window that has no data", 0, "1h", DAY + 1, None),
    ],
)
async def test_a_count_of_nothing(
    sentence: str, beat: int | None, window: str, age: int, expected: int | None
) -> None:
    center = SmallCenter()
    if beat is not None:
        await center.beat(NOW - beat)
    reader = await new_reader(center)
    reading = single_reading(reader, "answered", window, at=NOW - age)
    assert (reading.value, reading.support) == (expected, 0), sentence


@pytest.mark.parametrize(
    ("sentence", "ahead_ms", "age_s"),
    [("a little ahead: read without delay", 5_000, 0), ("from the future: none", 5_001, None)],
)
async def test_a_heartbeat_from_the_future_is_none(sentence: str, ahead_ms: int, age_s: float | None) -> None:
    center = SmallCenter()
    await center.beat(NOW + ahead_ms)
    reader = await new_reader(center)
    assert reader.data_age_s(NOW) == age_s, sentence


async def test_freshness_is_that_of_the_slowest_partition() -> None:
    center = SmallCenter()
    reader = await new_reader(center)
    assert reader.data_age_s(NOW) is None
    await center.store.beat(
        {PARTITION: Heartbeat(NOW, 0, NOW), Partition("t", 1): Heartbeat(NOW - 2_500, 3, NOW)}
    )
    await reader.refresh(NOW)
    assert reader.data_age_s(NOW) == 2.5
    assert reader.data_age_s(NOW - HOUR) == 0


async def test_a_key_without_data_has_one_reading_without_a_value() -> None:
    center = SmallCenter()
    await center.beat(NOW)
    reader = await new_reader(center)
    assert single_reading(reader, "nps_score", by="queue", key="nobody").value is None
    assert single_reading(reader, "contacts", by="queue", key="nobody").value == 0


# Zones and moments.


async def test_all_sums_each_queues_own_today() -> None:
    center = SmallCenter()
    await center.beat(NOW)
    zone_settings = {"tokyo": {"timezone": "Asia/Tokyo"}}
    early, late = pane(11 * HOUR), pane(9 * HOUR)  # 23:00 and 01:00 UTC; Tokyo's day began at 15:00 UTC
    await center.add({(early, cell("tokyo")): answered(), (early, cell("madrid", "bob")): answered(10)})
    await center.add({(late, cell("tokyo")): answered(100), (late, cell("madrid", "bob")): answered(1000)})
    reader = MetricsReader(center.store, Settings(timezone="UTC", queues=zone_settings))  # type: ignore[arg-type]
    await reader.refresh(NOW)
    today = {
        reading.key: reading
        for reading in reader.readings(
            MetricQuery(now=NOW, metrics=("answered",), windows=("today",), by="queue")
        )
    }
    assert (today["tokyo"].value, today["tokyo"].from_) == (101, "2026-11-20T15:00:00Z")
    assert (today["madrid"].value, today["madrid"].from_) == (1000, "2026-11-21T00:00:00Z")
    everywhere = single_reading(reader, "answered", "today")
    assert (everywhere.value, everywhere.from_) == (1101, "2026-11-20T15:00:00Z")
    assert single_reading(reader, "active_agents", "today").value == 2


async def test_fcr_matures_and_becomes_final() -> None:
    center = SmallCenter()
    await center.beat(NOW)
    await center.add({(pane(8 * DAY), cell()): answered(3), (pane(6 * DAY), cell()): answered(1)})
    reader = await new_reader(center)
    assert single_reading(reader, "fcr_maturity_ratio", "30d").value == 0.75
    assert single_reading(reader, "fcr_ratio", "30d").support == 4
    assert single_reading(reader, "fcr_ratio", "24h").value is None
    final = single_reading(reader, "fcr_final_ratio", "7d")
    assert (final.support, final.from_, final.to) == (3, "2026-11-07T10:00:00Z", "2026-11-14T10:00:00Z")


async def test_work_is_measured_over_the_time_that_has_passed() -> None:
    center = SmallCenter()
    await center.beat(NOW)
    await center.add({(pane(MINUTE), cell()): answered(1, 606_000)})
    reader = await new_reader(center)
    assert single_reading(reader, "workload_erlangs", "5m").value == 2.0  # 303 s: 09:55:00 to 10:00:03


async def test_history_has_a_reading_at_each_step() -> None:
    center = SmallCenter()
    await center.beat(NOW)
    await center.add({(pane(age * MINUTE), cell()): answered() for age in range(1, 200)})
    reader = await new_reader(center)
    query = MetricQuery(now=NOW, metrics=("answered",), windows=("15m",), by="queue", key="billing")
    first, step = NOW - 2 * HOUR, 5 * MINUTE
    points = reader.history(query, first, NOW, step)
    moments = range(first, NOW + 1, step)
    expected = [single_reading(reader, "answered", "15m", by="queue", key="billing", at=at) for at in moments]
    assert points == expected
    assert len(points) == 25


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ({"metrics": ("nps",)}, "metric = 'nps': did you mean nps_score?"),
        ({"windows": ("2h",)}, "window = '2h': expected one of now, 5m, 15m, "),
        ({"by": "city"}, "by = 'city': expected one of all, site, "),
        (
            {"metrics": ("handle_time_seconds",), "stat": "p1"},
            "stat of handle_time_seconds = 'p1': expected one of mean",
        ),
        ({"stat": "p1"}, "stat = 'p1': expected a stat of one of the metrics"),
        (
            {"metrics": ("abandon_ratio",), "by": "agent"},
            "by = 'agent': abandon_ratio cannot be read by agent",
        ),
        ({"key": "billing"}, "key = 'billing': expected no key, since by is all"),
        ({"at": NOW + DAY + 1}, "at: expected a time between"),
    ],
)
async def test_a_wrong_question(question: dict[str, object], error: str) -> None:
    reader = await new_reader(SmallCenter())
    with pytest.raises(QueryError, match=f"^{error}"):
        reader.readings(MetricQuery(now=NOW, **question))  # type: ignore[arg-type]


async def test_all_metrics_are_those_that_can_be_read_so() -> None:
    center = SmallCenter()
    await center.beat(NOW)
    await center.add({(pane(MINUTE), cell()): answered()})
    reader = await new_reader(center)
    windows = ("now", "1h")
    by_agent = {
        reading.metric for reading in reader.readings(MetricQuery(now=NOW, by="agent", windows=windows))
    }
    unread = {
        "abandon_ratio",
        "waiting",
        "longest_wait_seconds",
        "waiting_over_target",
        "expected_wait_seconds",
        "answer_ratio",
        "service_level_ratio",
        "fcr_ratio",
        "fcr_maturity_ratio",
        "fcr_final_ratio",
    }
    assert by_agent == CATALOGUE.keys() - unread


async def test_numbers_that_mean_something_else_are_not_read() -> None:
    center = SmallCenter()
    await center.add({(pane(MINUTE), cell()): answered()})
    reader = await new_reader(center)
    await center.store.set_rules(encode_rules(CountingRules(fcr_ms=3 * DAY, dimension_pairs=PAIRS)))
    await center.add({(pane(MINUTE), cell()): answered()})
    with pytest.raises(CountingRulesMismatch, match="fcr_ms: stored 259200000, set 604800000"):
        await reader.refresh(NOW)
    assert [reading.value for reading in reader.readings(MetricQuery(now=NOW, metrics=("answered",)))] == [1]
