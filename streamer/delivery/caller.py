"""Here is the caller: how other servers are asked over HTTP, whatever they do.

Addresses may hold secrets, and answers may repeat them: neither is shown or logged.
Reasons are our own words.
"""

import os
import ssl
from collections.abc import Mapping
from typing import Final, NamedTuple

import aiohttp

CONNECTED_S: Final = 15.0
A_LINE: Final = 200
"""So many bytes are read of a refusal."""


class Answer(NamedTuple):
    """`body` is its beginning, no longer than was asked for. `retry_after` as it was written."""

    status: int
    body: bytes = b""
    retry_after: str | None = None

    @property
    def is_well(self) -> bool:
        return 200 <= self.status < 300


class Unanswered(NamedTuple):
    """It is not known whether what was asked was done, unless it never got there."""

    reason: str


class Caller:
    """One for all who ask. It follows no redirects, keeps no cookies, trusts no proxies of the environment
    (what is told may not go elsewhere) and checks certificates. It sets no time limit but for connecting."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        most: int = 0,
    ) -> Answer | Unanswered:
        """`most`: bytes to be read of what is answered well."""
        try:
            asking = self._opened().request(
                method, url, data=body or None, headers=headers, allow_redirects=False
            )
            async with asking as response:
                wanted = most if response.status < 300 else A_LINE
                found = await _read(response, wanted)
                return Answer(response.status, found, response.headers.get("retry-after"))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Unanswered(_reason(error))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # A connection of its own each time: one that the server closes just now would lose a message.
                connector=aiohttp.TCPConnector(force_close=True, limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECTED_S),
                headers={"user-agent": "streamer", "accept-encoding": "identity"},
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """What came before the connection was cut, at most so much. The rest is left."""
    found = b""
    try:
        while len(found) < most and (part := await response.content.read(most - len(found))):
            found += part
    except (aiohttp.ClientError, OSError):
        pass  # its status is what counts
    return found


def _reason(error: Exception) -> str:
    """Without what was asked of whom: messages of errors hold it."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not to be trusted"
        case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return "no TLS is spoken there"
        case aiohttp.ClientConnectorDNSError():
            return "its name leads nowhere"
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno  # its own words may hold the address
            return f"cannot be reached ({os.strerror(number) if number else 'no connection'})"
        case aiohttp.ConnectionTimeoutError():
            return f"cannot be reached (no connection in {CONNECTED_S:.0f} s)"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | aiohttp.ClientPayloadError():
            return "the connection was cut"
        case aiohttp.InvalidURL() | ValueError():
            return "its address is none"
        case aiohttp.ClientResponseError():
            return "no HTTP is spoken there"
        case _:
            return type(error).__name__
