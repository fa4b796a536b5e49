"""Here is how a chat is told of alerts: Slack's incoming webhooks, which Mattermost and Rocket.Chat take too.

Nothing in a message has an effect: names that events bring are shown as they are; they link to nothing,
and mention nobody.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from streamer.alerts import words
from streamer.alerts.message import Message
from streamer.delivery.webhook import Form

MOST: Final = 20
"""Attachments of a message: Slack asks for no more."""
LONGEST: Final = 3000
"""Characters of a text: Slack's own limit of a section; Rocket.Chat's is 5,000 of a message."""
LONGEST_TITLE: Final = 150
CONTRIBUTORS: Final = 3
_COLORS: Final[Mapping[str, str]] = {"critical": "#d92d20", "warning": "#f79009"}
_RESOLVED: Final = "#12b76a"
_BREAK: Final = "\u200b"
"""Takes no room, and parts what would be a mention, a link or markup."""
_HALF: Final = re.compile("&[a-z]{0,3}$")
_ACTIVE: Final = re.compile(r"(@(?=\S)|\](?=\()|://|[*_~`](?=\S)|!(?=\[)|:(?=[a-z0-9_+-]+:))")


def chat(zone: str) -> Form:
    """Times are said in this zone."""
    return Form(MOST, lambda messages: msgspec.json.encode(body(messages, zone)))


def body(messages: Sequence[Message], zone: str) -> dict[str, Any]:
    return {
        "text": _cut("\n".join(_headline(one) for one in messages), LONGEST),
        "mrkdwn": False,
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "attachments": [_attachment(one, zone) for one in messages],
    }


def escaped(text: str) -> str:
    """As Slack has it; and what Mattermost and Rocket.Chat would make of it, they do not."""
    calm = _ACTIVE.sub(rf"\1{_BREAK}", text)
    return calm.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _headline(message: Message) -> str:
    word = message.severity.upper() if message.what == "firing" else "RESOLVED"
    return f"{word}: {escaped(_cut(message.title, LONGEST_TITLE))}"


def _attachment(message: Message, zone: str) -> dict[str, Any]:
    is_over = message.what == "resolved"
    found: dict[str, Any] = {
        "fallback": _headline(message),
        "color": _RESOLVED if is_over else _COLORS[message.severity],
        "title": _headline(message),
        "text": _cut("\n".join(_lines(message, zone)), LONGEST),
        "mrkdwn_in": [],
        "footer": escaped(f"{message.rule} · {words.clock(message.at, message.at, zone)}"),
    }
    return found | ({"title_link": message.links["explain"]} if "explain" in message.links else {})


def _lines(message: Message, zone: str) -> Iterator[str]:
    yield escaped(message.text)
    yield from _figures(message, zone)
    if message.contributors and not any(one.apart for one in message.contributors):
        yield "No part stands out; the largest are:"
    for one in message.contributors[:CONTRIBUTORS]:
        moved = words.difference(message.unit, one.moved)
        yield escaped(f"• {one.dimension} {one.name}: {moved}, of {one.support:,} observations")
    if "contacts" in message.links:
        yield f"The contacts behind it: {message.links['contacts']}"


def _figures(message: Message, zone: str) -> Iterator[str]:
    figures, since = message.figures, words.clock(message.since, message.at, zone)
    parts = [f"since {since}"]
    for name, value in (("now", figures.value), ("target", figures.target), ("usual", figures.usual)):
        if value is not None:
            parts.append(f"{name} {words.said_in(message.unit, value)}")
    if message.interval is not None:
        ends = (words.said_in(message.unit, end) for end in message.interval)
        parts.append(f"interval {' … '.join(ends)}")
    if figures.support:
        parts.append(f"{figures.support:,} observations")
    yield escaped(", ".join(parts))


def _cut(text: str, most: int) -> str:
    """Not amid what stands for < or >."""
    return text if len(text) <= most else _HALF.sub("", text[: most - 1]) + "…"
