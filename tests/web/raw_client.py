"""Clients as plain sockets, which send half a request or read half an answer."""

import asyncio
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def connected(port: int, count: int, sent: bytes = b"") -> AsyncIterator[list[StreamReader]]:
    """Open connections, send the same bytes on each, and close them at the end."""
    pairs = [await asyncio.open_connection("127.0.0.1", port, limit=1 << 20) for _ in range(count)]
    try:
        for _, writer in pairs:
            writer.write(sent)
        yield [reader for reader, _ in pairs]
    finally:
        await close_all([writer for _, writer in pairs])


async def close_all(writers: Sequence[StreamWriter]) -> None:
    for writer in writers:
        writer.close()
    for writer in writers:
        with suppress(ConnectionError):
            await writer.wait_closed()


async def read_all(reader: StreamReader, within_s: float = 10.0) -> bytes:
    """Read until the server closes or drops the connection."""
    content = b""
    with suppress(ConnectionError):
        async with asyncio.timeout(within_s):
            while piece := await reader.read(1 << 16):
                content += piece
    return content


def unread_socket(port: int, sent: bytes) -> socket.socket:
    """Return a connection that has sent a request and takes only a few bytes of the answer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(sent)
    return client
