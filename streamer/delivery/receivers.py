"""Construction and check of the receivers configured in [receivers.NAME]."""

from collections.abc import Callable

from pydantic import SecretStr

from streamer.delivery import slack, webhook
from streamer.delivery.caller import Caller
from streamer.delivery.receiver import Receiver
from streamer.delivery.webhook import Address, Form, Webhook, signing_key
from streamer.settings import Settings, SettingsError

LEAST_KEY = 24
"""Shortest signing key in bytes, as Standard Webhooks requires."""


def check_receivers(settings: Settings) -> None:
    """Raise SettingsError if a secret is malformed or too short. The message never shows it."""
    for name, one in settings.receivers.items():
        try:
            fits = one.secret is None or len(signing_key(one.secret.get_secret_value())) >= LEAST_KEY
        except ValueError:
            fits = False
        if not fits:
            raise SettingsError(
                f"receivers.{name}.secret: expected whsec_ and base64 of {LEAST_KEY} bytes or more "
                "(`streamer secret webhook`)"
            )


def receivers(settings: Settings, caller: Caller, clock: Callable[[], int]) -> dict[str, Receiver]:
    """Return the configured receivers by name."""
    forms = _forms(settings)
    return {
        name: Webhook(
            Address(one.url.get_secret_value(), _key(one.secret), one.timeout.total_seconds()),
            forms[one.form],
            caller,
            settings.center,
            clock,
        )
        for name, one in settings.receivers.items()
    }


def _forms(settings: Settings) -> dict[str, Form]:
    return {
        "json": webhook.plain(settings.center),
        "slack": slack.chat(settings.timezone),
    }


def _key(secret: SecretStr | None) -> bytes | None:
    return None if secret is None else signing_key(secret.get_secret_value())
