"""HTTP client for receivers and Alertmanager that returns a result whatever the other server does.

URLs may hold secrets, and responses may repeat them: neither is shown or logged. Reasons for failures are
texts of this module.
"""

import os
import ssl
from collections.abc import Mapping
from typing import Final, NamedTuple

import aiohttp

CONNECT_TIMEOUT_S: Final = 15.0
MAX_ERROR_BYTES: Final = 200
"""Bytes read of a response whose status is not 2xx."""


class HttpResponse(NamedTuple):
    """Status and beginning of the body, up to the size asked for. `retry_after` is the header, unparsed."""

    status: int
    body: bytes = b""
    retry_after: str | None = None

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class NoResponse(NamedTuple):
    """Reason why there is no response. The request may have been carried out if a connection was made."""

    reason: str


class HttpClient:
    """HTTP client shared by all receivers.

    It follows no redirects, keeps no cookies, ignores proxies of the environment (messages may go nowhere
    else) and checks certificates, by `tls` or the authorities of the system. Its only time limit is that for
    connecting.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._tls = tls

    async def request(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        max_bytes: int = 0,
    ) -> HttpResponse | NoResponse:
        """Send one request. `max_bytes`: how much to read of the body of a 2xx response."""
        try:
            request = self._open_session().request(
                method, url, data=body or None, headers=headers, allow_redirects=False
            )
            async with request as response:
                limit_bytes = max_bytes if response.status < 300 else MAX_ERROR_BYTES
                content = await _read_body(response, limit_bytes)
                return HttpResponse(response.status, content, response.headers.get("retry-after"))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return NoResponse(_describe_error(error))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # A new connection each time: one that the server is just closing would lose a message.
                connector=aiohttp.TCPConnector(force_close=True, limit=0, ssl=self._tls or True),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
                headers={"user-agent": "streamer", "accept-encoding": "identity"},
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


async def _read_body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Return the body up to `max_bytes`, or up to where the connection broke. The rest is not read."""
    content = b""
    try:
        while len(content) < max_bytes and (chunk := await response.content.read(max_bytes - len(content))):
            content += chunk
    except (aiohttp.ClientError, OSError):
        pass  # the status decides
    return content


def _describe_error(error: Exception) -> str:
    """Describe an error without its own message, which may hold the URL."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "TLS certificate not trusted"
        case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return "TLS handshake failed"
        case aiohttp.ClientConnectorDNSError():
            return "DNS lookup failed"
        case aiohttp.ClientConnectorError():
            error_number = error.os_error.errno  # its own message may hold the address
            return f"connection failed ({os.strerror(error_number) if error_number else 'no connection'})"
        case aiohttp.ConnectionTimeoutError():
            return f"connection failed (no connection in {CONNECT_TIMEOUT_S:.0f} s)"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | aiohttp.ClientPayloadError():
            return "connection closed before the response"
        case aiohttp.InvalidURL() | ValueError():
            return "invalid URL"
        case aiohttp.ClientResponseError():
            return "invalid HTTP response"
        case _:
            return type(error).__name__
