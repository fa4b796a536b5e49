"""A server of the pages, with a stream that sends the events of a test."""

import asyncio
import json
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from streamer.web import pages
from streamer.web.proxy import TrustedProxy
from streamer.web.server import SecurityHeaders
from tests.parts.server import free_port

Event = tuple[str, dict[str, Any]]


class ScriptedServer:
    """`snapshot` is what each new client gets first; `send_event` sends to all clients.

    `answers` are what the API says, by the last part of the path; a function is given the query parameters.
    `queries` are the streams' query parameters so far; any `status` but 200 refuses the stream."""

    def __init__(self) -> None:
        self.port = free_port()
        self.snapshot: dict[str, Any] = {}
        self.answers: dict[str, Any] = {}
        self.queries: list[dict[str, str]] = []
        self.loaded = 0
        self.status = 200
        self._clients: set[asyncio.Queue[Event | None]] = set()
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def clients(self) -> int:
        return len(self._clients)

    def send_event(self, name: str, data: dict[str, Any]) -> None:
        for client in self._clients:
            client.put_nowait((name, data))

    def hang_up(self) -> None:
        for client in self._clients:
            client.put_nowait(None)

    async def open(self) -> None:
        routes = [
            Route("/api/v1/stream", self._stream),
            Route("/api/v1/{name:path}", self._answer),
            *pages.page_routes(pages.load_files()),
        ]
        app = SecurityHeaders(Starlette(routes=routes), TrustedProxy(None))
        config = uvicorn.Config(app, port=self.port, log_level="error", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        self._task = asyncio.create_task(self._server._serve())
        async with asyncio.timeout(10):
            while not self._server.started:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        if self._server is None or self._task is None:
            return
        self.hang_up()
        self._server.should_exit = True
        await self._task
        self._server = self._task = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _answer(self, request: Request) -> Response:
        answer = self.answers.get(request.path_params["name"], [])
        if isinstance(answer, Response):
            return answer
        return JSONResponse(answer(request.query_params) if callable(answer) else answer)

    async def _stream(self, request: Request) -> Response:
        if self.status != 200:
            return Response(status_code=self.status)
        self.queries.append(dict(request.query_params))
        return StreamingResponse(self._events(), media_type="text/event-stream")

    async def _events(self) -> AsyncIterator[str]:
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._clients.add(events)
        try:
            yield _encode_event("snapshot", self.snapshot)
            while event := await events.get():
                yield _encode_event(*event)
        finally:
            self._clients.discard(events)


def _encode_event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
