"""Message format of Slack's incoming webhooks, which Mattermost and Rocket.Chat accept too.

Nothing in a text has an effect: names that come from events are shown as they are, link to nothing and
mention nobody.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from streamer.alerts import formatting
from streamer.alerts.alert_message import AlertMessage
from streamer.delivery.webhook import MessageFormat

MAX_ALERTS: Final = 20
"""Attachments of one message: Slack advises no more."""
MAX_TEXT_CHARS: Final = 3000
"""Characters of one text: Slack's limit of a section; Rocket.Chat's is 5,000 of a message."""
MAX_TITLE_CHARS: Final = 150
MAX_CONTRIBUTORS: Final = 3
_COLORS: Final[Mapping[str, str]] = {"critical": "#d92d20", "warning": "#f79009"}
_RESOLVED: Final = "#12b76a"
_CUT_ENTITY: Final = re.compile("&[a-z]{0,3}$")


def slack_format(zone: str) -> MessageFormat:
    """Return the Slack format; times are in the time zone `zone`."""
    return MessageFormat(MAX_ALERTS, lambda messages: msgspec.json.encode(slack_payload(messages, zone)))


def slack_payload(messages: Sequence[AlertMessage], zone: str) -> dict[str, Any]:
    """Return the JSON body of one post: a headline and an attachment for each alert."""
    return {
        "text": _truncate("\n".join(_headline(message) for message in messages), MAX_TEXT_CHARS),
        "mrkdwn": False,
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "attachments": [_attachment(message, zone) for message in messages],
    }


def escape_text(text: str) -> str:
    """Escape a text as Slack requires, and disable the Markdown of Mattermost and Rocket.Chat.

    >>> escape_text("Sales & 5 > 4")
    'Sales &amp; 5 &gt; 4'
    """
    return formatting.inert(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _headline(message: AlertMessage) -> str:
    word = message.severity.upper() if message.what == "firing" else "RESOLVED"
    return f"{word}: {escape_text(_truncate(message.title, MAX_TITLE_CHARS))}"


def _attachment(message: AlertMessage, zone: str) -> dict[str, Any]:
    is_over = message.what == "resolved"
    attachment: dict[str, Any] = {
        "fallback": _headline(message),
        "color": _RESOLVED if is_over else _COLORS[message.severity],
        "title": _headline(message),
        "text": _truncate("\n".join(_lines(message, zone)), MAX_TEXT_CHARS),
        "mrkdwn_in": [],
        "footer": escape_text(f"{message.rule} · {formatting.clock(message.at, message.at, zone)}"),
    }
    return attachment | ({"title_link": message.links["explain"]} if "explain" in message.links else {})


def _lines(message: AlertMessage, zone: str) -> Iterator[str]:
    yield escape_text(message.text)
    yield from _figures(message, zone)
    if message.contributors and not any(contributor.apart for contributor in message.contributors):
        yield "No part stands out; the largest are:"
    for contributor in message.contributors[:MAX_CONTRIBUTORS]:
        difference = formatting.format_difference(message.unit, contributor.moved)
        yield escape_text(
            f"• {contributor.dimension} {contributor.name}: {difference}, "
            f"of {contributor.support:,} observations"
        )
    if "contacts" in message.links:
        yield f"Contacts: {message.links['contacts']}"


def _figures(message: AlertMessage, zone: str) -> Iterator[str]:
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
    yield escape_text(", ".join(parts))


def _truncate(text: str, max_chars: int) -> str:
    """Shorten a text to `max_chars` characters, but never within an entity such as &lt;."""
    return text if len(text) <= max_chars else _CUT_ENTITY.sub("", text[: max_chars - 1]) + "…"
