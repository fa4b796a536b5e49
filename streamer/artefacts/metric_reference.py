"""Generate the README's table of metrics from the catalogue."""

from pathlib import Path
from typing import Final

from streamer.events.counting_rules import DAY, HOUR
from streamer.metrics.catalogue import CATALOGUE, Metric, Span, WindowLimits

README: Final = "README.md"
BEGIN: Final = "<!-- metrics:begin -->"
END: Final = "<!-- metrics:end -->"

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


class MarkersError(ValueError):
    """A file lacks the markers around its generated part; the text names the file and the markers."""


def generate_readme(root: Path) -> dict[Path, str]:
    """Return the README's content with a new table between its markers. Raises MarkersError."""
    path = root / README
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise MarkersError(f"{README}: expected the lines {BEGIN} and {END}, in this order")
    return {path: f"{before}{BEGIN}\n{metric_table()}{END}{after}"}


def metric_table() -> str:
    """Return the metrics as a Markdown table, one line each, in the catalogue's order."""
    lines = [_COLUMNS, ("---",) * len(_COLUMNS), *(_metric_row(metric) for metric in CATALOGUE.values())]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _metric_row(metric: Metric) -> tuple[str, ...]:
    cells = (
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
    return tuple(cell.replace("|", "\\|") for cell in cells)


def _name_cell(metric: Metric) -> str:
    stats = ", ".join(f"`{stat}`" for stat in metric.stats if stat)
    return f"`{metric.name}`" + (f" ({stats})" if stats else "")


def _windows_cell(windows: WindowLimits) -> str:
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
