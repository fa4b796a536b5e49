"""Verification of webhook signatures: one scheme for each source, over the raw bytes of the body.

Every scheme takes the request and the source's secret, and compares in constant time. A valid signature gives
a SignatureProof; every other case gives None, without a reason.
"""

import base64
import hmac
from binascii import hexlify
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from streamer.events.adapters import SOURCES
from streamer.web.posted import form_of, is_form


class Post(NamedTuple):
    """A posted request to verify.

    `urls`: the forms of our URL that the vendor may have signed, as a proxy hides some of it; `headers`: by
    lower-case name, only those given once."""

    urls: tuple[str, ...]
    headers: Mapping[str, str]
    body: bytes


class Proof(NamedTuple):
    """A valid signature: the time of signing in ms since the epoch, and the vendor's id of the message.

    Each is None unless the signature covers it."""

    at_ms: int | None = None
    id: str | None = None


Scheme = Callable[[Post, str], Proof | None]


def _bytes(secret: str) -> bytes:
    return secret.encode()


def whsec(secret: str) -> bytes:
    """Decode a key of Standard Webhooks: base64 after "whsec_". Raise ValueError.

    >>> whsec("whsec_MDEyMzQ1Njc4OWFiY2RlZg==")
    b'0123456789abcdef'
    """
    return base64.b64decode(secret.removeprefix("whsec_"), validate=True)


class Hmac(msgspec.Struct, frozen=True):
    """A scheme whose `header` holds an HMAC over other headers and the body.

    The signed bytes are the headers' values in `before` (a "." stands for itself), then the body.
    The header holds `prefix`, then the HMAC as `written` encodes it. After a change of the secret some
    vendors send several signatures, separated by spaces."""

    header: str
    digest: Literal["sha1", "sha256"]
    written: Callable[[bytes], bytes]
    prefix: bytes = b""
    before: tuple[str, ...] = ()
    at: str | None = None
    id: str | None = None
    key: Callable[[str], bytes] = _bytes

    def __call__(self, post: Post, secret: str) -> Proof | None:
        parts = ["." if part == "." else post.headers.get(part) for part in self.before]
        if None in parts:
            return None
        signed = "".join(part or "" for part in parts).encode("latin-1") + post.body
        expected = self.prefix + self.written(hmac.digest(self.key(secret), signed, self.digest))
        given = post.headers.get(self.header, "").encode("latin-1").split()
        if not any(hmac.compare_digest(expected, one) for one in given):
            return None
        at_ms = None if self.at is None else _moment_ms(post.headers[self.at])
        if self.at is not None and at_ms is None:
            return None
        return Proof(at_ms, None if self.id is None else post.headers[self.id])


def _moment_ms(text: str) -> int | None:
    """Parse epoch seconds, or RFC 3339 with a zone, into ms since the epoch; None for anything else.

    >>> _moment_ms("1795255205"), _moment_ms("2026-11-21T10:00:05Z"), _moment_ms("2026-11-21T10:00:05")
    (1795255205000, 1795255205000, None)
    """
    if text.isascii() and text.isdecimal():
        return int(text) * 1000 if len(text) <= 12 else None
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def twilio(post: Post, secret: str) -> Proof | None:
    """Verify a signature of Twilio: HMAC-SHA1 over the URL and the sorted fields of a form.

    For any other body the URL's query holds its digest as `bodySHA256`."""
    fields = ""
    if is_form(post.headers.get("content-type", "")):
        fields = "".join(name + value for name, value in sorted({*form_of(post.body)}))
    elif not _is_digest(parse_qs(urlsplit(post.urls[0]).query).get("bodySHA256", [""])[-1], post.body):
        return None
    given = post.headers.get("x-twilio-signature", "").encode("latin-1")
    signed = (hmac.digest(secret.encode(), f"{url}{fields}".encode(), "sha1") for url in post.urls)
    fits = any(hmac.compare_digest(base64.b64encode(one), given) for one in signed)
    return Proof() if fits else None


def _is_digest(told: str, body: bytes) -> bool:
    return hmac.compare_digest(told.lower().encode(), sha256(body).hexdigest().encode())


def bearer(post: Post, secret: str) -> Proof | None:
    """Compare the secret itself, for vendors that do not sign: `Authorization: Bearer …` or `X-Api-Key: …`.

    >>> bearer(Post((), {"x-api-key": "a shared secret"}, b""), "a shared secret") is not None
    True
    """
    kind, _, token = post.headers.get("authorization", "").partition(" ")
    given = token.strip() if kind.lower() == "bearer" else post.headers.get("x-api-key", "")
    return Proof() if hmac.compare_digest(given.encode("latin-1"), secret.encode()) else None


_SIGNED: Final[Mapping[str, Scheme]] = {
    "twilio": twilio,
    "delighted": Hmac("x-delighted-webhook-signature", "sha256", hexlify, b"sha256="),
    "help-scout": Hmac("x-helpscout-signature", "sha1", base64.b64encode),
    "chatwoot": Hmac(
        "x-chatwoot-signature", "sha256", hexlify, b"sha256=",
        before=("x-chatwoot-timestamp", "."), at="x-chatwoot-timestamp",
    ),
    "zendesk": Hmac(
        "x-zendesk-webhook-signature", "sha256", base64.b64encode,
        before=("x-zendesk-webhook-signature-timestamp",), at="x-zendesk-webhook-signature-timestamp",
    ),
    "formbricks": Hmac(
        "webhook-signature", "sha256", base64.b64encode, b"v1,",
        before=("webhook-id", ".", "webhook-timestamp", "."), at="webhook-timestamp", id="webhook-id",
        key=whsec,
    ),
}  # fmt: skip
SCHEMES: Final[Mapping[str, Scheme]] = {source: _SIGNED.get(source, bearer) for source in SOURCES}
"""Schemes by source. Sources that do not sign send the secret itself."""
