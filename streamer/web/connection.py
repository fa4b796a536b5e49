"""Access to the TCP connection of a request, which ASGI hides.

An endless response must notice that a client reads nothing, and be able to drop it: ASGI's own end of a
response waits until the client has read everything that was written.
"""

import socket
from asyncio import Transport
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

KEY: Final = "streamer.transport"
BUFFER_BYTES: Final = 1 << 16
"""Send buffer of the kernel for each stream; the default grows to megabytes for a slow client."""


class Http(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, which also puts its transport into the ASGI scope."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app: Any = _with(transport, self.app)


def _with(transport: Transport, app: ASGIApp) -> ASGIApp:
    async def known(scope: Scope, receive: Receive, send: Send) -> None:
        scope[KEY] = transport
        await app(scope, receive, send)

    return known


def transport_of(scope: Scope) -> Transport | None:
    """Return the transport of a request; None where another server runs the application."""
    return scope.get(KEY)


def keep_small(transport: Transport, patience_s: float) -> None:
    """Limit the kernel's send buffer, and drop unacknowledged data after `timeout_s` (Linux only)."""
    found: socket.socket | None = transport.get_extra_info("socket")
    if found is None:
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT") and found.family in (socket.AF_INET, socket.AF_INET6):
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(patience_s * 1000))
