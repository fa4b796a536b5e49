"""ASGI middleware before all routes: authenticate the user, check the origin and the route's permission."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamer.web import cookies
from streamer.web.people import EVERYBODY, People, Person
from streamer.web.problems import problem
from streamer.web.proxy import Proxy
from streamer.web.rights import is_signed, may
from streamer.web.sessions import Session, Sessions

_READS: Final = ("GET", "HEAD", "OPTIONS")


class Refused(NamedTuple):
    """The HTTP status and the reason of a refused request."""

    status: HTTPStatus
    detail: str


class Guard:
    """Set scope["person"] (None: not logged in), and answer requests that are not allowed.

    A user may log in by proxy header, bearer token, session cookie or display cookie, in this order."""

    def __init__(
        self, app: ASGIApp, routes: Sequence[BaseRoute], people: People, sessions: Sessions, proxy: Proxy
    ) -> None:
        self._app, self._routes = app, routes
        self._people, self._sessions, self._proxy = people, sessions, proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if is_signed(_path(self._routes, scope)):  # sent by a vendor, not by a user or a page of ours
            scope["person"] = None
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        session = self._sessions.of(request.cookies.get(cookies.SESSION, ""))
        who = self._who(request, session)
        person = None if isinstance(who, Refused) else who
        scope["person"] = person
        answer = self._answer(request, who)
        if answer is not None:
            await answer(scope, receive, send)
        elif session is not None and not self._people.open:
            await _while_logged_in(self._app, scope, receive, send, session, self._sessions.left_s(session))
        else:
            await self._app(scope, receive, send)

    def _who(self, request: Request, session: Session | None) -> Person | Refused | None:
        if self._people.open:
            return EVERYBODY
        name = self._proxy.name(request)
        if name is not None:
            unknown = Refused(HTTPStatus.FORBIDDEN, f"user {name!r}, sent by the proxy, is not configured")
            return self._people.by_proxy(name) or unknown
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._people.by_token(token.strip()) or Refused(HTTPStatus.UNAUTHORIZED, "unknown token")
        if session is not None:
            return self._people.named(session.name)
        return self._people.display(request.cookies.get(cookies.DISPLAY, ""))

    def _answer(self, request: Request, who: Person | Refused | None) -> Response | None:
        """Return a refusal or a redirect; None: pass the request on to its route."""
        path = _path(self._routes, request.scope)
        if path == "/" and "display" in request.query_params:
            return self._televise(request)
        if (
            path == "/"
            and isinstance(who, Person)
            and who.view not in (None, request.query_params.get("view"))
        ):
            return _own_view(request, who.view or "")
        refused = self._refusal(request, who, path)
        if refused is None:
            return None
        if refused.status == HTTPStatus.UNAUTHORIZED and _is_page(request):
            return RedirectResponse(f"/login?{urlencode({'next': _target(request)})}", HTTPStatus.SEE_OTHER)
        answer = problem(*refused)
        if refused.status == HTTPStatus.UNAUTHORIZED:
            answer.headers["www-authenticate"] = "Bearer"
        return answer

    def _refusal(self, request: Request, who: Person | Refused | None, path: str | None) -> Refused | None:
        host = request.headers.get("host", "")
        if self._people.open and not is_loopback(host):
            detail = f"host {host!r}: expected a loopback name such as localhost, as no users are set"
            return Refused(HTTPStatus.MISDIRECTED_REQUEST, detail)
        if request.method not in _READS and not _is_own_page(request):
            return Refused(HTTPStatus.FORBIDDEN, "refused: sent by a page of another site")
        if isinstance(who, Refused):
            return who
        if path is None or may(who, path):
            return None
        if who is None:
            return Refused(HTTPStatus.UNAUTHORIZED, "log in first, or send a token")
        return Refused(HTTPStatus.FORBIDDEN, f"not for a {'display' if who.view is not None else who.role}")

    def _televise(self, request: Request) -> Response:
        """Log in a display by the token in its address, then keep it in a cookie, out of the address."""
        token = request.query_params["display"]
        display = self._people.display(token)
        if display is None:
            return problem(HTTPStatus.UNAUTHORIZED, "display: unknown token")
        assert display.view is not None
        answer = _own_view(request, display.view)
        cookies.keep(answer, cookies.DISPLAY, token, cookies.YEAR_S, self._proxy.https(request))
        return answer


def _path(routes: Sequence[BaseRoute], scope: Scope) -> str | None:
    """Return the path template of the route that will answer; None if there is none."""
    for wanted in (Match.FULL, Match.PARTIAL):
        for route in routes:
            if route.matches(scope)[0] is wanted:
                return str(getattr(route, "path", ""))
    return None


def _own_view(request: Request, view: str) -> Response:
    """Redirect to the same page with this view, and without a token in its address."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in _PLACED]
    return RedirectResponse(f"/?{urlencode([('view', view), *kept])}", HTTPStatus.SEE_OTHER)


_PLACED: Final = ("view", "display")


def _is_page(request: Request) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


def _target(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _is_own_page(request: Request) -> bool:
    """Tell whether a request comes from a page of ours, or from no page at all (curl, scripts).

    Browsers name the sending site in `Sec-Fetch-Site` or `Origin`."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def is_loopback(host: str) -> bool:
    """Tell whether a Host header, or an address to listen on, names this machine itself.

    >>> [is_loopback(host) for host in ("localhost:8080", "[::1]:8080", "127.0.0.1", "wall.example.com")]
    [True, True, True, False]
    """
    with suppress(ValueError):
        bare = host.count(":") > 1 and "[" not in host
        name = host if bare else urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or name.endswith(".localhost") or ip_address(name).is_loopback
    return False


async def _while_logged_in(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, session: Session, left_s: float
) -> None:
    """Run the app, and end its response (an event stream) when the session ends.

    The app sees a disconnect, as if the browser had gone."""
    begun = ended = False

    async def sending(message: Message) -> None:
        nonlocal begun, ended
        begun = True
        ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await send(message)

    await app(scope, _until(session.ended, left_s, receive), sending)
    if begun and not ended:
        await send({"type": "http.response.body", "body": b""})


def _until(ended: asyncio.Event, left_s: float, receive: Receive) -> Receive:
    loop = asyncio.get_running_loop()
    last = loop.time() + left_s

    async def receiving() -> Message:
        said, over = asyncio.ensure_future(receive()), asyncio.ensure_future(ended.wait())
        try:
            left_s = max(0, last - loop.time())
            await asyncio.wait((said, over), timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            return said.result() if said.done() else {"type": "http.disconnect"}
        finally:
            said.cancel()
            over.cancel()

    return receiving
