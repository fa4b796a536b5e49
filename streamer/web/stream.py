"""The stream of server-sent events that keeps a wall up to date.

All clients of a view share a hub: the view is read once, a change is encoded once, and every client gets the
same bytes. No client waits for another: events that a slow client does not take in time are dropped, and it
gets a complete snapshot once it reads again.
"""

import asyncio
from asyncio import Transport
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from streamer.delivery.bell import Bell
from streamer.panes.pane_keys import FINE_MS
from streamer.readings.query import QueryError
from streamer.readings.reader import Reader
from streamer.settings import Settings
from streamer.web.banner import Audience, Banner
from streamer.web.board import Alert, Change, Heartbeat, Page, Snapshot, changed
from streamer.web.connection import keep_small, transport_of
from streamer.web.follower import Clock, News
from streamer.web.screen import Screen
from streamer.web.troubles import Troubles

HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
}
WAITING: Final = 8
"""Events queued for a slow client; beyond, it gets a snapshot instead."""
PIECE: Final = 1 << 16
"""Most bytes written at a time, which is what a client that does not read holds in memory."""

_json = msgspec.json.Encoder().encode
_log = structlog.get_logger(__name__)


class Pace(NamedTuple):
    """Intervals and timeouts of a stream, in seconds.

    `min_poll_s`: least time between two reads of a view; `max_poll_s`: most time between them while nothing
    changes; `read_wait_s`: wait for one read before going on with the old numbers; `heartbeat_s`: between two
    heartbeats; `age_step_s`: announce the data's age when it differs by this much from the last one sent;
    `send_timeout_s`: for a client that does not read, `end_timeout_s`: the same when the server ends."""

    look: float = 0.25
    idle: float = 0.25
    wait: float = 1.0
    heartbeat: float = 15.0
    stale: float = 3.0
    patience: float = 60.0
    farewell: float = 1.0


PACE: Final = Pace()


class Source(NamedTuple):
    """Everything that streams read from. `files_version` is the version of the page's files."""

    reader: Reader
    settings: Settings
    troubles: Troubles
    clock: Clock
    version: str
    pace: Pace
    news: News
    bell: Bell | None = None


class Client:
    """The queue of one client. `encode_snapshot` returns the complete state, None if nothing was read yet."""

    def __init__(self, whole: Callable[[], bytes | None]) -> None:
        self._whole = whole
        self._waiting: deque[bytes] = deque()
        self._lost = True
        self._news = asyncio.Event()
        self._ended = False
        self._sending: asyncio.Timeout | None = None
        self._news.set()

    def give(self, told: bytes) -> None:
        """Queue an event: the change since the last one."""
        self._lost = self._lost or len(self._waiting) == WAITING
        if self._lost:
            self._waiting.clear()
        else:
            self._waiting.append(told)
        self._news.set()

    async def take(self) -> bytes | None:
        """Wait for the next bytes to send: the queued events, or a snapshot at first and after events were
        dropped. None at the end."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._ended:
                return None
            if told := self._told():
                return told

    def _told(self) -> bytes | None:
        if self._lost:
            whole = self._whole()
            self._lost = whole is None
            return whole
        told = b"".join(self._waiting)
        self._waiting.clear()
        return told

    def end(self, farewell: float) -> None:
        self._ended = True
        self._news.set()
        if self._sending is not None:
            self._sending.reschedule(asyncio.get_running_loop().time() + farewell)

    async def feed(self, send: Send, pace: Pace) -> None:
        """Send events until the end. Raise TimeoutError if the client does not read."""
        while told := await self.take():
            for first in range(0, len(told), PIECE):
                async with asyncio.timeout(pace.patience) as self._sending:
                    await send(_body(told[first : first + PIECE]))
                self._sending = None
        async with asyncio.timeout(pace.farewell):
            await send(_body(b"", more=False))


def _body(body: bytes, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


class Hub:
    """All clients of one view and audience. It reads the numbers as long as there is any client."""

    def __init__(self, source: Source, name: str, audience: Audience) -> None:
        view, reader = source.settings.all_views()[name], source.reader
        self._source, self._name = source, name
        self._screen = Screen(reader, source.settings, view, audience.guarded)
        self._banner = Banner(reader, source.troubles, source.bell, view.queues, audience)
        self._clients: set[Client] = set()
        self._task: asyncio.Task[None] | None = None
        self._forget()

    def _forget(self) -> None:
        self._pages: list[Page] | None = None
        self._alerts: list[Alert] = []
        self._stamp: tuple[object, ...] = ()
        self._reading: asyncio.Task[list[Page]] | None = None
        self._snapshot: bytes | None = None
        self._fresh_s: float | None = None
        self._beaten = 0.0

    def join(self) -> Client:
        client = Client(self._whole)
        self._clients.add(client)
        if self._task is None:
            self._task = asyncio.create_task(self._follow())
        return client

    def leave(self, client: Client) -> None:
        self._clients.discard(client)

    def end(self) -> None:
        for client in self._clients:
            client.end(self._source.pace.farewell)

    async def _follow(self) -> None:
        self._beaten = asyncio.get_running_loop().time()
        try:
            while self._clients:
                await self._look()
                await asyncio.sleep(self._source.pace.look)
                if self._reading is None and not self._is_behind():
                    await self._source.news.wait(self._source.pace.idle)
        except Exception:
            _log.exception("reading a view failed, disconnecting its clients", view=self._name)
            self.end()
        finally:
            self._task = None
            self._forget()

    def _is_behind(self) -> bool:
        """Tell whether numbers changed since they were looked at."""
        return self._stamp != self._stamp_of(self._source.clock())

    def _stamp_of(self, now: int) -> tuple[object, ...]:
        reader = self._source.reader
        return (reader.edition, reader.ready, now // FINE_MS)

    async def _look(self) -> None:
        """Read the view if data changed, and publish.

        While a read takes long, the age of the numbers already sent is published on."""
        now = self._source.clock()
        stamp = self._stamp_of(now)
        if self._reading is None and stamp != self._stamp:
            self._stamp = stamp
            self._reading = asyncio.create_task(asyncio.to_thread(self._screen.pages, now))
        pages = self._pages
        if self._reading is not None:
            await asyncio.wait((self._reading,), timeout=self._source.pace.wait)
            if self._reading.done():
                pages, self._reading = self._reading.result(), None
        if pages is not None:
            self._tell(pages, self._source.clock())

    def _tell(self, pages: list[Page], now: int) -> None:
        before, alerts = self._pages, self._banner.alerts(now)
        tiles = [] if before is None else changed(before, pages)
        news = before is None or bool(tiles) or alerts != self._alerts
        self._pages, self._alerts, self._snapshot = pages, alerts, None
        fresh_s = self._source.reader.fresh_s(now)
        if news:
            self._give(event("change", Change(now, fresh_s, tiles, alerts)), fresh_s)
        if self._is_heartbeat_due() or self._is_older(fresh_s):
            self._beaten = asyncio.get_running_loop().time()
            self._give(event("heartbeat", Heartbeat(now, fresh_s, self._source.version)), fresh_s)

    def _give(self, told: bytes, fresh_s: float | None) -> None:
        self._fresh_s = fresh_s
        for client in self._clients:
            client.give(told)

    def _is_heartbeat_due(self) -> bool:
        return asyncio.get_running_loop().time() - self._beaten >= self._source.pace.heartbeat

    def _is_older(self, fresh_s: float | None) -> bool:
        """Tell whether the data's age differs enough from the last one sent, or became known or unknown."""
        if fresh_s is None or self._fresh_s is None:
            return fresh_s is not self._fresh_s
        return abs(fresh_s - self._fresh_s) >= self._source.pace.stale

    def _whole(self) -> bytes | None:
        if self._snapshot is None and self._pages is not None:
            self._snapshot = event("snapshot", self._board(self._pages))
        return self._snapshot

    def _board(self, pages: list[Page]) -> Snapshot:
        source, view, now = self._source, self._screen.view, self._source.clock()
        return Snapshot(
            version=source.version,
            view=self._name,
            title=view.title,
            timezone=source.settings.timezone,
            now=now,
            fresh_s=source.reader.fresh_s(now),
            rotate_s=view.rotate.total_seconds() if len(pages) > 1 else None,
            pages=pages,
            alerts=self._alerts,
        )


def event(name: str, data: Any) -> bytes:
    """Encode a server-sent event.

    >>> event("heartbeat", {"now": 1795255205000})
    b'event: heartbeat\\ndata: {"now":1795255205000}\\n\\n'
    """
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _json(data))


class Streams:
    """The route of the stream, with a hub for each view and audience. `end` ends all streams."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._hubs: dict[tuple[str, Audience], Hub] = {}
        self._ended = False

    def routes(self) -> list[Route]:
        return [Route("/api/v1/stream", self._stream)]

    def end(self) -> None:
        self._ended = True
        for hub in self._hubs.values():
            hub.end()

    async def _stream(self, request: Request) -> Response:
        name, person = self._view(request), request.scope["person"]
        known = self._source.settings.all_views()
        if name not in known:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"view = {name!r}: expected one of {', '.join(known)}")
        if self._ended:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "the server is shutting down")
        if request.method == "HEAD":
            return Response(headers=HEADERS)
        hub = self._hub(name, Audience(person.role == "viewer", person.teams))
        return _Stream(hub, self._source.pace)

    def _hub(self, name: str, audience: Audience) -> Hub:
        if (name, audience) not in self._hubs:
            self._hubs[name, audience] = Hub(self._source, name, audience)
        return self._hubs[name, audience]

    def _view(self, request: Request) -> str:
        """Return the requested view, else the view of the display, else "default".

        Raise HTTPException (403) if a display asks for another view than its own, and QueryError."""
        for parameter in request.query_params:
            if parameter != "view":
                raise QueryError(f"{parameter}: expected no parameter but view")
        own: str | None = request.scope["person"].view
        asked = request.query_params.get("view") or own or "default"
        if own is not None and asked != own:
            raise HTTPException(HTTPStatus.FORBIDDEN, f"view = {asked!r}: this display shows {own!r}")
        return asked


class _Stream(Response):
    """A response that sends a client's events until it disconnects, stops reading, or the server ends."""

    def __init__(self, hub: Hub, pace: Pace) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._hub, self._pace = hub, pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = transport_of(scope)
        if transport is not None:
            keep_small(transport, self._pace.patience)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        client = self._hub.join()
        gone = asyncio.create_task(_gone(receive))
        feeding = asyncio.create_task(client.feed(send, self._pace))
        try:
            await asyncio.wait((feeding, gone), return_when=asyncio.FIRST_COMPLETED)
            await self._let_go(feeding, gone, transport)
        finally:
            self._hub.leave(client)
            feeding.cancel()
            gone.cancel()

    async def _let_go(
        self, feeding: asyncio.Task[None], gone: asyncio.Task[None], transport: Transport | None
    ) -> None:
        if gone.done():
            return
        with suppress(TimeoutError):
            feeding.result()
        if transport is not None and transport.get_write_buffer_size():
            transport.abort()
            await gone


async def _gone(receive: Receive) -> None:
    """Return when the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass
