"""The client behind a connection; headers of a reverse proxy count only from the proxy's own addresses."""

from ipaddress import ip_address, ip_network
from typing import Final

from starlette.requests import HTTPConnection

from streamer.settings import ProxySettings
from streamer.web.access_checks import is_loopback


class TrustedProxy:
    """The trusted reverse proxy. Without settings no proxy is trusted, and its headers are ignored."""

    def __init__(self, settings: ProxySettings | None) -> None:
        self._header = (settings.header if settings else None) or ""
        self._networks: Final = [ip_network(network) for network in settings.addresses] if settings else []

    def is_shared(self, address: str) -> bool:
        """Tell whether many clients come from an address: the proxy's, or this machine's own.

        >>> proxy = TrustedProxy(ProxySettings(addresses=["10.0.0.1"]))
        >>> proxy.is_shared("10.0.0.1"), proxy.is_shared("::1"), proxy.is_shared("192.0.2.7")
        (True, True, False)
        """
        return is_loopback(address) or self._is_proxy(address)

    def _is_proxy(self, client_address: str) -> bool:
        try:
            address = ip_address(client_address)
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)

    def _is_from_proxy(self, connection: HTTPConnection) -> bool:
        return self._is_proxy(connection.client.host if connection.client else "")

    def user_name(self, connection: HTTPConnection) -> str | None:
        """Return the user that the proxy logged in. A header given twice is ignored: one may be forged."""
        if not self._header or not self._is_from_proxy(connection):
            return None
        names = connection.headers.getlist(self._header)
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
        return bool(connection.scope["scheme"] == "https")
