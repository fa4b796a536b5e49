"""URL of Redis: check its form, and complete it with the settings that stand beside it."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from pydantic import SecretStr

_PLAIN_SCHEMES: Final = ("redis", "rediss", "unix")
_SENTINEL_SCHEMES: Final = ("redis+sentinel", "rediss+sentinel")


def check_redis_url(secret: SecretStr) -> SecretStr:
    """Return the URL. Raises ValueError, whose message never shows it: it may hold a password.

    >>> check_redis_url(SecretStr("redis://:pass/word@redis:6379"))
    Traceback (most recent call last):
    ValueError: a URL such as redis://redis:6379/0, with / ? # @ in a password written as %2F %3F %23 %40
    """
    url = secret.get_secret_value()
    scheme = url.partition("://")[0]
    if scheme not in (*_PLAIN_SCHEMES, *_SENTINEL_SCHEMES):
        raise ValueError(
            "a URL such as redis://127.0.0.1:6379/0, rediss://… for TLS, or redis+sentinel://HOST:PORT,…/SERVICE"
        )
    try:
        parts = urlsplit(url)
        for address in parts.netloc.rpartition("@")[2].split(","):
            _ = urlsplit(f"//{address}").port
    except ValueError:
        raise ValueError(
            "a URL such as redis://redis:6379/0, with / ? # @ in a password written as %2F %3F %23 %40"
        ) from None
    if is_sentinel_url(url) and not parts.path.strip("/"):
        raise ValueError("a URL such as redis+sentinel://HOST:PORT,HOST:PORT/SERVICE")
    return secret


def is_sentinel_url(url: str) -> bool:
    return url.partition("://")[0] in _SENTINEL_SCHEMES


def complete_redis_url(url: str, username: str, password: str | None, options: Mapping[str, str]) -> str:
    """Return the URL with user, password and query options; what is empty stays as the URL has it.

    >>> complete_redis_url("rediss://redis:6380/0", "app", "a/b", {"ssl_ca_certs": "/ca.pem"})
    'rediss://app:a%2Fb@redis:6380/0?ssl_ca_certs=%2Fca.pem'
    """
    parts = urlsplit(url)
    given_login, _, addresses = parts.netloc.rpartition("@")
    given_username, _, given_password = given_login.partition(":")
    login = f"{quote(username, safe='') or given_username}:" + (
        given_password if password is None else quote(password, safe="")
    )
    netloc = addresses if login == ":" else f"{login}@{addresses}"
    query = "&".join(part for part in (parts.query, urlencode(options)) if part)
    return urlunsplit((parts.scheme, netloc, parts.path, query, ""))
