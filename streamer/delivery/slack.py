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
from streamer.delivery.message_lines import message_lines, status_word
from streamer.delivery.webhook import MessageFormat

MAX_ALERTS: Final = 20
"""Attachments of one message: Slack advises no more."""
MAX_TEXT_CHARS: Final = 3000
"""Characters of one text: Slack's limit of a section; Rocket.Chat's is 5,000 of a message."""
MAX_TITLE_CHARS: Final = 150
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
    return f"{status_word(message)}: {escape_text(_truncate(message.title, MAX_TITLE_CHARS))}"


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
    yield from map(escape_text, message_lines(message, zone))
    if "contacts" in message.links:
        yield f"Contacts: {message.links['contacts']}"


def _truncate(text: str, max_chars: int) -> str:
    """Shorten a text to `max_chars` characters, but never within an entity such as &lt;."""
    return text if len(text) <= max_chars else _CUT_ENTITY.sub("", text[: max_chars - 1]) + "…"
