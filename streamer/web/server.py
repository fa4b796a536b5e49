"""Here is the server: API, metrics, health, and for now a plain page."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from ipaddress import ip_address
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamer.panes.windows import WINDOWS
from streamer.readings import prometheus
from streamer.readings.prometheus import Export
from streamer.readings.query import QueryError
from streamer.readings.reader import Reader
from streamer.settings import Settings, SettingsError
from streamer.store.redis import RedisStore
from streamer.web import api, problems
from streamer.web.api import Clock
from streamer.web.follower import Follower

FRESH_S: Final = 60

HEADERS: Final = {
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>streamer</title>
<h1>streamer</h1>
<p>Contact center metrics, as of now: <a href="/api/v1/readings">readings of the last hour</a>,
<a href="/api/v1/readings?window=today&amp;by=queue">today by queue</a>,
<a href="/api/v1/catalog">what each metric means</a>,
<a href="/metrics">for Prometheus</a>.</p>
</html>
"""


def wall_clock() -> int:
    return round(time.time() * 1000)  # noqa: TID251 - the edge of the server


def application(reader: Reader, settings: Settings, clock: Clock) -> Starlette:
    """The server's pages. It follows the store as long as it runs."""
    follower = Follower(reader, clock)
    app = Starlette(
        routes=[*_routes(reader, follower, settings, clock), *api.routes(reader, clock)],
        exception_handlers={
            QueryError: problems.wrong_question,
            HTTPException: problems.refused,
            Exception: problems.failed,
        },
        lifespan=lambda app: _following(follower),
    )
    app.add_middleware(SecurityHeaders)
    return app


@asynccontextmanager
async def _following(follower: Follower) -> AsyncIterator[None]:
    task = asyncio.create_task(follower.run())
    try:
        yield
    finally:
        follower.end()
        await task


def _routes(reader: Reader, follower: Follower, settings: Settings, clock: Clock) -> list[Route]:
    export = Export(tuple(settings.export_windows), settings.export_agents)

    async def page(request: Request) -> Response:
        return HTMLResponse(PAGE)

    async def metrics(request: Request) -> Response:
        text = await asyncio.to_thread(prometheus.render, reader, export, clock())
        return Response(text, headers={"content-type": prometheus.CONTENT_TYPE})

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(request: Request) -> Response:
        reason = not_ready(reader, follower, clock())
        if reason is None:
            return JSONResponse({"ready": True, "fresh_s": reader.fresh_s(clock())})
        return JSONResponse({"ready": False, "reason": reason}, 503)

    return [
        Route("/", page),
        Route("/metrics", metrics),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
    ]


def not_ready(reader: Reader, follower: Follower, now_ms: int) -> str | None:
    """Why the numbers cannot be shown as current yet; None: they can."""
    if not reader.ready:
        return f"the store was not read yet ({follower.failure or 'reading'})"
    if not reader.beats:
        return "no worker ever spoke"
    fresh_s = reader.fresh_s(now_ms)
    if fresh_s is None:
        behind = [str(partition) for partition, beat in reader.beats.items() if not beat.caught_up_at]
        return f"not caught up yet: {', '.join(sorted(behind))}"
    if fresh_s >= FRESH_S:
        return f"the data is {fresh_s:.0f} s old ({follower.failure or 'no worker keeps up'})"
    return None


class SecurityHeaders:
    """Adds HEADERS to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def check_host(host: str) -> None:
    """Without people to log in, only this machine may look. Raises SettingsError."""
    with suppress(ValueError):
        if ip_address(host).is_loopback:
            return
    if host != "localhost":
        raise SettingsError(
            f"host = {host!r}: expected a loopback address such as 127.0.0.1; no people are set"
        )


def check_windows(windows: Iterable[str]) -> None:
    """Raises SettingsError."""
    for window in windows:
        if window not in WINDOWS:
            raise SettingsError(f"export_windows: {window!r}: expected some of {', '.join(WINDOWS)}")


async def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT. Raises SettingsError, and what connecting to the store raises."""
    check_host(settings.host)
    check_windows(settings.export_windows)
    store = await RedisStore.connect(settings.redis, settings.center)
    try:
        app = application(Reader(store, settings), settings, wall_clock)
        config = uvicorn.Config(
            app, host=settings.host, port=settings.port, access_log=False, server_header=False,
            log_level="warning", timeout_graceful_shutdown=3,
        )  # fmt: skip
        await _Server(config).serve()
    finally:
        await store.close()


class _Server(uvicorn.Server):
    """Ends on signals as one that did its work: uvicorn's own would raise them again at the end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
