"""The HTTP server: its application of API, pages, metrics and health checks, and its start and end."""

import asyncio
import gzip
import math
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from types import FrameType
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.messages.composer import MessageComposer
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alert_metrics import metric_families, take_metrics_snapshot
from streamer.delivery.notification_dispatcher import NotificationDispatcher
from streamer.delivery.silencing import SilenceService
from streamer.delivery.timing import DeliveryTiming
from streamer.readings import prometheus
from streamer.readings.prometheus import ExportSelection, ExpositionFormat, PrometheusExporter
from streamer.readings.query import QueryError
from streamer.readings.reader import MetricsReader
from streamer.runtime.clock import Clock, StoreClock
from streamer.runtime.gc_tuning import freeze_startup_objects
from streamer.runtime.ports import require_free_port
from streamer.runtime.retry import retry_refused
from streamer.settings import Settings
from streamer.settings.value_types import duration_ms
from streamer.store.layout import ALERTS_NAME
from streamer.store.redis import RedisDocument, RedisStore
from streamer.web import api, drill_down, login, pages, plain_pages, problems, view_index
from streamer.web.alert_routes import AlertRoutes
from streamer.web.audit_log import AuditLog
from streamer.web.auth_middleware import AuthMiddleware
from streamer.web.connection import ConnectionLimits, OpenConnections, limited_protocol
from streamer.web.heavy_questions import HEAVY_PATHS, HeavyQuestions, QuestionGate, QuestionLimits
from streamer.web.live_routes import live_routes
from streamer.web.permissions import ROUTE_PERMISSIONS
from streamer.web.pipeline_health import PipelineHealth, not_ready_reason
from streamer.web.proxy import TrustedProxy
from streamer.web.reader_refresher import ReaderRefresher
from streamer.web.rule_status import RuleStatusRoutes
from streamer.web.sessions import SessionStore
from streamer.web.silence_routes import SilenceRoutes
from streamer.web.stream import STREAM_INTERVALS, StreamContext, StreamIntervals, StreamRoutes
from streamer.web.users import User, UserDirectory
from streamer.web.webhooks import (
    WEBHOOK_TIMEOUTS,
    PublishRecord,
    WebhookRoutes,
    WebhookTimeouts,
)

CLOCK_INTERVAL_S: Final = 1.0
"""Interval of comparing the own clock with that of the store."""
SECURITY_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
        "connect-src 'self'; object-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # without any, forms would send no Origin to check
}

SCRAPE_LIMITS: Final = QuestionLimits(threads=1, waiting=8, user_waiting=4)
"""Limits of `/metrics`, which has places of its own, so that no other question keeps Prometheus waiting."""


def application(
    reader: MetricsReader,
    settings: Settings,
    clock: Clock,
    intervals: StreamIntervals = STREAM_INTERVALS,
    publish: PublishRecord | None = None,
    timeouts: WebhookTimeouts = WEBHOOK_TIMEOUTS,
    coordinator: AlertCoordinator | None = None,
    silencing: SilenceService | None = None,
    dispatcher: NotificationDispatcher | None = None,
) -> Starlette:
    """Build the ASGI application.

    It accepts webhooks if `publish` is given. While it runs it refreshes the reader; it also evaluates alert
    rules if there is a `coordinator`, and notifies receivers if there is a `dispatcher`."""
    refresher, static_files = ReaderRefresher(reader, clock), pages.load_files()
    pipeline_health, version = PipelineHealth(reader, refresher), pages.files_version(static_files)
    streams = StreamRoutes(
        StreamContext(
            reader,
            settings,
            pipeline_health,
            clock,
            version,
            intervals,
            refresher.change_notifier,
            coordinator,
        )
    )
    users, proxy = UserDirectory(settings), TrustedProxy(settings.proxy)
    sessions, audit = SessionStore(clock, duration_ms(settings.session_idle)), AuditLog(clock, proxy)
    questions, scrapes = HeavyQuestions(), HeavyQuestions(SCRAPE_LIMITS)
    routes = [
        *_monitoring_routes(reader, refresher, settings, clock, coordinator, scrapes),
        *api.reading_routes(reader, settings, clock, questions),
        *AlertRoutes(reader, pipeline_health, coordinator, settings, clock, audit, questions).routes(),
        *RuleStatusRoutes(reader, coordinator, clock).routes(),
        *SilenceRoutes(reader, coordinator, silencing, settings.names, clock, audit).routes(),
        *drill_down.drill_down_routes(reader, clock, questions, settings.links),
        *live_routes(reader, clock, questions),
        *streams.routes(),
        *view_index.view_routes(reader, settings, clock),
        *pages.page_routes(static_files),
        *login.login_routes(users, sessions, proxy, clock, audit),
    ]
    if publish is not None:
        routes += WebhookRoutes(settings, publish, clock, proxy, timeouts).routes()
    assert {route.path for route in routes} <= ROUTE_PERMISSIONS.keys(), "a route without a permission"
    app = Starlette(
        routes=routes,
        exception_handlers={
            QueryError: problems.handle_query_error,
            HTTPException: plain_pages.handle_http_exception,
            Exception: plain_pages.handle_failure,
        },
        lifespan=lambda app: _running(
            [service for service in (refresher, dispatcher or coordinator) if service is not None]
        ),
    )
    app.state.streams, app.state.heavy_questions = streams, (questions, scrapes)
    heavy_questions = {**dict.fromkeys(HEAVY_PATHS, questions), "/metrics": scrapes}
    app.add_middleware(QuestionGate, questions=heavy_questions, files=questions)
    app.router.redirect_slashes = False  # its redirects are built from the Host header
    app.add_middleware(
        AuthMiddleware, routes=routes, people=users, sessions=sessions, proxy=proxy, audit=audit
    )
    app.add_middleware(SecurityHeaders, proxy=proxy)
    return app


@asynccontextmanager
async def _running(
    services: Sequence[ReaderRefresher | AlertCoordinator | NotificationDispatcher],
) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(service.run()) for service in services]
    try:
        yield
    finally:
        for service in services:
            service.stop()
        await asyncio.gather(*tasks)


def _monitoring_routes(
    reader: MetricsReader,
    refresher: ReaderRefresher,
    settings: Settings,
    clock: Clock,
    coordinator: AlertCoordinator | None,
    scrapes: HeavyQuestions,
) -> list[Route]:
    export = ExportSelection(
        tuple(settings.export_windows), settings.export_agents, settings.export_max_series
    )
    exporter = PrometheusExporter(reader)

    async def metrics(request: Request) -> Response:
        user: User = request.scope["person"]
        user_export = export._replace(agents=export.agents and user.agent_names)
        families = [*prometheus.process_families(settings.center)]
        if coordinator is not None:
            families += metric_families(take_metrics_snapshot(coordinator, settings, user_export.agents))
        now_ms, pause = clock(), scrapes.pause(request)
        text_format = ExpositionFormat.accepted_by(request.headers.get("accept", ""))
        headers = {"content-type": text_format.content_type, "vary": "accept, accept-encoding"}
        is_zipped = "gzip" in request.headers.get("accept-encoding", "")

        def render() -> bytes:
            text = exporter.render(user_export, now_ms, pause, families, text_format)
            return gzip.compress(text, _GZIP_LEVEL) if is_zipped else text

        if is_zipped:
            headers["content-encoding"] = "gzip"
        return Response(await scrapes.run(render), headers=headers)

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(request: Request) -> Response:
        reason = not_ready_reason(reader, refresher, clock())
        if reason is None:
            data_age_s = reader.data_age_s(clock())
            return JSONResponse({"ready": True, "data_age_s": data_age_s, "fresh_s": data_age_s})
        details = {"reason": reason} if request.scope["person"] else {}
        return JSONResponse({"ready": False, **details}, 503)

    return [
        Route("/metrics", metrics),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
    ]


_GZIP_LEVEL: Final = 3
HTTPS_HEADERS: Final = {"strict-transport-security": "max-age=31536000"}


class SecurityHeaders:
    """Add SECURITY_HEADERS to every response, and HTTPS_HEADERS over https."""

    def __init__(self, app: ASGIApp, proxy: TrustedProxy) -> None:
        self._app, self._proxy = app, proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_https = self._proxy.is_https(HTTPConnection(scope))
        headers = SECURITY_HEADERS | (HTTPS_HEADERS if is_https else {})

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self._app(scope, receive, send_with_headers)


async def run_server(settings: Settings, publish: PublishRecord | None = None) -> None:
    """Serve until SIGTERM or SIGINT; webhooks go to `publish`. Expects settings that operations/validation.py
    accepts. Raise PortTakenError, or the store's own errors if it cannot be reached at the start."""
    alert_rules = load_alert_rules(settings)
    require_free_port(settings.host, settings.port)
    freeze_startup_objects()
    store = await retry_refused(lambda: RedisStore.connect(settings.redis_url(), settings.center))
    clock = StoreClock(store.time_ms)
    await retry_refused(clock.synchronize)
    synchronizing = asyncio.create_task(_keep_synchronized(clock))
    try:
        reader = MetricsReader(store, settings)
        evaluator, composer = (
            RuleEvaluator(reader, settings, alert_rules),
            MessageComposer(reader, settings, alert_rules),
        )
        coordinator = AlertCoordinator(
            RedisDocument(store, ALERTS_NAME), evaluator, reader, composer.compose, clock
        )
        dispatcher = NotificationDispatcher(coordinator, settings, DeliveryTiming(clock))
        app = application(
            reader,
            settings,
            clock,
            publish=publish,
            coordinator=coordinator,
            silencing=dispatcher.silencing,
            dispatcher=dispatcher,
        )
        await SignalHandlingServer(server_config(app, settings), lambda: end_long_work(app)).serve()
    finally:
        synchronizing.cancel()
        await store.close()


async def _keep_synchronized(clock: StoreClock) -> None:
    while True:
        await asyncio.sleep(CLOCK_INTERVAL_S)
        with suppress(Exception):  # whatever the store raises: the refresher reports it
            await clock.synchronize()


def server_config(
    app: Starlette, settings: Settings, limits: ConnectionLimits | None = None
) -> uvicorn.Config:
    """Return the configuration of uvicorn, with the settings' limits of connections unless others are given.

    When the server ends, answers under way get `limits.end_s`; then their connections are dropped, and a
    second later their tasks are cancelled."""
    limits = limits or ConnectionLimits(settings.max_connections, settings.max_connections_per_address)
    connections = OpenConnections(limits.within_open_files(), TrustedProxy(settings.proxy).is_shared)
    return uvicorn.Config(
        app, http=limited_protocol(connections), proxy_headers=False, host=settings.host, port=settings.port,
        access_log=False, server_header=False, log_level="warning",
        timeout_graceful_shutdown=math.ceil(limits.end_s) + 1,
    )  # fmt: skip


def end_long_work(app: Starlette) -> None:
    """End the responses that would not end by themselves, or not soon."""
    app.state.streams.end()
    for questions in app.state.heavy_questions:
        questions.end()


class SignalHandlingServer(uvicorn.Server):
    """A uvicorn server that exits with status 0 on SIGTERM and SIGINT; uvicorn itself raises them again.

    `end_work` ends the responses that would not end by themselves."""

    def __init__(self, config: uvicorn.Config, end_work: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_work = end_work

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._end_work()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signal_number, self.handle_exit, signal_number, None)
        try:
            yield
        finally:
            for signal_number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(signal_number)
