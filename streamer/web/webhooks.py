"""Accept webhooks: `POST /ingest/<source>`, for each source with a secret.

A request with a valid signature goes to Kafka unchanged, one record for each payload; the ingester parses it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from http import HTTPStatus
from typing import Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.events.adapters import SOURCES
from streamer.events.outgoing import Outgoing
from streamer.events.raw_topics import raw_topic
from streamer.events.rules import MINUTE
from streamer.settings import Settings, SettingsError
from streamer.web.follower import Clock
from streamer.web.posted import body_of, check_type, headers_of, is_form, payloads_of, refuse_early, urls_of
from streamer.web.proxy import Proxy
from streamer.web.recent import Minute, Seen
from streamer.web.signatures import SCHEMES, Post, whsec
from streamer.web.throttle import block

PATH: Final = "/ingest/{source}"
SKEW_MS: Final = 5 * MINUTE
"""Largest difference between a signed time and the server's clock, either way."""
SEEN_MS: Final = 2 * SKEW_MS
"""Remember requests as long as their signature stays valid."""
MOST_SEEN: Final = 100_000
MOST_FAILURES: Final = 60
"""Invalid requests of an address per minute. Beyond, the address is refused, unless a valid request came from
it within TRUST_MS: vendors may share a proxy with others."""
KNOWN_MS: Final = 60 * MINUTE
MOST_ADDRESSES: Final = 10_000
LEAST_SECRET: Final = 16
RETRY_S: Final = 5

Publish = Callable[[Outgoing], Awaitable[None]]
"""Publishes a record; returns once Kafka has acknowledged it. Raises OSError if Kafka does not."""


class Patience(NamedTuple):
    """Timeouts for reading a body and for publishing, in seconds. Vendors wait about 5 s for an answer."""

    body_s: float = 10.0
    publish_s: float = 4.0


PATIENCE: Final = Patience()


def check_secrets(settings: Settings) -> None:
    """Raise SettingsError for a secret that is too short or malformed; the error never shows the secret."""
    for name, secret in _secrets(settings).items():
        place = f"sources.{name}.secret"
        if len(secret) < LEAST_SECRET:
            raise SettingsError(f"{place}: expected at least {LEAST_SECRET} characters")
        if name == "formbricks":
            try:
                whsec(secret)
            except ValueError:
                raise SettingsError(f"{place}: expected one that starts with whsec_") from None


def _secrets(settings: Settings) -> dict[str, str]:
    found = {name: source.secret for name, source in settings.sources.items()}
    return {name: secret.get_secret_value() for name, secret in found.items() if secret is not None}


class Webhooks:
    """Verify webhooks and publish each to Kafka once, with rate limits per source and per address."""

    def __init__(
        self, settings: Settings, publish: Publish, clock: Clock, proxy: Proxy, patience: Patience
    ) -> None:
        self._secrets = _secrets(settings)
        self._rates = {name: settings.sources[name].rate for name in self._secrets}
        self._publish, self._clock, self._proxy, self._patience = publish, clock, proxy, patience
        self._published, self._failed = Minute(clock, len(SOURCES)), Minute(clock, MOST_ADDRESSES)
        self._seen, self._known = Seen(clock, SEEN_MS, MOST_SEEN), Seen(clock, KNOWN_MS, MOST_ADDRESSES)
        self._under_way: dict[bytes, asyncio.Task[None]] = {}

    def routes(self) -> list[Route]:
        """Return the route; no route if no source has a secret."""
        return [Route(PATH, self._take, methods=["POST"])] if self._secrets else []

    async def _take(self, request: Request) -> Response:
        source = request.path_params["source"]
        if source not in self._secrets:
            refuse_early(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_FOUND.phrase)
        address = block(self._proxy.address(request))
        wait_s = self._failed.wait_s(address, MOST_FAILURES)
        if wait_s and not self._known.has(address.encode()):
            later = _later(wait_s, "too many invalid requests")
            refuse_early(HTTPStatus(later.status_code), later.detail, later.headers)
        try:
            key, body = await self._read(request, source)
        except HTTPException:
            self._failed.count(address)
            raise
        self._known.add(address.encode())
        await self._pass_on(key, source, body, request.headers["content-type"])
        return Response(status_code=HTTPStatus.ACCEPTED)

    async def _read(self, request: Request, source: str) -> tuple[bytes, bytes]:
        """Return the key that identifies a repeated request, and the body. Raise HTTPException."""
        check_type(request, source)
        body = await body_of(request, self._patience.body_s)
        key = self._proven(source, Post(urls_of(request), headers_of(request), body))
        if key is None:
            detail = "signature missing or invalid"
            raise HTTPException(HTTPStatus.UNAUTHORIZED, detail, {"www-authenticate": "Bearer"})
        return key, body

    def _proven(self, source: str, post: Post) -> bytes | None:
        """Verify the signature and its time. Return the key of the request; None if it is not valid."""
        proof = SCHEMES[source](post, self._secrets[source])
        if proof is None or (proof.at_ms is not None and abs(self._clock() - proof.at_ms) > SKEW_MS):
            return None
        same = post.body if proof.id is None else proof.id.encode("latin-1")
        return sha256(f"{source}\n{proof.id is None}\n".encode() + same).digest()

    async def _pass_on(self, key: bytes, source: str, body: bytes, content_type: str) -> None:
        """Publish a request once, however often it is sent; a repetition waits for the first to finish."""
        if self._seen.has(key):
            return
        task = self._under_way.get(key)
        if task is None:
            if wait_s := self._published.wait_s(source, self._rates[source]):
                raise _later(wait_s, "rate limit of this source exceeded")
            self._published.count(source)
            records = self._records(source, body, content_type)
            task = self._under_way[key] = asyncio.create_task(self._send(key, records))
        try:
            await asyncio.shield(task)
        except OSError:
            raise _later(RETRY_S, "Kafka is unavailable", HTTPStatus.SERVICE_UNAVAILABLE) from None

    def _records(self, source: str, body: bytes, content_type: str) -> list[Outgoing]:
        payloads, now = payloads_of(source, content_type, body), self._clock()
        kind = "application/json" if is_form(content_type) else content_type
        headers = (("content-type", kind.encode("latin-1")),)
        keys = [sha256(payload).hexdigest().encode() for payload in payloads]
        return [Outgoing(raw_topic(source), *pair, headers, now) for pair in zip(keys, payloads, strict=True)]

    async def _send(self, key: bytes, records: Sequence[Outgoing]) -> None:
        try:
            async with asyncio.timeout(self._patience.publish_s):
                for record in records:
                    await self._publish(record)
            self._seen.add(key)
        finally:
            del self._under_way[key]


def _later(wait_s: int, detail: str, status: HTTPStatus = HTTPStatus.TOO_MANY_REQUESTS) -> HTTPException:
    return HTTPException(status, f"{detail}: try again in {wait_s} s", {"retry-after": str(wait_s)})
