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

from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.panes.pane_keys import FINE_MS
from streamer.readings.query import QueryError
from streamer.readings.reader import MetricsReader
from streamer.runtime.choices import expected_choice
from streamer.runtime.clock import Clock
from streamer.settings import Settings, ViewSettings
from streamer.web.alert_banner import AlertBanner, WallboardAudience
from streamer.web.connection import MAX_CHUNK_BYTES, limit_send_buffer, transport_of
from streamer.web.permissions import DataScope
from streamer.web.pipeline_health import PipelineHealth
from streamer.web.reader_refresher import ChangeNotifier
from streamer.web.users import User
from streamer.web.wallboard import (
    WallboardAlert,
    WallboardChange,
    WallboardHeartbeat,
    WallboardPage,
    WallboardSnapshot,
    changed_tiles,
    tile_ids,
)
from streamer.web.wallboard_view import WallboardView

EVENT_STREAM_HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
}
MAX_WAITING_EVENTS: Final = 8
"""Events queued for a slow client; beyond, it gets a snapshot instead."""

_json = msgspec.json.Encoder().encode
_log = structlog.get_logger(__name__)


class StreamIntervals(NamedTuple):
    """Intervals and timeouts of a stream, in seconds.

    `min_poll_s`: least time between two reads of a view; `max_poll_s`: most time between them while nothing
    changes; `read_wait_s`: wait for one read before going on with the old numbers; `heartbeat_s`: between two
    heartbeats; `age_step_s`: announce the data's age when it differs by this much from the last one sent;
    `send_timeout_s`: for a client that does not read, `end_timeout_s`: the same when the server ends."""

    min_poll_s: float = 0.25
    max_poll_s: float = 0.25
    read_wait_s: float = 1.0
    heartbeat_s: float = 15.0
    age_step_s: float = 3.0
    send_timeout_s: float = 60.0
    end_timeout_s: float = 1.0


STREAM_INTERVALS: Final = StreamIntervals()


class StreamContext(NamedTuple):
    """Everything that streams read from. `files_version` is the version of the page's files."""

    reader: MetricsReader
    settings: Settings
    pipeline_health: PipelineHealth
    clock: Clock
    files_version: str
    intervals: StreamIntervals
    change_notifier: ChangeNotifier
    coordinator: AlertCoordinator | None = None


class StreamClient:
    """The queue of one client. `encode_snapshot` returns the complete state, None if nothing was read yet."""

    def __init__(self, encode_snapshot: Callable[[], bytes | None]) -> None:
        self._encode_snapshot = encode_snapshot
        self._waiting: deque[bytes] = deque()
        self._needs_snapshot = True
        self._wakeup = asyncio.Event()
        self._ended = False
        self._send_timeout: asyncio.Timeout | None = None
        self._wakeup.set()

    def push(self, event_bytes: bytes) -> None:
        """Queue an event: the change since the last one."""
        self._needs_snapshot = self._needs_snapshot or len(self._waiting) == MAX_WAITING_EVENTS
        if self._needs_snapshot:
            self._waiting.clear()
        else:
            self._waiting.append(event_bytes)
        self._wakeup.set()

    async def next_bytes(self) -> bytes | None:
        """Wait for the next bytes to send: the queued events, or a snapshot at first and after events were
        dropped. None at the end."""
        while True:
            await self._wakeup.wait()
            self._wakeup.clear()
            if self._ended:
                return None
            if pending := self._take_pending():
                return pending

    def _take_pending(self) -> bytes | None:
        if self._needs_snapshot:
            snapshot = self._encode_snapshot()
            self._needs_snapshot = snapshot is None
            return snapshot
        pending = b"".join(self._waiting)
        self._waiting.clear()
        return pending

    def end(self, timeout_s: float) -> None:
        self._ended = True
        self._wakeup.set()
        if self._send_timeout is not None:
            self._send_timeout.reschedule(asyncio.get_running_loop().time() + timeout_s)

    async def send_events(self, send: Send, intervals: StreamIntervals) -> None:
        """Send events until the end. Raise TimeoutError if the client does not read."""
        while pending := await self.next_bytes():
            for offset in range(0, len(pending), MAX_CHUNK_BYTES):
                async with asyncio.timeout(intervals.send_timeout_s) as self._send_timeout:
                    await send(_body_message(pending[offset : offset + MAX_CHUNK_BYTES]))
                self._send_timeout = None
        async with asyncio.timeout(intervals.end_timeout_s):
            await send(_body_message(b"", more=False))


def _body_message(body: bytes, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


class Hub:
    """All clients of one view and audience. It reads the numbers as long as there is any client."""

    def __init__(self, context: StreamContext, view_name: str, audience: WallboardAudience) -> None:
        view, reader = context.settings.all_views()[view_name], context.reader
        self._context, self._view_name = context, view_name
        self._wallboard_view = WallboardView(reader, context.settings, view, audience.as_viewer)
        self._banner = AlertBanner(
            reader,
            context.pipeline_health,
            context.coordinator,
            view.shown_groups,
            audience,
            context.settings,
        )
        self._clients: set[StreamClient] = set()
        self._task: asyncio.Task[None] | None = None
        self._reset()

    def _reset(self) -> None:
        self._pages: list[WallboardPage] | None = None
        self._alerts: list[WallboardAlert] = []
        self._data_version: tuple[object, ...] = ()
        self._read_task: asyncio.Task[list[WallboardPage]] | None = None
        self._snapshot_bytes: bytes | None = None
        self._announced_age_s: float | None = None
        self._heartbeat_at_s = 0.0

    def join(self) -> StreamClient:
        client = StreamClient(self._encoded_snapshot)
        self._clients.add(client)
        if self._task is None:
            self._task = asyncio.create_task(self._poll())
        return client

    def leave(self, client: StreamClient) -> None:
        self._clients.discard(client)

    def end(self) -> None:
        for client in self._clients:
            client.end(self._context.intervals.end_timeout_s)

    async def _poll(self) -> None:
        self._heartbeat_at_s = asyncio.get_running_loop().time()
        try:
            while self._clients:
                await self._poll_once()
                await asyncio.sleep(self._context.intervals.min_poll_s)
                is_unchanged = self._data_version == self._data_version_at(self._context.clock())
                if self._read_task is None and is_unchanged:
                    await self._context.change_notifier.wait(self._context.intervals.max_poll_s)
        except Exception:
            _log.exception("reading a view failed, disconnecting its clients", view=self._view_name)
            self.end()
        finally:
            self._task = None
            self._reset()

    def _data_version_at(self, now_ms: int) -> tuple[object, ...]:
        reader = self._context.reader
        return (reader.version, reader.ready, now_ms // FINE_MS, self._banner.record)

    async def _poll_once(self) -> None:
        """Read the view if data changed, and publish.

        While a read takes long, the age of the numbers already sent is published on."""
        now_ms = self._context.clock()
        data_version = self._data_version_at(now_ms)
        if self._read_task is None and data_version != self._data_version:
            self._data_version = data_version
            self._read_task = asyncio.create_task(asyncio.to_thread(self._read, now_ms))
        pages = self._pages
        if self._read_task is not None:
            await asyncio.wait((self._read_task,), timeout=self._context.intervals.read_wait_s)
            if self._read_task.done():
                pages, self._read_task = self._read_task.result(), None
        if pages is not None:
            self._publish_changes(pages, self._context.clock())

    def _read(self, now_ms: int) -> list[WallboardPage]:
        self._banner.read_figures(now_ms)
        return self._wallboard_view.read_pages(now_ms)

    def _publish_changes(self, pages: list[WallboardPage], now_ms: int) -> None:
        pages_before, alerts = self._pages, self._banner.alerts(now_ms)
        has_other_tiles = pages_before is not None and tile_ids(pages_before) != tile_ids(pages)
        tiles = [] if pages_before is None or has_other_tiles else changed_tiles(pages_before, pages)
        has_changed = pages_before is None or bool(tiles) or alerts != self._alerts
        self._pages, self._alerts, self._snapshot_bytes = pages, alerts, None
        data_age_s = self._context.reader.data_age_s(now_ms)
        if has_other_tiles:
            self._broadcast(self._encoded_snapshot() or b"", data_age_s)
        elif has_changed:
            self._broadcast(
                encode_sse("change", WallboardChange(now_ms, data_age_s, data_age_s, tiles, alerts)),
                data_age_s,
            )
        if self._is_heartbeat_due() or self._is_age_due(data_age_s):
            self._heartbeat_at_s = asyncio.get_running_loop().time()
            self._broadcast(
                encode_sse(
                    "heartbeat",
                    WallboardHeartbeat(now_ms, data_age_s, data_age_s, self._context.files_version),
                ),
                data_age_s,
            )

    def _broadcast(self, event_bytes: bytes, data_age_s: float | None) -> None:
        self._announced_age_s = data_age_s
        for client in self._clients:
            client.push(event_bytes)

    def _is_heartbeat_due(self) -> bool:
        return asyncio.get_running_loop().time() - self._heartbeat_at_s >= self._context.intervals.heartbeat_s

    def _is_age_due(self, data_age_s: float | None) -> bool:
        """Tell whether the data's age differs enough from the last one sent, or became known or unknown."""
        if data_age_s is None or self._announced_age_s is None:
            return data_age_s is not self._announced_age_s
        return abs(data_age_s - self._announced_age_s) >= self._context.intervals.age_step_s

    def _encoded_snapshot(self) -> bytes | None:
        if self._snapshot_bytes is None and self._pages is not None:
            self._snapshot_bytes = encode_sse("snapshot", self._build_snapshot(self._pages))
        return self._snapshot_bytes

    def _build_snapshot(self, pages: list[WallboardPage]) -> WallboardSnapshot:
        context, view, now_ms = self._context, self._wallboard_view.view, self._context.clock()
        data_age_s = context.reader.data_age_s(now_ms)
        return WallboardSnapshot(
            version=context.files_version,
            view=self._view_name,
            title=view.title,
            timezone=context.settings.timezone,
            now=now_ms,
            data_age_s=data_age_s,
            fresh_s=data_age_s,
            rotate_s=view.rotate.total_seconds() if len(pages) > 1 else None,
            pages=pages,
            alerts=self._alerts,
            long_states_s={
                "wrap_up": context.settings.wrap_up_limit.total_seconds(),
                "away": context.settings.away_limit.total_seconds(),
            },
        )


def encode_sse(name: str, data: Any) -> bytes:
    """Encode a server-sent event.

    >>> encode_sse("heartbeat", {"now": 1795255205000})
    b'event: heartbeat\\ndata: {"now":1795255205000}\\n\\n'
    """
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _json(data))


class StreamRoutes:
    """The route of the stream, with a hub for each view and audience. `end` ends all streams."""

    def __init__(self, context: StreamContext) -> None:
        self._context = context
        self._hubs: dict[tuple[str, WallboardAudience], Hub] = {}
        self._ended = False

    def routes(self) -> list[Route]:
        return [Route("/api/v1/stream", self._open_stream)]

    def end(self) -> None:
        self._ended = True
        for hub in self._hubs.values():
            hub.end()

    async def _open_stream(self, request: Request) -> Response:
        view_name, user = self._requested_view(request), request.scope["person"]
        views = self._context.settings.all_views()
        if view_name not in views:
            raise HTTPException(
                HTTPStatus.NOT_FOUND, f"view = {view_name!r}: {expected_choice(view_name, views)}"
            )
        require_view_access(user, views[view_name], self._context.reader, self._context.clock())
        if self._ended:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "the server is shutting down")
        if request.method == "HEAD":
            return Response(headers=EVENT_STREAM_HEADERS)
        hub = self._hub(view_name, WallboardAudience(user.role == "viewer", user.teams))
        return _StreamResponse(hub, self._context.intervals)

    def _hub(self, view_name: str, audience: WallboardAudience) -> Hub:
        if (view_name, audience) not in self._hubs:
            self._hubs[view_name, audience] = Hub(self._context, view_name, audience)
        return self._hubs[view_name, audience]

    def _requested_view(self, request: Request) -> str:
        """Return the requested view, else the view of the display, else "default".

        Raise HTTPException (403) if a display asks for another view than its own, and QueryError."""
        for parameter in request.query_params:
            if parameter != "view":
                raise QueryError(f"{parameter}: expected no parameter but view")
        display_view: str | None = request.scope["person"].view
        view_name = request.query_params.get("view") or display_view or "default"
        if display_view is not None and view_name != display_view:
            raise HTTPException(
                HTTPStatus.FORBIDDEN, f"view = {view_name!r}: this display shows {display_view!r}"
            )
        return view_name


def require_view_access(user: User, view: ViewSettings, reader: MetricsReader, now_ms: int) -> None:
    """Raise Forbidden unless the user may see every group of a view. No viewer, and no display, sees agents
    on a wallboard."""
    as_seen = msgspec.structs.replace(user, agent_names=user.role != "viewer")
    data_scope = DataScope(as_seen, reader, now_ms)
    for by, key in view.shown_groups:
        data_scope.require_access(by, key)


class _StreamResponse(Response):
    """A response that sends a client's events until it disconnects, stops reading, or the server ends."""

    def __init__(self, hub: Hub, intervals: StreamIntervals) -> None:
        super().__init__(headers=EVENT_STREAM_HEADERS)
        del self.headers["content-length"]
        self._hub, self._intervals = hub, intervals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = transport_of(scope)
        if transport is not None:
            limit_send_buffer(transport, self._intervals.send_timeout_s)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        client = self._hub.join()
        disconnecting = asyncio.create_task(_wait_for_disconnect(receive))
        sending = asyncio.create_task(client.send_events(send, self._intervals))
        try:
            await asyncio.wait((sending, disconnecting), return_when=asyncio.FIRST_COMPLETED)
            await self._finish(sending, disconnecting, transport)
        finally:
            self._hub.leave(client)
            sending.cancel()
            disconnecting.cancel()

    async def _finish(
        self, sending: asyncio.Task[None], disconnecting: asyncio.Task[None], transport: Transport | None
    ) -> None:
        if disconnecting.done():
            return
        with suppress(TimeoutError):
            sending.result()
        if transport is not None and transport.get_write_buffer_size():
            transport.abort()
            await disconnecting


async def _wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass
