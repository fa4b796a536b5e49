"""Routes to log in and out by a form, and `/api/v1/me`: name, role, teams and view of the current user."""

from html import escape
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from streamer.runtime.clock import Clock
from streamer.web import cookies
from streamer.web.audit_log import AuditLog
from streamer.web.known_devices import KnownDevices, device_cookie
from streamer.web.login_throttle import LoginAttempt, LoginThrottle
from streamer.web.plain_pages import page_language, plain_page
from streamer.web.proxy import TrustedProxy
from streamer.web.request_body import BODY_TIMEOUT_S, read_body
from streamer.web.sessions import SESSION_LIFETIME_MS, SessionStore
from streamer.web.users import User, UserDirectory

_MAX_FORM_BYTES: Final = 8_192

_FORM: Final = """<p role="alert">{said}</p>
<form method="post" action="/login?lang={lang}">
<input type="hidden" name="next" value="{next}">
<label>{name} <input name="name" autocomplete="username" required autofocus></label>
<label>{password} <input name="password" type="password" autocomplete="current-password" required></label>
<button>{log_in}</button>
</form>"""

LOGIN_TEXTS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "title": "Contact center",
        "log_in": "Log in",
        "name": "Name",
        "password": "Password",
        "wrong": "Name or password is wrong.",
        "wait": "Too many attempts. Try again in {} s.",
    },
    "es": {
        "title": "Centro de contacto",
        "log_in": "Entrar",
        "name": "Nombre",
        "password": "Contraseña",
        "wrong": "El nombre o la contraseña no son correctos.",
        "wait": "Demasiados intentos. Inténtelo de nuevo en {} s.",
    },
    "zh": {
        "title": "联络中心",
        "log_in": "登录",
        "name": "用户名",
        "password": "密码",
        "wrong": "用户名或密码错误。",
        "wait": "尝试次数过多，请在 {} 秒后重试。",
    },
}


def login_routes(
    users: UserDirectory, sessions: SessionStore, proxy: TrustedProxy, clock: Clock, audit: AuditLog
) -> list[Route]:
    throttle, devices = LoginThrottle(clock), KnownDevices(users.password_hashes(), clock)

    async def login_page(request: Request) -> Response:
        next_path = _local_path(request.query_params.get("next", ""))
        if request.scope["person"] is not None and not request.query_params.get("next"):
            return RedirectResponse(next_path, HTTPStatus.SEE_OTHER)
        return _login_response(request, "", next_path)

    async def log_in(request: Request) -> Response:
        body = await read_body(request, BODY_TIMEOUT_S, _MAX_FORM_BYTES)
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
        name, next_path = form.get("name", "")[:200], _local_path(form.get("next", ""))
        is_https, known_name = proxy.is_https(request), name if users.by_name(name) else None
        device = cookies.read_cookie(request, device_cookie(name), is_https)
        attempt = LoginAttempt(proxy.client_address(request), name, devices.device_id(name, device))
        wait_s = throttle.register_attempt(attempt)
        if wait_s:
            audit.record_refusal(request, "login refused", known_name or "")
            message = LOGIN_TEXTS[page_language(request)]["wait"].format(wait_s)
            response = _login_response(request, message, next_path, HTTPStatus.TOO_MANY_REQUESTS)
            response.headers["retry-after"] = str(wait_s)
            return response
        if await users.by_password(name, form.get("password", "")) is None:
            audit.record_refusal(request, "login failed", known_name or "")
            return _login_response(
                request, LOGIN_TEXTS[page_language(request)]["wrong"], next_path, HTTPStatus.UNAUTHORIZED
            )
        throttle.record_success(attempt)
        audit.record(request, "login", name)
        sessions.end(cookies.read_cookie(request, cookies.SESSION_COOKIE, is_https))
        redirect, token = RedirectResponse(next_path, HTTPStatus.SEE_OTHER), sessions.begin(name)
        cookies.set_cookie(redirect, cookies.SESSION_COOKIE, token, SESSION_LIFETIME_MS // 1000, is_https)
        device = devices.issue(name, device)
        cookies.set_cookie(redirect, device_cookie(name), device, cookies.YEAR_S, is_https)
        return redirect

    async def log_out(request: Request) -> Response:
        is_https = proxy.is_https(request)
        if request.scope["person"] is not None:
            audit.record(request, "logout")
        sessions.end(cookies.read_cookie(request, cookies.SESSION_COOKIE, is_https))
        response = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        for name in (cookies.SESSION_COOKIE, cookies.DISPLAY_COOKIE):
            cookies.delete_cookie(response, name, is_https)
        return response

    async def current_user(request: Request) -> Response:
        user: User = request.scope["person"]
        fields = {"name": user.name, "role": user.role, "teams": user.teams, "view": user.view}
        return JSONResponse(fields, headers={"cache-control": "no-store"})

    return [
        Route("/login", login_page),
        Route("/login", log_in, methods=["POST"]),
        Route("/logout", log_out, methods=["POST"]),
        Route("/api/v1/me", current_user),
    ]


def _login_response(request: Request, message: str, next_path: str, status: int = HTTPStatus.OK) -> Response:
    language = page_language(request)
    texts = LOGIN_TEXTS[language]
    body = _FORM.format(**texts, lang=language, said=escape(message), next=escape(next_path))
    return plain_page(language, texts["log_in"], texts["title"], body, status)


def _local_path(address: str) -> str:
    """Return a path of this site as it is, else "/": no link may send people elsewhere after the log-in.

    >>> _local_path("/supervisor?window=1h"), _local_path("//evil.example"), _local_path("https://evil.example")
    ('/supervisor?window=1h', '/', '/')
    """
    is_plain = address.isascii() and address.isprintable() and "\\" not in address
    return address if is_plain and address.startswith("/") and not address.startswith("//") else "/"
