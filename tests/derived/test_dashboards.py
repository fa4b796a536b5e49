"""The dashboards follow from the catalogue and the settings, and every panel says what it shows."""

import json
from pathlib import Path
from typing import Any

import pytest

from streamer.derived import dashboards, exported, figures
from streamer.derived.pipeline import pipeline
from streamer.derived.supervisor import supervisor
from streamer.derived.wall import wall
from streamer.metrics.catalogue import CATALOGUE
from streamer.settings import Settings, load
from tests.derived.expressions import expressions

PAGES = {"wall": wall, "supervisor": supervisor, "pipeline": pipeline}


@pytest.fixture
def set_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that loads settings from the text of a file."""

    def settings(text: str) -> Settings:
        (tmp_path / "streamer.toml").write_text(text)
        monkeypatch.setenv("STREAMER_CONFIG", str(tmp_path / "streamer.toml"))
        return load()

    return settings


def board(name: str, settings: Settings | None = None) -> dict[str, Any]:
    settings = settings or Settings()
    found: dict[str, Any] = json.loads(dashboards.written(PAGES[name](settings), settings))
    return found


def panels(name: str, settings: Settings | None = None) -> list[dict[str, Any]]:
    return [panel for panel in board(name, settings)["panels"] if panel["type"] != "row"]


def panel(name: str, title: str, settings: Settings | None = None, kind: str = "") -> dict[str, Any]:
    found = [p for p in panels(name, settings) if p["title"] == title and p["type"].startswith(kind)]
    assert len(found) == 1, [p["title"] for p in panels(name, settings)]
    return found[0]


def steps(panel: dict[str, Any]) -> list[tuple[float | None, str]]:
    found = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return [(step["value"], step["color"]) for step in found]


@pytest.mark.parametrize("name", PAGES)
def test_every_panel_says_what_it_shows_and_how_no_data_looks(name: str) -> None:
    for one in panels(name):
        assert one["title"]
        assert len(one["description"]) > 20
        assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        defaults = one["fieldConfig"]["defaults"]
        assert defaults["noValue"] == "–"
        no_data = {"color": "#8e8e8e", "index": 0, "text": "–"}
        assert defaults["mappings"][0]["options"] == {"match": "null+nan", "result": no_data}


@pytest.mark.parametrize("name", PAGES)
def test_every_panel_has_a_unit_and_thresholds(name: str) -> None:
    for one in panels(name):
        if one["type"] == "table":  # by column
            continue
        assert one["fieldConfig"]["defaults"]["unit"]
        assert steps(one)[0][0] is None


@pytest.mark.parametrize("name", PAGES)
def test_panels_are_numbered_and_lie_side_by_side(name: str) -> None:
    found = board(name)["panels"]
    assert [one["id"] for one in found] == list(range(1, len(found) + 1))
    places = [one["gridPos"] for one in found]
    covered = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(covered) == len(set(covered))
    assert max(x for x, _ in covered) == 23


@pytest.mark.parametrize("name", PAGES)
def test_the_same_settings_give_the_same_text(name: str) -> None:
    settings = Settings()
    assert dashboards.written(PAGES[name](settings), settings) == dashboards.written(
        PAGES[name](settings), settings
    )


def test_numbers_are_asked_for_as_of_now_so_that_what_is_stale_is_not_shown() -> None:
    for name in PAGES:
        for one in panels(name):
            instant = one["type"] not in ("timeseries", "state-timeline")
            assert {target["instant"] for target in one["targets"]} == {instant}


def test_the_wall_has_the_tiles_of_the_default_view() -> None:
    titles = [one["title"] for one in panels("wall") if one["type"] == "stat"]
    assert titles == [
        "NPS score",
        "CSAT ratio",
        "Service level ratio",
        "Wait time",
        "Abandon ratio",
        "Handle time",
    ]


def test_a_view_with_queues_has_a_number_for_each_by_name(set_to: Any) -> None:
    settings = set_to(
        'names.queue = {q1 = "Billing"}\n'
        'views.floor = {title = "Floor", tiles = ["nps_score"], queues = ["q1", "q2"]}\n'
    )
    rows = [one["title"] for one in board("wall", settings)["panels"] if one["type"] == "row"]
    assert rows[:2] == ["Default", "Floor"]
    one = panel("wall", "Billing: NPS score", settings)
    assert one["targets"][0]["expr"] == (
        'cx_nps_score{window="$window",by="queue",queue="q1"} and '
        'cx_nps_score_support{window="$window",by="queue",queue="q1"} >= 20'
    )
    assert panel("wall", "q2: NPS score", settings)


def test_the_supervisor_has_every_exported_metric_over_time() -> None:
    titles = [one["title"] for one in panels("supervisor") if one["type"] == "timeseries"]
    assert sorted(titles) == sorted(figures.title(metric) for metric in exported.metrics(Settings()))
    assert len(titles) == len(set(titles)) == len(CATALOGUE) - 3
    assert not {"FCR ratio", "FCR maturity ratio", "FCR final ratio"} & set(titles)


def test_a_longer_exported_window_brings_the_metrics_that_need_it() -> None:
    settings = Settings(export_windows=["1h", "7d"])
    titles = {one["title"] for one in panels("supervisor", settings)}
    assert {"FCR ratio", "FCR maturity ratio", "FCR final ratio"} <= titles


def test_titles_tell_metrics_apart() -> None:
    titles = [figures.title(metric) for metric in CATALOGUE.values()]
    assert len(set(titles)) == len(CATALOGUE)


@pytest.mark.parametrize(
    ("title", "unit", "expected"),
    [
        ("NPS score", "none", [(None, "red"), (30, "green")]),
        ("Abandon ratio", "percentunit", [(None, "green"), (0.05, "red")]),
        ("Wait time", "s", [(None, "green"), (30, "red")]),
        ("Handle time", "s", [(None, "blue")]),
        ("Contacts", "none", [(None, "blue")]),
        ("Workload", "suffix: erl", [(None, "blue")]),
        ("Value mean", "suffix: EUR", [(None, "blue")]),
    ],
)
def test_thresholds_are_the_targets_with_the_better_side_green(
    title: str, unit: str, expected: list[tuple[float | None, str]]
) -> None:
    found = panel("supervisor", title, kind="timeseries")
    assert found["fieldConfig"]["defaults"]["unit"] == unit
    assert steps(found) == expected


def test_a_target_that_is_set_is_everywhere(set_to: Any) -> None:
    settings = set_to("targets.nps_score = 41.5\ntargets.queues.billing = {nps_score = 55}\n")
    shown = [
        one
        for name in ("wall", "supervisor")
        for one in panels(name, settings)
        if one["title"] == "NPS score"
    ]
    assert [steps(one) for one in shown] == [[(None, "red"), (41.5, "green")]] * 4
    assert all("Target: 41.5." in one["description"] for one in shown)
    (bars,) = (one for one in shown if one["type"] == "bargauge")
    (own,) = bars["fieldConfig"]["overrides"]
    assert own["matcher"] == {"id": "byName", "options": "billing"}
    assert own["properties"][0]["value"]["steps"] == [
        {"color": "red", "value": None},
        {"color": "green", "value": 55},
    ]


def test_a_metric_without_a_target_has_no_line(set_to: Any) -> None:
    settings = set_to('targets.nps_score = "none"\n')
    found = panel("supervisor", "NPS score", settings, "timeseries")
    assert steps(found) == [(None, "blue")]
    assert found["fieldConfig"]["defaults"]["custom"].get("thresholdsStyle") is None


def test_the_description_is_the_catalogues() -> None:
    found = panel("supervisor", "Transfer ratio", kind="timeseries")
    assert found["description"] == (
        "Share of answered inbound segments transferred to an agent, a queue or outside. Formula: "
        "transferred / answered. Better: lower. Target: 0.1. Not shown below a support of 20."
    )


def test_a_small_sample_is_not_shown_and_a_count_always_is() -> None:
    asked = {one.place: one.expr for one in expressions("supervisor", _text("supervisor"))}
    assert asked["supervisor: NPS score B"] == (
        'cx_nps_score{window="1h",by="all"} and cx_nps_score_support{window="1h",by="all"} >= 20'
    )
    assert asked["supervisor: Contacts B"] == 'cx_contacts{window="1h",by="all"}'


def test_queue_team_and_channel_can_be_chosen_several_at_once() -> None:
    variables = {one["name"]: one for one in board("supervisor")["templating"]["list"]}
    assert list(variables) == ["datasource", "window", "by", "queue", "team", "channel", "stat", "formula"]
    for name in ("queue", "team", "channel"):
        one = variables[name]
        assert (one["multi"], one["includeAll"], one["allValue"]) == (True, True, ".*")
        assert one["query"]["query"] == f'label_values(cx_offered{{by="{name}"}}, {name})'
    assert variables["stat"]["query"] == "mean,p50,p90,p95,max"
    assert variables["formula"]["query"] == "own,negative,exclude_short,ignore,positive,answered_only"


def test_agents_can_be_chosen_only_where_they_are_exported() -> None:
    def groups(settings: Settings) -> str:
        (by,) = (one for one in board("wall", settings)["templating"]["list"] if one["name"] == "by")
        found: str = by["query"]
        return found

    assert groups(Settings()) == "site,queue,team,channel,reason,language"
    assert groups(Settings(export_agents=True)) == "site,queue,team,agent,channel,reason,language"


def test_display_names_stand_in_legends_and_in_the_table(set_to: Any) -> None:
    settings = set_to('names.queue = {Q17 = "Billing"}\nnames.team = {t1 = "Red"}\n')
    trend = panel("supervisor", "Contacts", settings, "timeseries")
    named = {
        one["matcher"]["options"]: one["properties"][0]["value"]
        for one in trend["fieldConfig"]["overrides"]
        if one["properties"][0]["id"] == "displayName"
    }
    assert named == {"Q17": "Billing", "t1": "Red"}
    table = panel("supervisor", "Groups", settings)
    texts = table["fieldConfig"]["defaults"]["mappings"][1]["options"]
    assert {key: one["text"] for key, one in texts.items()} == {"Q17": "Billing", "t1": "Red"}


def test_the_table_has_a_column_for_each_target_and_count() -> None:
    table = panel("supervisor", "Groups")
    organized = table["transformations"][1]["options"]
    columns = organized["renameByName"]
    assert columns["Value #nps_score"] == "NPS score"
    assert columns["Value #contacts"] == "Contacts"
    assert "Value #handle_time_seconds" not in columns
    assert {f"Value #{target['refId']}" for target in table["targets"]} == set(columns)


def _text(name: str) -> str:
    settings = Settings()
    return dashboards.written(PAGES[name](settings), settings)


def test_the_supervisor_sees_which_alerts_fire_and_how_bad_they_are() -> None:
    found = panel("supervisor", "Alerts")
    chosen = 'queue=~"$queue|",team=~"$team|",channel=~"$channel|"'
    assert [(one["expr"], one["legendFormat"]) for one in found["targets"]] == [
        (
            f'2 * max without (instance, job) (cx_alert_firing{{severity="critical",{chosen}}})',
            "{{alert}} {{site}}{{queue}}{{team}}{{agent}}{{channel}}{{reason}}{{language}}",
        ),
        (
            f'max without (instance, job) (cx_alert_firing{{severity="warning",{chosen}}})',
            "{{alert}} {{site}}{{queue}}{{team}}{{agent}}{{channel}}{{reason}}{{language}}",
        ),
    ]
    _, words = found["fieldConfig"]["defaults"]["mappings"]
    assert {value: (one["text"], one["color"]) for value, one in words["options"].items()} == {
        "1": ("warning", "orange"),
        "2": ("critical", "red"),
    }


@pytest.mark.parametrize(("name", "annotated"), [("wall", True), ("supervisor", True), ("pipeline", False)])
def test_alerts_of_the_groups_chosen_are_marked_in_every_panel_over_time(name: str, annotated: bool) -> None:
    found = board(name)["annotations"].get("list", [])
    assert len(found) == annotated
    for one in found:
        assert (one["enable"], one["datasource"]["uid"]) == (True, "${datasource}")
        assert one["target"]["expr"] == (
            "max without (instance, job) "
            '(cx_alert_firing{queue=~"$queue|",team=~"$team|",channel=~"$channel|"})'
        )
        assert one["titleFormat"].startswith("{{alert}} ")


def test_the_interval_is_a_band_without_a_legend_of_its_own() -> None:
    (trend,) = (one for one in panels("wall") if (one["title"], one["type"]) == ("CSAT ratio", "timeseries"))
    assert [(one["refId"], one.get("legendFormat")) for one in trend["targets"]] == [
        ("A", "CSAT ratio"),
        ("B", "lower"),
        ("C", "upper"),
    ]
    ends = {
        one["matcher"]["options"]: {each["id"]: each["value"] for each in one["properties"]}
        for one in trend["fieldConfig"]["overrides"]
    }
    assert ends["upper"]["custom.fillBelowTo"] == "lower"
    assert {ends[end]["custom.hideFrom"]["legend"] for end in ("lower", "upper")} == {True}
