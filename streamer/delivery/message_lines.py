"""Lines of an alert message, as people read them in any chat or mail."""

from collections.abc import Iterator
from typing import Final

from streamer.alerts import formatting
from streamer.alerts.alert_message import AlertMessage

MAX_CONTRIBUTORS: Final = 3
_LINK_LABELS: Final = {"explain": "Why?", "contacts": "Contacts"}


def status_word(message: AlertMessage) -> str:
    """Return the severity of what fires, else RESOLVED, in capitals."""
    return message.severity.upper() if message.what == "firing" else "RESOLVED"


def message_lines(message: AlertMessage, zone: str) -> Iterator[str]:
    """Yield the text, the figures and what moved them; times are in the time zone `zone`. Names are as events
    brought them: the caller makes them harmless where they are shown."""
    yield message.text
    yield _figures_line(message, zone)
    if message.contributors and not any(contributor.apart for contributor in message.contributors):
        yield "No part stands out; the largest are:"
    for contributor in message.contributors[:MAX_CONTRIBUTORS]:
        difference = formatting.format_difference(message.unit, contributor.moved)
        yield (
            f"• {contributor.dimension} {contributor.name}: {difference}, "
            f"of {contributor.support:,} observations"
        )


def message_links(message: AlertMessage) -> list[tuple[str, str]]:
    """Return label and address of the pages that a message leads to."""
    return [(label, message.links[name]) for name, label in _LINK_LABELS.items() if name in message.links]


def _figures_line(message: AlertMessage, zone: str) -> str:
    figures, since = message.figures, formatting.clock(message.since, message.at, zone)
    parts = [f"since {since}"]
    for name, value in (("now", figures.value), ("target", figures.target), ("usual", figures.usual)):
        if value is not None:
            parts.append(f"{name} {formatting.format_in_unit(message.unit, value)}")
    if message.interval is not None:
        ends = (formatting.format_in_unit(message.unit, end) for end in message.interval)
        parts.append(f"interval {' … '.join(ends)}")
    if figures.support:
        parts.append(f"{figures.support:,} observations")
    return ", ".join(parts)
