"""Receiver of alerts by mail, through the server in [mail]."""

from collections.abc import Sequence
from typing import Final

from streamer.alerts import formatting
from streamer.alerts.alert_message import AlertMessage
from streamer.delivery.message_lines import message_lines, message_links, status_word
from streamer.delivery.receiver import DeliveryFailed, DeliverySucceeded
from streamer.delivery.smtp import Mail, SmtpClient
from streamer.delivery.webhook import batch_id
from streamer.runtime.clock import Clock

MAX_ALERTS: Final = 20
MAX_SUBJECT_CHARS: Final = 150


class MailReceiver:
    """Receiver whose addresses get one mail for the alerts that wait together."""

    max_alerts = MAX_ALERTS

    def __init__(self, to: Sequence[str], client: SmtpClient, center: str, zone: str, clock: Clock) -> None:
        self._to, self._client, self._center, self._zone, self._clock = to, client, center, zone, clock

    @property
    def timeout_s(self) -> float:
        """Seconds for all that is said to the server, each of which has its own limit."""
        return 4 * self._client.timeout_s

    async def send(self, messages: Sequence[AlertMessage]) -> DeliverySucceeded | DeliveryFailed:
        mail_id = batch_id(self._center, messages)
        mail = Mail(mail_id, self._to, alert_subject(messages), alert_text(messages, self._zone))
        return await self._client.send(mail, self._clock() / 1000)


def alert_subject(messages: Sequence[AlertMessage]) -> str:
    """Return one line: what happened, and how much else."""
    first = messages[0]
    more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
    title = " ".join(first.title.split())
    room = MAX_SUBJECT_CHARS - len(more)
    headline = f"{status_word(first)}: {title}"
    return (headline if len(headline) <= room else f"{headline[: room - 1]}…") + more


def alert_text(messages: Sequence[AlertMessage], zone: str) -> str:
    """Return the text of a mail: a paragraph for each alert. Names in it become no links."""
    return "\n\n".join("\n".join(_paragraph(message, zone)) for message in messages)


def _paragraph(message: AlertMessage, zone: str) -> list[str]:
    footer = f"{message.rule} · {formatting.clock(message.at, message.at, zone)}"
    lines = [f"{status_word(message)}: {message.title}", *message_lines(message, zone), footer]
    links = [f"{label} {address}" for label, address in message_links(message)]
    return [*map(formatting.inert, lines), *links]
