"""Select the metrics, windows, targets and names that Prometheus and Grafana get from the settings."""

from streamer.metrics.catalogue import CATALOGUE, Metric, WindowSpans
from streamer.panes.windows import NOW, is_read_over
from streamer.settings import Settings


def exported_metrics(settings: Settings) -> list[Metric]:
    """List the metrics of now, and those that have data in at least one exported window."""
    rules = settings.counting_rules()
    spans = WindowSpans(
        rules.fcr_ms, rules.horizon_ms, round(settings.survey_response_delay.total_seconds() * 1000)
    )
    windows = (NOW, *settings.export_windows)
    return [m for m in CATALOGUE.values() if any(is_read_over(m.windows, name, spans) for name in windows)]


def default_window(settings: Settings) -> str:
    """Return "1h" if it is exported, else the first exported window."""
    return "1h" if "1h" in settings.export_windows else settings.export_windows[0]


def queue_targets(metric: Metric, settings: Settings) -> dict[str, float | None]:
    """Return the targets of queues that differ from the metric's common target."""
    common_target = settings.target(metric.name)
    targets = {queue: settings.target(metric.name, queue) for queue in sorted(settings.targets.queues)}
    return {queue: target for queue, target in targets.items() if target != common_target}


def display_names(settings: Settings) -> dict[str, str]:
    """Return display names by id, of all ids that have one."""
    return {key: name for values in settings.names.values() for key, name in sorted(values.items())}
