"""Readings of a view, their comparison, and views that are refused."""

import re
from itertools import pairwise
from typing import Any

import pytest

from streamer.events.counting_rules import DAY, HOUR, MINUTE
from streamer.metrics.tally import NUMBER, Tally
from streamer.readings.reader import MetricsReader
from streamer.settings import DEFAULT_TARGETS, Settings, SettingsError, ViewSettings, load_settings
from streamer.web.credentials import token_hash
from streamer.web.view_checks import check_targets, check_views
from streamer.web.wallboard import Tile, WallboardPage
from streamer.web.wallboard_view import WallboardView, history_step_ms
from tests.readings.small_center import NOW, SmallCenter, cell, pane

SETTINGS = Settings(dimension_pairs=["queue,channel"], timezone="Europe/Madrid")
NPS = ViewSettings(tiles=["nps_score"])
WEEK = 7 * DAY


def surveyed(promoters: int, detractors: int = 0) -> Tally:
    return {NUMBER["nps_10"]: promoters, NUMBER["nps_0"]: detractors}


async def wallboard_view(
    center: SmallCenter, view: ViewSettings = NPS, guarded: bool = False, settings: Settings = SETTINGS
) -> WallboardView:
    await center.beat(NOW)
    reader = MetricsReader(center.store, settings)
    await reader.refresh(NOW)
    return WallboardView(reader, settings, view, guarded)


def only_tile(pages: list[WallboardPage]) -> Tile:
    ((shown,),) = (page.tiles for page in pages)
    return shown


@pytest.mark.parametrize(
    ("sentence", "ago", "support"),
    [
        ("the hour that ends a week ago", WEEK + 30 * MINUTE, 40),
        ("the whole of the hour it began in", WEEK + 59 * MINUTE, 40),
        ("and of the hour it ends in", WEEK - 59 * MINUTE, 40),
        ("not the hour after", WEEK - 61 * MINUTE, None),
        ("not the hour before", WEEK + 61 * MINUTE, None),
        ("not the day before", WEEK - DAY + 30 * MINUTE, None),
        ("not two weeks ago", 2 * WEEK + 30 * MINUTE, None),
    ],
)
async def test_last_week(sentence: str, ago: int, support: int | None) -> None:
    center = SmallCenter()
    await center.add({(pane(ago), cell()): surveyed(40), (pane(MINUTE), cell()): surveyed(5, 35)})
    shown = only_tile((await wallboard_view(center)).read_pages(NOW))
    assert (shown.last_week and shown.last_week.support) == support, sentence
    assert shown.trend == ("down" if support else "unknown"), sentence


@pytest.mark.parametrize(
    ("sentence", "ago", "of_vip", "of_all"),
    [
        ("before midnight in Manila, at 16:00 UTC", WEEK + 18 * HOUR + 5 * MINUTE, False, False),
        ("after it, and before midnight in Madrid, at 23:00 UTC", WEEK + 17 * HOUR, True, False),
        ("after both", WEEK + 10 * HOUR, True, True),
    ],
)
async def test_today_a_week_ago_is_by_the_clock_of_the_queue(
    sentence: str, ago: int, of_vip: bool, of_all: bool
) -> None:
    own = Settings.model_validate(
        {"timezone": "Europe/Madrid", "queues": {"vip": {"timezone": "Asia/Manila"}}}
    )
    center = SmallCenter()
    await center.add({(pane(ago), cell("vip")): surveyed(40), (pane(MINUTE), cell("vip")): surveyed(40)})
    for queues, expected in ((["vip"], of_vip), ([], of_all)):
        view = ViewSettings(tiles=["nps_score"], queues=queues, window="today")
        shown = only_tile((await wallboard_view(center, view, settings=own)).read_pages(NOW))
        assert (shown.last_week is not None) == expected, (sentence, queues)


async def test_history_is_what_was_read_then() -> None:
    center = SmallCenter()
    await center.add({(pane(3 * HOUR), cell()): surveyed(20), (pane(MINUTE), cell()): surveyed(0, 20)})
    history = only_tile((await wallboard_view(center)).read_pages(NOW)).history
    assert len(history) == 60
    times = [at for at, _ in history]
    assert times[-1] == NOW
    assert {later - at for at, later in pairwise(times[:-1])} == {4 * MINUTE}
    assert NOW - 4 * HOUR < times[0] < NOW - 4 * HOUR + 8 * MINUTE
    assert [value for at, value in history if at < NOW - 3 * HOUR] == [None] * 14
    assert {value for at, value in history if NOW - 3 * HOUR < at < NOW - 2 * HOUR} == {100}
    assert history[-1][1] == -100


async def test_what_came_late_is_in_history_after_a_minute() -> None:
    center = SmallCenter()
    await center.add({(pane(MINUTE), cell()): surveyed(20)})
    await center.beat(NOW)
    reader = MetricsReader(center.store, SETTINGS)
    await reader.refresh(NOW)
    one = WallboardView(reader, SETTINGS, NPS, as_viewer=False)
    before = only_tile(one.read_pages(NOW)).history
    await center.add({(pane(3 * HOUR), cell()): surveyed(20)})
    await reader.refresh(NOW)
    assert only_tile(one.read_pages(NOW + 10_000)).history[:-1] == before[:-1]
    assert {value for _, value in only_tile(one.read_pages(NOW + MINUTE)).history[:-1]} == {None, 100}


async def test_before_all_was_read_nothing_is_kept() -> None:
    center = SmallCenter()
    await center.add({(pane(WEEK + 30 * MINUTE), cell()): surveyed(40), (pane(MINUTE), cell()): surveyed(40)})
    reader = MetricsReader(center.store, SETTINGS)
    one = WallboardView(reader, SETTINGS, NPS, as_viewer=False)
    assert only_tile(one.read_pages(NOW)).state == "no_data"
    await center.beat(NOW)
    await reader.refresh(NOW)
    assert only_tile(one.read_pages(NOW)).last_week is not None


@pytest.mark.parametrize(
    ("window", "step"),
    [
        ("5m", 4 * MINUTE),
        ("1h", 4 * MINUTE),
        ("4h", 4 * MINUTE),
        ("today", 4 * MINUTE),
        ("24h", 24 * MINUTE),
        ("7d", 3 * HOUR),
        ("30d", 12 * HOUR),
        ("90d", 36 * HOUR),
    ],
)
def test_history_is_of_four_hours_or_the_window(window: str, step: int) -> None:
    assert history_step_ms(window) == step


# What viewers see.


@pytest.mark.parametrize(
    ("sentence", "billing", "sales", "states"),
    [
        ("enough in both", 5, 5, ["no_target", "no_target"]),
        ("few in one: the other would give it away", 4, 9, ["few", "few"]),
        ("none in one", 0, 9, ["no_data", "no_target"]),
    ],
)
async def test_viewers_see_no_survey_figure_of_few_answers(
    sentence: str, billing: int, sales: int, states: list[str]
) -> None:
    """Least support is 1 here, so that it is the viewer's rights which decide."""
    settings = Settings.model_validate({"min_sample": 1, "targets": {"nps_score": "none"}})
    view = ViewSettings(tiles=["nps_score"], queues=["billing", "sales"])
    center = SmallCenter()
    await center.add(
        {
            (pane(MINUTE), cell("billing")): surveyed(billing),
            (pane(MINUTE), cell("sales")): surveyed(sales),
        }
    )
    of_viewer = (await wallboard_view(center, view, guarded=True, settings=settings)).read_pages(NOW)
    of_others = (await wallboard_view(center, view, guarded=False, settings=settings)).read_pages(NOW)
    shown = [tile for page in of_viewer for tile in page.tiles]
    assert [tile.state for tile in shown] == states, sentence
    hidden = [tile for tile in shown if tile.state == "few"]
    assert all(
        (tile.value, tile.lower, tile.support, tile.least_support) == (None, None, 0, None) for tile in hidden
    )
    assert all(value is None for tile in shown for _, value in tile.history[:-1]), sentence
    assert [tile.support for page in of_others for tile in page.tiles] == [billing, sales]


# Tiles and groups of a view's own.


async def test_a_tile_has_a_window_a_stat_and_a_label_of_its_own_and_a_page_any_group() -> None:
    view = ViewSettings.model_validate(
        {
            "by": "queue,channel", "groups": ["billing,voice", "sales,chat"],
            "tiles": ["nps_score", "long", "handle_time_seconds"],
            "own_tiles": {"long": {"metric": "nps_score", "window": "today", "label": "NPS of the day"}}
            | {"handle_time_seconds": {"metric": "handle_time_seconds", "stat": "p90", "window": "15m"}},
        }
    )  # fmt: skip
    settings = SETTINGS.model_copy(
        update={"views": {"pairs": view}, "names": {"queue": {"billing": "Bills"}}}
    )
    check_views(settings)
    center = SmallCenter()
    await center.add({(pane(MINUTE), cell()): surveyed(20), (pane(3 * HOUR), cell()): surveyed(0, 20)})
    pages = (await wallboard_view(center, view, settings=settings)).read_pages(NOW)
    assert [(page.by, page.key, page.name) for page in pages] == [
        ("queue,channel", "billing,voice", "Bills · voice"),
        ("queue,channel", "sales,chat", "sales · chat"),
    ]
    shown = [(tile.metric, tile.window, tile.stat, tile.label, tile.support) for tile in pages[0].tiles]
    assert shown == [
        ("nps_score", "1h", "", "", 20),
        ("nps_score", "today", "", "NPS of the day", 40),
        ("handle_time_seconds", "15m", "p90", "", 0),
    ]
    assert {len(tile.history) for tile in pages[0].tiles} == {60}
    assert len({tile.id for tile in pages[0].tiles}) == 3


# Which views and targets there cannot be.


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"window": "2h"}, "views.wall.window = '2h': expected one of 5m, 15m, "),
        ({"tiles": ["nps"]}, "views.wall.tiles: 'nps': did you mean nps_score?"),
        ({"tiles": ["fcr_ratio"]}, "views.wall.window = '1h': fcr_ratio is read over 7d, 30d, 90d"),
        ({"tiles": ["nps_score"] * 2}, "views.wall.tiles = ['nps_score', 'nps_score']: expected one to 10"),
        ({"tiles": []}, "views.wall.tiles = []: expected one to 10 different metrics"),
        ({"tiles": [*map(str, range(11))]}, "views.wall.tiles = ['0', '1', '2', '3', '4', '5', '6', '7', "),
        ({"queues": ["a", "a"]}, "views.wall.queues = ['a', 'a']: expected different queues"),
        ({"rotate": "1s"}, "views.wall.rotate = '1s': expected 2s or more"),
        ({"by": "team"}, "views.wall.groups: expected together with by, and without queues"),
        ({"by": "floor", "groups": ["a"]}, "views.wall.by = 'floor': expected one of site, queue, team, "),
        ({"by": "team", "groups": ["a", "a"]}, "views.wall.groups = ['a', 'a']: expected different groups"),
        (
            {"tiles": ["a"], "own_tiles": {"a": {"metric": "nps_score", "stat": "p90"}}},
            "views.wall.own_tiles.a.stat = 'p90': expected one of ",
        ),
        (
            {"tiles": ["a"], "own_tiles": {"a": {"metric": "fcr_ratio", "window": "1h"}}},
            "views.wall.own_tiles.a.window = '1h': fcr_ratio is read over 7d, 30d, 90d",
        ),
        (
            {"own_tiles": {"a": {"metric": "nps_score"}}},
            "views.wall.own_tiles.a: expected to be named in tiles",
        ),
        ({"tile": ["nps_score"]}, "views.wall.tile: there is no such setting"),
    ],
)  # fmt: skip
def test_a_wrong_view_is_refused_with_a_line(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=f"^{re.escape(sentence)}") as found:
        check_views(load_settings(views={"wall": wrong}))
    assert "\n" not in str(found.value)


def test_a_display_shows_a_view_that_there_is() -> None:
    tv = {"token": token_hash("secret"), "view": "wall"}
    check_views(load_settings(displays={"tv": tv}, views={"wall": {}}))
    with pytest.raises(SettingsError, match=r"^displays.tv.view = 'wall': expected one of default, floor$"):
        check_views(load_settings(displays={"tv": tv}, views={"floor": {}}))


@pytest.mark.parametrize(
    "right",
    [{}, {"tiles": ["fcr_ratio"], "window": "7d"}, {"tiles": ["nps_score"], "queues": ["a"], "rotate": "2s"}],
)
def test_a_right_view(right: dict[str, Any]) -> None:
    check_views(load_settings(views={"wall": right}))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"nps": 40}, "targets: 'nps': did you mean nps_score?"),
        ({"nps_score": "high"}, "targets.nps_score = 'high': expected input should be a valid number"),
        ({"nps_score": float("nan")}, "targets.nps_score = nan: expected input should be a finite number"),
        ({"csat_ratio": 80}, "targets.csat_ratio = 80: expected a ratio from 0 to 1"),
        ({"csat_ratio": 1.01}, "targets.csat_ratio = 1.01: expected a ratio from 0 to 1"),
        ({"queues": {"vip": {"nps": 4}}}, "targets.queues.vip: 'nps': did you mean nps_score?"),
        ({"queues": {"vip": {"csat_ratio": 90}}}, "targets.queues.vip.csat_ratio = 90: expected a ratio"),
    ],
)
def test_a_wrong_target_is_refused_with_a_line(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=f"^{re.escape(sentence)}"):
        check_targets(load_settings(targets=wrong))


def test_the_target_in_force() -> None:
    settings = load_settings(
        targets={
            "nps_score": 40,
            "abandon_ratio": "none",
            "queues": {"vip": {"nps_score": 60, "csat_mean": 4}},
        }
    )
    check_targets(settings)
    assert settings.target("nps_score") == 40
    assert settings.target("nps_score", "vip") == 60
    assert settings.target("nps_score", "other") == 40
    assert settings.target("csat_mean", "vip") == 4
    assert settings.target("service_level_ratio", "vip") == 0.8
    assert settings.target("abandon_ratio") is None
    assert settings.target("contacts") is None


def test_every_usual_target_is_of_a_metric_and_of_its_unit() -> None:
    check_targets(load_settings(targets=dict(DEFAULT_TARGETS)))
