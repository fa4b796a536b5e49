"""Read posted requests: content type, body, URL and headers, with limits on everything a sender controls."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, NoReturn
from urllib.parse import parse_qsl, urlsplit

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from streamer.events.adapters import SOURCES
from streamer.events.envelopes import MAX_RECORD_BYTES

BODY_TIMEOUT_S: Final = 10.0


async def read_body(request: Request, timeout_s: float, max_bytes: int = MAX_RECORD_BYTES) -> bytes:
    """Read a body of at most `max_bytes` within `timeout_s`. Raise HTTPException (400, 408 or 413)."""
    declared = request.headers.get("content-length", "")
    too_large = f"expected a body of at most {max_bytes} bytes"
    if declared.isdecimal() and int(declared[:20]) > max_bytes:
        refuse_and_close(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large)
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    refuse_and_close(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large)
    except TimeoutError:
        refuse_and_close(HTTPStatus.REQUEST_TIMEOUT, f"the body did not arrive within {timeout_s:.0f} s")
    except ClientDisconnect:
        refuse_and_close(HTTPStatus.BAD_REQUEST, "the body did not arrive")
    return bytes(body)


def check_content_type(request: Request, source: str) -> None:
    """Raise HTTPException (415) for a content type that the source does not send, or a compressed body."""
    content_type = request.headers.get("content-type", "")
    media = media_type(content_type)
    if SOURCES[source].form == "line":
        fits, expected = media == "text/plain", "text/plain"
    else:
        fits = media == "application/json" or (media.startswith("application/") and media.endswith("+json"))
        fits, expected = fits or (source in FORM_SOURCES and is_form(content_type)), "application/json"
    if not fits or request.headers.get("content-encoding", "identity").lower() != "identity":
        refuse_and_close(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"expected {expected}, not compressed")


def media_type(content_type: str) -> str:
    """Return the media type in lower case, without its parameters.

    >>> media_type("Application/JSON; charset=utf-8")
    'application/json'
    """
    return content_type.partition(";")[0].strip().lower()


FORM_SOURCES: Final = ("twilio",)
"""Sources that send forms besides JSON: Twilio, as callbacks of TaskRouter."""


def is_form(content_type: str) -> bool:
    return media_type(content_type) == "application/x-www-form-urlencoded"


def parse_form(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode("latin-1"), keep_blank_values=True)


def split_payloads(source: str, content_type: str, body: bytes) -> list[bytes]:
    """Split a body into payloads as the ingester reads them.

    A JSON array gives its elements, byte for byte; a form gives one JSON object; anything else stays whole.

    >>> split_payloads("delighted", "application/json", b'[{"score": 9}, {"score": 3}]')
    [b'{"score": 9}', b'{"score": 3}']
    """
    if SOURCES[source].form == "line":
        return [body]
    if is_form(content_type):
        return [msgspec.json.encode(dict(parse_form(body)))]
    try:
        elements = msgspec.json.decode(body, type=list[msgspec.Raw]) if body.lstrip()[:1] == b"[" else []
    except (msgspec.DecodeError, RecursionError):
        return [body]
    return [bytes(element) for element in elements] or [body]


def possible_urls(request: Request) -> tuple[str, ...]:
    """Return the URLs that a sender may have used: a proxy may have ended TLS, or left out the port."""
    host = request.headers.get("host", "")
    bare_host = urlsplit(f"//{host}").netloc.rpartition(":")[0] if _has_port(host) else host
    path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
    target = f"{path}?{query}" if query else path
    ports = (("https", "443"), ("http", "80"))
    hosts = [
        (scheme, host_form)
        for scheme, port in ports
        for host_form in (host, bare_host, f"{bare_host}:{port}")
    ]
    return tuple(dict.fromkeys(f"{scheme}://{host_form}{target}" for scheme, host_form in hosts))


def _has_port(host: str) -> bool:
    return host.rpartition(":")[2].isdecimal() and not host.endswith("]")


def unique_headers(request: Request) -> Mapping[str, str]:
    """Return headers by lower-case name, without those given twice: one of the two may be forged."""
    return {name: value for name, value in request.headers.items() if len(request.headers.getlist(name)) == 1}


def refuse_and_close(status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> NoReturn:
    """Raise HTTPException and close the connection: its body was not read, so it cannot be used again."""
    raise HTTPException(status, detail, {"connection": "close", **(headers or {})})
