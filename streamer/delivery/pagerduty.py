"""Message format of PagerDuty's Events API, version 2: an alert is an incident, which its end resolves."""

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import msgspec

from streamer.alerts.alert_message import AlertMessage
from streamer.delivery.message_lines import message_lines, message_links
from streamer.delivery.webhook import MessageFormat

MAX_SUMMARY_CHARS: Final = 1024


def pagerduty_format(routing_key: str, center: str, zone: str) -> MessageFormat:
    """Return the format of PagerDuty, which takes one alert a post; times are in the time zone `zone`."""
    return MessageFormat(
        1, lambda messages: msgspec.json.encode(pagerduty_payload(messages, routing_key, center, zone))
    )


def pagerduty_payload(
    messages: Sequence[AlertMessage], routing_key: str, center: str, zone: str
) -> dict[str, Any]:
    """Return the JSON body of one event. The key of the incident is the same for the beginning and the end of
    an alert."""
    (message,) = messages
    incident_key = sha256(f"{center} {message.episode}".encode()).hexdigest()[:32]
    common = {"routing_key": routing_key, "dedup_key": incident_key}
    if message.what == "resolved":
        return common | {"event_action": "resolve"}
    return common | {
        "event_action": "trigger",
        "client": "streamer",
        "links": [{"href": address, "text": label} for label, address in message_links(message)],
        "payload": {
            "summary": message.title[:MAX_SUMMARY_CHARS],
            "source": center,
            "severity": message.severity,
            "timestamp": datetime.fromtimestamp(message.at / 1000, UTC).isoformat(timespec="milliseconds"),
            "component": message.metric,
            "group": message.group or "all",
            "class": message.rule,
            "custom_details": {"text": "\n".join(message_lines(message, zone))},
        },
    }
