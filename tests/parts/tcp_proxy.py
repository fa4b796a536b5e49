"""A TCP proxy on loopback that cuts, stalls and halves what passes through it."""

import asyncio
import socket
import struct
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Final, Self

from tests.parts.server import free_port

_CHUNK_BYTES: Final = 65_536
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends a reset, and drops what was not yet sent."""


class Direction(Enum):
    REQUESTS = "requests"
    REPLIES = "replies"


class TcpProxy:
    """Passes connections on to a port of this machine; faults are switched on and off while it runs."""

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self.halved = 0
        self._target_port = target_port
        self._links: set[_Link] = set()
        self._is_cut = False
        self._halving: Direction | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._links)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*(link.ended.wait() for link in set(self._links)))

    def cut(self) -> None:
        """Reset all connections, and every new one at once."""
        self._is_cut = True
        self.reset()

    def reset(self) -> None:
        """Reset all connections; new ones pass."""
        for link in set(self._links):
            link.reset()

    def stall(self) -> None:
        """Let all connections of now pass nothing more, ever, and never end: new ones pass."""
        for link in self._links:
            link.passing.clear()

    def halve(self, direction: Direction) -> None:
        """Pass on the first half of the next piece in this direction, then reset its connection."""
        self._halving = direction

    def heal(self) -> None:
        """Let new connections pass."""
        self._is_cut = False

    async def flap(self, times: int, seconds: float) -> None:
        """Cut and heal so often, each for so long."""
        for _ in range(times):
            self.cut()
            await asyncio.sleep(seconds)
            self.heal()
            await asyncio.sleep(seconds)

    async def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        if self._is_cut:
            return _reset(writer)
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            return _reset(writer)
        link = _Link(writer, server_writer)
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, server_writer, link, Direction.REQUESTS))
                pumps.create_task(self._pump(server_reader, writer, link, Direction.REPLIES))
        finally:
            self._links.discard(link)
            link.reset()
            link.ended.set()

    async def _pump(
        self, source: StreamReader, sink: StreamWriter, link: "_Link", direction: Direction
    ) -> None:
        """Pass on what comes until either side ends."""
        with suppress(OSError):
            while piece := await source.read(_CHUNK_BYTES):
                await link.passing.wait()
                if self._halving is direction and len(piece) > 1:
                    self._halving = None
                    self.halved += 1
                    sink.write(piece[: len(piece) // 2])
                    sink.close()  # not reset: that might drop the half
                    break
                sink.write(piece)
                await sink.drain()
        link.reset()


class _Link:
    """A connection of a client, and its own to the server."""

    def __init__(self, *writers: StreamWriter) -> None:
        self._writers = writers
        self.passing = asyncio.Event()
        self.passing.set()
        self.ended = asyncio.Event()

    def reset(self) -> None:
        self.passing.set()
        for writer in self._writers:
            _reset(writer)


def _reset(writer: StreamWriter) -> None:
    if not writer.is_closing():
        endpoint: socket.socket = writer.get_extra_info("socket")
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
