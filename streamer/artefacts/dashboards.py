"""Build what all dashboards have in common: variables, rows, annotations, and the JSON encoding."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.builders.dashboard import (
    AnnotationQuery,
    CustomVariable,
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from streamer.artefacts import exported_metrics, promql, service_config
from streamer.artefacts.panels import DATASOURCE, Panel
from streamer.events.models import DIMENSIONS
from streamer.metrics.catalogue import Metric
from streamer.panes.windows import NOW
from streamer.settings import Settings

FILTER_DIMENSIONS: Final = ("queue", "team", "channel")
"""Dimensions with a variable in which several values can be chosen."""
ANY_VALUE: Final = ".*"
TAG: Final = "streamer"

LEGEND: Final = "".join(f"{{{{{dimension}}}}}" for dimension in DIMENSIONS)
"""The legend of a group: its series has only one of these labels, or those of a pair."""
ALERT_LEGEND: Final = f"{{{{alert}}}} {LEGEND}"
"""The legend of an alert: its rule and its group."""
CHOSEN_GROUPS: Final = {name: f'=~"${name}|"' for name in FILTER_DIMENSIONS}
"""Matchers: the chosen values, or no value, for series without such a label."""
GROUP_LABELS: Final = {"window": "$window", "by": "$by"}
CENTER_LABELS: Final = {"window": "$window", **promql.ALL_GROUPS}
NOW_LABELS: Final = {"window": NOW}
"""The labels that metrics of now have in place of a chosen window."""

_STAT_VARIABLES: Final = {"mean": "stat", "own": "formula"}
"""The variable that selects a metric's stat, by the metric's default stat."""


class DashboardSection(NamedTuple):
    """A row of a dashboard with its panels. Grafana queries the panels of a closed row once it is opened."""

    title: str
    panels: Sequence[Panel]


class DashboardPage(NamedTuple):
    """A dashboard. `slug` names its file; if `annotated`, it marks the alerts of the chosen groups."""

    slug: str
    title: str
    description: str
    variables: Sequence[Builder[VariableModel]]
    sections: Iterable[DashboardSection]
    annotated: bool = False


def encode_dashboard(page: DashboardPage, settings: Settings) -> str:
    """Encode a dashboard as JSON for Grafana."""
    board = Dashboard(page.title).uid(f"{TAG}-{page.slug}").description(page.description).tags([TAG])
    board.timezone(settings.timezone).time("now-4h", "now").refresh("10s")
    board.tooltip(DashboardCursorSync.CROSSHAIR).link(_dashboards_link()).variables(
        [_datasource_variable(), *page.variables]
    )
    if page.annotated:
        board.annotation(_alert_annotation())
    panel_id = 0
    for section in page.sections:
        panel_id += 1
        board.with_row(Row(section.title).id(panel_id))
        for panel in section.panels:
            panel_id += 1
            board.with_panel(panel.id(panel_id))
    return JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(board.build()) + "\n"


def firing_alerts_expr(severity: str = "") -> str:
    """Return the expression for the firing alerts of the chosen groups; no severity: any."""
    labels = {"severity": severity} if severity else {}
    return promql.across_servers(promql.series_selector("cx_alert_firing", labels, CHOSEN_GROUPS))


def _alert_annotation() -> AnnotationQuery:
    """Return the annotation that marks firing alerts in every panel over time."""
    query = prometheus.Dataquery().expr(firing_alerts_expr()).ref_id("Alerts").datasource(DATASOURCE).range()
    annotation = AnnotationQuery().name("Alerts").datasource(DATASOURCE).enable(True).icon_color("red")
    return annotation.target(query).title_format(ALERT_LEGEND).tag_keys("severity,by")


# Variables.


def window_variable(settings: Settings) -> CustomVariable:
    return _choice_variable(
        "window", "Window", settings.export_windows, exported_metrics.default_window(settings)
    )


def by_variable(settings: Settings) -> CustomVariable:
    names = [name for name in DIMENSIONS if name != "agent" or settings.export_agents]
    return _choice_variable("by", "By", names, "queue")


def filter_variables() -> list[QueryVariable]:
    return [_group_variable(name) for name in FILTER_DIMENSIONS]


def stat_variables(metrics: Iterable[Metric]) -> list[CustomVariable]:
    """Return one variable for each list of stats among the metrics."""
    lists = {_STAT_VARIABLES[metric.stats[0]]: metric.stats for metric in metrics if len(metric.stats) > 1}
    return [_choice_variable(name, name.capitalize(), choices, choices[0]) for name, choices in lists.items()]


def chosen_stat_label(metric: Metric) -> dict[str, str]:
    """Return the label that the variable of the metric's stats sets; none for a single stat."""
    return promql.stat_label(metric, f"${_STAT_VARIABLES[metric.stats[0]]}") if len(metric.stats) > 1 else {}


def _choice_variable(name: str, label: str, values: Sequence[str], usual: str) -> CustomVariable:
    options = [VariableOption(value == usual, value, value) for value in values]
    variable = CustomVariable(name).label(label).values(",".join(values)).options(options)
    return variable.current(VariableOption(True, usual, usual)).allow_custom_value(False)


def _group_variable(name: str) -> QueryVariable:
    query = f"label_values({promql.series_selector('cx_offered', {'by': name})}, {name})"
    variable = QueryVariable(name).label(name.capitalize()).datasource(DATASOURCE)
    variable.query({"query": query, "refId": name, "qryType": 1}).definition(query)
    variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    variable.multi(True).include_all(True).all_value(ANY_VALUE)
    return variable.current(VariableOption(True, ["All"], ["$__all"]))


def _datasource_variable() -> DatasourceVariable:
    current = VariableOption(True, "Prometheus", service_config.DATASOURCE_UID)
    return DatasourceVariable("datasource").label("Data source").type("prometheus").current(current)


def _dashboards_link() -> DashboardLink:
    links = DashboardLink("Contact center").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    return links.as_dropdown(True).keep_time(True).include_vars(True)
