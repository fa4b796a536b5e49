"""Webhook receiver: posts alerts as JSON, signed as Standard Webhooks specifies.

    {"version": 1, "center": "default", "alerts": [{"id": "...", "episode": "...", "what": "firing", ...}]}

`alerts` are whole messages (alerts/message.py) in the order in which they came about. `id` identifies the
firing or the resolved message of an alert; a receiver may ignore one that it has seen before. `episode` is
the same in both. Members are added without a new version; the version changes when one is removed or changes
its meaning. Texts and names hold what events brought, as it came: escape them before showing them as markup.

Headers: `Idempotency-Key` and `webhook-id` identify the post: they are the same whenever the same alerts are
sent again. With a secret the post is signed: `webhook-signature` is `v1,` and base64 of the HMAC-SHA256 of
`ID.TIMESTAMP.BODY`, with `webhook-timestamp` in seconds.
"""

import base64
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from streamer.alerts.alert_message import AlertMessage
from streamer.delivery.http_client import HttpClient, HttpResponse
from streamer.delivery.receiver import DeliveryFailed, DeliverySucceeded
from streamer.runtime.clock import Clock

VERSION: Final = 1
MAX_ALERTS: Final = 50
_REJECTED_STATUSES: Final = (400, 413, 422)
_BUSY_STATUSES: Final = (429, 503)
_ERROR_CODE: Final = re.compile(rb"[a-z]+(_[a-z]+)+\s*")
"""Error code in a response, such as Slack's invalid_token. Anything longer may repeat the URL."""


class WebhookPayload(msgspec.Struct, frozen=True):
    version: int
    center: str
    alerts: Sequence[AlertMessage]


class MessageFormat(NamedTuple):
    """Encoding of messages, and the largest number of them in one post."""

    max_alerts: int
    encode: Callable[[Sequence[AlertMessage]], bytes]


def json_format(center: str) -> MessageFormat:
    return MessageFormat(
        MAX_ALERTS, lambda messages: msgspec.json.encode(WebhookPayload(VERSION, center, messages))
    )


class WebhookEndpoint(NamedTuple):
    """URL, signing key (None: posts are not signed) and time limit of the response."""

    url: str
    key: bytes | None
    timeout_s: float


def new_secret() -> str:
    """Return a new random secret of 32 bytes, as Standard Webhooks writes it."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def signing_key(secret: str) -> bytes:
    """Return the key of a Standard Webhooks secret: `whsec_` and base64. Raises ValueError.

    >>> signing_key("whsec_c3RyZWFtZXI=")
    b'streamer'
    """
    if not secret.startswith("whsec_"):
        raise ValueError
    return base64.b64decode(secret.removeprefix("whsec_"), validate=True)


class WebhookReceiver:
    """Receiver that takes posts over HTTP, in any format."""

    def __init__(
        self,
        endpoint: WebhookEndpoint,
        message_format: MessageFormat,
        http: HttpClient,
        center: str,
        clock: Clock,
    ) -> None:
        self._endpoint, self._format, self._http = endpoint, message_format, http
        self._center, self._clock = center, clock

    @property
    def max_alerts(self) -> int:
        return self._format.max_alerts

    @property
    def timeout_s(self) -> float:
        return self._endpoint.timeout_s

    async def send(self, messages: Sequence[AlertMessage]) -> DeliverySucceeded | DeliveryFailed:
        body = self._format.encode(messages)
        headers = self._headers(batch_id(self._center, messages), body)
        response = await self._http.request("POST", self._endpoint.url, body, headers)
        if not isinstance(response, HttpResponse):
            return DeliveryFailed(response.reason)
        return (
            DeliverySucceeded(response.status)
            if response.is_success
            else failure_from_response(response, self._clock())
        )

    def _headers(self, message_id: str, body: bytes) -> dict[str, str]:
        timestamp = str(self._clock() // 1000)
        headers = {
            "content-type": "application/json",
            "idempotency-key": message_id,
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
        }
        if self._endpoint.key is not None:
            headers["webhook-signature"] = signature(self._endpoint.key, message_id, timestamp, body)
        return headers


def batch_id(center: str, messages: Sequence[AlertMessage]) -> str:
    """Return the id of these messages as one post: 32 hexadecimal digits, the same for the same messages."""
    return sha256("\n".join([center, *(message.id for message in messages)]).encode()).hexdigest()[:32]


def signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """Return the value of the header `webhook-signature`."""
    signed = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(signed).decode()}"


def failure_from_response(response: HttpResponse, now_ms: int) -> DeliveryFailed:
    """Return the failure that a response other than 2xx means. `now_ms` is compared with a Retry-After date.

    >>> failure_from_response(HttpResponse(429, retry_after="47"), now_ms=0)
    DeliveryFailed(reason='answered 429', wait_s=47.0, refused=False)
    >>> failure_from_response(HttpResponse(400, b"invalid_payload"), now_ms=0)
    DeliveryFailed(reason='answered 400 (invalid_payload)', wait_s=None, refused=True)
    """
    detail = f" ({response.body.decode().strip()})" if _ERROR_CODE.fullmatch(response.body) else ""
    if 300 <= response.status < 400:
        detail = ", redirects are not followed"
    wait_s = _wait_s(response.retry_after, now_ms) if response.status in _BUSY_STATUSES else None
    return DeliveryFailed(
        f"answered {response.status}{detail}", wait_s, response.status in _REJECTED_STATUSES
    )


def _wait_s(retry_after: str | None, now_ms: int) -> float | None:
    """Return the seconds of a Retry-After header, a number or a date (RFC 9110, 10.2.3); None for others."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdecimal():
        return float(retry_after)
    try:
        retry_at = parsedate_to_datetime(retry_after)
        return max(retry_at.timestamp() - now_ms / 1000, 0.0)
    except (ValueError, OverflowError):
        return None
