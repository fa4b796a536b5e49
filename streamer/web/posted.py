"""Here is what was posted: its type, its body and its address, with limits on all that others decide."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, NoReturn
from urllib.parse import parse_qsl, urlsplit

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from streamer.events.adapters import SOURCES
from streamer.events.envelopes import LARGEST


async def body_of(request: Request, patience_s: float, largest: int = LARGEST) -> bytes:
    """No more of it is kept than is allowed, and nobody waits for it longer than that."""
    declared = request.headers.get("content-length", "")
    too_large = f"expected a body of at most {largest} bytes"
    if declared.isdecimal() and int(declared[:20]) > largest:
        refuse_early(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large)
    body = bytearray()
    try:
        async with asyncio.timeout(patience_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > largest:
                    refuse_early(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large)
    except TimeoutError:
        refuse_early(HTTPStatus.REQUEST_TIMEOUT, f"the body did not arrive within {patience_s:.0f} s")
    except ClientDisconnect:
        refuse_early(HTTPStatus.BAD_REQUEST, "the body did not arrive")
    return bytes(body)


def check_type(request: Request, source: str) -> None:
    content_type = request.headers.get("content-type", "")
    media = media_type(content_type)
    if SOURCES[source].form == "line":
        fits, expected = media == "text/plain", "text/plain"
    else:
        fits = media == "application/json" or (media.startswith("application/") and media.endswith("+json"))
        fits, expected = fits or (source in FORMS and is_form(content_type)), "application/json"
    if not fits or request.headers.get("content-encoding", "identity").lower() != "identity":
        refuse_early(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"expected {expected}, not compressed")


def media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


FORMS: Final = ("twilio",)
"""Sources that send forms besides JSON: Twilio, as callbacks of TaskRouter."""


def is_form(content_type: str) -> bool:
    return media_type(content_type) == "application/x-www-form-urlencoded"


def form_of(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode("latin-1"), keep_blank_values=True)


def payloads_of(source: str, content_type: str, body: bytes) -> list[bytes]:
    """What was posted as whoever reads it takes it, a payload each: of an array its elements, as they stand
    there; of a form an object; else the body, whatever it is."""
    if SOURCES[source].form == "line":
        return [body]
    if is_form(content_type):
        return [msgspec.json.encode(dict(form_of(body)))]
    try:
        found = msgspec.json.decode(body, type=list[msgspec.Raw]) if body.lstrip()[:1] == b"[" else []
    except (msgspec.DecodeError, RecursionError):
        return [body]
    return [bytes(one) for one in found] or [body]


def urls_of(request: Request) -> tuple[str, ...]:
    """A proxy in between may have ended TLS, and left out the port."""
    host = request.headers.get("host", "")
    bare = urlsplit(f"//{host}").netloc.rpartition(":")[0] if _has_port(host) else host
    path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
    place = f"{path}?{query}" if query else path
    ports = (("https", "443"), ("http", "80"))
    hosts = [(scheme, one) for scheme, port in ports for one in (host, bare, f"{bare}:{port}")]
    return tuple(dict.fromkeys(f"{scheme}://{one}{place}" for scheme, one in hosts))


def _has_port(host: str) -> bool:
    return host.rpartition(":")[2].isdecimal() and not host.endswith("]")


def headers_of(request: Request) -> Mapping[str, str]:
    """Headers by name. Said twice, one of the two may be of somebody else: neither counts."""
    return {name: value for name, value in request.headers.items() if len(request.headers.getlist(name)) == 1}


def refuse_early(status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> NoReturn:
    """Before all was read: there is no way to go on with this connection."""
    raise HTTPException(status, detail, {"connection": "close", **(headers or {})})
