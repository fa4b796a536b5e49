"""Message format of Slack's incoming webhooks, which Mattermost and Rocket.Chat accept too.

Nothing in a text has an effect: names that come from events are shown as they are, link to nothing and
mention nobody.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from streamer.alerts import words
from streamer.alerts.message import Message
from streamer.delivery.webhook import Form

MOST: Final = 20
"""Attachments of one message: Slack advises no more."""
LONGEST: Final = 3000
"""Characters of one text: Slack's limit of a section; Rocket.Chat's is 5,000 of a message."""
LONGEST_TITLE: Final = 150
CONTRIBUTORS: Final = 3
_COLORS: Final[Mapping[str, str]] = {"critical": "#d92d20", "warning": "#f79009"}
_RESOLVED: Final = "#12b76a"
_BREAK: Final = "\u200b"
"""Zero-width space: breaks up what would be a mention, a link or markup."""
_HALF: Final = re.compile("&[a-z]{0,3}$")
_ACTIVE: Final = re.compile(r"(@(?=\S)|\](?=\()|://|[*_~`](?=\S)|!(?=\[)|:(?=[a-z0-9_+-]+:))")


def chat(zone: str) -> Form:
    """Return the Slack format; times are in the time zone `zone`."""
    return Form(MOST, lambda messages: msgspec.json.encode(body(messages, zone)))


def body(messages: Sequence[Message], zone: str) -> dict[str, Any]:
    """Return the JSON body of one post: a headline and an attachment for each alert."""
    return {
        "text": _cut("\n".join(_headline(one) for one in messages), LONGEST),
        "mrkdwn": False,
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "attachments": [_attachment(one, zone) for one in messages],
    }


def escaped(text: str) -> str:
    """Escape a text as Slack requires, and disable the Markdown of Mattermost and Rocket.Chat.

    >>> escaped("Sales & <returns>")
    'Sales &amp; &lt;returns&gt;'
    >>> escaped("@channel") == "@" + _BREAK + "channel"
    True
    """
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
        yield f"Contacts: {message.links['contacts']}"


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
    """Shorten a text to `max_chars` characters, but never within an entity such as &lt;."""
    return text if len(text) <= most else _HALF.sub("", text[: most - 1]) + "…"
