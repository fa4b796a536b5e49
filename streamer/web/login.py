"""Routes to log in and out by a form, and `/api/v1/me`: name, role, teams and view of the current user."""

from html import escape
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from streamer.web import cookies
from streamer.web.people import People, Person
from streamer.web.problems import problem
from streamer.web.proxy import Proxy
from streamer.web.sessions import LIFE_MS, Sessions
from streamer.web.throttle import Throttle

_MOST_BYTES: Final = 8_192

_PAGE: Final = """<!doctype html>
<html lang="{lang}" data-theme="auto">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{log_in}</title>
<link rel="stylesheet" href="/static/page.css">
<link rel="stylesheet" href="/static/login.css">
<main>
<h1>{title}</h1>
<p role="alert">{said}</p>
<form method="post" action="/login">
<input type="hidden" name="next" value="{next}">
<label>{name} <input name="name" autocomplete="username" required autofocus></label>
<label>{password} <input name="password" type="password" autocomplete="current-password" required></label>
<button>{log_in}</button>
</form>
</main>
</html>
"""

WORDS: Final[dict[str, dict[str, str]]] = {
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


def routes(people: People, sessions: Sessions, throttle: Throttle, proxy: Proxy) -> list[Route]:
    async def page(request: Request) -> Response:
        after = _local(request.query_params.get("next", ""))
        if request.scope["person"] is not None and not request.query_params.get("next"):
            return RedirectResponse(after, HTTPStatus.SEE_OTHER)
        return _page(request, "", after)

    async def log_in(request: Request) -> Response:
        form = await _form(request)
        if form is None:
            return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {_MOST_BYTES} bytes")
        name, after = form.get("name", "")[:200], _local(form.get("next", ""))
        wait_s = throttle.wait_s(proxy.address(request), name)
        if wait_s:
            said = WORDS[_language(request)]["wait"].format(wait_s)
            answer = _page(request, said, after, HTTPStatus.TOO_MANY_REQUESTS)
            answer.headers["retry-after"] = str(wait_s)
            return answer
        if await people.by_password(name, form.get("password", "")) is None:
            return _page(request, WORDS[_language(request)]["wrong"], after, HTTPStatus.UNAUTHORIZED)
        throttle.succeeded(name)
        sessions.end(request.cookies.get(cookies.SESSION, ""))
        welcome = RedirectResponse(after, HTTPStatus.SEE_OTHER)
        token, https = sessions.begin(name), proxy.https(request)
        cookies.keep(welcome, cookies.SESSION, token, LIFE_MS // 1000, https)
        return welcome

    async def log_out(request: Request) -> Response:
        sessions.end(request.cookies.get(cookies.SESSION, ""))
        answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        for name in (cookies.SESSION, cookies.DISPLAY):
            cookies.forget(answer, name)
        return answer

    async def me(request: Request) -> Response:
        person: Person = request.scope["person"]
        told = {"name": person.name, "role": person.role, "teams": person.teams, "view": person.view}
        return JSONResponse(told, headers={"cache-control": "no-store"})

    return [
        Route("/login", page),
        Route("/login", log_in, methods=["POST"]),
        Route("/logout", log_out, methods=["POST"]),
        Route("/api/v1/me", me),
    ]


def _page(request: Request, said: str, after: str, status: int = HTTPStatus.OK) -> Response:
    language = _language(request)
    text = _PAGE.format(**WORDS[language], lang=language, said=escape(said), next=escape(after))
    return HTMLResponse(text, status, headers={"cache-control": "no-store"})


def _language(request: Request) -> str:
    """Return the first language of Accept-Language that the form has, else "en"."""
    asked = request.headers.get("accept-language", "").lower().split(",")
    spoken = (one.strip()[:2] for one in asked)
    return next((one for one in spoken if one in WORDS), "en")


def _local(address: str) -> str:
    """Return a path of this site as it is, else "/": no link may send people elsewhere after the log-in.

    >>> _local("/supervisor?window=1h"), _local("//evil.example"), _local("https://evil.example")
    ('/supervisor?window=1h', '/', '/')
    """
    plain = address.isascii() and address.isprintable() and "\\" not in address
    return address if plain and address.startswith("/") and not address.startswith("//") else "/"


async def _form(request: Request) -> dict[str, str] | None:
    """Read a form: the last value of each name. None if it has more than _MAX_FORM_BYTES."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return None
    return {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
