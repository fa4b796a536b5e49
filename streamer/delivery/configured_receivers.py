"""Construction and check of the receivers configured in [receivers.NAME]."""

from streamer.delivery import slack, webhook
from streamer.delivery.http_client import HttpClient
from streamer.delivery.receiver import Receiver
from streamer.delivery.webhook import MessageFormat, WebhookEndpoint, WebhookReceiver, signing_key
from streamer.runtime.clock import Clock
from streamer.settings import Settings


def build_receivers(settings: Settings, http: HttpClient, clock: Clock) -> dict[str, Receiver]:
    """Return the configured receivers by name."""
    formats = _message_formats(settings)
    return {
        name: WebhookReceiver(
            WebhookEndpoint(
                receiver.url.get_secret_value(),
                None if receiver.secret is None else signing_key(receiver.secret.get_secret_value()),
                receiver.timeout.total_seconds(),
            ),
            formats[receiver.form],
            http,
            settings.center,
            clock,
        )
        for name, receiver in settings.receivers.items()
    }


def _message_formats(settings: Settings) -> dict[str, MessageFormat]:
    return {
        "json": webhook.json_format(settings.center),
        "slack": slack.slack_format(settings.timezone),
    }
