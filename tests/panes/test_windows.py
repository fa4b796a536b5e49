"""Windows: the panes that each one covers, on both sides of each boundary."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from streamer.events.counting_rules import DAY, HOUR, MINUTE, SECOND
from streamer.panes.windows import (
    LENGTHS_MS,
    TODAY,
    WINDOWS,
    PaneRange,
    QueryClock,
    WindowShift,
    local_midnight_ms,
    week_before_panes,
    week_earlier_ms,
    window_length_ms,
    window_panes,
)

NOW = 1_795_255_203_000  # 2026-11-21T10:00:03Z


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def edges(panes: PaneRange | None) -> tuple[str, str, str] | None:
    if panes is None:
        return None
    start, end = (datetime.fromtimestamp(edge / 1000, UTC) for edge in (panes.start_ms, panes.end_ms))
    return panes.family, f"{start:%d %H:%M:%S}", f"{end:%d %H:%M:%S}"


def test_the_windows_are_those_of_the_contract() -> None:
    assert WINDOWS == ("5m", "15m", "30m", "1h", "4h", "today", "24h", "7d", "30d", "90d")


@pytest.mark.parametrize(
    ("sentence", "window", "at", "expected"),
    [
        ("edges snap outward to 10 s", "5m", "2026-11-21T10:00:03Z", ("fine", "21 09:55:00", "21 10:00:10")),
        ("edges on the grid stay", "5m", "2026-11-21T10:00:00Z", ("fine", "21 09:55:00", "21 10:00:00")),
        ("just past the grid", "5m", "2026-11-21T10:00:00.001Z", ("fine", "21 09:55:00", "21 10:00:10")),
        ("just before it", "5m", "2026-11-21T09:59:59.999Z", ("fine", "21 09:54:50", "21 10:00:00")),
        ("24 h is fine now", "24h", "2026-11-21T10:00:03Z", ("fine", "20 10:00:00", "21 10:00:10")),
        ("fine a day back", "1h", "2026-11-20T10:00:03Z", ("fine", "20 09:00:00", "20 10:00:10")),
        ("24 h a day back", "24h", "2026-11-20T10:00:03Z", ("fine", "19 10:00:00", "20 10:00:10")),
        (
            "24 h further back: hours",
            "24h",
            "2026-11-20T10:00:02.999Z",
            ("long", "19 10:00:00", "20 11:00:00"),
        ),
        ("shorter further back: none", "4h", "2026-11-20T10:00:02.999Z", None),
        ("today further back: none", "today", "2026-11-20T10:00:02.999Z", None),
        ("today a day back", "today", "2026-11-20T10:00:03Z", ("fine", "20 00:00:00", "20 10:00:10")),
        ("today from midnight", "today", "2026-11-21T10:00:03Z", ("fine", "21 00:00:00", "21 10:00:10")),
        (
            "today at midnight is empty",
            "today",
            "2026-11-21T00:00:00Z",
            ("fine", "21 00:00:00", "21 00:00:00"),
        ),
        ("7 d in whole hours", "7d", "2026-11-21T10:00:03Z", ("long", "14 10:00:00", "21 11:00:00")),
        ("7 d on the hour", "7d", "2026-11-21T10:00:00Z", ("long", "14 10:00:00", "21 10:00:00")),
        ("just past the hour", "7d", "2026-11-21T10:00:00.001Z", ("long", "14 10:00:00", "21 11:00:00")),
        ("just before it", "7d", "2026-11-21T09:59:59.999Z", ("long", "14 09:00:00", "21 10:00:00")),
        ("the future is fine", "5m", "2026-11-21T10:02:00Z", ("fine", "21 09:57:00", "21 10:02:00")),
        ("the oldest hour kept", "90d", "2026-11-11T10:00:00Z", ("long", "13 10:00:00", "11 10:00:00")),
        ("older than kept", "90d", "2026-11-11T09:59:59Z", None),
    ],
)
def test_a_window(sentence: str, window: str, at: str, expected: tuple[str, str, str] | None) -> None:
    assert edges(window_panes(window, ms(at), QueryClock(NOW))) == expected, sentence


@pytest.mark.parametrize("window", LENGTHS_MS)
@pytest.mark.parametrize(
    ("sentence", "off_ms"), [("on the hour", 0), ("1 ms later", 1), ("1 ms earlier", -1)]
)
def test_a_window_is_half_open_and_holds_all_of_its_length(window: str, sentence: str, off_ms: int) -> None:
    at_ms = ms("2026-11-21T10:00Z") + off_ms
    start_ms = at_ms - window_length_ms(window)
    panes = window_panes(window, at_ms, QueryClock(NOW))
    assert panes is not None
    width = panes.end_ms // panes.last
    assert panes.first == start_ms // width, "the instant at its start belongs to it"
    assert panes.last == (at_ms - 1) // width + 1, "the instant before its end is the last that does"


def test_windows_that_follow_each_other_on_the_grid_share_no_pane() -> None:
    for window in ("5m", "1h", "4h", "7d"):
        later = window_panes(window, ms("2026-11-21T10:00Z"), QueryClock(NOW))
        earlier = window_panes(window, ms("2026-11-21T10:00Z") - window_length_ms(window), QueryClock(NOW))
        assert later is not None
        assert earlier is not None
        assert earlier.last == later.first


WEEK_BEFORE = WindowShift(7 * DAY, hours=True)
DAY_BEFORE = WindowShift(DAY, hours=False)


@pytest.mark.parametrize(
    ("sentence", "window", "at", "shift", "expected"),
    [
        (
            "final: ends N days before, never younger",
            "24h",
            NOW,
            WEEK_BEFORE,
            ("long", "13 10:00:00", "14 10:00:00"),
        ),
        ("final: not below 24 h", "4h", NOW, WEEK_BEFORE, None),
        ("final: not today", "today", NOW, WEEK_BEFORE, None),
        ("final: 90 d still kept", "90d", NOW, WEEK_BEFORE, ("long", "16 10:00:00", "14 10:00:00")),
        ("final: 90 d no longer kept", "90d", NOW, WindowShift(11 * DAY, hours=True), None),
        ("cohort: fine", "1h", NOW, DAY_BEFORE, ("fine", "20 09:00:00", "20 10:00:00")),
        ("cohort: 24 h fine", "24h", NOW, DAY_BEFORE, ("fine", "19 10:00:00", "20 10:00:00")),
        ("cohort: today", "today", NOW, DAY_BEFORE, ("fine", "20 00:00:00", "20 10:00:00")),
        ("cohort: 50 h back fine", "24h", NOW - 2 * HOUR, DAY_BEFORE, ("fine", "19 08:00:00", "20 08:00:00")),
        (
            "cohort: older in hours",
            "24h",
            NOW - 2 * HOUR - 1,
            DAY_BEFORE,
            ("long", "19 08:00:00", "20 08:00:00"),
        ),
        ("cohort: a week", "7d", NOW, DAY_BEFORE, ("long", "13 10:00:00", "20 10:00:00")),
        ("cohort: shorter further back: none", "1h", NOW - DAY - 1, DAY_BEFORE, None),
        ("cohort: today never in hours", "today", NOW, WindowShift(48 * HOUR, hours=False), None),
        (
            "cohort: long age in hours",
            "1h",
            NOW,
            WindowShift(72 * HOUR, hours=False),
            ("long", "18 09:00:00", "18 10:00:00"),
        ),
    ],
)
def test_a_shifted_window(
    sentence: str, window: str, at: int, shift: WindowShift, expected: tuple[str, str, str] | None
) -> None:
    assert edges(window_panes(window, at, QueryClock(NOW), shift=shift)) == expected, sentence


@pytest.mark.parametrize(
    ("sentence", "zone", "at", "start"),
    [
        ("summer", "Europe/Madrid", "2026-07-01T10:00Z", "2026-06-30T22:00Z"),
        ("the day the clock goes forward", "Europe/Madrid", "2026-03-29T10:00Z", "2026-03-28T23:00Z"),
        ("the day the clock goes back", "Europe/Madrid", "2026-10-25T22:59Z", "2026-10-24T22:00Z"),
        ("the day after it", "Europe/Madrid", "2026-10-25T23:00Z", "2026-10-25T23:00Z"),
        ("Cairo has no midnight that day", "Africa/Cairo", "2026-04-24T10:00Z", "2026-04-23T22:00Z"),
        ("just before Cairo's gap", "Africa/Cairo", "2026-04-23T21:59Z", "2026-04-22T22:00Z"),
        ("Havana has none either", "America/Havana", "2026-03-08T15:00Z", "2026-03-08T05:00Z"),
        ("Havana has two: the first", "America/Havana", "2026-11-01T15:00Z", "2026-11-01T04:00Z"),
        ("half hours", "Asia/Kolkata", "2026-11-21T10:00Z", "2026-11-20T18:30Z"),
    ],
)
def test_midnight(sentence: str, zone: str, at: str, start: str) -> None:
    assert local_midnight_ms(ms(at), ZoneInfo(zone)) == ms(start), sentence


def test_midnight_is_the_first_instant_of_the_day_in_all_zones() -> None:
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        for day in (date(2026, 1, 1) + timedelta(days) for days in range(365)):
            noon = round(datetime(day.year, day.month, day.day, 12, tzinfo=zone).timestamp() * 1000)
            first = local_midnight_ms(noon, zone)
            assert datetime.fromtimestamp(first / 1000, zone).date() == day, name
            assert datetime.fromtimestamp((first - 1) / 1000, zone).date() == day - timedelta(1), name


def test_a_day_with_25_hours_a_day_back_is_still_kept() -> None:
    zone = ZoneInfo("Europe/Madrid")
    now = ms("2026-10-26T22:59:59Z")
    panes = window_panes(TODAY, now - DAY, QueryClock(now), zone)
    assert panes is not None
    assert panes.end_ms - panes.start_ms == 25 * HOUR


def test_the_grid_is_10_s_and_an_hour() -> None:
    assert PaneRange("fine", 1, 2).end_ms - PaneRange("fine", 1, 2).start_ms == 10 * SECOND
    assert PaneRange("long", 1, 2).end_ms - PaneRange("long", 1, 2).start_ms == 60 * MINUTE


@pytest.mark.parametrize(
    ("sentence", "window", "at", "zone", "expected"),
    [
        ("the hours it touches", "1h", "2026-11-21T10:00:03Z", "UTC", ("long", "14 09:00:00", "14 11:00:00")),
        (
            "on the hour: that hour",
            "1h",
            "2026-11-21T10:00:00Z",
            "UTC",
            ("long", "14 09:00:00", "14 10:00:00"),
        ),
        ("within an hour", "5m", "2026-11-21T10:30:00Z", "UTC", ("long", "14 10:00:00", "14 11:00:00")),
        (
            "today: the same part",
            "today",
            "2026-11-21T10:00:03Z",
            "UTC",
            ("long", "14 00:00:00", "14 11:00:00"),
        ),
        ("today at midnight", "today", "2026-11-21T00:00:00Z", "UTC", ("long", "14 00:00:00", "14 00:00:00")),
        (
            "7 d: the seven before",
            "7d",
            "2026-11-21T10:00:03Z",
            "UTC",
            ("long", "07 10:00:00", "14 11:00:00"),
        ),
        (
            "the clock went back: 09:00 to 10:00 was an hour earlier in UTC",
            "1h",
            "2026-10-26T10:00:00+01:00",
            "Europe/Madrid",
            ("long", "19 07:00:00", "19 08:00:00"),
        ),
        (
            "the clock went forward",
            "1h",
            "2026-03-30T10:00:00+02:00",
            "Europe/Madrid",
            ("long", "23 08:00:00", "23 09:00:00"),
        ),
        (
            "today after the clock went back",
            "today",
            "2026-10-26T01:30:00+01:00",
            "Europe/Madrid",
            ("long", "18 22:00:00", "19 00:00:00"),
        ),
        (
            "half hours of a zone touch an hour more",
            "1h",
            "2026-11-21T10:00:00+05:30",
            "Asia/Kolkata",
            ("long", "14 03:00:00", "14 05:00:00"),
        ),
    ],
)
def test_the_same_hours_of_the_same_weekday_a_week_before(
    sentence: str, window: str, at: str, zone: str, expected: tuple[str, str, str]
) -> None:
    assert edges(week_before_panes(window, ms(at), QueryClock(ms(at)), ZoneInfo(zone))) == expected, sentence


def test_a_shifted_window_is_shifted_a_week_before_too() -> None:
    shift = WindowShift(24 * HOUR, hours=False)
    assert edges(week_before_panes("1h", NOW, QueryClock(NOW), UTC, shift)) == (
        "long",
        "13 09:00:00",
        "13 11:00:00",
    )


def test_nothing_is_kept_of_the_week_before_the_oldest() -> None:
    assert week_before_panes("1h", NOW - 92 * DAY, QueryClock(NOW)) is not None
    assert week_before_panes("1h", NOW - 93 * DAY, QueryClock(NOW)) is None


@pytest.mark.parametrize("zone", ["UTC", "Europe/Madrid", "Asia/Kolkata", "Australia/Lord_Howe"])
def test_a_week_earlier_the_clock_showed_the_same(zone: str) -> None:
    """The small hours are left out: a clock skips some of them."""
    for hours in range(366 * 24):
        at = NOW + hours * HOUR
        now = datetime.fromtimestamp(at // 1000, ZoneInfo(zone)).replace(tzinfo=None)
        then = datetime.fromtimestamp(week_earlier_ms(at, ZoneInfo(zone)) // 1000, ZoneInfo(zone))
        assert now.hour < 4 or then.replace(tzinfo=None) == now - timedelta(days=7)


@pytest.mark.parametrize(
    ("window", "back", "retention", "kept"),
    [
        ("90d", 0, 100 * DAY, True),
        ("90d", 10 * DAY + HOUR, 100 * DAY, False),
        ("90d", 10 * DAY + HOUR, 400 * DAY, True),
        ("7d", 393 * DAY, 400 * DAY, True),
        ("7d", 394 * DAY, 400 * DAY, False),
        ("90d", 0, 80 * DAY, False),
    ],
)
def test_a_window_has_data_as_far_back_as_hours_are_kept(
    window: str, back: int, retention: int, kept: bool
) -> None:
    assert (window_panes(window, NOW - back, QueryClock(NOW, retention)) is not None) == kept
