"""Clients that send too slowly, read too slowly, or come too often, against a real server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from streamer.events.counting_rules import MINUTE
from streamer.settings import ProxySettings, Settings
from streamer.web.connection import ConnectionLimits, OpenConnections, limit_send_buffer, transport_of
from streamer.web.proxy import TrustedProxy
from streamer.web.server import SignalHandlingServer, server_config
from tests.web.event_stream import InLoopServer
from tests.web.raw_client import connected, read_all, unread_socket

LIMITS = ConnectionLimits(head_s=0.2, body_s=0.2, idle_s=0.2, send_s=0.5, end_s=0.3)
LARGE = 20_000_000
GET = b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def small(request: Request) -> Response:
    return Response(b"ok")


async def large(request: Request) -> Response:
    return Response(bytes(LARGE))


async def filling(request: Request) -> Response:
    """Answer until the kernel takes no more of it, so that the rest waits in the server."""
    transport = transport_of(request.scope)
    assert transport is not None
    limit_send_buffer(transport, timeout_s=60)

    async def pieces() -> AsyncIterator[bytes]:
        while not transport.get_write_buffer_size():
            yield bytes(16_384)

    return StreamingResponse(pieces())


async def posted(request: Request) -> Response:
    return Response(str(len(await request.body())))


ROUTES = [
    Route("/small", small),
    Route("/large", large),
    Route("/filling", filling),
    Route("/posted", posted, methods=["POST"]),
]


@asynccontextmanager
async def limited_server(limits: ConnectionLimits = LIMITS) -> AsyncIterator[InLoopServer]:
    config = server_config(Starlette(routes=ROUTES), Settings(port=0), limits)
    server = InLoopServer(SignalHandlingServer(config, lambda: None))
    await server.started()
    try:
        yield server
    finally:
        await server.end()


async def until(holds: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - uvicorn does not say when
            await asyncio.sleep(0.01)


async def until_no_connection(server: InLoopServer) -> None:
    await until(lambda: server.connections == 0)


POST = b"POST /posted HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    ("sentence", "sent"),
    [
        ("a connection that says nothing", b""),
        ("a head that does not end", b"GET /small HTTP/1.1\r\nHost: loc"),
        ("a body that does not come", POST % 100),
        ("half a body", POST % 100 + b"half"),
        ("half a head after a whole request", GET + b"GET /small HTTP/1.1\r\nHo"),
        ("half a body after a whole request", GET + POST % 100),
        ("a body nobody asked for", b"GET /small HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"),
        ("a chunked body that does not end",
         b"POST /posted HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    ],
)  # fmt: skip
async def test_half_a_request_is_dropped(sentence: str, sent: bytes) -> None:
    async with limited_server() as server, connected(server.port, 20, sent) as readers:
        await asyncio.gather(*map(read_all, readers))
        await until_no_connection(server)


@pytest.mark.parametrize("begun", [b"", b"GET /small HTTP/1.1\r\nX: ", POST % 1_000, GET])
async def test_bytes_that_trickle_in_prolong_nothing(begun: bytes) -> None:
    async with limited_server() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(begun)
        ended = asyncio.create_task(read_all(reader, within_s=5))
        while not ended.done():
            writer.write(b"a")
            await asyncio.sleep(0.02)
        await ended
        writer.close()


async def test_a_whole_request_in_many_pieces_is_answered() -> None:
    async with limited_server(LIMITS._replace(head_s=5.0, body_s=5.0)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for byte in POST % 3 + b"abc":
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert await reader.read(1) == b"3"
        writer.write(GET)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_an_answer_that_takes_long_to_make_is_not_cut() -> None:
    async def slow(request: Request) -> Response:
        await asyncio.sleep(2 * LIMITS.head_s)
        return Response(b"late")

    ROUTES.append(Route("/slow", slow))
    try:
        async with limited_server() as server:
            sent = GET.replace(b"/small", b"/slow").replace(b"1.1", b"1.0")
            async with connected(server.port, 1, sent) as (reader,):
                assert (await read_all(reader)).endswith(b"late")
    finally:
        ROUTES.pop()


async def test_who_does_not_read_holds_little_memory_and_is_dropped() -> None:
    async with limited_server() as server:
        clients = [unread_socket(server.port, GET.replace(b"/small", b"/large")) for _ in range(8)]
        await until(lambda: sum(unsent > 0 for unsent in server.unsent()) == len(clients))
        assert max(server.unsent()) < LARGE / 50
        await until_no_connection(server)
        for client in clients:
            client.close()


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_who_leaves_the_end_of_an_answer_unread_is_dropped(version: bytes) -> None:
    async with limited_server() as server:
        client = unread_socket(server.port, GET.replace(b"/small", b"/filling").replace(b"1.1", version))
        await until(lambda: any(server.unsent()))
        await until_no_connection(server)
        client.close()


async def test_who_reads_gets_a_large_answer_whole() -> None:
    sent = b"GET /large HTTP/1.0\r\n\r\n"
    async with limited_server() as server, connected(server.port, 1, sent) as (reader,):
        head = await reader.readuntil(b"\r\n\r\n")
        assert f"content-length: {LARGE}".encode() in head.lower()
        assert len(await read_all(reader)) == LARGE


@pytest.mark.parametrize(
    ("sentence", "limits", "status"),
    [
        ("beyond the total, from anywhere", LIMITS._replace(total=5, head_s=5.0), b"503"),
        ("this machine stands for many", LIMITS._replace(total=9, per_address=1, head_s=5.0), b"200"),
    ],
)
async def test_the_sixth_connection(sentence: str, limits: ConnectionLimits, status: bytes) -> None:
    async with limited_server(limits) as server, connected(server.port, 5):
        await until(lambda: server.connections == 5)
        async with connected(server.port, 1, GET.replace(b"1.1", b"1.0")) as (reader,):
            assert (await read_all(reader))[9:12] == status
    assert server.connections == 0


async def test_a_place_is_free_again_once_its_connection_ended() -> None:
    async with limited_server(LIMITS._replace(total=2, head_s=5.0)) as server:
        for _ in range(5):
            async with connected(server.port, 1, GET) as (reader,):
                assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            await until_no_connection(server)


@pytest.mark.parametrize(
    ("sentence", "addresses", "admitted"),
    [
        ("so many from an address", ["192.0.2.1"] * 4, 3),
        ("others are others", ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"], 4),
        ("a /64 is one address", [f"2001:db8::{number}" for number in range(4)], 3),
        ("IPv4 in IPv6 is IPv4", ["192.0.2.1", "::ffff:192.0.2.1"] * 2, 3),
        ("a proxy stands for many", ["10.0.0.1"] * 4, 4),
        ("no more in total than there may be", ["10.0.0.1"] * 9, 6),
    ],
)
def test_connections_of_an_address(sentence: str, addresses: list[str], admitted: int) -> None:
    proxy = TrustedProxy(ProxySettings(addresses=["10.0.0.0/8"]))
    connections = OpenConnections(ConnectionLimits(total=6, per_address=3), proxy.is_shared)
    refusals = [connections.admit(address) for address in addresses]
    assert refusals.count(None) == admitted, sentence


def test_a_refused_connection_is_logged_once_a_minute_for_its_address() -> None:
    now_ms = [0]
    connections = OpenConnections(
        ConnectionLimits(total=9, per_address=1), lambda _: False, lambda: now_ms[0]
    )
    with structlog.testing.capture_logs() as lines:
        for address in ["192.0.2.1"] * 4 + ["192.0.2.2"] * 2:
            connections.admit(address)
        now_ms[0] = MINUTE
        connections.admit("192.0.2.1")
    assert [(line["event"], line["action"], line["address"], line["status"]) for line in lines] == [
        ("audit", "connection refused", address, "429") for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1")
    ]


def test_connections_leave_file_descriptors_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (1_024, 4_096))
    assert ConnectionLimits(total=5_000).within_open_files().total < 1_024 - 100


async def ended_server(sent: bytes, *, is_read: bool) -> None:
    async with limited_server(ConnectionLimits(end_s=0.3)) as server:
        clients: list[Any] = [unread_socket(server.port, sent) for _ in range(10)]
        await until(lambda: server.connections == 10 and (is_read or all(server.unsent())))
        async with asyncio.timeout(10):
            await server.end()
        assert server.connections == 0
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    ("sentence", "sent", "is_read"),
    [
        ("half a head", b"GET /small HTTP/1.1\r\nHo", True),
        ("half a body", POST % 100 + b"half", True),
        ("a large answer that nobody reads", GET.replace(b"/small", b"/large"), False),
    ],
)
async def test_the_server_ends_while_clients_hang_on(sentence: str, sent: bytes, is_read: bool) -> None:
    await ended_server(sent, is_read=is_read)
