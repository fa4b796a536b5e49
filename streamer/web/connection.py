"""TCP connections of the server: their limits, and access to the transport of a request, which ASGI hides.

uvicorn waits for ever for a request that does not arrive and for an answer that nobody reads. The protocol
here ends both, and holds only so many connections at a time.
"""

import asyncio
import resource
import socket
from asyncio import Transport
from collections import Counter
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from streamer.events.counting_rules import MINUTE
from streamer.runtime.clock import Clock, wall_clock_ms
from streamer.web.client_address import address_block
from streamer.web.recent_activity import ExpiringKeys

TRANSPORT_KEY: Final = "streamer.transport"
SEND_BUFFER_BYTES: Final = 1 << 16
"""Send buffer of the kernel for each stream; the default grows to megabytes for a slow client."""
MAX_CHUNK_BYTES: Final = 1 << 16
"""Most bytes written at a time, which is what a client that does not read holds in the transport's memory."""
MAX_LOGGED_ADDRESSES: Final = 1_000
"""Addresses remembered whose refused connections were logged; beyond it the oldest are dropped."""
FILE_RESERVE: Final = 128
"""File descriptors that connections leave to everything else."""
_log = structlog.get_logger("streamer.audit")


class ConnectionLimits(NamedTuple):
    """Limits of a server's connections; times in seconds.

    `total` and `per_address`: connections open at a time. `head_s`: for a request's head to arrive, measured
    from the connection or from its first byte. `body_s`: for its body, longer than routes that read one wait
    for it. `idle_s`: between two requests. `send_s`: for a client to take 64 kB that wait for it. `end_s`:
    for answers under way when the server ends."""

    total: int = 1_000
    per_address: int = 100
    head_s: float = 10.0
    body_s: float = 15.0
    idle_s: float = 5.0
    send_s: float = 60.0
    end_s: float = 2.0

    def within_open_files(self) -> "ConnectionLimits":
        """Return the limits with a total that the process has file descriptors for.

        A server out of descriptors cannot even accept a connection to refuse it."""
        soft_limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return self._replace(total=max(1, min(self.total, soft_limit - FILE_RESERVE)))


class OpenConnections:
    """The open connections of a server, counted by address.

    `is_shared` tells of an address whether many clients come from it, as from a proxy: only the total counts
    there.

    >>> connections = OpenConnections(ConnectionLimits(total=3, per_address=1), "10.0.0.1".__eq__)
    >>> connections.admit("10.0.0.1"), connections.admit("10.0.0.1"), connections.admit("192.0.2.7")
    (None, None, None)
    """

    def __init__(
        self, limits: ConnectionLimits, is_shared: Callable[[str], bool], clock: Clock = wall_clock_ms
    ) -> None:
        self.limits, self._is_shared = limits, is_shared
        self._counts = Counter[str]()
        self._logged_addresses = ExpiringKeys(clock, MINUTE, MAX_LOGGED_ADDRESSES)

    def admit(self, address: str) -> HTTPStatus | None:
        """Count a connection and return None, or return the status to refuse it with."""
        block = address_block(address)
        refusal = self._refusal(address, block)
        if refusal is None:
            self._counts[block] += 1
        elif not self._logged_addresses.has(block.encode()):
            self._logged_addresses.add(block.encode())
            _log.info("audit", action="connection refused", user=None, address=address, status=str(refusal))
        return refusal

    def _refusal(self, address: str, block: str) -> HTTPStatus | None:
        if self._counts.total() >= self.limits.total:
            return HTTPStatus.SERVICE_UNAVAILABLE
        if self._counts[block] >= self.limits.per_address and not self._is_shared(address):
            return HTTPStatus.TOO_MANY_REQUESTS
        return None

    def release(self, address: str) -> None:
        block = address_block(address)
        self._counts[block] -= 1
        if not self._counts[block]:
            del self._counts[block]


def limited_protocol(connections: OpenConnections) -> Any:
    """Return the protocol class for `uvicorn.Config(http=…)`, with these limits."""
    return partial(LimitedHttpProtocol, connections)


class LimitedHttpProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol with limits; it also puts its transport into the ASGI scope."""

    def __init__(self, open_connections: OpenConnections, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._open_connections, self._limits = open_connections, open_connections.limits
        self.timeout_keep_alive: float = self._limits.idle_s  # type: ignore[assignment]
        self._admitted_address: str | None = None
        self._request_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._end_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app: Any = _with_transport(transport, self.app)
        address = self.client[0] if self.client else ""
        refusal = self._open_connections.admit(address)
        if refusal is None:
            self._admitted_address = address
            self._await_rest(self._limits.head_s)
        else:
            transport.write(_refusal_bytes(refusal))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._request_timer, self._send_timer, self._end_timer):
            if timer is not None:
                timer.cancel()
        if self._admitted_address is not None:
            self._open_connections.release(self._admitted_address)
            self._admitted_address = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._is_answering():
            self._await_rest(self._limits.head_s)
        super().data_received(data)

    def handle_events(self) -> None:
        previous_cycle = self.cycle
        super().handle_events()
        if self.transport.is_closing():
            self._end_within(self._limits.send_s)
        elif self._is_answering():
            if self.cycle is not previous_cycle or not self.cycle.more_body:
                self._stop_waiting()
            if self.cycle.more_body:
                self._await_rest(self._limits.body_s)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_rest(self, timeout_s: float) -> None:
        """Give the rest of a head or a body its time; what trickles in meanwhile does not prolong it."""
        if self._request_timer is None:
            self._request_timer = self.loop.call_later(timeout_s, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_timer = self.loop.call_later(self._limits.send_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._send_timer is not None:
            self._send_timer.cancel()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._end_within(self._limits.send_s)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._end_within(self._limits.send_s)

    def shutdown(self) -> None:
        super().shutdown()
        self._end_within(self._limits.end_s)

    def _end_within(self, timeout_s: float) -> None:
        """Drop the connection then, read or not: closing alone waits until the client has read everything."""
        if self._end_timer is not None:
            self._end_timer.cancel()
        self._end_timer = self.loop.call_later(timeout_s, self.transport.abort)


def _refusal_bytes(status: HTTPStatus) -> bytes:
    head = f"HTTP/1.1 {status} {status.phrase}\r\ncontent-length: 0\r\nretry-after: 5\r\nconnection: close"
    return f"{head}\r\n\r\n".encode()


def _with_transport(transport: Transport, app: ASGIApp) -> ASGIApp:
    async def app_with_transport(scope: Scope, receive: Receive, send: Send) -> None:
        scope[TRANSPORT_KEY] = transport
        await app(scope, receive, partial(_send_in_chunks, send))

    return app_with_transport


async def _send_in_chunks(send: Send, message: Message) -> None:
    """Send a large body piece by piece: uvicorn waits for a slow client only between two pieces."""
    body = message.get("body", b"")
    if len(body) <= MAX_CHUNK_BYTES:
        await send(message)
        return
    for start in range(0, len(body), MAX_CHUNK_BYTES):
        is_last = start + MAX_CHUNK_BYTES >= len(body)
        chunk = body[start : start + MAX_CHUNK_BYTES]
        await send({**message, "body": chunk, "more_body": not is_last or message.get("more_body", False)})


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
