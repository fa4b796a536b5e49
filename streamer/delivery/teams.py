"""Message format of Microsoft Teams: an Adaptive Card for a webhook of Workflows.

All that events bring stands in text runs, which know no markup.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from streamer.alerts import formatting
from streamer.alerts.alert_message import AlertMessage
from streamer.delivery.message_lines import message_lines, message_links, status_word
from streamer.delivery.webhook import MessageFormat

MAX_ALERTS: Final = 5
"""Alerts of one card: Teams takes 28 kB, and an alert has up to MAX_LINE_CHARS in each of some six lines."""
MAX_LINE_CHARS: Final = 600
_COLORS: Final = {"critical": "attention", "warning": "warning"}


def teams_format(zone: str) -> MessageFormat:
    """Return the format of Teams; times are in the time zone `zone`."""
    return MessageFormat(MAX_ALERTS, lambda messages: msgspec.json.encode(teams_payload(messages, zone)))


def teams_payload(messages: Sequence[AlertMessage], zone: str) -> dict[str, Any]:
    """Return the JSON body of one post: a card with a part for each alert."""
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [_alert_part(message, zone) for message in messages],
    }
    content_type = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": content_type, "content": card}]}


def _alert_part(message: AlertMessage, zone: str) -> dict[str, Any]:
    color = _COLORS[message.severity] if message.what == "firing" else "good"
    footer = f"{message.rule} · {formatting.clock(message.at, message.at, zone)}"
    links = [
        {"type": "Action.OpenUrl", "title": label, "url": address}
        for label, address in message_links(message)
    ]
    lines: list[dict[str, Any]] = [
        _text_line(f"{status_word(message)}: {message.title}", color=color, weight="bolder", size="medium"),
        *(_text_line(line) for line in message_lines(message, zone)),
        _text_line(footer, isSubtle=True, size="small"),
    ]
    if links:
        lines.append({"type": "ActionSet", "actions": links})
    return {"type": "Container", "separator": True, "items": lines}


def _text_line(text: str, **look: Any) -> dict[str, Any]:
    shortened = text if len(text) <= MAX_LINE_CHARS else f"{text[: MAX_LINE_CHARS - 1]}…"
    run = {"type": "TextRun", "text": formatting.inert(shortened), **look}
    return {"type": "RichTextBlock", "inlines": [run]}
