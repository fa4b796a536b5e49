"""An interval report equals the oracle, interval by interval, in whatever zone, grouping and length."""

from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.events.counting_rules import DAY, HOUR, MINUTE
from streamer.events.models import Event
from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.tally import FIRST_BUCKET_OF, NUMBER, Tally
from streamer.panes.calendar_intervals import calendar_panes, moment_ms
from streamer.panes.pane_keys import FINE_MS, parse_key
from streamer.readings.interval_report import IntervalQuery, IntervalReading
from streamer.readings.query import MetricQuery, QueryError
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from tests import oracle, strategies
from tests.oracle import Counts
from tests.readings.small_center import NOW, SmallCenter, answered, cell, new_reader, pane
from tests.test_oracle import SLOW

END = strategies.START + 23 * DAY + 5 * HOUR
METRICS = (
    "answered",
    "nps_score",
    "handle_time_seconds",
    "active_agents",
    "workload_erlangs",
    "repeat_ratio",
    "response_ratio",
)
OF_WEEKS = ("fcr_ratio", "fcr_maturity_ratio", "fcr_final_ratio")
GROUPINGS = ("all", "queue", "agent", "queue,channel")


def tally_of(counts: Counts) -> Tally:
    names = ((name.partition(":"), amount) for name, amount in counts.items())
    return {
        FIRST_BUCKET_OF[stem] + int(bucket) if bucket else NUMBER[stem]: amount
        for (stem, _, bucket), amount in names
    }


def ms_of(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@settings(SLOW, max_examples=12)
@given(
    strategies.events(max_facts=8),
    st.sampled_from(GROUPINGS),
    st.sampled_from(("1h", "1d", "1w", "1mo")),
    st.sampled_from(("UTC", "Europe/Madrid", "Asia/Kolkata")),
)
async def test_each_interval_is_what_the_oracle_says(
    events: list[Event], by: str, interval: str, zone: str
) -> None:
    reader_settings = Settings(
        dimension_pairs=["queue,channel"], timezone=zone, queues={"billing": {"timezone": "Asia/Tokyo"}}
    )
    rules, center = reader_settings.counting_rules(), SmallCenter(now=END)
    await center.add({place: tally_of(counts) for place, counts in oracle.tallies(events, rules).items()})
    await center.beat(END)
    reader = MetricsReader(center.store, reader_settings)
    await reader.refresh(END)
    start = strategies.START + (7 * DAY - 2 * HOUR if interval == "1h" else -3 * DAY)
    end = strategies.START + 7 * DAY + 3 * HOUR if interval == "1h" else END
    metrics = METRICS + (OF_WEEKS if interval in ("1w", "1mo") else ())
    query = IntervalQuery(
        metrics=MetricQuery(now=END, by=by, metrics=metrics), interval=interval, start=start, end=end
    )
    windows: dict[oracle.Window, list[IntervalReading]] = {}
    for reading in reader.intervals(query):
        key = () if by == "all" else tuple(parse_key(reading.key, by.count(",") + 1) or ())
        shift_ms = reader.spans.ms(CATALOGUE[reading.metric].windows.shift)
        edges = ms_of(reading.from_) + shift_ms, min(ms_of(reading.to), END) + shift_ms
        place = oracle.Window(*edges, END, () if by == "all" else tuple(by.split(",")), key)
        windows.setdefault(place, []).append(reading)
        is_over = edges[1] <= END and ms_of(reading.to) != END
        assert reading.complete == is_over if not shift_ms else is_over or not reading.complete
    with_counts = [window for window, readings in windows.items() if any(each.support for each in readings)]
    for window in [*with_counts[:6], *windows][:8]:
        readings = windows[window]
        expected_figures = oracle.readings(events, rules, window)
        for reading in readings:
            expected = expected_figures.get((reading.metric, reading.stat))
            if expected is None or CATALOGUE[reading.metric].placed == "as it passes":
                assert not reading.complete or CATALOGUE[reading.metric].placed == "as it passes"
                continue
            if CATALOGUE[reading.metric].windows.shift and window.end > END:
                expected = oracle.Reading(None, 0)  # its answers may still come
            within = 0.02 if reading.stat.startswith(("p", "max")) and reading.stat != "positive" else 1e-9
            value = expected.value and pytest.approx(expected.value, rel=within)
            assert (reading.value, reading.support) == (value, expected.support), (reading, window)


@pytest.mark.parametrize(
    ("sentence", "interval", "zone", "start", "end", "edges"),
    [
        ("the day the clock goes forward has 23 hours", "1d", "Europe/Madrid", "2026-03-28", "2026-03-31",
         ["27 23:00", "28 23:00", "29 22:00", "30 22:00"]),
        ("the day it goes back has 25", "1d", "Europe/Madrid", "2026-10-25", "2026-10-27",
         ["24 22:00", "25 23:00", "26 23:00"]),
        ("weeks begin on Monday", "1w", "UTC", "2026-11-18", "2026-11-24",
         ["16 00:00", "23 00:00", "30 00:00"]),
        ("months have their own length", "1mo", "UTC", "2026-01-31", "2026-03-01",
         ["01 00:00", "01 00:00", "01 00:00"]),
        ("where a day begins at half past, edges snap back", "1d", "Asia/Kolkata", "2026-11-20", "2026-11-22",
         ["19 18:00", "20 18:00", "21 18:00"]),
        ("quarters are the local clock's", "15m", "Asia/Kathmandu", "2026-11-20", "2026-11-20T00:20+05:45",
         ["19 18:15", "19 18:30", "19 18:45"]),
        ("half hours too", "30m", "Asia/Kathmandu", "2026-11-20", "2026-11-20T00:20+05:45",
         ["19 18:15", "19 18:45"]),
        ("an hour goes by itself twice", "1h", "Europe/Madrid", "2026-10-25T02:30+02:00",
         "2026-10-25T02:30+01:00", ["25 00:00", "25 01:00", "25 02:00"]),
    ],
)  # fmt: skip
def test_edges(sentence: str, interval: str, zone: str, start: str, end: str, edges: list[str]) -> None:
    start_ms, end_ms = (
        moment_ms(ms_of(text) if "T" in text else date.fromisoformat(text), ZoneInfo(zone))
        for text in (start, end)
    )
    panes = calendar_panes(interval, start_ms, end_ms, ZoneInfo(zone))
    assert all(earlier.last == later.first for earlier, later in pairwise(panes))
    found = [panes[0].start_ms, *(each.end_ms for each in panes)]
    assert [f"{datetime.fromtimestamp(ms / 1000, UTC):%d %H:%M}" for ms in found] == edges, sentence


def ask(
    reader: MetricsReader, metric: str, interval: str, start: int | date, **more: object
) -> list[float | None]:
    metrics = MetricQuery(now=NOW, metrics=(metric,), **more)  # type: ignore[arg-type]
    query = IntervalQuery(metrics=metrics, interval=interval, start=start, end=NOW)
    return [reading.value for reading in reader.intervals(query)]


async def test_quarters_are_of_10_s_and_the_same_agent_counts_once_in_a_longer_interval() -> None:
    center = SmallCenter()
    await center.beat(NOW)
    quarter = NOW // (15 * MINUTE) * 15 * MINUTE // FINE_MS
    await center.add({(quarter - 1, cell()): answered(2), (quarter, cell("sales")): answered(5)})
    reader = await new_reader(center)
    assert ask(reader, "answered", "15m", NOW - 15 * MINUTE) == [2, 5]
    assert ask(reader, "answered", "30m", NOW - 15 * MINUTE) == [2, 5]
    assert ask(reader, "answered", "15m", NOW - 15 * MINUTE, by="queue") == [2, 0, 0, 5]
    assert ask(reader, "active_agents", "1h", NOW - 15 * MINUTE) == [1, 1]
    assert ask(reader, "active_agents", "1d", NOW - 15 * MINUTE) == [1]


async def test_where_retention_begins_an_interval_is_marked() -> None:
    center = SmallCenter()
    await center.beat(NOW)
    await center.add({(pane(99 * DAY), cell()): answered(3)})
    query = IntervalQuery(
        metrics=MetricQuery(now=NOW, metrics=("answered",)), interval="1d", start=date(2020, 1, 1), end=NOW
    )
    first, second, *_, last = (await new_reader(center)).intervals(query)
    assert (first.from_, first.to, first.complete) == ("2026-08-13T10:00:00Z", "2026-08-14T00:00:00Z", False)
    assert (second.value, second.complete, last.complete) == (3, True, False)


@pytest.mark.parametrize(
    ("metric", "interval", "start", "message"),
    [
        ("waiting", "1d", NOW - DAY, "metric = 'waiting': what is going on now belongs to no interval"),
        ("fcr_ratio", "1d", NOW - DAY, "interval = '1d': fcr_ratio is read by 1w, 1mo"),
        ("answered", "2h", NOW - DAY, "interval = '2h': expected one of 15m, 30m, 1h, 1d, 1w, 1mo"),
        ("answered", "15m", NOW - 50 * HOUR - MINUTE, "from: expected a time since 2026-11-19T08:00:00Z"),
        ("answered", "1d", NOW + HOUR, "from, to: expected from < to, and from before now"),
        ("offered", "1h", date(2020, 1, 1), "interval = '1h': expected at most 100000 readings, not 50"),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_said(
    metric: str, interval: str, start: int | date, message: str
) -> None:
    center = SmallCenter()
    await center.add({(pane(HOUR), cell(f"queue {number}")): answered() for number in range(50)})
    with pytest.raises(QueryError) as raised:
        ask(await new_reader(center), metric, interval, start, by="all" if metric != "offered" else "queue")
    assert str(raised.value).startswith(message)
