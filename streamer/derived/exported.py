"""Here is what of the catalogue and the settings reaches Prometheus, and with which targets."""

from streamer.metrics.catalogue import CATALOGUE, Metric, Spans
from streamer.panes.windows import length
from streamer.settings import Settings


def metrics(settings: Settings) -> list[Metric]:
    """Those that have data in at least one exported window."""
    rules = settings.rules()
    spans = Spans(rules.fcr_ms, rules.horizon_ms, round(settings.response_age.total_seconds() * 1000))
    lengths = [length(window) for window in settings.export_windows]
    return [m for m in CATALOGUE.values() if any(m.windows.serve(ms, spans) for ms in lengths)]


def usual_window(settings: Settings) -> str:
    """An hour where that is exported."""
    return "1h" if "1h" in settings.export_windows else settings.export_windows[0]


def own_targets(metric: Metric, settings: Settings) -> dict[str, float | None]:
    """Of the queues whose target of this metric is not everyone's."""
    usual = settings.target(metric.name)
    found = {queue: settings.target(metric.name, queue) for queue in sorted(settings.targets.queues)}
    return {queue: target for queue, target in found.items() if target != usual}


def names(settings: Settings) -> dict[str, str]:
    """The display name of each id that has one."""
    return {key: name for values in settings.names.values() for key, name in sorted(values.items())}
