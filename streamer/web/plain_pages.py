"""Pages without a script: the frame they share, and the answer that says why a page is not shown."""

from html import escape
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from streamer.web.permissions import may_use_route
from streamer.web.problems import problem_response

_FRAME: Final = """<!doctype html>
<html lang="{lang}" data-theme="auto">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<link rel="stylesheet" href="/static/page.css">
<link rel="stylesheet" href="/static/login.css">
<main>
<h1>{heading}</h1>
{body}
</main>
</html>
"""

REFUSAL_TEXTS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "title": "Contact center",
        "role": "You are not allowed to see this page as {name}.",
        "missing": "There is no such page.",
        "display": "This address of a display is not known. Ask for a new one, or log in.",
        "other": "This page cannot be shown.",
        "wallboard": "To the wallboard",
        "log_in_role": "Log in as somebody else",
        "log_in_display": "Log in",
    },
    "es": {
        "title": "Centro de contacto",
        "role": "Como {name} no tiene permiso para ver esta página.",
        "missing": "Esta página no existe.",
        "display": "Esta dirección de pantalla no se conoce. Pida una nueva o entre.",
        "other": "No se puede mostrar esta página.",
        "wallboard": "Al panel",
        "log_in_role": "Entrar con otro nombre",
        "log_in_display": "Entrar",
    },
    "zh": {
        "title": "联络中心",
        "role": "您以 {name} 的身份无权查看此页面。",
        "missing": "没有这个页面。",
        "display": "此显示屏地址无效。请索取新地址，或登录。",
        "other": "无法显示此页面。",
        "wallboard": "前往大屏",
        "log_in_role": "换一个用户登录",
        "log_in_display": "登录",
    },
}

_REASONS: Final[dict[int, str]] = {
    HTTPStatus.NOT_FOUND: "missing",
    HTTPStatus.UNAUTHORIZED: "display",
    HTTPStatus.FORBIDDEN: "role",
}


def plain_page(language: str, title: str, heading: str, body: str, status: int) -> HTMLResponse:
    """Build a page that no cache may store. `body` is HTML."""
    text = _FRAME.format(lang=language, title=escape(title), heading=escape(heading), body=body)
    return HTMLResponse(text, status, headers={"cache-control": "no-store"})


def page_language(request: Request) -> str:
    """Return "en", "es" or "zh": by `lang` in the address, or in that of the next page, else by the browser.

    >>> query = b"next=%2Fsupervisor%3Flang%3Des"
    >>> page_language(Request({"type": "http", "query_string": query, "headers": []}))
    'es'
    """
    next_query = parse_qs(urlsplit(request.query_params.get("next", "")).query)
    tags = (
        request.query_params.get("lang", ""),
        *next_query.get("lang", ()),
        *request.headers.get("accept-language", "").split(","),
    )
    languages = (tag.strip().lower().partition("-")[0].partition(";")[0] for tag in tags)
    return next((language for language in languages if language in REFUSAL_TEXTS), "en")


def _wants_page(request: Request) -> bool:
    """Tell whether a browser asks for a page, and not for something of the API."""
    return accepts_html(request) and not request.scope["path"].startswith("/api/")


def accepts_html(request: Request) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


async def handle_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = refusal_response(request, error.status_code, error.detail)
    response.headers.update(error.headers or {})
    return response


async def handle_failure(request: Request, error: Exception) -> Response:
    return refusal_response(request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal error, see the server's log")


def refusal_response(request: Request, status: int, detail: str) -> Response:
    """Build an error response: a page for a browser that asks for one."""
    return (
        _refusal_page(request, status, detail) if _wants_page(request) else problem_response(status, detail)
    )


def _refusal_page(request: Request, status: int, detail: str) -> HTMLResponse:
    """Say why a page is not shown, in its language, with links to where the reader may go."""
    language, user = page_language(request), request.scope.get("person")
    texts, path = REFUSAL_TEXTS[language], request.scope["path"]
    reason = _REASONS.get(status, "other")
    if reason == "role" and user is None:
        reason = "other"
    said = texts[reason].format(name=user and user.name)
    body = f'<p role="alert">{escape(said)}</p>\n'
    if reason == "other":
        body += f'<p lang="en">{escape(detail)}</p>\n'
    home = "/?" + urlencode({"lang": request.query_params["lang"]}) if "lang" in request.query_params else "/"
    if path != "/" and may_use_route(user, "/"):
        body += _link(home, texts["wallboard"])
    if reason in ("role", "display"):
        next_path = home if reason == "display" else path_and_query(request)
        body += _link(f"/login?{urlencode({'next': next_path})}", texts[f"log_in_{reason}"])
    return plain_page(language, said, texts["title"], body, status)


def path_and_query(request: Request) -> str:
    """Return the path and query as they were sent. `request.url` would be built from the Host header."""
    query = request.scope["query_string"].decode("latin-1")
    return quote(request.scope["path"]) + (f"?{query}" if query else "")


def _link(href: str, text: str) -> str:
    return f'<a href="{escape(href)}">{escape(text)}</a>\n'
