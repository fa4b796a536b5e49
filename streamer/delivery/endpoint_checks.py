"""Checks of the settings of where alerts are sent: receivers and Alertmanager."""

from typing import Final

from streamer.delivery.webhook import signing_key
from streamer.settings import Settings, SettingsError

MIN_KEY_BYTES: Final = 24
"""Shortest signing key in bytes, as Standard Webhooks requires."""


def check_receivers(settings: Settings) -> None:
    """Raise SettingsError if a secret is malformed or too short, or if there is no server for mail. The
    message never shows a secret."""
    for name, receiver in settings.receivers.items():
        if receiver.mail and not settings.mail.host:
            raise SettingsError(f"receivers.{name}.mail: expected a mail.host to send it by")
        try:
            is_valid = (
                receiver.secret is None
                or len(signing_key(receiver.secret.get_secret_value())) >= MIN_KEY_BYTES
            )
        except ValueError:
            is_valid = False
        if not is_valid:
            raise SettingsError(
                f"receivers.{name}.secret: expected whsec_ and base64 of {MIN_KEY_BYTES} bytes or more "
                "(`streamer secret webhook`)"
            )


def check_alertmanager(settings: Settings) -> None:
    """Raise SettingsError if delivery.alertmanager is not an http or https URL.

    The address may hold a password: the message does not show it.
    """
    address = settings.delivery.alertmanager
    if address and not address.startswith(("http://", "https://")):
        raise SettingsError(
            "delivery.alertmanager: expected an address such as http://127.0.0.1:9093, without /api"
        )
