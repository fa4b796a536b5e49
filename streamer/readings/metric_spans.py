"""Spans that the windows of metrics may refer to, from the settings."""

from streamer.metrics.catalogue import WindowSpans
from streamer.settings import Settings


def window_spans(settings: Settings) -> WindowSpans:
    """Return the spans that the windows of metrics may refer to, in ms."""
    rules = settings.counting_rules()
    return WindowSpans(
        fcr_ms=rules.fcr_ms,
        horizon_ms=rules.horizon_ms,
        response_age_ms=round(settings.survey_response_delay.total_seconds() * 1000),
    )
