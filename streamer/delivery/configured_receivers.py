"""Construction and check of the receivers configured in [receivers.NAME]."""

from streamer.delivery import pagerduty, slack, teams, webhook
from streamer.delivery.alert_mail import MailReceiver
from streamer.delivery.http_client import HttpClient
from streamer.delivery.receiver import Receiver
from streamer.delivery.smtp import SmtpClient
from streamer.delivery.webhook import MessageFormat, WebhookEndpoint, WebhookReceiver, signing_key
from streamer.runtime.clock import Clock
from streamer.settings import ReceiverSettings, Settings


def build_receivers(settings: Settings, http: HttpClient, clock: Clock) -> dict[str, Receiver]:
    """Return the configured receivers by name."""
    mail_client = SmtpClient(settings.mail)

    def build(receiver: ReceiverSettings) -> Receiver:
        if receiver.mail:
            return MailReceiver(receiver.mail, mail_client, settings.center, settings.timezone, clock)
        assert receiver.url is not None
        endpoint = WebhookEndpoint(
            receiver.url.get_secret_value(),
            None if receiver.secret is None else signing_key(receiver.secret.get_secret_value()),
            receiver.timeout.total_seconds(),
        )
        return WebhookReceiver(endpoint, _message_format(receiver, settings), http, settings.center, clock)

    return {name: build(receiver) for name, receiver in settings.receivers.items()}


def _message_format(receiver: ReceiverSettings, settings: Settings) -> MessageFormat:
    match receiver.form:
        case "json":
            return webhook.json_format(settings.center)
        case "slack":
            return slack.slack_format(settings.timezone)
        case "teams":
            return teams.teams_format(settings.timezone)
        case "pagerduty":
            assert receiver.routing_key is not None
            key = receiver.routing_key.get_secret_value()
            return pagerduty.pagerduty_format(key, settings.center, settings.timezone)
