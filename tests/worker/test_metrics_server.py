"""A worker's own metrics, over its port: slow clients cost it nothing that lasts."""

import asyncio
import threading
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry, Gauge

from streamer.web.connection import ConnectionLimits
from streamer.worker.metrics_server import metrics_server
from tests.web.raw_client import connected, read_all

LIMITS = ConnectionLimits(total=12, per_address=4, head_s=0.3, body_s=0.3, idle_s=0.2, end_s=0.3)
HALF = b"GET /metrics HTTP/1.1\r\nHost: loc"
BODILESS = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"


def registry() -> CollectorRegistry:
    metrics = CollectorRegistry()
    Gauge("streamer_lag_records", "Lag.", registry=metrics).set(3)
    return metrics


def scrape(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
        return str(page.read().decode())


def test_it_answers_and_its_port_is_free_again_at_the_end() -> None:
    with metrics_server(registry(), "127.0.0.1", 0) as port:
        assert "streamer_lag_records 3.0" in scrape(port)
        with pytest.raises(OSError, match="in use"), metrics_server(registry(), "127.0.0.1", port):
            pass
    with metrics_server(registry(), "127.0.0.1", port) as again:
        assert again == port


@pytest.mark.parametrize("sent", [b"", HALF, BODILESS])
async def test_half_sent_requests_are_dropped_and_hold_no_threads(sent: bytes) -> None:
    with metrics_server(registry(), "127.0.0.1", 0, LIMITS) as port:
        count = threading.active_count()
        async with connected(port, 10, sent) as readers:
            assert "streamer_lag_records 3.0" in await asyncio.to_thread(scrape, port)
            assert threading.active_count() <= count + 1  # the thread of `scrape` itself
            await asyncio.gather(*(read_all(reader, within_s=5) for reader in readers))


async def test_it_ends_while_clients_hang_on() -> None:
    with metrics_server(registry(), "127.0.0.1", 0, LIMITS._replace(head_s=60.0)) as port:
        clients = connected(port, 10, HALF)
        await clients.__aenter__()
    await clients.__aexit__(None, None, None)
