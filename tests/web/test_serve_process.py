"""`streamer serve` as a process: it goes on answering while clients hang on, and ends with them."""

import asyncio
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.ingest.command_process import CommandProcess
from tests.parts.server import free_port
from tests.web.event_stream import StalledReader
from tests.web.raw_client import unread_socket

HALF_HEAD = b"GET /readyz HTTP/1.1\r\nHost: loc"
HALF_BODY = b"POST /api/v1/silences HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{"
MANY_FILES = b"GET /static/vendor/uPlot.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20


def is_alive(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.parts
async def test_it_ends_within_ten_seconds_while_hundreds_of_clients_hang_on(
    store_url: str, center: str, tmp_path: Path
) -> None:
    port = free_port()
    settings = {"redis": store_url, "center": center, "port": str(port)}
    process = CommandProcess("serve", settings, tmp_path / "serve.log")
    try:
        async with asyncio.timeout(30):
            while not await asyncio.to_thread(is_alive, port):
                assert process.runs, process.log()
        with ExitStack() as clients:
            for sent in [HALF_HEAD] * 300 + [HALF_BODY] * 50 + [MANY_FILES] * 20:
                clients.enter_context(unread_socket(port, sent))
            for _ in range(20):
                clients.enter_context(StalledReader(port))
            assert await asyncio.to_thread(is_alive, port)
            async with asyncio.timeout(10):
                assert await process.stop() == 0, process.log()
    finally:
        if process.runs:
            process.kill()
