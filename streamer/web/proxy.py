"""The client behind a connection; headers of a reverse proxy count only from the proxy's own addresses."""

from ipaddress import ip_address, ip_network
from typing import Final

from starlette.requests import HTTPConnection

from streamer.settings import ProxySettings


class TrustedProxy:
    """The trusted reverse proxy. Without settings no proxy is trusted, and its headers are ignored."""

    def __init__(self, settings: ProxySettings | None) -> None:
        self._header = settings.header if settings else ""
        self._networks: Final = [ip_network(network) for network in settings.addresses] if settings else []

    def _is_from_proxy(self, connection: HTTPConnection) -> bool:
        try:
            address = ip_address(connection.client.host if connection.client else "")
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)

    def user_name(self, connection: HTTPConnection) -> str | None:
        """Return the user that the proxy logged in. A header given twice is ignored: one may be forged."""
        names = connection.headers.getlist(self._header) if self._is_from_proxy(connection) else []
        return names[0].encode("latin-1").decode(errors="replace") or None if len(names) == 1 else None

    def client_address(self, connection: HTTPConnection) -> str:
        """Return the browser's address: the last of `X-Forwarded-For`, the only one the proxy wrote."""
        if self._is_from_proxy(connection):
            forwarded_for = ",".join(connection.headers.getlist("x-forwarded-for")).rpartition(",")[2].strip()
            if forwarded_for:
                return forwarded_for
        return connection.client.host if connection.client else ""

    def is_https(self, connection: HTTPConnection) -> bool:
        if self._is_from_proxy(connection) and "x-forwarded-proto" in connection.headers:
            return connection.headers["x-forwarded-proto"] == "https"
        return connection.url.scheme == "https"
