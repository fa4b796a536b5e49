"""A client of the event stream over its own connection, and a server for it."""

import asyncio
import json
import signal
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple, Self

from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.readings.reader import MetricsReader
from streamer.runtime.clock import Clock
from streamer.settings import Settings
from streamer.web.connection import ConnectionLimits
from streamer.web.server import SignalHandlingServer, application, server_config
from streamer.web.stream import StreamIntervals

LONGEST_LINE = 1 << 24


class StreamEvent(NamedTuple):
    event: str
    data: dict[str, Any]


class InLoopServer:
    """A server within the test's own loop."""

    def __init__(self, server: SignalHandlingServer) -> None:
        self._server = server
        self.task = asyncio.create_task(server.serve())

    @property
    def port(self) -> int:
        port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        return len(self._server.server_state.connections)

    def unsent(self) -> list[int]:
        """Bytes in the write buffer of each connection."""
        return [
            connection.transport.get_write_buffer_size()
            for connection in self._server.server_state.connections
        ]

    async def started(self) -> None:
        while not self._server.started:  # noqa: ASYNC110 - it does not say when
            await asyncio.sleep(0.01)

    async def end(self) -> None:
        """Stop the server as a signal does."""
        if not self.task.done():
            self._server.handle_exit(signal.SIGTERM, None)
            await self.task


@asynccontextmanager
async def running_server(
    reader: MetricsReader,
    settings: Settings,
    clock: Clock,
    pace: StreamIntervals,
    bell: AlertCoordinator | None = None,
    limits: ConnectionLimits | None = None,
) -> AsyncIterator[InLoopServer]:
    app = application(reader, settings, clock, pace, coordinator=bell)
    config = server_config(app, settings.model_copy(update={"port": 0}), limits)
    server = InLoopServer(SignalHandlingServer(config, app.state.streams.end))
    await server.started()
    try:
        yield server
    finally:
        await server.end()


class EventStream:
    def __init__(self, reader: StreamReader, writer: StreamWriter, head: list[str]) -> None:
        self._reader, self._writer = reader, writer
        self.head = head

    @classmethod
    async def at(cls, port: int, path: str = "/api/v1/stream", cookie: str = "", token: str = "") -> Self:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=LONGEST_LINE)
        writer.write(request(port, path, cookie, token))
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        return cls(reader, writer, head)

    async def next(self, *events: str, within_s: float = 5.0) -> StreamEvent:
        """Return the next event, of these kinds if any are named."""
        async with asyncio.timeout(within_s):
            while True:
                event = await self._event()
                if event is None:
                    raise EOFError("the stream ended")
                if not events or event.event in events:
                    return event

    async def end(self, within_s: float = 5.0) -> None:
        """Read until the stream ends."""
        async with asyncio.timeout(within_s):
            while await self._event() is not None:
                pass

    async def _event(self) -> StreamEvent | None:
        name = ""
        while line := await self._reader.readline():
            if line.startswith(b"event: "):
                name = line[7:].decode().strip()
            elif line.startswith(b"data: "):
                return StreamEvent(name, json.loads(line[6:]))
        return None

    async def leave(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()


class StalledReader:
    """A client that asks for the stream and reads nothing."""

    def __init__(self, port: int, path: str = "/api/v1/stream") -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(request(port, path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def request(port: int, path: str, cookie: str = "", token: str = "") -> bytes:
    """Build a request of HTTP/1.0, so that events come unchunked."""
    credentials = f"Cookie: {cookie}\r\n" if cookie else ""
    credentials += f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n{credentials}\r\n".encode()
