"""Checks of the settings of access: where the server listens, and whether users can log in."""

from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

from streamer.settings import Settings, SettingsError


def check_host(settings: Settings) -> None:
    """Raise SettingsError if the server would listen on the network while no users are configured."""
    if settings.is_open and not is_loopback(settings.host):
        raise SettingsError(
            f"host = {settings.host!r}: expected a loopback address such as 127.0.0.1, "
            "or access control: set [users], [displays] or [proxy]"
        )


def check_users(settings: Settings) -> None:
    """Raise SettingsError for a user who could never log in."""
    for name, user in settings.users.items():
        if not (user.password or user.tokens or (settings.proxy and settings.proxy.header)):
            raise SettingsError(f"users.{name}: expected a password or tokens, as no proxy logs people in")


def is_loopback(host: str) -> bool:
    """Tell whether a Host header, or an address to listen on, names this machine itself.

    >>> [is_loopback(host) for host in ("localhost:8080", "[::1]:8080", "127.0.0.1", "wall.example.com")]
    [True, True, True, False]
    """
    with suppress(ValueError):
        is_bare_ipv6 = host.count(":") > 1 and "[" not in host
        name = host if is_bare_ipv6 else urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or name.endswith(".localhost") or ip_address(name).is_loopback
    return False
