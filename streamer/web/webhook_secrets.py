"""Secrets that the webhooks of sources are signed with, and checks of them."""

import base64
from typing import Final

from streamer.settings import Settings, SettingsError

MIN_SECRET_LENGTH: Final = 16


def check_secrets(settings: Settings) -> None:
    """Raise SettingsError for a secret that is too short or malformed; the error never shows the secret."""
    for name, secret in webhook_secrets(settings).items():
        setting = f"sources.{name}.secret"
        if len(secret) < MIN_SECRET_LENGTH:
            raise SettingsError(f"{setting}: expected at least {MIN_SECRET_LENGTH} characters")
        if name == "formbricks":
            try:
                decode_whsec(secret)
            except ValueError:
                raise SettingsError(f"{setting}: expected one that starts with whsec_") from None


def webhook_secrets(settings: Settings) -> dict[str, str]:
    """Return the secrets by source, of those that have one."""
    secrets_by_source = {name: source.secret for name, source in settings.sources.items()}
    return {
        name: secret.get_secret_value() for name, secret in secrets_by_source.items() if secret is not None
    }


def decode_whsec(secret: str) -> bytes:
    """Decode a key of Standard Webhooks: base64 after "whsec_". Raise ValueError.

    >>> decode_whsec("whsec_MDEyMzQ1Njc4OWFiY2RlZg==")
    b'0123456789abcdef'
    """
    return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
