"""Generate docs/metrics.md from the catalogue: the table of metrics."""

from pathlib import Path
from typing import Final

from streamer.artefacts.marked_text import markdown_table, replace_marked_part
from streamer.events.counting_rules import DAY, HOUR
from streamer.metrics.catalogue import CATALOGUE, Metric, Span, WindowLimits

METRICS_PAGE: Final = "docs/metrics.md"

_COLUMNS: Final = (
    "metric",
    "formula",
    "unit",
    "better",
    "placed at",
    "windows",
    "95 % interval",
    "support",
    "meaning",
)
_SPANS: Final = {"fcr_ms": "N", "horizon_ms": "the horizon", "response_age_ms": "the response age"}


def generate_metric_reference(root: Path) -> dict[Path, str]:
    """Return docs/metrics.md with a new table between its markers. Raises MarkersError."""
    return replace_marked_part(root, METRICS_PAGE, "metrics", metric_table())


def metric_table() -> str:
    """Return the metrics as a Markdown table, one line each, in the catalogue's order."""
    return markdown_table(_COLUMNS, [_metric_row(metric) for metric in CATALOGUE.values()])


def _metric_row(metric: Metric) -> tuple[str, ...]:
    return (
        _name_cell(metric),
        metric.measure.words,
        metric.unit,
        metric.better,
        metric.placed,
        _windows_cell(metric.windows),
        metric.measure.interval or "–",
        metric.measure.support,
        f"{metric.help} Formula: {metric.source}.",
    )


def _name_cell(metric: Metric) -> str:
    stats = ", ".join(f"`{stat}`" for stat in metric.stats if stat)
    return f"`{metric.name}`" + (f" ({stats})" if stats else "")


def _windows_cell(windows: WindowLimits) -> str:
    if windows.now:
        return "now"
    parts = []
    if windows.at_least:
        parts.append(f"from {_span_text(windows.at_least)}")
    if windows.at_most is not None:
        parts.append(f"up to {_span_text(windows.at_most)}")
    if windows.shift:
        parts.append(f"ending {_span_text(windows.shift)} before")
    return ", ".join(parts) or "all"


def _span_text(span: Span) -> str:
    if isinstance(span, str):
        return _SPANS[span]
    return f"{span // DAY} d" if span % DAY == 0 and span > DAY else f"{span // HOUR} h"
