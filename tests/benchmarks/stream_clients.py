"""Many who look at the stream, in a process of their own: when each of them had what.

`python -m tests.benchmarks.stream_clients PORT READERS IDLERS FILE`: prints "ready" once every reader has its
first snapshot; at the end of its input writes to FILE what it saw. Idlers ask and never read.
"""

import asyncio
import re
import socket
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from streamer.runtime.clock import wall_clock_ms

_VALUE: Final = re.compile(rb'"id":"all//offered//15m".*?"value":(\d+)')
_NOW: Final = re.compile(rb'"now":(\d+)')
_SMALL: Final = 4096


class Frame(msgspec.Struct, array_like=True):
    """An event as one client had it: when (monotonic, s), how long after the server made it (ms), and the
    tile's value if it was told."""

    at: float
    late_ms: float
    total: int | None


class Seen(msgspec.Struct):
    """The frames of each client, and how many streams ended by themselves."""

    frames: list[list[Frame]]
    ended: int


class Reading(asyncio.Protocol):
    """One client. What all are told is the same: `known` is what one of them found in it."""

    def __init__(self, port: int, known: dict[bytes, tuple[int, int | None]]) -> None:
        self._port, self._known = port, known
        self._rest = b""
        self.frames: list[Frame] = []
        self.first = asyncio.get_running_loop().create_future()
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(asked(self._port))

    def data_received(self, data: bytes) -> None:
        at, wall = time.monotonic(), wall_clock_ms()
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for event in events:
            if b"\ndata: " in event:
                now, total = self._look(event)
                self.frames.append(Frame(at, wall - now, total))
                if not self.first.done():
                    self.first.set_result(None)

    def _look(self, event: bytes) -> tuple[int, int | None]:
        event = event[event.index(b"event: ") :]  # before it is the head, or a chunk's size
        if event not in self._known:
            if len(self._known) > 64:
                self._known.clear()
            now, value = _NOW.search(event), _VALUE.search(event)
            assert now is not None
            self._known[event] = int(now[1]), None if value is None else int(value[1])
        return self._known[event]

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = True


def asked(port: int) -> bytes:
    return f"GET /api/v1/stream?view=bench HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()


def idler(port: int) -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
    one.connect(("127.0.0.1", port))
    one.sendall(asked(port))
    return one


async def watch(port: int, readers: int, idlers: int) -> Seen:
    loop = asyncio.get_running_loop()
    idle = [idler(port) for _ in range(idlers)]
    clients, known = [], dict[bytes, tuple[int, int | None]]()
    for _ in range(readers):
        _, client = await loop.create_connection(lambda: Reading(port, known), "127.0.0.1", port)
        clients.append(client)
    await asyncio.gather(*(client.first for client in clients))
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    for one in idle:
        one.close()
    return Seen([client.frames for client in clients], sum(client.ended for client in clients))


if __name__ == "__main__":
    seen = asyncio.run(watch(*map(int, sys.argv[1:4])))
    Path(sys.argv[4]).write_bytes(msgspec.msgpack.encode(seen))
