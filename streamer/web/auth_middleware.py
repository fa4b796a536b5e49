"""ASGI middleware before all routes: authenticate the user, check the origin and the route's permission."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamer.web import cookies
from streamer.web.access_checks import is_loopback
from streamer.web.audit_log import AuditLog
from streamer.web.permissions import is_signed_route, may_use_route
from streamer.web.plain_pages import accepts_html, path_and_query, refusal_response
from streamer.web.proxy import TrustedProxy
from streamer.web.sessions import Session, SessionStore
from streamer.web.users import LOCAL_USER, User, UserDirectory

_REFUSALS: Final = (
    HTTPStatus.FORBIDDEN,
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.TOO_MANY_REQUESTS,
)
_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")


class AuthRefusal(NamedTuple):
    """The HTTP status and the reason of a refused request."""

    status: HTTPStatus
    detail: str


class AuthMiddleware:
    """Set scope["person"] (None: not logged in), and answer requests that are not allowed.

    A user may log in by proxy header, bearer token, session cookie or display cookie, in this order."""

    def __init__(
        self,
        app: ASGIApp,
        routes: Sequence[BaseRoute],
        people: UserDirectory,
        sessions: SessionStore,
        proxy: TrustedProxy,
        audit: AuditLog,
    ) -> None:
        self._app, self._routes = app, routes
        self._users, self._sessions, self._proxy, self._audit = people, sessions, proxy, audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        send = self._send_with_audit(request, send)
        if is_signed_route(
            _route_path(self._routes, scope)
        ):  # sent by a vendor, not by a user or a page of ours
            scope["person"] = None
            await self._app(scope, receive, send)
            return
        session_token = cookies.read_cookie(request, cookies.SESSION_COOKIE, self._proxy.is_https(request))
        session = self._sessions.find(session_token)
        identity = self._authenticate(request, session)
        user = None if isinstance(identity, AuthRefusal) else identity
        scope["person"] = user
        response = self._early_response(request, identity)
        if response is not None:
            await response(scope, receive, send)
        elif session is not None and not self._users.is_open:
            remaining_s = self._sessions.remaining_s(session)
            with self._sessions.in_use(session):
                await _run_until_session_ends(self._app, scope, receive, send, session, remaining_s)
        else:
            await self._app(scope, receive, send)

    def _send_with_audit(self, request: Request, send: Send) -> Send:
        """Return a `send` that logs the refusal of a request; the form to log in logs its own."""

        async def audited_send(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_refusal(request, message["status"]):
                self._audit.record_refusal(
                    request,
                    "request refused",
                    status=message["status"],
                    method=request.method,
                    path=request.scope["path"],
                )
            await send(message)

        return audited_send

    def _authenticate(self, request: Request, session: Session | None) -> User | AuthRefusal | None:
        if self._users.is_open:
            return LOCAL_USER
        name = self._proxy.user_name(request)
        if name is not None:
            refusal = AuthRefusal(
                HTTPStatus.FORBIDDEN, f"user {name!r}, sent by the proxy, is not configured"
            )
            return self._users.by_proxy(name) or refusal
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._users.by_token(token.strip()) or AuthRefusal(
                HTTPStatus.UNAUTHORIZED, "unknown token"
            )
        if session is not None:
            return self._users.by_name(session.name)
        is_https = self._proxy.is_https(request)
        return self._users.by_display_token(cookies.read_cookie(request, cookies.DISPLAY_COOKIE, is_https))

    def _early_response(self, request: Request, identity: User | AuthRefusal | None) -> Response | None:
        """Return a refusal or a redirect; None: pass the request on to its route."""
        path = _route_path(self._routes, request.scope)
        if path == "/" and "display" in request.query_params:
            return self._log_in_display(request)
        if (
            path == "/"
            and isinstance(identity, User)
            and identity.view not in (None, request.query_params.get("view"))
        ):
            return _redirect_to_view(request, identity.view or "")
        refusal = self._check_access(request, identity, path)
        if refusal is None:
            return None
        if refusal.status == HTTPStatus.UNAUTHORIZED and accepts_html(request):
            return RedirectResponse(
                f"/login?{urlencode({'next': path_and_query(request)})}", HTTPStatus.SEE_OTHER
            )
        response = refusal_response(request, *refusal)
        if refusal.status == HTTPStatus.UNAUTHORIZED:
            response.headers["www-authenticate"] = "Bearer"
        return response

    def _check_access(
        self, request: Request, identity: User | AuthRefusal | None, path: str | None
    ) -> AuthRefusal | None:
        host = request.headers.get("host", "")
        if self._users.is_open and not is_loopback(host):
            detail = f"host {host!r}: expected a loopback name such as localhost, as no users are set"
            return AuthRefusal(HTTPStatus.MISDIRECTED_REQUEST, detail)
        if request.method not in _SAFE_METHODS and not _is_same_origin(request):
            return AuthRefusal(HTTPStatus.FORBIDDEN, "refused: sent by a page of another site")
        if isinstance(identity, AuthRefusal):
            return identity
        if path is None or may_use_route(identity, path):
            return None
        if identity is None:
            return AuthRefusal(HTTPStatus.UNAUTHORIZED, "log in first, or send a token")
        return AuthRefusal(
            HTTPStatus.FORBIDDEN, f"not for a {'display' if identity.view is not None else identity.role}"
        )

    def _log_in_display(self, request: Request) -> Response:
        """Log in a display by the token in its address, then keep it in a cookie, out of the address."""
        token = request.query_params["display"]
        display = self._users.by_display_token(token)
        if display is None:
            return refusal_response(request, HTTPStatus.UNAUTHORIZED, "display: unknown token")
        assert display.view is not None
        self._audit.record(request, "display login", display.name)
        response = _redirect_to_view(request, display.view)
        cookies.set_cookie(
            response, cookies.DISPLAY_COOKIE, token, cookies.YEAR_S, self._proxy.is_https(request)
        )
        return response


def _route_path(routes: Sequence[BaseRoute], scope: Scope) -> str | None:
    """Return the path template of the route that will answer; None if there is none."""
    for match_kind in (Match.FULL, Match.PARTIAL):
        for route in routes:
            if route.matches(scope)[0] is match_kind:
                return str(getattr(route, "path", ""))
    return None


def _redirect_to_view(request: Request, view: str) -> Response:
    """Redirect to the same page with this view, and without a token in its address."""
    parameters = [
        (name, value) for name, value in request.query_params.multi_items() if name not in _DISPLAY_PARAMETERS
    ]
    return RedirectResponse(f"/?{urlencode([('view', view), *parameters])}", HTTPStatus.SEE_OTHER)


_DISPLAY_PARAMETERS: Final = ("view", "display")


def _is_refusal(request: Request, status: int) -> bool:
    """Tell whether a response refuses a request, other than asking to log in or answering the form."""
    path = request.scope["path"]
    if path == "/login" and status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS):
        return False
    if status != HTTPStatus.UNAUTHORIZED:
        return status in _REFUSALS
    has_credentials = "authorization" in request.headers or "display" in request.query_params
    return has_credentials or path.startswith("/ingest/")


def _is_same_origin(request: Request) -> bool:
    """Tell whether a request comes from a page of ours, or from no page at all (curl, scripts).

    Browsers name the sending site in `Sec-Fetch-Site` or `Origin`."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


async def _run_until_session_ends(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, session: Session, remaining_s: float
) -> None:
    """Run the app, and end its response (an event stream) when the session ends.

    The app sees a disconnect, as if the browser had gone."""
    is_started = is_complete = False

    async def send_tracked(message: Message) -> None:
        nonlocal is_started, is_complete
        is_started = True
        is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)
        await send(message)

    await app(scope, _receive_until(session.ended, remaining_s, receive), send_tracked)
    if is_started and not is_complete:
        await send({"type": "http.response.body", "body": b""})


def _receive_until(ended: asyncio.Event, remaining_s: float, receive: Receive) -> Receive:
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + remaining_s

    async def receive_or_disconnect() -> Message:
        message_task, end_task = asyncio.ensure_future(receive()), asyncio.ensure_future(ended.wait())
        try:
            remaining_s = max(0, deadline_s - loop.time())
            await asyncio.wait(
                (message_task, end_task), timeout=remaining_s, return_when=asyncio.FIRST_COMPLETED
            )
            return message_task.result() if message_task.done() else {"type": "http.disconnect"}
        finally:
            message_task.cancel()
            end_task.cancel()

    return receive_or_disconnect
