"""Here is the connection under a request: what a server knows of it, and ASGI does not say.

Whoever writes without end must see that a client takes nothing, and be able to let go of it: ASGI's own
end of a response waits until all that was written is taken.
"""

import socket
from asyncio import Transport
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

KEY: Final = "streamer.transport"
BUFFER_BYTES: Final = 1 << 16
"""What the kernel holds for one that is slow: else it would grow to megabytes for each."""


class Http(H11Protocol):
    """uvicorn's, which puts its transport into the scope of its requests."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app: Any = _with(transport, self.app)


def _with(transport: Transport, app: ASGIApp) -> ASGIApp:
    async def known(scope: Scope, receive: Receive, send: Send) -> None:
        scope[KEY] = transport
        await app(scope, receive, send)

    return known


def transport_of(scope: Scope) -> Transport | None:
    """None where another server runs the application."""
    return scope.get(KEY)


def keep_small(transport: Transport, patience_s: float) -> None:
    """Little is to be buffered for a client that does not read, and no longer than `patience_s`."""
    found: socket.socket | None = transport.get_extra_info("socket")
    if found is None:
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT") and found.family in (socket.AF_INET, socket.AF_INET6):
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(patience_s * 1000))
