"""A client that sends one request to an ASGI application; of streams it reads only the beginning."""

import asyncio
from json import dumps as encoded
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.types import Message

Headers = dict[str, str]


class AsgiResponse(NamedTuple):
    status: int
    headers: Headers
    cookies: dict[str, str]
    """By name, with their attributes: "value; HttpOnly; …"."""
    body: bytes


async def send_request(
    app: Starlette,
    path: str,
    method: str = "GET",
    headers: Headers | None = None,
    *,
    form: dict[str, str] | None = None,
    json: Any = None,
    address: str = "127.0.0.1",
    scheme: str = "http",
    cookies: Headers | None = None,
    request_scope: dict[str, Any] | None = None,
) -> AsgiResponse:
    """`asked`: the whole scope, in place of what it is made of. `json`: what is posted; bytes as they are."""
    if json is not None:
        headers = {"content-type": "application/json", **(headers or {})}
    request_scope = request_scope or scope(path, method, headers or {}, cookies or {}, address, scheme)
    body = urlencode(form or {}).encode()
    if json is not None:
        body = json if isinstance(json, bytes) else encoded(json).encode()
    messages: list[Message] = []
    requests = [{"type": "http.request", "body": body, "more_body": False}]
    begun = asyncio.Event()

    async def receive() -> Message:
        if requests:
            return requests.pop()
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        messages.append(message)
        if message["type"] == "http.response.start":
            begun.set()

    async with asyncio.timeout(5):
        await app(request_scope, receive, send)
    raw = [(name.decode(), value.decode()) for name, value in messages[0]["headers"]]
    cookie_parts = [value.partition("=") for name, value in raw if name == "set-cookie"]
    body = b"".join(message.get("body", b"") for message in messages[1:])
    return AsgiResponse(
        messages[0]["status"], dict(raw), {name: value for name, _, value in cookie_parts}, body
    )


def scope(
    path: str, method: str, headers: Headers, cookies: Headers, address: str, scheme: str
) -> dict[str, Any]:
    bare, _, query = path.partition("?")
    sent_headers = {"host": "streamer.test:8080", **headers}
    if cookies:
        sent_headers["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": bare,
        "raw_path": bare.encode(),
        "root_path": "",
        "scheme": scheme,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent_headers.items()],
        "client": (address, 40_000),
        "server": ("127.0.0.1", 8080),
    }
