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
from streamer.web.request_body import is_form, parse_form
from streamer.web.webhook_secrets import decode_whsec


class SignedRequest(NamedTuple):
    """A posted request to verify.

    `urls`: the forms of our URL that the vendor may have signed, as a proxy hides some of it; `headers`: by
    lower-case name, only those given once."""

    urls: tuple[str, ...]
    headers: Mapping[str, str]
    body: bytes


class SignatureProof(NamedTuple):
    """A valid signature: the time of signing in ms since the epoch, and the vendor's id of the message.

    Each is None unless the signature covers it."""

    signed_at_ms: int | None = None
    id: str | None = None


SignatureScheme = Callable[[SignedRequest, str], SignatureProof | None]


def _utf8_key(secret: str) -> bytes:
    return secret.encode()


class HmacScheme(msgspec.Struct, frozen=True):
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
    key: Callable[[str], bytes] = _utf8_key

    def __call__(self, request: SignedRequest, secret: str) -> SignatureProof | None:
        pieces = ["." if piece == "." else request.headers.get(piece) for piece in self.before]
        if None in pieces:
            return None
        signed = "".join(piece or "" for piece in pieces).encode("latin-1") + request.body
        expected = self.prefix + self.written(hmac.digest(self.key(secret), signed, self.digest))
        signatures = request.headers.get(self.header, "").encode("latin-1").split()
        if not any(hmac.compare_digest(expected, signature) for signature in signatures):
            return None
        signed_at_ms = None if self.at is None else _parse_time_ms(request.headers[self.at])
        if self.at is not None and signed_at_ms is None:
            return None
        return SignatureProof(signed_at_ms, None if self.id is None else request.headers[self.id])


def _parse_time_ms(text: str) -> int | None:
    """Parse epoch seconds, or RFC 3339 with a zone, into ms since the epoch; None for anything else.

    >>> _parse_time_ms("1795255205"), _parse_time_ms("2026-11-21T10:00:05Z")
    (1795255205000, 1795255205000)
    >>> _parse_time_ms("2026-11-21T10:00:05") is None
    True
    """
    if text.isascii() and text.isdecimal():
        return int(text) * 1000 if len(text) <= 12 else None
    try:
        timestamp = datetime.fromisoformat(text)
        return None if timestamp.tzinfo is None else round(timestamp.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def verify_twilio(request: SignedRequest, secret: str) -> SignatureProof | None:
    """Verify a signature of Twilio: HMAC-SHA1 over the URL and the sorted fields of a form.

    For any other body the URL's query holds its digest as `bodySHA256`."""
    fields = ""
    if is_form(request.headers.get("content-type", "")):
        fields = "".join(name + value for name, value in sorted({*parse_form(request.body)}))
    elif not _matches_digest(
        parse_qs(urlsplit(request.urls[0]).query).get("bodySHA256", [""])[-1], request.body
    ):
        return None
    signature = request.headers.get("x-twilio-signature", "").encode("latin-1")
    digests = (hmac.digest(secret.encode(), f"{url}{fields}".encode(), "sha1") for url in request.urls)
    fits = any(hmac.compare_digest(base64.b64encode(digest), signature) for digest in digests)
    return SignatureProof() if fits else None


def _matches_digest(hex_digest: str, body: bytes) -> bool:
    return hmac.compare_digest(hex_digest.lower().encode(), sha256(body).hexdigest().encode())


def verify_bearer(request: SignedRequest, secret: str) -> SignatureProof | None:
    """Compare the secret itself, for vendors that do not sign: `Authorization: Bearer …` or `X-Api-Key: …`.

    >>> verify_bearer(SignedRequest((), {"x-api-key": "a shared secret"}, b""), "a shared secret") is not None
    True
    """
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    sent_secret = token.strip() if kind.lower() == "bearer" else request.headers.get("x-api-key", "")
    return SignatureProof() if hmac.compare_digest(sent_secret.encode("latin-1"), secret.encode()) else None


_SIGNING_SCHEMES: Final[Mapping[str, SignatureScheme]] = {
    "twilio": verify_twilio,
    "delighted": HmacScheme("x-delighted-webhook-signature", "sha256", hexlify, b"sha256="),
    "help-scout": HmacScheme("x-helpscout-signature", "sha1", base64.b64encode),
    "chatwoot": HmacScheme(
        "x-chatwoot-signature", "sha256", hexlify, b"sha256=",
        before=("x-chatwoot-timestamp", "."), at="x-chatwoot-timestamp",
    ),
    "zendesk": HmacScheme(
        "x-zendesk-webhook-signature", "sha256", base64.b64encode,
        before=("x-zendesk-webhook-signature-timestamp",), at="x-zendesk-webhook-signature-timestamp",
    ),
    "formbricks": HmacScheme(
        "webhook-signature", "sha256", base64.b64encode, b"v1,",
        before=("webhook-id", ".", "webhook-timestamp", "."), at="webhook-timestamp", id="webhook-id",
        key=decode_whsec,
    ),
}  # fmt: skip
SIGNATURE_SCHEMES: Final[Mapping[str, SignatureScheme]] = {
    source: _SIGNING_SCHEMES.get(source, verify_bearer) for source in SOURCES
}
"""Schemes by source. Sources that do not sign send the secret itself."""
