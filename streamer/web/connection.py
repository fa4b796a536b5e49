"""Access to the TCP connection of a request, which ASGI hides.

An endless response must notice that a client reads nothing, and be able to drop it: ASGI's own end of a
response waits until the client has read everything that was written.
"""

import socket
from asyncio import Transport
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

TRANSPORT_KEY: Final = "streamer.transport"
SEND_BUFFER_BYTES: Final = 1 << 16
"""Send buffer of the kernel for each stream; the default grows to megabytes for a slow client."""


class TransportHttpProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, which also puts its transport into the ASGI scope."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app: Any = _with_transport(transport, self.app)


def _with_transport(transport: Transport, app: ASGIApp) -> ASGIApp:
    async def app_with_transport(scope: Scope, receive: Receive, send: Send) -> None:
        scope[TRANSPORT_KEY] = transport
        await app(scope, receive, send)

    return app_with_transport


def transport_of(scope: Scope) -> Transport | None:
    """Return the transport of a request; None where another server runs the application."""
    return scope.get(TRANSPORT_KEY)


def limit_send_buffer(transport: Transport, timeout_s: float) -> None:
    """Limit the kernel's send buffer, and drop unacknowledged data after `timeout_s` (Linux only)."""
    tcp_socket: socket.socket | None = transport.get_extra_info("socket")
    if tcp_socket is None:
        return
    tcp_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT") and tcp_socket.family in (socket.AF_INET, socket.AF_INET6):
        tcp_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(timeout_s * 1000))
