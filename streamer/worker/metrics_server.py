"""Serve a process's own Prometheus metrics from a thread, so that a busy event loop is seen from outside."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Final

import uvicorn
from prometheus_client import CollectorRegistry, make_asgi_app

from streamer.web.access_checks import is_loopback
from streamer.web.connection import ConnectionLimits, OpenConnections, limited_protocol

METRICS_LIMITS: Final = ConnectionLimits(total=50, per_address=20, send_s=10.0, end_s=1.0)
"""Limits that leave file descriptors and memory to counting; Prometheus needs one connection."""


@contextmanager
def metrics_server(
    registry: CollectorRegistry, host: str, port: int, limits: ConnectionLimits = METRICS_LIMITS
) -> Iterator[int]:
    """Serve the registry's metrics and yield the port. Raises OSError if the port is not free."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    with socket.create_server((host, port), family=family) as listener:
        connections = OpenConnections(limits.within_open_files(), is_loopback)
        config = uvicorn.Config(
            make_asgi_app(registry), http=limited_protocol(connections), lifespan="off", proxy_headers=False,
            access_log=False, server_header=False, log_config=None, timeout_graceful_shutdown=2,
        )  # fmt: skip
        server = uvicorn.Server(config)
        thread = Thread(target=lambda: asyncio.run(server.serve([listener])), name="metrics", daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()
