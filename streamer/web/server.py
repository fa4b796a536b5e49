"""The HTTP server: its application of API, pages, metrics and health checks, and its start and end."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamer.alerts.rules import rules
from streamer.alerts.saying.composing import Composer
from streamer.alerts.watch import Watch
from streamer.delivery.alertmanager import check_alertmanager
from streamer.delivery.bell import Bell
from streamer.delivery.desk import Desk
from streamer.delivery.pauses import Timing
from streamer.delivery.prometheus import families, seen
from streamer.delivery.receivers import check_receivers
from streamer.delivery.silencing import Silencing
from streamer.gc_tuning import freeze_startup_objects
from streamer.panes.windows import WINDOWS
from streamer.readings import prometheus
from streamer.readings.prometheus import Export, Exporter
from streamer.readings.query import QueryError
from streamer.readings.reader import Reader
from streamer.settings import Settings, SettingsError
from streamer.store.redis import LeasedDocument, RedisStore
from streamer.web import api, behind, login, pages, problems
from streamer.web.alarms import Alarms
from streamer.web.connection import Http
from streamer.web.follower import Clock, Follower
from streamer.web.guard import Guard, is_loopback
from streamer.web.people import People, Person, check_people
from streamer.web.proxy import Proxy
from streamer.web.rights import RIGHTS
from streamer.web.screen import check_targets, check_views
from streamer.web.sessions import Sessions
from streamer.web.silences import Silences
from streamer.web.standing import Standings
from streamer.web.stream import PACE, Pace, Source, Streams
from streamer.web.throttle import Throttle
from streamer.web.troubles import Troubles, not_ready
from streamer.web.turns import Turns
from streamer.web.webhooks import PATIENCE, Patience, Publish, Webhooks, check_secrets

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # without any, forms would send no Origin to check
}


def wall_clock() -> int:
    """Return the current time in ms since the epoch."""
    return round(time.time() * 1000)  # noqa: TID251 - the edge of the server


def application(
    reader: Reader,
    settings: Settings,
    clock: Clock,
    pace: Pace = PACE,
    publish: Publish | None = None,
    patience: Patience = PATIENCE,
    bell: Bell | None = None,
    silencing: Silencing | None = None,
    desk: Desk | None = None,
) -> Starlette:
    """Build the ASGI application.

    It accepts webhooks if `publish` is given. While it runs it refreshes the reader; it also evaluates alert
    rules if there is a `coordinator`, and notifies receivers if there is a `dispatcher`."""
    follower, found = Follower(reader, clock), pages.files()
    troubles, version = Troubles(reader, follower), pages.version(found)
    streams = Streams(Source(reader, settings, troubles, clock, version, pace, follower.news, bell))
    people, sessions, proxy = People(settings), Sessions(clock), Proxy(settings.proxy)
    routes = [
        *_routes(reader, follower, settings, clock, bell),
        *api.routes(reader, settings, clock),
        *Alarms(reader, troubles, bell, settings.names, clock).routes(),
        *Standings(reader, bell, clock).routes(),
        *Silences(reader, bell, silencing, settings.names, clock).routes(),
        *behind.routes(reader, clock),
        *streams.routes(),
        *pages.routes(found),
        *login.routes(people, sessions, Throttle(clock), proxy),
    ]
    if publish is not None:
        routes += Webhooks(settings, publish, clock, proxy, patience).routes()
    assert {route.path for route in routes} <= RIGHTS.keys(), "a route without a permission"
    app = Starlette(
        routes=routes,
        exception_handlers={
            QueryError: problems.wrong_question,
            HTTPException: problems.refused,
            Exception: problems.failed,
        },
        lifespan=lambda app: _following([one for one in (follower, desk or bell) if one is not None]),
    )
    app.state.streams = streams
    app.add_middleware(Guard, routes=routes, people=people, sessions=sessions, proxy=proxy)
    app.add_middleware(SecurityHeaders)
    return app


@asynccontextmanager
async def _following(followers: Sequence[Follower | Bell | Desk]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one.run()) for one in followers]
    try:
        yield
    finally:
        for one in followers:
            one.end()
        await asyncio.gather(*tasks)


def _routes(
    reader: Reader, follower: Follower, settings: Settings, clock: Clock, bell: Bell | None
) -> list[Route]:
    export = Export(tuple(settings.export_windows), settings.export_agents)
    exporter = Exporter(reader)

    async def metrics(request: Request) -> Response:
        person: Person = request.scope["person"]
        shown = export._replace(agents=export.agents and person.agent_names)
        alerts = [] if bell is None else families(seen(bell, settings, shown.agents))
        text = await asyncio.to_thread(exporter.render, shown, clock(), Turns(), alerts)
        return Response(text, headers={"content-type": prometheus.CONTENT_TYPE})

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(request: Request) -> Response:
        reason = not_ready(reader, follower, clock())
        if reason is None:
            return JSONResponse({"ready": True, "fresh_s": reader.fresh_s(clock())})
        told = {"reason": reason} if request.scope["person"] else {}
        return JSONResponse({"ready": False, **told}, 503)

    return [
        Route("/metrics", metrics),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
    ]


class SecurityHeaders:
    """Add SECURITY_HEADERS to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def check_host(settings: Settings) -> None:
    """Raise SettingsError if the server would listen on the network while no users are configured."""
    if People(settings).open and not is_loopback(settings.host):
        raise SettingsError(
            f"host = {settings.host!r}: expected a loopback address such as 127.0.0.1, "
            "or access control: set [people], [displays] or [proxy]"
        )


def check_windows(windows: Iterable[str]) -> None:
    """Raise SettingsError for an unknown window.

    >>> check_windows(["15m", "1h", "today"])
    """
    for window in windows:
        if window not in WINDOWS:
            raise SettingsError(f"export_windows: {window!r}: expected some of {', '.join(WINDOWS)}")


async def serve(settings: Settings, publish: Publish | None = None) -> None:
    """Check the settings and serve until SIGTERM or SIGINT; webhooks go to `publish`.

    Raise SettingsError, and the store's own errors if it cannot be reached at the start."""
    check_host(settings)
    check_windows(settings.export_windows)
    check_targets(settings)
    check_views(settings)
    check_people(settings)
    in_force = rules(settings)
    check_secrets(settings)
    check_receivers(settings)
    check_alertmanager(settings)
    freeze_startup_objects()
    store = await RedisStore.connect(settings.redis, settings.center)
    try:
        reader = Reader(store, settings)
        watch, composer = Watch(reader, settings, in_force), Composer(reader, settings, in_force)
        bell = Bell(LeasedDocument(store, "alerts"), watch, reader, composer.composed, wall_clock)
        desk = Desk(bell, settings, Timing(wall_clock))
        app = application(
            reader, settings, wall_clock, publish=publish, bell=bell, silencing=desk.silencing, desk=desk
        )
        config = uvicorn.Config(
            app, http=Http, proxy_headers=False, host=settings.host, port=settings.port,
            access_log=False, server_header=False, log_level="warning", timeout_graceful_shutdown=2,
        )  # fmt: skip
        await Server(config, app.state.streams.end).serve()
    finally:
        await store.close()


class Server(uvicorn.Server):
    """A uvicorn server that exits with status 0 on SIGTERM and SIGINT; uvicorn itself raises them again.

    `end_streams` ends the responses that would never end by themselves."""

    def __init__(self, config: uvicorn.Config, end: Callable[[], None]) -> None:
        super().__init__(config)
        self._end = end

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._end()
        super().handle_exit(sig, frame)

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
