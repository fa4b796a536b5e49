"""Build the kinds of panels: number, bars, lines, states, table; all show "no data" alike."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models import common as choices
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.dashboard import FieldColorModeId
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from streamer.artefacts import metric_display
from streamer.artefacts.metric_display import VERDICT_COLORS, FieldScale
from streamer.metrics.catalogue import Metric
from streamer.settings import Settings

DATASOURCE: Final = choices.DataSourceRef(type_val="prometheus", uid="${datasource}")
NO_DATA: Final = "–"
GREY: Final = "#8e8e8e"
SAMPLE_REF: Final = "n"
SAMPLE_SUFFIX: Final = " · n {}"

Panel = stat.Panel | bargauge.Panel | timeseries.Panel | statetimeline.Panel | table.Panel
P = TypeVar("P", stat.Panel, bargauge.Panel, timeseries.Panel, statetimeline.Panel, table.Panel)
Properties = list[models.DynamicConfigValue]


class PanelQuery(NamedTuple):
    """An expression and the legend of its series."""

    expr: str
    legend: str = ""
    ref: str = "A"


# Kinds.


def number_panel(queries: Iterable[PanelQuery]) -> stat.Panel:
    """Return a panel of current numbers; stale ones have no series and show as no data."""
    panel = stat.Panel().height(5).span(4).color_scheme(_by_thresholds()).reduce_options(_last_value())
    panel.color_mode(choices.BigValueColorMode.VALUE).graph_mode(choices.BigValueGraphMode.NONE)
    for query in queries:
        panel.with_target(_target(query).instant())
    return panel


def bar_panel(queries: Iterable[PanelQuery]) -> bargauge.Panel:
    """Return a panel with a bar for each group, as of now."""
    panel = bargauge.Panel().height(9).span(8).color_scheme(_by_thresholds()).reduce_options(_last_value())
    panel.display_mode(choices.BarGaugeDisplayMode.BASIC).orientation(choices.VizOrientation.HORIZONTAL)
    for query in queries:
        panel.with_target(_target(query).instant())
    return panel


def line_panel(queries: Iterable[PanelQuery]) -> timeseries.Panel:
    """Return a panel of lines over time, with gaps where there is no data."""
    panel = timeseries.Panel().height(8).span(8).line_width(2).fill_opacity(0).span_nulls(False)
    panel.show_points(choices.VisibilityMode.AUTO)
    panel.color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    panel.legend(_legend()).tooltip(_tooltip())
    for query in queries:
        panel.with_target(_target(query).range())
    return panel


def state_panel(queries: Iterable[PanelQuery]) -> statetimeline.Panel:
    """Return a timeline with a row for each series and a bar while it has a value."""
    panel = statetimeline.Panel().height(7).span(24).merge_values(True).row_height(0.8)
    panel.show_value(choices.VisibilityMode.NEVER).legend(_legend()).tooltip(_tooltip())
    for query in queries:
        panel.with_target(_target(query).range())
    return panel


def table_panel(queries: Iterable[PanelQuery], names: Mapping[str, str]) -> table.Panel:
    """Return a table with a row for each group and a column for each query; `names`: columns by field."""
    panel = table.Panel().height(10).span(24).color_scheme(_by_thresholds())
    for query in queries:
        panel.with_target(_target(query).instant().format(PromQueryFormat.TABLE))
    columns = {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": dict(names)}
    panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    return panel.with_transformation(models.DataTransformerConfig(id_val="organize", options=columns))


# Options of panels.


def apply_metric(panel: P, metric: Metric, settings: Settings) -> P:
    """Set title, description, unit and thresholds of a metric, from the catalogue and the targets. Panels
    over time have a line at the target."""
    target = settings.target(metric.name)
    panel.title(metric_display.metric_title(metric)).description(
        metric_display.metric_description(metric, settings)
    )
    if isinstance(panel, timeseries.Panel):
        apply_limit(panel, metric_display.target_thresholds(metric.better, target), target)
    else:  # where there is a target, the verdict gives the colour
        panel.thresholds(metric_display.target_thresholds(metric.better, None))
    return apply_defaults(panel, metric_display.metric_scale(metric, settings))


def apply_limit(panel: P, steps: ThresholdsConfig, limit: float | None) -> P:
    """Set the colours of the steps; panels over time also get a line at the limit."""
    panel.thresholds(steps)
    if isinstance(panel, timeseries.Panel) and limit is not None:
        style = common.GraphThresholdsStyleConfig().mode(choices.GraphThresholdsStyleMode.DASHED)
        panel.thresholds_style(style)
    return panel


def apply_defaults(panel: P, scale: FieldScale) -> P:
    """Set what every panel has: data source, unit, decimals and the look of no data."""
    panel.datasource(DATASOURCE).unit(scale.unit).decimals(scale.decimals)
    panel.no_value(NO_DATA).mappings(value_mappings({}))
    if isinstance(panel, bargauge.Panel):
        panel.min(scale.least or 0)
        if scale.most is not None:
            panel.max(scale.most)
    return panel


def apply_display_names(panel: P, names: Mapping[str, str]) -> P:
    """Show display names instead of ids; in bars the sample stands behind them."""
    for key, name in names.items():
        if isinstance(panel, bargauge.Panel):
            shown = override_properties(displayName=name + SAMPLE_SUFFIX.format("${__field.labels.n}"))
            panel.override_by_regexp(f"/^{re.escape(key)}( · |$)/", shown)
        else:
            panel.override_by_name(key, override_properties(displayName=name))
    return panel


def color_verdicts(panel: P, refs: Collection[str]) -> P:
    """Colour the series of the queries that are named after a verdict, and show the sample in grey."""
    for verdict, color in VERDICT_COLORS.items():
        if verdict in refs:
            panel.override_by_query(verdict, override_properties(color=_fixed(color)))
    if SAMPLE_REF in refs:
        properties = override_properties(color=_fixed(GREY), unit="prefix:n ", decimals=0)
        panel.override_by_query(SAMPLE_REF, properties)
    return panel


def _fixed(color: str) -> dict[str, str]:
    return {"mode": "fixed", "fixedColor": color}


def value_mappings(names: Mapping[str, str]) -> list[models.ValueMapping]:
    """Return value mappings: no data in grey, and display names for ids that are values."""
    grey = models.ValueMappingResult(text=NO_DATA, color=GREY, index=0)
    options = models.DashboardSpecialValueMapOptions(models.SpecialValueMatch.NULL_AND_NAN, grey)
    result: list[models.ValueMapping] = [models.SpecialValueMap(options)]
    if names:
        texts = {key: models.ValueMappingResult(text=name, index=1) for key, name in names.items()}
        result.append(models.ValueMap(texts))
    return result


def word_mappings(words: Mapping[float, tuple[str, str]]) -> list[models.ValueMapping]:
    """Return value mappings: no data in grey, and each value as a word in a colour."""
    texts = {
        f"{value:g}": models.ValueMappingResult(text=text, color=color, index=1)
        for value, (text, color) in words.items()
    }
    return [*value_mappings({}), models.ValueMap(texts)]


def override_properties(**values: object) -> Properties:
    """Return the properties of an override; two underscores in a name stand for a point.

    >>> [(each.id_val, each.value) for each in override_properties(unit="s", custom__lineWidth=0)]
    [('unit', 's'), ('custom.lineWidth', 0)]
    """
    return [models.DynamicConfigValue(name.replace("__", "."), value) for name, value in values.items()]


def interval_properties(fill_to: str = "") -> Properties:
    """Return properties for the end of an interval: no line, and the area down to the other end filled."""
    hidden = {"legend": True, "tooltip": False, "viz": False}
    result = override_properties(custom__lineWidth=0, custom__showPoints="never", custom__hideFrom=hidden)
    if fill_to:
        result += override_properties(custom__fillBelowTo=fill_to, custom__fillOpacity=15)
    return result


def fixed_color() -> FieldColor:
    """Return one fixed colour, for a line and its interval."""
    return FieldColor().mode(FieldColorModeId.FIXED).fixed_color(metric_display.NEUTRAL_COLOR)


def _target(query: PanelQuery) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).ref_id(query.ref).datasource(DATASOURCE)
    return target.legend_format(query.legend) if query.legend else target


def _last_value() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["last"]).values(False)


def _by_thresholds() -> FieldColor:
    return FieldColor().mode(FieldColorModeId.THRESHOLDS)


def _legend() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().display_mode(choices.LegendDisplayMode.LIST)
    return legend.placement(choices.LegendPlacement.BOTTOM).show_legend(True)


def _tooltip() -> common.VizTooltipOptions:
    tooltip = common.VizTooltipOptions().mode(choices.TooltipDisplayMode.MULTI)
    return tooltip.sort(choices.SortOrder.DESCENDING)
