"""Real HTTP server on the event loop of the test, which answers as the test says."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Self

from aiohttp import web

from tests.parts.server import free_port

SECRET_PATH = "/services/T000/very-secret"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PostedRequest(NamedTuple):
    headers: Mapping[str, str]
    body: bytes

    @property
    def ids(self) -> list[str]:
        found: list[dict[str, Any]] = json.loads(self.body)["alerts"]
        return [one["id"] for one in found]


def status(code: int, headers: Mapping[str, str] | None = None, text: str = "") -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers=headers, text=text)

    return answer


def cut(after: bytes) -> Answer:
    """Close the connection after these bytes of a response."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(after)  # type: ignore[attr-defined]
        request.transport.close()
        return web.Response()

    return answer


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        while True:
            await response.write(bytes(100_000))
    except ConnectionError:
        return response


class HttpListener:
    """HTTP server; `posts` holds all requests, whatever it answered."""

    def __init__(self, answer: Answer | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.answer, self.port, self._tls = answer or status(200), free_port(), tls
        self.posts: list[PostedRequest] = []
        self._heard = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}{SECRET_PATH}"

    @property
    def ids(self) -> list[str]:
        """Ids of all alerts, in the order they came."""
        return [name for post in self.posts for name in post.ids]

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def heard(self, posts: int) -> None:
        """Wait until there were so many requests."""
        async with asyncio.timeout(30):
            while len(self.posts) < posts:
                self._heard.clear()
                await self._heard.wait()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.posts.append(PostedRequest(request.headers.copy(), await request.read()))
        self._heard.set()
        return await self.answer(request)
