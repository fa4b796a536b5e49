"""Webhook receiver: posts alerts as JSON, signed as Standard Webhooks specifies.

    {"version": 1, "center": "default", "alerts": [{"id": "...", "episode": "...", "what": "firing", ...}]}

`alerts` are whole messages (alerts/message.py) in the order in which they came about. `id` identifies the
firing or the resolved message of an alert; a receiver may ignore one that it has seen before. `episode` is
the same in both. Members are added without a new version; the version changes when one is removed or changes
its meaning.

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

from streamer.alerts.message import Message
from streamer.delivery.caller import Answer, Caller
from streamer.delivery.receiver import Delivered, Failed

VERSION: Final = 1
MOST: Final = 50
_REFUSED: Final = (400, 413, 422)
_BUSY: Final = (429, 503)
_WORD: Final = re.compile(rb"[a-z]+(_[a-z]+)+\s*")
"""Error code in a response, such as Slack's invalid_token. Anything longer may repeat the URL."""


class Posted(msgspec.Struct, frozen=True):
    version: int
    center: str
    alerts: Sequence[Message]


class Form(NamedTuple):
    """Encoding of messages, and the largest number of them in one post."""

    most: int
    write: Callable[[Sequence[Message]], bytes]


def plain(center: str) -> Form:
    return Form(MOST, lambda messages: msgspec.json.encode(Posted(VERSION, center, messages)))


class Address(NamedTuple):
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


class Webhook:
    """Receiver that takes posts over HTTP, in any format."""

    def __init__(
        self, address: Address, form: Form, caller: Caller, center: str, clock: Callable[[], int]
    ) -> None:
        self._address, self._form, self._caller = address, form, caller
        self._center, self._clock = center, clock

    @property
    def most(self) -> int:
        return self._form.most

    @property
    def timeout_s(self) -> float:
        return self._address.timeout_s

    async def send(self, messages: Sequence[Message]) -> Delivered | Failed:
        body = self._form.write(messages)
        headers = self._headers(which(self._center, messages), body)
        answer = await self._caller.call("POST", self._address.url, body, headers)
        if not isinstance(answer, Answer):
            return Failed(answer.reason)
        return Delivered(answer.status) if answer.is_well else refusal(answer, self._clock())

    def _headers(self, name: str, body: bytes) -> dict[str, str]:
        stamp = str(self._clock() // 1000)
        headers = {
            "content-type": "application/json",
            "idempotency-key": name,
            "webhook-id": name,
            "webhook-timestamp": stamp,
        }
        if self._address.key is not None:
            headers["webhook-signature"] = signature(self._address.key, name, stamp, body)
        return headers


def which(center: str, messages: Sequence[Message]) -> str:
    """Return the id of these messages as one post: 32 hexadecimal digits, the same for the same messages."""
    return sha256("\n".join([center, *(one.id for one in messages)]).encode()).hexdigest()[:32]


def signature(key: bytes, name: str, stamp: str, body: bytes) -> str:
    """Return the value of the header `webhook-signature`."""
    signed = hmac.digest(key, f"{name}.{stamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(signed).decode()}"


def refusal(answer: Answer, now: int) -> Failed:
    """Return the failure that a response other than 2xx means. `now_ms` is compared with a Retry-After date.

    >>> refusal(Answer(429, retry_after="47"), now=0)
    Failed(reason='answered 429', wait_s=47.0, refused=False)
    >>> refusal(Answer(400, b"invalid_payload"), now=0)
    Failed(reason='answered 400 (invalid_payload)', wait_s=None, refused=True)
    """
    word = f" ({answer.body.decode().strip()})" if _WORD.fullmatch(answer.body) else ""
    if 300 <= answer.status < 400:
        word = ", redirects are not followed"
    wait_s = _wait_s(answer.retry_after, now) if answer.status in _BUSY else None
    return Failed(f"answered {answer.status}{word}", wait_s, answer.status in _REFUSED)


def _wait_s(retry_after: str | None, now: int) -> float | None:
    """Return the seconds of a Retry-After header, a number or a date (RFC 9110, 10.2.3); None for others."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdecimal():
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
        return max(until.timestamp() - now / 1000, 0.0)
    except (ValueError, OverflowError):
        return None
