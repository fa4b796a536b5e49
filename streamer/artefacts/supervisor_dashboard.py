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
from streamer.artefacts.metric_display import VERDICT_COLORS, VERDICT_WORDS, FieldScale
from streamer.artefacts.panels import Panel, PanelQuery, override_properties
from streamer.artefacts.verdict_queries import VERDICT_CODES, verdict_code
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
    return panel.description(
        "Metrics with a target, and counts; the panels below describe each. Behind each target it is said "
        "whether the whole interval is on its good side (on target), on the other (off target) or neither."
    )


def _metrics_table(
    table_metrics: list[Metric], more_labels: dict[str, str], settings: Settings
) -> table.Panel:
    """Return a table with a row for each chosen group and a column for each metric; one with a target is
    followed by a column with the verdict."""
    queries, names = [], {}
    for metric in table_metrics:
        labels, title = promql.stat_label(metric) | more_labels, metric_display.metric_title(metric)
        value = promql.supported_value(metric, GROUP_LABELS | labels, settings.min_sample, CHOSEN_GROUPS)
        queries.append(_column_query(metric.name, value))
        names[f"Value #{metric.name}"] = title
        if settings.target(metric.name) is not None:
            code = verdict_code(metric, GROUP_LABELS | labels, settings)
            queries.append(_column_query(_verdict_ref(metric), code))
            names[f"Value #{_verdict_ref(metric)}"] = _verdict_title(title)
    panel = panels.table_panel(queries, names).datasource(panels.DATASOURCE).no_value(panels.NO_DATA)
    panel.mappings(panels.value_mappings(exported_metrics.display_names(settings)))
    for metric in table_metrics:
        scale, title = metric_display.metric_scale(metric, settings), metric_display.metric_title(metric)
        panel.override_by_name(title, override_properties(unit=scale.unit, decimals=scale.decimals))
    return panel.override_by_regexp(f"/{_verdict_title('')}$/", _verdict_properties())


def _column_query(ref: str, expr: str) -> PanelQuery:
    return PanelQuery(f"max by ($by) ({expr})", ref=ref)


def _verdict_ref(metric: Metric) -> str:
    return f"{metric.name}_verdict"


def _verdict_title(metric_title: str) -> str:
    return f"{metric_title}: target"


def _verdict_properties() -> panels.Properties:
    """Return the properties of a column of verdicts: their words in their colours."""
    words = {
        float(code): (VERDICT_WORDS[verdict], VERDICT_COLORS[verdict])
        for verdict, code in VERDICT_CODES.items()
    }
    return override_properties(
        mappings=panels.word_mappings(words), custom__cellOptions={"type": "color-text"}
    )
