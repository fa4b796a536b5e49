"""Build the supervisor's dashboard: every exported metric by group, as a table and over time."""

from collections.abc import Iterator
from typing import Final

from grafana_foundation_sdk.builders import statetimeline, table, timeseries

from streamer.derived import dashboards, exported, figures, panels, promql
from streamer.derived.dashboards import CHOSEN, GROUPED, LEGEND, WHOLE, Page, Section
from streamer.derived.figures import Scale
from streamer.derived.panels import Query, properties
from streamer.metrics.catalogue import Metric
from streamer.settings import Settings

CENTER: Final = "whole center"

_SECTIONS: Final = {
    "Scores": ("points", "score"),
    "Shares": ("ratio",),
    "Times": ("seconds",),
    "Counts": ("count",),
    "Work and value": ("erlangs", "currency"),
}
"""Units by section, so that a new metric finds its place."""


def supervisor(settings: Settings) -> Page:
    metrics = exported.metrics(settings)
    groups = [dashboards.by(settings), *dashboards.filters()]
    return Page(
        "supervisor",
        "Supervisor",
        "Every exported metric, of the chosen groups and of the whole center.",
        [dashboards.window(settings), *groups, *dashboards.stats(metrics)],
        [Section("Now, by $by", [_alerts(), _table(metrics, settings)]), *_sections(metrics, settings)],
        annotated=True,
    )


def _sections(metrics: list[Metric], settings: Settings) -> Iterator[Section]:
    for title, units in _SECTIONS.items():
        found = [_trend(metric, settings) for metric in metrics if metric.unit in units]
        if found:
            yield Section(title, found)


def _trend(metric: Metric, settings: Settings) -> timeseries.Panel:
    stat, least = dashboards.chosen_stat(metric), settings.least_support
    groups = Query(promql.supported(metric, GROUPED | stat, least, CHOSEN), LEGEND)
    whole = Query(promql.supported(metric, WHOLE | stat, least), CENTER, "B")
    panel = panels.of_metric(panels.lines([groups, whole]), metric, settings)
    grey = {"mode": "fixed", "fixedColor": panels.GREY}
    dots = {"fill": "dash", "dash": [4, 6]}
    panel.override_by_name(CENTER, properties(color=grey, custom__lineStyle=dots))
    return panels.named(panel, exported.names(settings))


def _alerts() -> statetimeline.Panel:
    """Return the timeline of contact center alerts, without those of Prometheus about the pipeline."""
    values = {1.0: ("warning", "orange"), 2.0: ("critical", figures.MISSED)}
    queries = [
        Query(f"2 * {dashboards.firing('critical')}", dashboards.NAMED),
        Query(dashboards.firing("warning"), dashboards.NAMED, "B"),
    ]
    panel = panels.states(queries).title("Alerts")
    panel.description(
        "Firing alert rules by group, and since when. The server's supervisor page explains them, with a "
        "chart and the contacts behind them, and can silence them. No data: none fires."
    )
    panels.plain(panel.thresholds(figures.thresholds("lower", None)), Scale("none", 0))
    return panel.mappings(panels.worded(values))


def _table(metrics: list[Metric], settings: Settings) -> table.Panel:
    shown = [
        metric for metric in metrics if metric.unit == "count" or settings.target(metric.name) is not None
    ]
    least = settings.least_support
    queries = [
        Query(f"max by ($by) ({promql.supported(m, GROUPED | promql.stat(m), least, CHOSEN)})", ref=m.name)
        for m in shown
    ]
    panel = panels.rows(queries, {f"Value #{metric.name}": figures.title(metric) for metric in shown})
    panel.title("Groups").datasource(panels.SOURCE).no_value(panels.NO_DATA)
    panel.description("Metrics with a target, and counts; the panels below describe each.")
    panel.mappings(panels.mappings(exported.names(settings)))
    for metric in shown:
        panel.override_by_name(figures.title(metric), _column(metric, settings))
    return panel


def _column(metric: Metric, settings: Settings) -> panels.Properties:
    scale, target = figures.scale(metric, settings), settings.target(metric.name)
    found = properties(unit=scale.unit, decimals=scale.decimals)
    if target is None:
        return found
    coloured = {"type": "color-text"}
    steps = figures.thresholds(metric.better, target).build()
    return found + properties(thresholds=steps, custom__cellOptions=coloured)
