"""The dashboards follow from the catalogue and the settings, and every panel says what it shows."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from streamer.artefacts import dashboards, exported_metrics, metric_display
from streamer.artefacts.pipeline_dashboard import pipeline_page
from streamer.artefacts.supervisor_dashboard import supervisor_page
from streamer.artefacts.wall_dashboard import wall_page
from streamer.metrics.catalogue import CATALOGUE
from streamer.settings import Settings, load_settings
from tests.artefacts.expressions import expressions

PAGES = {"wall": wall_page, "supervisor": supervisor_page, "pipeline": pipeline_page}


@pytest.fixture
def set_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that loads settings from the text of a file."""

    def settings(text: str) -> Settings:
        (tmp_path / "streamer.toml").write_text(text)
        monkeypatch.setenv("STREAMER_CONFIG", str(tmp_path / "streamer.toml"))
        return load_settings()

    return settings


def board(name: str, settings: Settings | None = None) -> dict[str, Any]:
    settings = settings or Settings()
    encoded: dict[str, Any] = json.loads(dashboards.encode_dashboard(PAGES[name](settings), settings))
    return encoded


def panels(name: str, settings: Settings | None = None) -> list[dict[str, Any]]:
    return [panel for panel in board(name, settings)["panels"] if panel["type"] != "row"]


def panel(name: str, title: str, settings: Settings | None = None, kind: str = "") -> dict[str, Any]:
    matches = [p for p in panels(name, settings) if p["title"] == title and p["type"].startswith(kind)]
    assert len(matches) == 1, [p["title"] for p in panels(name, settings)]
    return matches[0]


def steps(panel: dict[str, Any]) -> list[tuple[float | None, str]]:
    encoded_steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return [(step["value"], step["color"]) for step in encoded_steps]


@pytest.mark.parametrize("name", PAGES)
def test_every_panel_says_what_it_shows_and_how_no_data_looks(name: str) -> None:
    for encoded in panels(name):
        assert encoded["title"]
        assert len(encoded["description"]) > 20
        assert encoded["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        defaults = encoded["fieldConfig"]["defaults"]
        assert defaults["noValue"] == "–"
        no_data = {"color": "#8e8e8e", "index": 0, "text": "–"}
        assert defaults["mappings"][0]["options"] == {"match": "null+nan", "result": no_data}


@pytest.mark.parametrize("name", PAGES)
def test_every_panel_has_a_unit_and_thresholds(name: str) -> None:
    for encoded in panels(name):
        if encoded["type"] == "table":  # by column
            continue
        assert encoded["fieldConfig"]["defaults"]["unit"]
        assert steps(encoded)[0][0] is None


@pytest.mark.parametrize("name", PAGES)
def test_panels_are_numbered_and_lie_side_by_side(name: str) -> None:
    encoded_panels = board(name)["panels"]
    assert [encoded["id"] for encoded in encoded_panels] == list(range(1, len(encoded_panels) + 1))
    positions = [encoded["gridPos"] for encoded in encoded_panels]
    covered = [
        (x, y)
        for position in positions
        for x in range(position["x"], position["x"] + position["w"])
        for y in range(position["y"], position["y"] + position["h"])
    ]
    assert len(covered) == len(set(covered))
    assert max(x for x, _ in covered) == 23


@pytest.mark.parametrize("name", PAGES)
def test_the_same_settings_give_the_same_text(name: str) -> None:
    settings = Settings()
    assert dashboards.encode_dashboard(PAGES[name](settings), settings) == dashboards.encode_dashboard(
        PAGES[name](settings), settings
    )


def test_numbers_are_asked_for_as_of_now_so_that_what_is_stale_is_not_shown() -> None:
    for name in PAGES:
        for encoded in panels(name):
            instant = encoded["type"] not in ("timeseries", "state-timeline")
            assert {target["instant"] for target in encoded["targets"]} == {instant}


def test_the_wall_has_what_goes_on_now_and_the_tiles_of_the_default_view() -> None:
    titles = [encoded["title"] for encoded in panels("wall") if encoded["type"] == "stat"]
    assert titles == [
        "Waiting",
        "Longest wait",
        "In progress",
        "Agents available",
        "Agents busy",
        "Agents away",
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
    rows = [encoded["title"] for encoded in board("wall", settings)["panels"] if encoded["type"] == "row"]
    assert rows[:3] == ["Now", "Default", "Floor"]
    encoded = panel("wall", "Billing: NPS score", settings)
    labels = '{window="$window",by="queue",queue="q1"}'
    supported = f"cx_nps_score{labels} and cx_nps_score_support{labels} >= 20"
    met, missed = f"cx_nps_score_lower{labels} >= 30", f"cx_nps_score_upper{labels} < 30"
    assert {target["refId"]: target["expr"] for target in encoded["targets"]} == {
        "missed": f"{supported} and {missed}",
        "unclear": f"{supported} unless {met} unless {missed}",
        "met": f"{supported} and {met}",
        "n": f"cx_nps_score_support{labels}",
    }
    colors = {
        override["matcher"]["options"]: override["properties"][0]["value"]["fixedColor"]
        for override in encoded["fieldConfig"]["overrides"]
    }
    assert colors == {"missed": "red", "unclear": "orange", "met": "green", "n": "#8e8e8e"}
    assert panel("wall", "q2: NPS score", settings)


def test_the_supervisor_has_every_exported_metric_over_time() -> None:
    titles = [encoded["title"] for encoded in panels("supervisor") if encoded["type"] == "timeseries"]
    assert sorted(titles) == sorted(
        metric_display.metric_title(metric) for metric in exported_metrics.exported_metrics(Settings())
    )
    assert len(titles) == len(set(titles)) == len(CATALOGUE) - 3
    assert not {"FCR ratio", "FCR maturity ratio", "FCR final ratio"} & set(titles)


@pytest.mark.parametrize("page", ["wall", "supervisor"])
def test_figures_of_now_are_shown_whatever_window_is_chosen(page: str) -> None:
    exprs = [
        target["expr"]
        for panel in panels(page)
        for target in panel["targets"]
        if re.search(r"cx_(waiting|agents_available)\{", target["expr"])
    ]
    assert len(exprs) >= 2
    assert all('{window="now",' in expr for expr in exprs)


def test_a_longer_exported_window_brings_the_metrics_that_need_it() -> None:
    settings = Settings(export_windows=["1h", "7d"])
    titles = {encoded["title"] for encoded in panels("supervisor", settings)}
    assert {"FCR ratio", "FCR maturity ratio", "FCR final ratio"} <= titles


def test_titles_tell_metrics_apart() -> None:
    titles = [metric_display.metric_title(metric) for metric in CATALOGUE.values()]
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
    encoded = panel("supervisor", title, kind="timeseries")
    assert encoded["fieldConfig"]["defaults"]["unit"] == unit
    assert steps(encoded) == expected


def test_a_target_that_is_set_is_everywhere(set_to: Any) -> None:
    settings = set_to("targets.nps_score = 41.5\ntargets.queues.billing = {nps_score = 55}\n")
    nps_panels = [
        encoded
        for name in ("wall", "supervisor")
        for encoded in panels(name, settings)
        if encoded["title"] == "NPS score"
    ]
    assert all("Target: 41.5." in encoded["description"] for encoded in nps_panels)
    trends = [encoded for encoded in nps_panels if encoded["type"] == "timeseries"]
    assert [steps(encoded) for encoded in trends] == [[(None, "red"), (41.5, "green")]] * 2
    (bars,) = (encoded for encoded in nps_panels if encoded["type"] == "bargauge")
    (met,) = (target["expr"] for target in bars["targets"] if target["refId"] == "met")
    assert 'cx_nps_score_lower{window="$window",by="$by",queue=~"$queue|",queue!~"billing",' in met
    assert 'cx_nps_score_lower{window="$window",by="$by",queue=~"$queue|",queue="billing",' in met
    assert re.findall(r">= (\d+\.?\d*)\)", met) == ["41.5", "55"]
    assert met.endswith(
        'count_values by ($by) ("n", max by ($by) (cx_nps_score_support'
        '{window="$window",by="$by",queue=~"$queue|",team=~"$team|",channel=~"$channel|"}))'
    )


def test_a_metric_without_a_target_has_no_line(set_to: Any) -> None:
    settings = set_to('targets.nps_score = "none"\n')
    encoded = panel("supervisor", "NPS score", settings, "timeseries")
    assert steps(encoded) == [(None, "blue")]
    assert encoded["fieldConfig"]["defaults"]["custom"].get("thresholdsStyle") is None


def test_the_description_is_the_catalogues() -> None:
    encoded = panel("supervisor", "Transfer ratio", kind="timeseries")
    assert encoded["description"] == (
        "Share of answered inbound segments transferred to an agent, a queue or outside. Formula: "
        "transferred / answered. Better: lower. Target: 0.1. Not shown below a support of 20."
    )


def test_a_small_sample_is_not_shown_and_a_count_always_is() -> None:
    expr_of_panel = {
        expression.panel: expression.expr for expression in expressions("supervisor", _text("supervisor"))
    }
    assert expr_of_panel["supervisor: NPS score B"] == (
        'cx_nps_score{window="1h",by="all"} and cx_nps_score_support{window="1h",by="all"} >= 20'
    )
    assert expr_of_panel["supervisor: Contacts B"] == 'cx_contacts{window="1h",by="all"}'


def test_queue_team_and_channel_can_be_chosen_several_at_once() -> None:
    variables = {variable["name"]: variable for variable in board("supervisor")["templating"]["list"]}
    assert list(variables) == ["datasource", "window", "by", "queue", "team", "channel", "stat", "formula"]
    for name in ("queue", "team", "channel"):
        variable = variables[name]
        assert (variable["multi"], variable["includeAll"], variable["allValue"]) == (True, True, ".*")
        assert variable["query"]["query"] == f'label_values(cx_offered{{by="{name}"}}, {name})'
    assert variables["stat"]["query"] == "mean,p50,p90,p95,max"
    assert (
        variables["formula"]["query"]
        == "own,negative,exclude_short,ignore,positive,answered_only,with_waiting"
    )


def test_agents_can_be_chosen_only_where_they_are_exported() -> None:
    def groups(settings: Settings) -> str:
        (by,) = (
            variable for variable in board("wall", settings)["templating"]["list"] if variable["name"] == "by"
        )
        query: str = by["query"]
        return query

    assert groups(Settings()) == "site,queue,team,channel,reason,language"
    assert groups(Settings(export_agents=True)) == "site,queue,team,agent,channel,reason,language"


def test_display_names_stand_in_legends_and_in_the_table(set_to: Any) -> None:
    settings = set_to('names.queue = {Q17 = "Billing"}\nnames.team = {t1 = "Red"}\n')
    trend = panel("supervisor", "Contacts", settings, "timeseries")
    display_names = {
        override["matcher"]["options"]: override["properties"][0]["value"]
        for override in trend["fieldConfig"]["overrides"]
        if override["properties"][0]["id"] == "displayName"
    }
    assert display_names == {"Q17": "Billing", "t1": "Red"}
    table = panel("supervisor", "Groups", settings)
    texts = table["fieldConfig"]["defaults"]["mappings"][1]["options"]
    assert {key: override["text"] for key, override in texts.items()} == {"Q17": "Billing", "t1": "Red"}


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
    return dashboards.encode_dashboard(PAGES[name](settings), settings)


def test_the_supervisor_sees_which_alerts_fire_and_how_bad_they_are() -> None:
    encoded = panel("supervisor", "Alerts")
    chosen = 'queue=~"$queue|",team=~"$team|",channel=~"$channel|"'
    assert [(target["expr"], target["legendFormat"]) for target in encoded["targets"]] == [
        (
            f'2 * max without (instance, job) (cx_alert_firing{{severity="critical",{chosen}}})',
            "{{alert}} {{site}}{{queue}}{{team}}{{agent}}{{channel}}{{reason}}{{language}}",
        ),
        (
            f'max without (instance, job) (cx_alert_firing{{severity="warning",{chosen}}})',
            "{{alert}} {{site}}{{queue}}{{team}}{{agent}}{{channel}}{{reason}}{{language}}",
        ),
    ]
    _, words = encoded["fieldConfig"]["defaults"]["mappings"]
    assert {value: (target["text"], target["color"]) for value, target in words["options"].items()} == {
        "1": ("warning", "orange"),
        "2": ("critical", "red"),
    }


@pytest.mark.parametrize(("name", "annotated"), [("wall", True), ("supervisor", True), ("pipeline", False)])
def test_alerts_of_the_groups_chosen_are_marked_in_every_panel_over_time(name: str, annotated: bool) -> None:
    annotations = board(name)["annotations"].get("list", [])
    assert len(annotations) == annotated
    for annotation in annotations:
        assert (annotation["enable"], annotation["datasource"]["uid"]) == (True, "${datasource}")
        assert annotation["target"]["expr"] == (
            "max without (instance, job) "
            '(cx_alert_firing{queue=~"$queue|",team=~"$team|",channel=~"$channel|"})'
        )
        assert annotation["titleFormat"].startswith("{{alert}} ")


def test_the_interval_is_a_band_without_a_legend_of_its_own() -> None:
    (trend,) = (
        encoded
        for encoded in panels("wall")
        if (encoded["title"], encoded["type"]) == ("CSAT ratio", "timeseries")
    )
    assert [(encoded["refId"], encoded.get("legendFormat")) for encoded in trend["targets"]] == [
        ("A", "CSAT ratio"),
        ("B", "lower"),
        ("C", "upper"),
    ]
    ends = {
        encoded["matcher"]["options"]: {
            override_property["id"]: override_property["value"] for override_property in encoded["properties"]
        }
        for encoded in trend["fieldConfig"]["overrides"]
    }
    assert ends["upper"]["custom.fillBelowTo"] == "lower"
    assert {ends[end]["custom.hideFrom"]["legend"] for end in ("lower", "upper")} == {True}
