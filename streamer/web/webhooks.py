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
from streamer.events.counting_rules import MINUTE
from streamer.events.outgoing_records import OutgoingRecord
from streamer.events.raw_topics import raw_topic
from streamer.runtime.clock import Clock
from streamer.settings import Settings
from streamer.web.client_address import address_block
from streamer.web.proxy import TrustedProxy
from streamer.web.recent_activity import ExpiringKeys, RecentCounter
from streamer.web.request_body import (
    BODY_TIMEOUT_S,
    check_content_type,
    is_form,
    possible_urls,
    read_body,
    refuse_and_close,
    split_payloads,
    unique_headers,
)
from streamer.web.signatures import SIGNATURE_SCHEMES, SignedRequest
from streamer.web.webhook_secrets import webhook_secrets

INGEST_PATH: Final = "/ingest/{source}"
MAX_SKEW_MS: Final = 5 * MINUTE
"""Largest difference between a signed time and the server's clock, either way."""
REPLAY_WINDOW_MS: Final = 2 * MAX_SKEW_MS
"""Remember requests as long as their signature stays valid."""
MAX_REPLAY_KEYS: Final = 100_000
MAX_FAILURES: Final = 60
"""Invalid requests of an address per minute. Beyond, the address is refused, unless a valid request came from
it within TRUST_MS: vendors may share a proxy with others."""
TRUST_MS: Final = 60 * MINUTE
MAX_ADDRESSES: Final = 10_000
RETRY_S: Final = 5

PublishRecord = Callable[[OutgoingRecord], Awaitable[None]]
"""Publishes a record; returns once Kafka has acknowledged it. Raises OSError if Kafka does not."""


class WebhookTimeouts(NamedTuple):
    """Timeouts for reading a body and for publishing, in seconds. Vendors wait about 5 s for an answer."""

    body_s: float = BODY_TIMEOUT_S
    publish_s: float = 4.0


WEBHOOK_TIMEOUTS: Final = WebhookTimeouts()


class WebhookRoutes:
    """Verify webhooks and publish each to Kafka once, with rate limits per source and per address."""

    def __init__(
        self,
        settings: Settings,
        publish: PublishRecord,
        clock: Clock,
        proxy: TrustedProxy,
        timeouts: WebhookTimeouts,
    ) -> None:
        self._secrets = webhook_secrets(settings)
        self._limits_per_minute = {name: settings.sources[name].rate for name in self._secrets}
        self._publish, self._clock, self._proxy, self._timeouts = publish, clock, proxy, timeouts
        self._publish_counter, self._failure_counter = (
            RecentCounter(clock, MINUTE, len(SOURCES)),
            RecentCounter(clock, MINUTE, MAX_ADDRESSES),
        )
        self._published_keys, self._trusted_addresses = (
            ExpiringKeys(clock, REPLAY_WINDOW_MS, MAX_REPLAY_KEYS),
            ExpiringKeys(clock, TRUST_MS, MAX_ADDRESSES),
        )
        self._publish_tasks: dict[bytes, asyncio.Task[None]] = {}

    def routes(self) -> list[Route]:
        """Return the route; no route if no source has a secret."""
        return [Route(INGEST_PATH, self._receive, methods=["POST"])] if self._secrets else []

    async def _receive(self, request: Request) -> Response:
        source = request.path_params["source"]
        if source not in self._secrets:
            refuse_and_close(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_FOUND.phrase)
        address = address_block(self._proxy.client_address(request))
        wait_s = self._failure_counter.wait_s(address, MAX_FAILURES)
        if wait_s and not self._trusted_addresses.has(address.encode()):
            too_many = _retry_later(wait_s, "too many invalid requests")
            refuse_and_close(HTTPStatus(too_many.status_code), too_many.detail, too_many.headers)
        try:
            key, body = await self._read_verified(request, source)
        except HTTPException:
            self._failure_counter.count(address)
            raise
        self._trusted_addresses.add(address.encode())
        await self._publish_once(key, source, body, request.headers["content-type"])
        return Response(status_code=HTTPStatus.ACCEPTED)

    async def _read_verified(self, request: Request, source: str) -> tuple[bytes, bytes]:
        """Return the key that identifies a repeated request, and the body. Raise HTTPException."""
        check_content_type(request, source)
        body = await read_body(request, self._timeouts.body_s)
        key = self._verify(source, SignedRequest(possible_urls(request), unique_headers(request), body))
        if key is None:
            detail = "signature missing or invalid"
            raise HTTPException(HTTPStatus.UNAUTHORIZED, detail, {"www-authenticate": "Bearer"})
        return key, body

    def _verify(self, source: str, signed_request: SignedRequest) -> bytes | None:
        """Verify the signature and its time. Return the key of the request; None if it is not valid."""
        proof = SIGNATURE_SCHEMES[source](signed_request, self._secrets[source])
        if proof is None or (
            proof.signed_at_ms is not None and abs(self._clock() - proof.signed_at_ms) > MAX_SKEW_MS
        ):
            return None
        identity = signed_request.body if proof.id is None else proof.id.encode("latin-1")
        return sha256(f"{source}\n{proof.id is None}\n".encode() + identity).digest()

    async def _publish_once(self, key: bytes, source: str, body: bytes, content_type: str) -> None:
        """Publish a request once, however often it is sent; a repetition waits for the first to finish."""
        if self._published_keys.has(key):
            return
        task = self._publish_tasks.get(key)
        if task is None:
            if wait_s := self._publish_counter.wait_s(source, self._limits_per_minute[source]):
                raise _retry_later(wait_s, "rate limit of this source exceeded")
            self._publish_counter.count(source)
            records = self._build_records(source, body, content_type)
            task = self._publish_tasks[key] = asyncio.create_task(self._publish_all(key, records))
        try:
            await asyncio.shield(task)
        except OSError:
            raise _retry_later(RETRY_S, "Kafka is unavailable", HTTPStatus.SERVICE_UNAVAILABLE) from None

    def _build_records(self, source: str, body: bytes, content_type: str) -> list[OutgoingRecord]:
        payloads, now_ms = split_payloads(source, content_type, body), self._clock()
        payload_type = "application/json" if is_form(content_type) else content_type
        headers = (("content-type", payload_type.encode("latin-1")),)
        keys = [sha256(payload).hexdigest().encode() for payload in payloads]
        return [
            OutgoingRecord(raw_topic(source), *pair, headers, now_ms)
            for pair in zip(keys, payloads, strict=True)
        ]

    async def _publish_all(self, key: bytes, records: Sequence[OutgoingRecord]) -> None:
        try:
            async with asyncio.timeout(self._timeouts.publish_s):
                for record in records:
                    await self._publish(record)
            self._published_keys.add(key)
        finally:
            del self._publish_tasks[key]


def _retry_later(
    wait_s: int, detail: str, status: HTTPStatus = HTTPStatus.TOO_MANY_REQUESTS
) -> HTTPException:
    return HTTPException(status, f"{detail}: try again in {wait_s} s", {"retry-after": str(wait_s)})
