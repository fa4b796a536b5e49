"""Build the supervisor's dashboard: every exported metric by group, as a table and over time."""

from collections.abc import Iterator
from typing import Final

from grafana_foundation_sdk.builders import statetimeline, table, timeseries

from streamer.artefacts import dashboards, exported_metrics, metric_display, panels, promql
from streamer.artefacts.dashboards import (
    CENTER_LABELS,
    CHOSEN_GROUPS,
    GROUP_LABELS,
    LEGEND,
    DashboardPage,
    DashboardSection,
)
from streamer.artefacts.metric_display import FieldScale
from streamer.artefacts.panels import Panel, PanelQuery, override_properties
from streamer.metrics.catalogue import Metric
from streamer.settings import Settings

CENTER_LEGEND: Final = "whole center"

_UNITS_OF_SECTION: Final = {
    "Scores": ("points", "score"),
    "Shares": ("ratio",),
    "Times": ("seconds",),
    "Counts": ("count",),
    "Work and value": ("erlangs", "currency"),
}
"""Units by section, so that a new metric finds its place."""


def supervisor_page(settings: Settings) -> DashboardPage:
    metrics = exported_metrics.exported_metrics(settings)
    groups = [dashboards.by_variable(settings), *dashboards.filter_variables()]
    return DashboardPage(
        "supervisor",
        "Supervisor",
        "Every exported metric, of the chosen groups and of the whole center.",
        [dashboards.window_variable(settings), *groups, *dashboards.stat_variables(metrics)],
        [
            DashboardSection("Now, by $by", _now_panels(metrics, settings)),
            *_metric_sections(metrics, settings),
        ],
        annotated=True,
    )


def _now_panels(metrics: list[Metric], settings: Settings) -> list[Panel]:
    """Return the alerts, who waits and who is free, and the figures of the chosen window."""
    live_metrics = [metric for metric in metrics if metric.windows.now]
    other_metrics = [metric for metric in metrics if not metric.windows.now]
    return [_alerts_panel(), _live_panel(live_metrics, settings), _groups_panel(other_metrics, settings)]


def _metric_sections(metrics: list[Metric], settings: Settings) -> Iterator[DashboardSection]:
    live_metrics = [metric for metric in metrics if metric.windows.now]
    yield DashboardSection(
        "Who waits, who is free", [_trend_panel(metric, settings) for metric in live_metrics]
    )
    for title, units in _UNITS_OF_SECTION.items():
        trend_panels = [
            _trend_panel(metric, settings)
            for metric in metrics if metric.unit in units and not metric.windows.now
        ]  # fmt: skip
        if trend_panels:
            yield DashboardSection(title, trend_panels)


def _trend_panel(metric: Metric, settings: Settings) -> timeseries.Panel:
    stat, min_support = dashboards.chosen_stat_label(metric), settings.min_sample
    if metric.windows.now:
        stat = dashboards.NOW_LABELS
    groups = PanelQuery(
        promql.supported_value(metric, GROUP_LABELS | stat, min_support, CHOSEN_GROUPS), LEGEND
    )
    whole = PanelQuery(promql.supported_value(metric, CENTER_LABELS | stat, min_support), CENTER_LEGEND, "B")
    panel = panels.apply_metric(panels.line_panel([groups, whole]), metric, settings)
    grey = {"mode": "fixed", "fixedColor": panels.GREY}
    dots = {"fill": "dash", "dash": [4, 6]}
    panel.override_by_name(CENTER_LEGEND, override_properties(color=grey, custom__lineStyle=dots))
    return panels.apply_display_names(panel, exported_metrics.display_names(settings))


def _alerts_panel() -> statetimeline.Panel:
    """Return the timeline of contact center alerts, without those of Prometheus about the pipeline."""
    values = {1.0: ("warning", "orange"), 2.0: ("critical", metric_display.MISSED_COLOR)}
    queries = [
        PanelQuery(f"2 * {dashboards.firing_alerts_expr('critical')}", dashboards.ALERT_LEGEND),
        PanelQuery(dashboards.firing_alerts_expr("warning"), dashboards.ALERT_LEGEND, "B"),
    ]
    panel = panels.state_panel(queries).title("Alerts")
    panel.description(
        "Firing alert rules by group, and since when. The server's supervisor page explains them, with a "
        "chart and the contacts behind them, and can silence them. No data: none fires."
    )
    panels.apply_defaults(
        panel.thresholds(metric_display.target_thresholds("lower", None)), FieldScale("none", 0)
    )
    return panel.mappings(panels.word_mappings(values))


def _live_panel(metrics: list[Metric], settings: Settings) -> table.Panel:
    panel = _metrics_table(metrics, dashboards.NOW_LABELS, settings)
    panel.title("Who waits, who is free")
    return panel.description(
        "As of now, whatever window is chosen. Agents count in each queue they serve. No data: no source "
        "sends states of contacts or agents."
    )


def _groups_panel(metrics: list[Metric], settings: Settings) -> table.Panel:
    table_metrics = [
        metric for metric in metrics if metric.unit == "count" or settings.target(metric.name) is not None
    ]
    panel = _metrics_table(table_metrics, {}, settings).title("Groups")
    return panel.description("Metrics with a target, and counts; the panels below describe each.")


def _metrics_table(
    table_metrics: list[Metric], more_labels: dict[str, str], settings: Settings
) -> table.Panel:
    """Return a table with a row for each chosen group and a column for each metric."""
    queries = [
        PanelQuery(
            f"max by ($by) ({_group_value(metric, promql.stat_label(metric) | more_labels, settings)})",
            ref=metric.name,
        )
        for metric in table_metrics
    ]
    panel = panels.table_panel(
        queries, {f"Value #{metric.name}": metric_display.metric_title(metric) for metric in table_metrics}
    )
    panel.datasource(panels.DATASOURCE).no_value(panels.NO_DATA)
    panel.mappings(panels.value_mappings(exported_metrics.display_names(settings)))
    for metric in table_metrics:
        panel.override_by_name(metric_display.metric_title(metric), _column_properties(metric, settings))
    return panel


def _group_value(metric: Metric, labels: dict[str, str], settings: Settings) -> str:
    return promql.supported_value(metric, GROUP_LABELS | labels, settings.min_sample, CHOSEN_GROUPS)


def _column_properties(metric: Metric, settings: Settings) -> panels.Properties:
    scale, target = metric_display.metric_scale(metric, settings), settings.target(metric.name)
    result = override_properties(unit=scale.unit, decimals=scale.decimals)
    if target is None:
        return result
    coloured = {"type": "color-text"}
    steps = metric_display.target_thresholds(metric.better, target).build()
    return result + override_properties(thresholds=steps, custom__cellOptions=coloured)
